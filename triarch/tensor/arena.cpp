#include "triarch/tensor/arena.h"

#include <sys/mman.h>

#include <algorithm>

#include "triarch/base/error.h"

namespace triarch {
namespace {
constexpr size_t kAlignment = 256;  // of every block: whole cache lines, and not a page's start each
// Address space taken at once, and what is tried where that is limited. Pages come when written; several slabs would
// leave an unused rest in each.
constexpr size_t kSlab = size_t(1) << 30, kSmallSlab = size_t(64) << 20;
size_t rounded(size_t n, size_t to) { return (n + to - 1) / to * to; }
}  // namespace

namespace detail {
void release(Block* block) { block->arena->give(block); }
}  // namespace detail

Arena::Arena() = default;

Arena::~Arena() {
  for (detail::Block* b : spare_) delete b;
  for (const Slab& s : slabs_) munmap(s.data, s.bytes);
}

Tensor Arena::tensor(DType dtype, int64_t rows, int64_t cols) {
  require(rows >= 0 && cols >= 0, "arena: expected a matrix, found {} x {}", rows, cols);
  detail::Block* block = take(size_t(rows) * size_t(cols) * size_t(size_of(dtype)));
  Tensor t(block->data, dtype, rows, cols);
  t.block_ = block;
  return t;
}

detail::Block* Arena::take(size_t wanted) {
  const size_t bytes = std::max(rounded(wanted, kAlignment), kAlignment);
  // Best fit: the smallest free piece that is large enough.
  auto best = free_.end();
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    if (it->second >= bytes && (best == free_.end() || it->second < best->second)) best = it;
  }
  if (best == free_.end()) {
    const auto map = [](size_t n) {
      return mmap(nullptr, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    };
    size_t size = rounded(std::max(bytes, kSlab), 4096);
    void* memory = map(size);
    if (memory == MAP_FAILED) memory = map(size = rounded(std::max(bytes, kSmallSlab), 4096));
    if (memory == MAP_FAILED) {
      fail(ExitCode::out_of_memory, "arena: no memory for {} MB more (in use: {} MB); take a smaller batch or model",
           size >> 20, used_ >> 20);
    }
    madvise(memory, size, MADV_HUGEPAGE);  // docs/decisions/0005
    slabs_.push_back({static_cast<char*>(memory), size});
    reserved_ += size;
    best = free_.emplace(static_cast<char*>(memory), size).first;
  }
  char* data = best->first;
  const size_t rest = best->second - bytes;
  free_.erase(best);
  if (rest > 0) free_.emplace(data + bytes, rest);
  used_ += bytes;
  peak_ = std::max(peak_, used_);
  detail::Block* block;
  if (spare_.empty()) {
    block = new detail::Block;
  } else {
    block = spare_.back();
    spare_.pop_back();
  }
  *block = {this, data, bytes, 1};
  return block;
}

void Arena::give(detail::Block* block) {
  used_ -= block->bytes;
  auto it = free_.emplace(block->data, block->bytes).first;
  // Slabs that happen to be neighbours may merge too: they are unmapped one by one, which is allowed.
  if (auto next = std::next(it); next != free_.end() && it->first + it->second == next->first) {
    it->second += next->second;
    free_.erase(next);
  }
  if (it != free_.begin()) {
    auto previous = std::prev(it);
    if (previous->first + previous->second == it->first) {
      previous->second += it->second;
      free_.erase(it);
    }
  }
  spare_.push_back(block);
}

}  // namespace triarch
