// bench_train_step: whole training steps (forward, backward, clip, AdamW) of a GPT-2, a BERT and a T5 shape, beside
// PyTorch's of the same shape in alternating rounds. Prints tokens/s, GFLOP/s and the share of the measured peak, and
// the most memory that each process took.
//
//   bench_train_step [--configs A,B,C] [--families causal,permutation,encoder,encoder_decoder,encoder_uneven,...]
//                    [--precisions float32,bfloat16] [--rounds 5] [--python PYTHON] [--modes eager,compiled,shipped]
//                    [--recompute yes]
//
// Families with "_uneven": texts of 16 to T tokens, packed here and padded there; tokens are the texts' own. PYTHON is
// an interpreter with torch 2.13 (and transformers, for BERT and T5); without it only triarch is timed. Mode "shipped":
// transformers' own loss of BERT, over all rows. --recompute: our activations are made again in the backward pass; the
// operations counted are then those without it.
#include <fmt/format.h>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "bench/roof.h"
#include "bench/side_by_side.h"
#include "bench/work.h"
#include "triarch/base/clock.h"
#include "triarch/base/error.h"
#include "triarch/base/machine.h"
#include "triarch/base/random.h"
#include "triarch/base/threads.h"
#include "triarch/train/learner.h"

namespace triarch::bench {
namespace {

// So that peak_memory() is that of the next piece of work.
void forget_peak_memory() {
  std::ofstream file("/proc/self/clear_refs");
  if (!(file << 5 << std::flush)) fail("bench: /proc/self/clear_refs cannot be written, so no peak can be told");
}

int run(int count, char** values) {
  const auto options = options_of(count, values,
                                  {{"--configs", "B"},
                                   {"--families", "causal,encoder,encoder_decoder"},
                                   {"--precisions", "float32,bfloat16"},
                                   {"--rounds", "7"},
                                   {"--modes", "eager,compiled"},
                                   {"--recompute", "no"},
                                   {"--python", ""},
                                   {"--script", "bench/peers/train.py"}});
  const int rounds = std::max(3, std::atoi(options.at("--rounds").c_str()));
  const bool beside = !options.at("--python").empty();
  fmt::print("{} threads, kernels for {}; FMA peak {:.0f} GFLOP/s float32", thread_count(),
             name_of(kernels::active_isa()), float_peak(kernels::active_isa(), thread_count()) * 1e-9);
  if (kernels::has_avx512_bf16()) fmt::print(", {:.0f} bfloat16", bf16_peak(thread_count()) * 1e-9);
  fmt::print("; medians of {} alternating rounds\n", rounds);
  fmt::print("{:<4}{:<24}{:<10}{:>10}{:>11}{:>10}{:>8}", "", "", "", "ms", "tokens/s", "GFLOP/s", "peak");
  for (const std::string& m : split(options.at("--modes"))) {
    if (beside) fmt::print("{:>13}{:>8}", "torch " + m.substr(0, 7), "ratio");
  }
  fmt::print("{:>9}", "MB");
  for (const std::string& m : split(options.at("--modes"))) {
    if (beside) fmt::print("{:>9}", m);
  }
  fmt::print("\n");
  for (const std::string& name : split(options.at("--configs"))) {
    const Config& config = config_of(name);
    for (const std::string& family : split(options.at("--families"))) {
      const Work work = make_work(config, family);
      for (const std::string& precision_name : split(options.at("--precisions"))) {
        const Precision precision = precision_name == "bfloat16" ? Precision::bfloat16() : Precision::float32();
        std::vector<std::unique_ptr<Peer>> peers;
        for (const std::string& m : split(beside && family != "permutation" ? options.at("--modes") : "")) {
          peers.push_back(std::make_unique<Peer>(
              std::vector<std::string>{options.at("--python"), options.at("--script"), "--serve", "--configs", name,
                                       "--families", family, "--precisions", precision_name, "--modes", m}));
        }
        OptimizerConfig optimizer;  // as the peer's: Muon would multiply matrices of its own
        optimizer.kind = OptimizerKind::adamw;
        const double flops = Learner(work.spec, precision, optimizer).plan({&work.batch, 1}).flops;
        forget_peak_memory();
        Learner learner(work.spec, precision, optimizer);
        learner.model().parameters().initialise(1);
        learner.model().recompute = options.at("--recompute") == "yes";
        for (int i = 0; i < 3; ++i) learner.step({&work.batch, 1}, 1e-3);
        const Medians m = alternate(
            rounds,
            [&] {
              Stopwatch watch;
              learner.step({&work.batch, 1}, 1e-3);
              return watch.seconds() * 1e3;
            },
            peers);
        const double ms = m.ours;
        const bool native = precision_name == "bfloat16" && kernels::has_avx512_bf16();
        const double peak = native ? bf16_peak(thread_count()) : float_peak(kernels::active_isa(), thread_count());
        fmt::print("{:<4}{:<24}{:<10}{:>10.2f}{:>11.0f}{:>10.1f}{:>7.1f}%", name, family, precision_name, ms,
                   double(work.batch.tokens) / ms * 1e3, flops / ms * 1e-6, 100 * flops / ms * 1e3 / peak);
        m.print_peers();
        fmt::print("{:>9.0f}", double(peak_memory()) * 1e-6);
        for (const auto& p : peers) {
          fmt::print("{:>9}", p->ready() ? fmt::format("{:.0f}", p->memory() * 1e-6) : "-");
        }
        fmt::print("\n");
        std::fflush(stdout);
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace triarch::bench

int main(int count, char** values) { return triarch::bench::guarded(triarch::bench::run, count, values); }
