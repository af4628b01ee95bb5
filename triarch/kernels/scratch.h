// Working memory of kernels that need some beside their arguments: a thread_local Scratch for each purpose, which grows
// and is kept, so that a step takes nothing from the system after the first. Units of other threads may work in the
// calling thread's while it waits for them.
#pragma once

#include <cstdint>

namespace triarch::kernels {

class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();

  // At least `count` elements, contents undefined, valid until the next call; aligned to 64 bytes, and in large pages
  // where there is enough for one. Throws std::bad_alloc, which ends the program if a unit does it.
  // Always inlined: every instruction set has a copy of its callers, and a shared one would be any of theirs.
  template <class T = float>
  [[gnu::always_inline]] T* get(int64_t count) {
    const int64_t bytes = count * int64_t(sizeof(T));
    if (bytes > bytes_) grow(bytes);
    return static_cast<T*>(data_);
  }

 private:
  void grow(int64_t bytes);
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace triarch::kernels
