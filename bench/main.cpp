// triarch_bench: every kernel against its roof. The usual flags of Google Benchmark, such as
//   triarch_bench --benchmark_filter=product/B --benchmark_min_time=0.2
// and TRIARCH_ISA, TRIARCH_THREADS choose what runs.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <fstream>
#include <string>

#include "bench/roof.h"
#include "triarch/base/threads.h"

namespace {

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  std::string line, family, model, name;
  while (std::getline(file, line) && !line.empty()) {
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    const std::string value = line.substr(colon + 2);
    if (line.starts_with("cpu family")) family = value;
    if (line.starts_with("model\t")) model = value;
    if (line.starts_with("model name")) name = value;
  }
  return fmt::format("{} (family {}, model {})", name, family, model);
}

void print_roofs() {
  using triarch::kernels::Isa;
  const int all = triarch::thread_count();
  fmt::print("{}, {} threads, kernels for {}\n", processor(), all,
             triarch::kernels::name_of(triarch::kernels::active_isa()));
  for (int threads = 1; threads <= all; threads += all > 1 ? all - 1 : 1) {
    fmt::print("roof of {} thread{}:", threads, threads == 1 ? "" : "s");
    for (const Isa isa : triarch::kernels::kIsas) {
      if (!triarch::kernels::has_isa(isa) || isa == Isa::amx) continue;  // its floats are avx512's
      fmt::print(" {} {:.0f} GFLOP/s,", name_of(isa), triarch::bench::float_peak(isa, threads) * 1e-9);
    }
    if (triarch::kernels::has_avx512_bf16()) fmt::print(" bf16 {:.0f},", triarch::bench::bf16_peak(threads) * 1e-9);
    fmt::print(" memory {:.1f} GB/s\n", triarch::bench::read_bandwidth(threads) * 1e-9);
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  print_roofs();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
