#include "triarch/base/threads.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include "triarch/base/error.h"
#include "triarch/base/machine.h"

namespace triarch {
namespace {
constexpr int kMaxThreads = 64;
constexpr int kSpins = 3000;  // about 100 microseconds
thread_local bool serial_thread = false;
thread_local bool inside_unit = false;

int default_threads() {
  const char* asked = std::getenv("TRIARCH_THREADS");
  return std::clamp(asked && *asked ? std::atoi(asked) : available_cores(), 1, kMaxThreads);
}

// Every thread owns a contiguous share of a round's units, so that it meets the same rows from kernel to
// kernel in its own cache; a thread that is done takes from the others' shares, so that a core that is slow, asleep
// or busy elsewhere holds up nothing but the unit it is in.
class Pool {
 public:
  Pool() { resize(default_threads()); }
  ~Pool() { stop(); }

  int size() const { return size_.load(std::memory_order_relaxed); }
  void resize(int threads) {
    std::lock_guard lock(owner_);
    stop();
    stopping_.store(false);
    size_.store(threads);
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i, seen = round_.load()] { work(i, seen); });
  }

  // False if another thread holds the pool.
  bool run(int64_t units, UnitFunction f, void* context) {
    std::unique_lock lock(owner_, std::try_to_lock);
    const int n = size();
    if (!lock.owns_lock() || n == 1 || units > INT32_MAX) return false;
    units_ = units, function_ = f, context_ = context;
    done_.store(0, std::memory_order_relaxed);
    const uint32_t round = round_.load(std::memory_order_relaxed) + 1;
    for (int i = 0; i < n; ++i) {
      const int64_t left = units * (i + 1) / n - units * i / n;
      shares_[i].left.store(uint64_t(round) << 32 | uint64_t(left), std::memory_order_release);
    }
    announce(round);
    share(0, round);
    for (int spins = 0; done_.load(std::memory_order_acquire) < units; ++spins) {
      spins < kSpins ? __builtin_ia32_pause() : std::this_thread::yield();
    }
    return true;
  }

 private:
  void announce(uint32_t round) {
    {  // the lock orders the new round against a worker that is about to sleep
      std::lock_guard lock(sleep_);
      round_.store(round, std::memory_order_release);
    }
    wake_.notify_all();
  }

  void share(int thread, uint32_t round) {
    const int n = size();
    int64_t done = 0;
    inside_unit = true;
    for (int i = 0; i < n; ++i) {
      const int owner = (thread + i) % n;
      std::atomic<uint64_t>& left = shares_[owner].left;
      for (uint64_t seen = left.load(std::memory_order_acquire); seen >> 32 == round && uint32_t(seen) > 0;) {
        if (!left.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel)) continue;
        // The round's fields are read only here: it cannot end, and they cannot change, before this unit is done.
        function_(context_, units_ * (owner + 1) / n - int64_t(uint32_t(seen)), thread);
        ++done;
        seen = left.load(std::memory_order_acquire);
      }
    }
    inside_unit = false;
    done_.fetch_add(done, std::memory_order_release);
  }

  void work(int thread, uint32_t seen) {
    while (true) {
      for (int i = 0; i < kSpins && round_.load(std::memory_order_acquire) == seen; ++i) __builtin_ia32_pause();
      if (round_.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock(sleep_);
        wake_.wait(lock, [&] { return round_.load(std::memory_order_acquire) != seen; });
      }
      seen = round_.load(std::memory_order_acquire);
      if (stopping_.load()) return;
      share(thread, seen);
    }
  }

  void stop() {
    stopping_.store(true);
    announce(round_.load() + 1);
    for (std::thread& t : workers_) t.join();
    workers_.clear();
  }

  struct alignas(64) Share {
    std::atomic<uint64_t> left{0};  // round << 32 | units not yet taken
  };
  std::mutex owner_;
  std::vector<std::thread> workers_;
  Share shares_[kMaxThreads];
  alignas(64) std::atomic<int64_t> done_{0};
  alignas(64) std::atomic<uint32_t> round_{0};
  std::atomic<int> size_{1};
  std::atomic<bool> stopping_{false};
  int64_t units_ = 0;
  UnitFunction function_ = nullptr;
  void* context_ = nullptr;
  std::mutex sleep_;
  std::condition_variable wake_;
};

Pool& pool() {
  static Pool p;
  return p;
}

}  // namespace

void run_units(int64_t units, UnitFunction f, void* context) {
  if (units > 1 && !inside_unit && !serial_thread && pool().run(units, f, context)) return;
  for (int64_t u = 0; u < units; ++u) f(context, u, 0);
}

int thread_count() { return inside_unit || serial_thread ? 1 : pool().size(); }
void set_thread_count(int threads) {
  require(!inside_unit, "set_thread_count: expected a call from outside a unit; set it before the work starts");
  pool().resize(std::clamp(threads, 1, kMaxThreads));
}
void set_this_thread_serial(bool serial) { serial_thread = serial; }

}  // namespace triarch
