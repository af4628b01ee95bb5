#include "bench/roof.h"

#include <immintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <new>
#include <thread>
#include <tuple>
#include <vector>

namespace triarch::bench {
namespace {

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

constexpr int kRuns = 60;

// Seconds of f(thread) on all threads at once. Threads of their own: run_units' pool belongs to the benchmarks.
template <class F>
double time_of(int threads, const F& f) {
  const double start = seconds();
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back([&f, t] { f(t); });
  f(0);
  for (std::thread& t : others) t.join();
  return seconds() - start;
}

// Twelve chains hide the latency of any FMA. The asm keeps the values opaque, so nothing is folded.
constexpr int kChains = 12;
constexpr int64_t kRounds = 400'000;
constexpr int64_t kAmxRatio = 16;  // an instruction on tiles takes the time of 16

[[gnu::target("avx512f")]] void chains_avx512() {
  __m512 x[kChains];
  for (__m512& v : x) v = _mm512_set1_ps(1.5f);
  __m512 factor = _mm512_set1_ps(0.999f), add = _mm512_set1_ps(0.001f);
  for (int64_t i = 0; i < kRounds; ++i) {
    asm volatile("" : "+v"(factor), "+v"(add));
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) x[c] = _mm512_fmadd_ps(x[c], factor, add);
  }
#pragma GCC unroll 12
  for (int c = 0; c < kChains; ++c) asm volatile("" : "+v"(x[c]));
}

[[gnu::target("avx512f,avx512bf16")]] void chains_bf16() {
  __m512 x[kChains];
  for (__m512& v : x) v = _mm512_set1_ps(1.5f);
  __m512 a = _mm512_set1_ps(0.37f), b = _mm512_set1_ps(-0.61f);
  for (int64_t i = 0; i < kRounds; ++i) {
    asm volatile("" : "+v"(a), "+v"(b));
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) x[c] = _mm512_dpbf16_ps(x[c], (__m512bh)a, (__m512bh)b);
  }
#pragma GCC unroll 12
  for (int c = 0; c < kChains; ++c) asm volatile("" : "+v"(x[c]));
}

// Four tiles of sums, as the kernels have.
void chains_amx() {
  struct {
    uint8_t palette = 1, start = 0, reserved[14] = {};
    uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  asm volatile("ldtilecfg %0" ::"m"(config) : "memory");
  for (int64_t i = 0; i < kRounds * kChains / kAmxRatio; i += 4) {
    asm volatile(
        "tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n tdpbf16ps %%tmm7, %%tmm4, %%tmm1\n"
        "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\n tdpbf16ps %%tmm7, %%tmm5, %%tmm3" ::
            : "memory");
  }
  asm volatile("tilerelease" ::: "memory");
}

[[gnu::target("avx2,fma")]] void chains_avx2() {
  __m256 x[kChains];
  for (__m256& v : x) v = _mm256_set1_ps(1.5f);
  __m256 factor = _mm256_set1_ps(0.999f), add = _mm256_set1_ps(0.001f);
  for (int64_t i = 0; i < kRounds; ++i) {
    asm volatile("" : "+x"(factor), "+x"(add));
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) x[c] = _mm256_fmadd_ps(x[c], factor, add);
  }
#pragma GCC unroll 12
  for (int c = 0; c < kChains; ++c) asm volatile("" : "+x"(x[c]));
}

void chains_baseline() {
  __m128 x[kChains];
  for (__m128& v : x) v = _mm_set1_ps(1.5f);
  __m128 factor = _mm_set1_ps(0.999f), add = _mm_set1_ps(0.001f);
  for (int64_t i = 0; i < kRounds; ++i) {
    asm volatile("" : "+x"(factor), "+x"(add));
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) x[c] = _mm_add_ps(_mm_mul_ps(x[c], factor), add);
  }
#pragma GCC unroll 12
  for (int c = 0; c < kChains; ++c) asm volatile("" : "+x"(x[c]));
}

double rate(int threads, int flops_per_instruction, void (*chains)()) {
  double best = 1e30;
  for (int run = 0; run < kRuns; ++run) best = std::min(best, time_of(threads, [chains](int) { chains(); }));
  return double(threads) * double(kRounds) * kChains * flops_per_instruction / best;
}

}  // namespace

double float_peak(kernels::Isa isa, int threads) {
  static std::map<std::pair<kernels::Isa, int>, double> known;
  double& peak = known[{isa, threads}];
  if (peak == 0 && kernels::has_isa(isa)) {
    peak = isa >= kernels::Isa::avx512 ? rate(threads, 32, chains_avx512)
           : isa == kernels::Isa::avx2 ? rate(threads, 16, chains_avx2)
                                       : rate(threads, 8, chains_baseline);
  }
  return peak;
}

double bf16_peak(int threads) {
  static std::map<int, double> known;
  double& peak = known[threads];
  if (peak == 0 && kernels::has_amx_bf16()) {
    peak = rate(threads, 16 * 16 * 32 * 2 / kAmxRatio, chains_amx);
  } else if (peak == 0 && kernels::has_avx512_bf16()) {
    peak = rate(threads, 64, chains_bf16);
  }
  return peak;
}

Memory::Memory(int threads, int64_t bytes) : threads_(threads), lines_(bytes / 64 / threads) {
  constexpr size_t page = size_t(1) << 21;
  const size_t size = (size_t(lines_ * 64 * threads) + page - 1) / page * page;
  data_.reset(static_cast<uint64_t*>(std::aligned_alloc(page, size)));
  if (!data_) throw std::bad_alloc();
  madvise(data_.get(), size, MADV_HUGEPAGE);  // as the engine's own buffers
  for (size_t i = 0; i < size / 8; ++i) data_.get()[i] = i * 0x9e3779b97f4a7c15u;
}

void Memory::read(int thread) const {
  __m128i sums[4] = {};
  const auto* p = reinterpret_cast<const __m128i*>(data_.get() + lines_ * 8 * thread);
  for (int64_t i = 0; i < lines_; ++i, p += 4) {
    _mm_prefetch(reinterpret_cast<const char*>(p) + 4096, _MM_HINT_T0);
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) sums[v] = _mm_xor_si128(sums[v], _mm_loadu_si128(p + v));
  }
#pragma GCC unroll 4
  for (int v = 0; v < 4; ++v) asm volatile("" : "+x"(sums[v]));
}

double Memory::read_seconds(int passes) const {
  return time_of(threads_, [&](int t) {
    for (int pass = 0; pass < passes; ++pass) read(t);
  });
}

double read_bandwidth(int threads, int64_t bytes) {
  static std::map<std::pair<int, int64_t>, double> known;
  double& bandwidth = known[{threads, bytes}];
  if (bandwidth > 0) return bandwidth;
  const int passes = int(std::max<int64_t>(1, (int64_t(1) << 28) / bytes));
  const Memory memory(threads, bytes);
  double best = 1e30;
  for (int round = 0; round < kRuns; ++round) best = std::min(best, memory.read_seconds(passes));
  bandwidth = double(memory.bytes()) * passes / best;
  return bandwidth;
}

}  // namespace triarch::bench
