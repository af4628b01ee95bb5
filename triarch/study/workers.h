// Independent work on a few threads that each compute alone: small models learn faster one per core than one on all.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "triarch/base/threads.h"

namespace triarch {

// f(i) for i in [0, n) on `jobs` threads, in no fixed order; the first exception is thrown at the end.
template <class F>
void each_on_a_thread(int jobs, int64_t n, const F& f) {
  std::atomic<int64_t> next = 0;
  std::exception_ptr error;
  std::mutex mutex;
  const auto work = [&] {
    set_this_thread_serial(true);
    try {
      for (int64_t i = next++; i < n; i = next++) f(i);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      next = n;
    }
    set_this_thread_serial(false);
  };
  std::vector<std::thread> threads;
  for (int j = 0; j < jobs; ++j) threads.emplace_back(work);
  for (std::thread& t : threads) t.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace triarch
