// Matrix products at the shapes of training steps and of decoding.
// Configurations: A = d 128, V 512, 4096 rows; B = d 256, V 4096, 2048 rows; C = d 512, V 4096, 2048 rows.
#include "triarch/kernels/product.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "bench/roof.h"
#include "triarch/base/random.h"
#include "triarch/base/threads.h"

namespace {

using namespace triarch;
using namespace triarch::kernels;

enum class Way { forward, input_gradient, weight_gradient };

// Random values at an address that is a multiple of 64, as tensors have.
template <class T>
class Values {
 public:
  Values(int64_t count, uint32_t seed) : storage_(static_cast<size_t>(count) + 64) {
    data_ = storage_.data() + (64 - reinterpret_cast<uintptr_t>(storage_.data()) % 64) % 64 / sizeof(T);
    for (int64_t i = 0; i < count; ++i) data_[i] = T(float(hash32(uint32_t(i), seed)) / 2147483648.0f - 1.0f);
  }
  T* data() { return data_; }

 private:
  std::vector<T> storage_;
  T* data_;
};

double peak_for(bool bf16_operands) {
  const double native = bf16_operands ? bench::bf16_peak(thread_count()) : 0;
  return native > 0 ? native : bench::float_peak(active_isa(), thread_count());
}

// A linear layer on `rows` rows: y = x wᵀ; dx = dy w; dw = dyᵀ x.
template <class A, class C>
void run_product(benchmark::State& state, Way way, int64_t rows, int64_t out, int64_t in) {
  Values<A> x(rows * in, 1), dy(rows * out, 2), w(out * in, 3);
  Product<A, C> p;
  switch (way) {
    case Way::forward:
      p.m = rows, p.n = out, p.k = in, p.a = x.data(), p.a_stride = in, p.b = w.data(), p.b_stride = in;
      p.b_transposed = true;
      break;
    case Way::input_gradient:
      p.m = rows, p.n = in, p.k = out, p.a = dy.data(), p.a_stride = out, p.b = w.data(), p.b_stride = in;
      break;
    case Way::weight_gradient:
      p.m = out, p.n = in, p.k = rows, p.a = dy.data(), p.a_stride = out, p.b = x.data(), p.b_stride = in;
      p.a_transposed = true;
      break;
  }
  Values<C> c(p.m * p.n, 4);
  p.c = c.data(), p.c_stride = p.n;
  for (auto _ : state) {
    product(p);
    benchmark::ClobberMemory();
  }
  const double flops = 2.0 * double(p.m) * double(p.n) * double(p.k) * double(state.iterations());
  state.counters["FLOP/s"] = benchmark::Counter(flops, benchmark::Counter::kIsRate);
  if (rows <= 8) {
    const double bytes = double(out * in) * sizeof(A) * double(state.iterations());
    const double roof = bench::read_bandwidth(thread_count(), out * in * int64_t(sizeof(A)));
    state.counters["B/s"] = benchmark::Counter(bytes, benchmark::Counter::kIsRate);
    state.counters["of_memory"] = benchmark::Counter(bytes / roof, benchmark::Counter::kIsRate);
  } else {
    state.counters["of_peak"] = benchmark::Counter(flops / peak_for(sizeof(A) == 2), benchmark::Counter::kIsRate);
  }
}

void add(const std::string& name, Way way, int64_t rows, int64_t out, int64_t in) {
  // One thread is timed by its processor time, which a busy machine disturbs least.
  const auto tune = [](benchmark::internal::Benchmark* b) {
    b->Unit(benchmark::kMicrosecond);
    if (thread_count() > 1) b->UseRealTime();
  };
  tune(benchmark::RegisterBenchmark(("product/" + name + "/float32").c_str(), run_product<float, float>, way, rows, out,
                                    in));
  if (way == Way::weight_gradient) {
    tune(benchmark::RegisterBenchmark(("product/" + name + "/bf16_float32").c_str(), run_product<bf16, float>, way,
                                      rows, out, in));
  } else {
    tune(benchmark::RegisterBenchmark(("product/" + name + "/bf16").c_str(), run_product<bf16, bf16>, way, rows, out,
                                      in));
  }
}

[[maybe_unused]] const bool registered = [] {
  struct Configuration {
    const char* name;
    int64_t rows, d, vocabulary;
  };
  for (const Configuration& c : {Configuration{"A", 4096, 128, 512}, {"B", 2048, 256, 4096}, {"C", 2048, 512, 4096}}) {
    struct Layer {
      const char* name;
      int64_t out, in;
    };
    for (const Layer& layer : {Layer{"qkv", 3 * c.d, c.d},
                               {"attention_out", c.d, c.d},
                               {"up", 4 * c.d, c.d},
                               {"down", c.d, 4 * c.d},
                               {"head", c.vocabulary, c.d}}) {
      const std::string name = fmt::format("{}/{}/", c.name, layer.name);
      add(name + "forward", Way::forward, c.rows, layer.out, layer.in);
      add(name + "input_gradient", Way::input_gradient, c.rows, layer.out, layer.in);
      add(name + "weight_gradient", Way::weight_gradient, c.rows, layer.out, layer.in);
    }
  }
  // Weights from memory (the vocabulary head of a GPT-2 of 124M parameters) and from the last-level cache.
  for (const int64_t rows : {1, 4, 8, 16, 32, 64, 128}) {
    add(fmt::format("decode/{}x50304x768", rows), Way::forward, rows, 50304, 768);
    add(fmt::format("decode/{}x1024x256", rows), Way::forward, rows, 1024, 256);
    add(fmt::format("decode/{}x768x3072", rows), Way::forward, rows, 768, 3072);
  }
  return true;
}();

}  // namespace
