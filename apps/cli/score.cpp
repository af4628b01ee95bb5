// triarch score: how likely a model finds a text.
#include "triarch/inference/score.h"

#include <fmt/format.h>

#include <algorithm>
#include <numbers>

#include "apps/cli/command.h"
#include "apps/cli/loaded.h"
#include "triarch/base/human.h"

namespace triarch::cli {
namespace {

struct ScoreFlags {
  ModelFlags model;
  std::string context;
  bool tokens = false, together = false;
  int64_t window = 0, overlap = -1;
  int64_t top = 0;
};

constexpr int64_t kLong = 20'000;  // bytes that take an encoder a while, token by token

using Json = nlohmann::ordered_json;

// A text in windows that fit the model, each in the manner that the model has learnt.
std::vector<ScoreItem> items_of(const ScoreFlags& o, const Loaded& m, SuffixFormat manner, const std::string& text) {
  ScoreItem whole;
  whole.context = m.tokenizer.encode(o.context);
  whole.continuation = m.tokenizer.encode(text);
  // bos or cls and eos, a mode or a sentinel stand beside the tokens.
  const int64_t most = m.spec().max_positions - 4;
  const int64_t window = o.window > 0 ? std::min(o.window, most) : std::min<int64_t>(most, 512);
  const int64_t overlap = o.overlap >= 0 ? o.overlap : window / 4;
  if (window < 1 || overlap >= window) {
    fail(ExitCode::usage, "score: expected an overlap below the window ({} tokens), found {}", window, overlap);
  }
  std::vector<ScoreItem> parts;
  if (!o.context.empty()) {
    parts = {whole};
  } else {
    parts = windows(whole.continuation, window, overlap);
  }
  for (ScoreItem& item : parts) item = asked(manner, item, m.specials());
  return parts;
}

ExitCode run_score(const ScoreFlags& o) {
  const std::vector<std::string> texts = o.model.plain_texts(true);
  const Loaded m = load(o.model);
  const SuffixFormat manner = manner_of(m.spec().family, m.objectives);
  ScoreOptions options;
  options.top = o.top;
  options.encoder = o.together ? EncoderScore::together : EncoderScore::one_by_one;
  const bool encoder = m.spec().family == Family::encoder;
  if (encoder) {
    say("scores", o.together ? "pseudo-log-likelihood, all tokens of a window masked at once"
                             : "pseudo-log-likelihood: every token masked in turn (compare it between encoders only)");
  }
  double all_log = 0, all_bytes = 0;
  for (const std::string& text : texts) {
    const std::vector<ScoreItem> items = items_of(o, m, manner, text);
    if (int64_t(text.size()) > kLong && encoder && !o.together) {
      say("slow", "every token takes a pass over its window; --together is much faster, and coarser");
    }
    const std::vector<Score> scores = score(*m.model, m.tokenizer, items, options);
    double log = 0;
    int64_t bytes = 0, tokens = 0, dropped = 0;
    Json lines = Json::array();
    for (size_t i = 0; i < items.size(); ++i) {
      const Score& s = scores[i];
      log += s.log_probability;
      bytes += s.bytes;
      tokens += s.tokens();
      dropped += s.dropped;
      for (size_t t = 0; t < size_t(s.tokens()); ++t) {
        Json line = {{"token", m.tokenizer.decode_token(items[i].continuation[t])},
                     {"id", items[i].continuation[t]},
                     {"log_probability", s.log_probabilities[t]},
                     {"best", m.tokenizer.decode_token(s.best[t])}};
        if (o.top > 0) line["top"] = candidates_json(m.tokenizer, s.top[t]);
        lines.push_back(std::move(line));
      }
    }
    all_log += log;
    all_bytes += double(bytes);
    const double bits = bytes > 0 ? -log / std::numbers::ln2 / double(bytes) : 0;
    if (dropped > 0) say("cut", fmt::format("{} tokens at the beginning of the context: the model is full", dropped));
    if (o.model.json) {
      Json out = {{"text", text}};
      if (!o.context.empty()) out["context"] = o.context;
      out["log_probability"] = log;
      out["tokens"] = tokens;
      out["bytes"] = bytes;
      out["bits_per_byte"] = bits;
      out["nats_per_token"] = tokens > 0 ? -log / double(tokens) : 0;
      out["token_scores"] = lines;
      print_json(out);
      continue;
    }
    if (o.tokens || o.top > 0) {
      for (const Json& line : lines) {
        fmt::print("{:>9.4f}  {:<16}", line["log_probability"].get<double>(), visible(line["token"]));
        if (o.top == 0) fmt::print("  best {}", visible(line["best"]));
        if (o.top > 0) {
          for (const Json& c : line["top"]) {
            fmt::print("  {:.3f} {}", c["probability"].get<double>(), visible(c["token"]));
          }
        }
        fmt::print("\n");
      }
    }
    fmt::print("{:.4f} nats, {} tokens, {:.4f} nats per token, {:.4f} bits per byte{}\t{}\n", log, tokens,
               tokens > 0 ? -log / double(tokens) : 0, bits, encoder ? " (pseudo)" : "", shortened(text));
  }
  if (texts.size() > 1 && !o.model.json && all_bytes > 0) {
    say("all", fmt::format("{:.4f} bits per byte", -all_log / std::numbers::ln2 / all_bytes));
  }
  return ExitCode::ok;
}

}  // namespace

Action declare_score(Arguments& app) {
  auto o = std::make_shared<ScoreFlags>();
  o->model.declare(app, "TEXT");
  app.add_option("--context", o->context, "score the text as a continuation of this").type_name("TEXT");
  app.add_flag("--tokens", o->tokens, "print every token with its log-probability and the most likely token there");
  app.add_option("--top", o->top, "with every token the most likely ones and their probabilities");
  app.add_option("--window", o->window, "tokens of a longer text that are seen at once; 0: at most 512");
  app.add_option("--overlap", o->overlap, "tokens of them that were scored before; default: a quarter");
  app.add_flag("--together", o->together, "encoders: mask all tokens at once instead of one by one (faster, coarser)");
  app.footer(
      "A file is one text (of .jsonl: each line). Examples:\n"
      "  triarch score runs/emma-causal-0001 \"It is a truth\" --tokens\n"
      "  triarch score runs/emma-causal-0001 \" woman\" --context \"She was a handsome\"\n"
      "  triarch score runs/emma-causal-0001 --file persuasion.txt");
  return [o] { return run_score(*o); };
}

}  // namespace triarch::cli
