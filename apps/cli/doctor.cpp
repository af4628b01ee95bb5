// triarch doctor: what this machine has, and what this program makes of it.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "apps/cli/command.h"
#include "apps/cli/loaded.h"
#include "triarch/base/clock.h"
#include "triarch/base/human.h"
#include "triarch/base/machine.h"
#include "triarch/base/threads.h"
#include "triarch/base/version.h"
#include "triarch/kernels/product.h"
#include "triarch/train/config.h"

namespace triarch::cli {
namespace {

std::string processor() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(std::min(line.size(), line.find(':') + 2));
  }
  return "unknown";
}

// The best of several runs of f, for about `seconds` in all.
template <class F>
double best_seconds(double seconds, F f) {
  f();
  double best = 1e300;
  const Stopwatch all;
  do {
    const Stopwatch one;
    f();
    best = std::min(best, one.seconds());
  } while (all.seconds() < seconds);
  return best;
}

// FLOP/s of a product of square matrices, as a linear layer multiplies.
template <class T>
double product_rate() {
  constexpr int64_t n = 768;
  std::vector<T> a(n * n, T(0.5f)), b(n * n, T(0.25f)), c(n * n);
  kernels::Product<T, T> p;
  p.m = p.n = p.k = n;
  p.a = a.data();
  p.b = b.data();
  p.c = c.data();
  p.a_stride = p.b_stride = p.c_stride = n;
  p.b_transposed = true;
  return 2.0 * n * n * n / best_seconds(0.25, [&] { kernels::product(p); });
}

// Bytes per second read and written by copying more than caches hold.
double copy_rate() {
  constexpr int64_t bytes = 128 << 20, units = 64;
  std::vector<char> from(bytes, 1), to(bytes);
  return 2.0 * bytes / best_seconds(0.25, [&] {
           parallel(units, [&](int64_t u, int) {
             std::memcpy(to.data() + u * (bytes / units), from.data() + u * (bytes / units), bytes / units);
           });
         });
}

std::string build() {
  std::string out = fmt::format("g++ {}", __VERSION__);
#ifdef __OPTIMIZE__
  out += ", optimised";
#else
  out += ", not optimised";
#endif
#ifndef NDEBUG
  out += ", assertions on";
#endif
#ifdef __SANITIZE_ADDRESS__
  out += ", address sanitizer";
#endif
#ifdef __SANITIZE_THREAD__
  out += ", thread sanitizer";
#endif
  return out;
}

ExitCode run_doctor(bool json, bool quick) {
  const bool avx512_bf16 = kernels::has_avx512_bf16(), amx = kernels::has_amx_bf16();
  std::vector<std::string> sets;
  for (const kernels::Isa isa : kernels::kIsas) {
    if (kernels::has_isa(isa)) sets.push_back(kernels::name_of(isa));
  }
  const char* precision = resolve(PrecisionChoice::automatic) == Precision::bfloat16() ? "bfloat16" : "float32";
  nlohmann::ordered_json out = {{"version", kVersion},
                                {"build", build()},
                                {"processor", processor()},
                                {"cores", std::thread::hardware_concurrency()},
                                {"threads", thread_count()},
                                {"instruction_sets", sets},
                                {"used", kernels::name_of(kernels::active_isa())},
                                {"avx512_bf16", avx512_bf16},
                                {"amx_bf16", amx},
                                {"precision_auto", precision},
                                {"memory_available", available_memory()},
                                {"fmt", FMT_VERSION},
                                {"cli11", parser_version()}};
  if (!quick) {
    out["product_float32_flops"] = product_rate<float>();
    out["product_bfloat16_flops"] = product_rate<bf16>();
    const int threads = thread_count();
    set_thread_count(1);
    out["product_float32_flops_1_thread"] = product_rate<float>();
    set_thread_count(threads);
    out["copy_bytes_per_second"] = copy_rate();
  }
  if (json) {
    print_json(out);
    return ExitCode::ok;
  }
  const auto line = [](const std::string& label, const std::string& text) { fmt::print("{:<14}{}\n", label, text); };
  line("triarch", fmt::format("{}, {}", kVersion, build()));
  line("processor", fmt::format("{}, {} cores, {} threads used (-t or TRIARCH_THREADS)", processor(),
                                std::thread::hardware_concurrency(), thread_count()));
  line("instructions", fmt::format("{} (of {}; TRIARCH_ISA forces one)", kernels::name_of(kernels::active_isa()),
                                   fmt::join(sets, ", ")));
  line("bfloat16", fmt::format("{}; --precision auto takes {}",
                               amx           ? "native, by AMX"
                               : avx512_bf16 ? "native, by AVX512-BF16"
                                             : "for storage only",
                               precision));
  line("memory", fmt::format("{} free", human_bytes(double(available_memory()))));
  if (!quick) {
    const auto rate = [&](const char* key) { return human_count(out[key].get<double>()); };
    line("products", fmt::format("{}FLOP/s float32, {}FLOP/s bfloat16; {}FLOP/s float32 on one thread",
                                 rate("product_float32_flops"), rate("product_bfloat16_flops"),
                                 rate("product_float32_flops_1_thread")));
    line("copying", fmt::format("{}/s read and written", human_bytes(out["copy_bytes_per_second"].get<double>())));
  }
  const double wanted = 1e9;
  if (double(available_memory()) < wanted) {
    line("advice", "less than 1 GB of memory is free: take --size tiny, or close other programs");
  }
  return ExitCode::ok;
}

}  // namespace

Action declare_doctor(Arguments& app) {
  struct DoctorFlags {
    bool json = false, quick = false;
  };
  auto o = std::make_shared<DoctorFlags>();
  app.add_flag("--json", o->json, "the same as one line of JSON").group("General");
  app.add_flag("--quick", o->quick, "measure nothing");
  app.footer("Measures for about a second. Example:\n  triarch doctor --json");
  return [o] { return run_doctor(o->json, o->quick); };
}

}  // namespace triarch::cli
