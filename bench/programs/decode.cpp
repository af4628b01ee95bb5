// bench_decode: what using a model costs, beside transformers, CTranslate2 and llama.cpp in alternating rounds, with
// random weights: generation with a cache, long prompts, translation, embedding.
//
//   bench_decode [--tasks generate-D,prompt-D,...] [--batches 1,8,32] [--precisions float32,bfloat16,int8] [--rounds 5]
//                [--python PYTHON] [--peers transformers,ctranslate2,llama.cpp]
//
// The tasks are those of bench/peers/decode.py. PYTHON is an interpreter with torch 2.13, transformers and the peers;
// without it only triarch is timed. A share of the bandwidth is printed where one sequence is generated: the time of
// reading as many bytes as all weights have, in order, once for each token, in rounds that alternate with the tokens'.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "bench/roof.h"
#include "bench/side_by_side.h"
#include "triarch/base/clock.h"
#include "triarch/base/error.h"
#include "triarch/base/random.h"
#include "triarch/base/threads.h"
#include "triarch/inference/beam.h"
#include "triarch/inference/embed.h"
#include "triarch/inference/sampling.h"
#include "triarch/inference/session.h"
#include "triarch/text/tokenizer.h"

namespace triarch::bench {
namespace {

struct Task {
  std::string kind, size;  // "generate", "D"
  int64_t in = 0, out = 0;
  int64_t beams = 1;
};

Task task_of(const std::string& name) {
  const size_t dash = name.find('-');
  Task t{name.substr(0, dash), dash == std::string::npos ? "" : name.substr(dash + 1)};
  if (t.kind == "generate") t.in = 16, t.out = 64;
  if (t.kind == "prompt") t.in = 512, t.out = 1;
  if (t.kind == "greedy") t.in = 24, t.out = 32;
  if (t.kind == "beam") t.in = 24, t.out = 32, t.beams = 4;
  if (t.kind == "embed") t.in = 120;
  if (t.in == 0) {
    fail(ExitCode::usage,
         "bench: expected a task generate-B, generate-D, prompt-B, prompt-D, greedy-S, beam-S or "
         "embed-E, found '{}'",
         name);
  }
  return t;
}

ModelSpec spec_of(const Task& task) {
  ModelSpec s;
  if (task.size == "S") {
    s = preset("t5", Family::encoder_decoder, 512, 6);
    s.vocabulary = 32128;
    s.heads = s.kv_heads = 8;
    s.head_dim = 64;
    s.mlp_width = 2048;
  } else if (task.size == "E") {
    s = preset("bert", Family::encoder, 384, 6);
    s.vocabulary = 30522;
    s.heads = s.kv_heads = 12;
    s.head_dim = 32;
    s.max_positions = 512;
  } else {
    const Config& c = config_of(task.size);
    s = preset("gpt2", Family::causal, c.width, c.layers);
    s.vocabulary = c.vocabulary;
    s.heads = s.kv_heads = c.heads;
    s.head_dim = c.width / c.heads;
    s.max_positions = 1024;
  }
  return s;
}

// Token ids that are no specials.
std::vector<std::vector<int32_t>> random_texts(const Task& task, int64_t batch, int64_t vocabulary) {
  Draw draw(Key(1, Purpose::test));
  std::vector<std::vector<int32_t>> texts(static_cast<size_t>(batch));
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t n = task.kind == "embed" ? 8 + 112 * b / std::max<int64_t>(1, batch - 1) : task.in;
    for (int64_t i = 0; i < n; ++i) texts[size_t(b)].push_back(int32_t(10 + draw.below(uint64_t(vocabulary - 10))));
  }
  return texts;
}

// All the texts, each with `out` tokens more; greedily.
void generate(Session& session, const Task& task, const std::vector<std::vector<int32_t>>& texts) {
  session.clear();
  std::vector<Session::Begin> begins;
  for (size_t b = 0; b < texts.size(); ++b) begins.push_back({int32_t(b), {texts[b], {}}});
  Logits logits = session.advance(begins, {});
  for (int64_t i = 1; i < task.out; ++i) {
    std::vector<Session::Next> nexts(texts.size());
    parallel(int64_t(texts.size()), [&](int64_t b, int) {  // as Generator chooses
      nexts[size_t(b)] = {int32_t(b), argmax(logits.row(b))};
    });
    logits = session.step(nexts);
  }
}

void row(const Task& task, const std::string& name, const std::string& precision_name, int64_t batch, int rounds,
         const std::vector<std::unique_ptr<Peer>>& peers) {
  const Precision precision = precision_name == "bfloat16" ? Precision::bfloat16()
                              : precision_name == "int8"   ? Precision::int8()
                                                           : Precision::float32();
  const ModelSpec spec = spec_of(task);
  Model model(spec, precision, false);
  model.parameters().initialise(1);
  Specials specials;
  const auto texts = random_texts(task, batch, spec.vocabulary);
  std::unique_ptr<Session> session;
  if (spec.has_decoder()) {
    session = std::make_unique<Session>(
        model, specials,
        SessionOptions{batch * task.beams, spec.has_encoder() ? task.out + 2 : task.in + task.out + 2,
                       spec.has_encoder() ? task.in + 2 : 0});
  }
  const int64_t bytes = model.parameters().count() * size_of(precision.weights);
  std::unique_ptr<Memory> memory;
  if (task.kind == "generate" && batch == 1) memory = std::make_unique<Memory>(thread_count(), bytes);
  std::vector<double> reads;  // of as many bytes; as of the tokens' times, every second one counts
  bool counts = true;
  const auto ours = [&] {
    counts = !counts;
    const double seconds = memory ? memory->read_seconds(8) / 8 : 0;
    if (counts) reads.push_back(seconds);
    Stopwatch watch;
    if (task.kind == "embed") {
      embed(model, specials, texts);
    } else if (task.beams > 1) {
      session->clear();
      std::vector<Prompt> prompts;
      for (const auto& t : texts) prompts.push_back({t, {}});
      BeamOptions options;
      options.beams = task.beams;
      options.max_tokens = task.out;
      options.early_stopping = EarlyStopping::never;
      beam_search(*session, specials, prompts, options);
    } else {
      generate(*session, task, texts);
    }
    return watch.seconds() * 1e3;
  };
  const Medians m = alternate(rounds, ours, peers);
  int64_t tokens = 0;  // read, or written
  for (const auto& t : texts) tokens += task.out > 1 ? task.out : int64_t(t.size());
  fmt::print("{:<12}{:<10}{:>6}{:>11.2f}{:>12.0f}", name, precision_name, batch, m.ours, double(tokens) / m.ours * 1e3);
  if (memory) {
    const double share = median(reads) * double(task.out) / (m.ours * 1e-3);
    fmt::print("{:>11.0f} %", 100 * share);
  } else {
    fmt::print("{:>13}", "");
  }
  m.print_peers();
  fmt::print("\n");
  std::fflush(stdout);
}

int run(int count, char** values) {
  const auto options = options_of(count, values,
                                  {{"--tasks", "generate-B,generate-D,prompt-D,greedy-S,beam-S,embed-E"},
                                   {"--batches", ""},
                                   {"--precisions", "float32"},
                                   {"--rounds", "5"},
                                   {"--peers", "transformers,ctranslate2"},
                                   {"--python", ""},
                                   {"--script", "bench/peers/decode.py"}});
  const int rounds = std::max(3, std::atoi(options.at("--rounds").c_str()));
  const std::vector<std::string> peer_names =
      options.at("--python").empty() ? std::vector<std::string>{} : split(options.at("--peers"));
  fmt::print("{} threads, kernels for {}; reading {:.0f} GB/s from memory; medians of {} alternating rounds\n",
             thread_count(), name_of(kernels::active_isa()), read_bandwidth(thread_count()) * 1e-9, rounds);
  fmt::print("{:<22}{:>6}{:>11}{:>12}{:>13}", "", "batch", "ms", "tokens/s", "of bandwidth");
  for (const std::string& p : peer_names) fmt::print("{:>13}{:>8}", p, "ratio");
  fmt::print("\n");
  for (const std::string& name : split(options.at("--tasks"))) {
    const Task task = task_of(name);
    const char* usual = task.kind == "generate" ? "1,8,32"
                        : task.kind == "embed"  ? "256"
                        : task.kind == "prompt" ? "1"
                                                : "1,16";
    for (const std::string& precision : split(options.at("--precisions"))) {
      for (const std::string& batch : split(options.at("--batches").empty() ? usual : options.at("--batches"))) {
        std::vector<std::unique_ptr<Peer>> peers;
        for (const std::string& p : peer_names) {
          if (precision == "int8" && p == "transformers") continue;  // it has none
          peers.push_back(std::make_unique<Peer>(
              std::vector<std::string>{options.at("--python"), options.at("--script"), p, name, precision, batch}));
        }
        row(task, name, precision, std::max(1, std::atoi(batch.c_str())), rounds, peers);
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace triarch::bench

int main(int count, char** values) { return triarch::bench::guarded(triarch::bench::run, count, values); }
