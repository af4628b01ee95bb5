#include "triarch/study/samples.h"

#include <algorithm>
#include <cmath>

#include "triarch/inference/fill.h"
#include "triarch/inference/generate.h"
#include "triarch/study/trial.h"

namespace triarch {
namespace {

constexpr int64_t kWanted = 48;  // tokens of the text shown
constexpr int64_t kMasks = 3;
constexpr int64_t kSpan = 3;    // tokens that are repaired
constexpr size_t kLooked = 12;  // tokens of each half in a picture of attention

// Pieces of words carry the space before them, also at the beginning of a text.
std::string trimmed(const std::string& text) { return text.substr(std::min(text.size(), text.find_first_not_of(' '))); }

bool learns(const Contender& c, ObjectiveKind kind) {
  return std::ranges::any_of(c.objectives, [&](const ObjectiveSpec& o) { return o.kind == kind; });
}

// The first text of about the wanted length.
const ScoreItem& shown_text(const SuffixSet& texts) {
  const auto far = [&](const ScoreItem& item) {
    return std::abs(int64_t(item.context.size() + item.continuation.size()) - kWanted);
  };
  return *std::ranges::min_element(texts.items, {}, far);
}

Sample continued(Session& session, const Tokenizer& tokenizer, SuffixFormat format, const ScoreItem& text,
                 const GenerateOptions& options) {
  const ScoreItem item = asked(format, text, tokenizer.specials());
  Request request;
  request.source = item.context;
  request.start = item.start;
  request.options = options;
  request.options.max_tokens = int64_t(text.continuation.size());
  if (format == SuffixFormat::span) answer_in_spans(request, tokenizer.specials(), 1, false);
  Sample s;
  s.task = "continues";
  s.prompt = tokenizer.decode(text.context);
  s.answer = generate(session, tokenizer, {request}).front().front().text;
  return s;
}

}  // namespace

std::vector<Sample> samples_of(const Model& model, const Contender& contender, const Tokenizer& tokenizer,
                               const SuffixSet& texts) {
  std::vector<Sample> out;
  const ScoreItem& text = shown_text(texts);
  std::vector<int32_t> whole = text.context;
  whole.insert(whole.end(), text.continuation.begin(), text.continuation.end());
  const size_t n = whole.size();
  const SuffixFormat format = suffix_format(contender.family, contender.objectives);
  if (format != SuffixFormat::none) {
    Session session(model, tokenizer.specials());
    GenerateOptions options;
    options.sampling.temperature = 0.7;
    out.push_back(continued(session, tokenizer, format, text, options));
    if (learns(contender, ObjectiveKind::span_corruption)) {
      std::vector<int32_t> broken(whole.begin(), whole.begin() + ptrdiff_t(n / 2));
      broken.push_back(tokenizer.specials().sentinel(0));
      broken.insert(broken.end(), whole.begin() + ptrdiff_t(std::min(n, n / 2 + kSpan)), whole.end());
      InfillOptions fill;
      fill.generate.sampling.temperature = 0;
      fill.generate.max_tokens = 4 * kSpan;
      Sample s;
      s.task = "repairs a span";
      s.prompt = trimmed(tokenizer.decode(broken, true));
      s.answer = trimmed(infill(session, tokenizer, std::vector<std::string>{s.prompt}, fill).front().text);
      out.push_back(s);
    }
  }
  if (contender.family == Family::encoder && learns(contender, ObjectiveKind::masked_lm)) {
    for (int64_t m = 1; m <= kMasks; ++m) whole[size_t(m) * n / (kMasks + 1)] = tokenizer.specials().mask;
    Sample s;
    s.task = "fills masks";
    s.prompt = trimmed(tokenizer.decode(whole, true));
    s.answer = trimmed(fill_masks(model, tokenizer, std::vector<std::string>{s.prompt}).front().text);
    out.push_back(s);
  }
  return out;
}

std::vector<AttentionPicture> attention_of(Model& model, const Tokenizer& tokenizer, const SuffixSet& texts) {
  const ScoreItem& text = shown_text(texts);
  const auto part = [](const std::vector<int32_t>& ids, bool end) {
    const auto n = ptrdiff_t(std::min(ids.size(), kLooked));
    return end ? std::vector<int32_t>(ids.end() - n, ids.end()) : std::vector<int32_t>(ids.begin(), ids.begin() + n);
  };
  Example example;
  example.source = part(text.context, true);
  const std::vector<int32_t> rest = part(text.continuation, false);
  if (model.spec().family == Family::encoder) {
    example.source.insert(example.source.end(), rest.begin(), rest.end());
    example.labels.assign(example.source.size(), -1);
  } else {
    example.target = rest;
  }
  return attention_pictures(attention_maps(model, tokenizer.specials(), example), tokenizer, false);
}

}  // namespace triarch
