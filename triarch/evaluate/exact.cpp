#include "triarch/evaluate/exact.h"

#include <algorithm>

#include "triarch/base/error.h"
#include "triarch/text/tokenizer.h"

namespace triarch {
namespace {

double tokens_of(const std::vector<std::string>& right) {
  double n = 0;
  for (const std::string& r : right) n += double(r.size());
  require(n > 0, "exact match: expected answers of at least one token, found none");
  return n;
}

}  // namespace

double ExactAnswers::exact_match() const {
  tokens_of(right);
  return double(std::ranges::count_if(right, [](const std::string& r) { return r.find('0') == std::string::npos; })) /
         double(right.size());
}

double ExactAnswers::token_accuracy() const {
  double n = 0;
  for (const std::string& r : right) n += double(std::ranges::count(r, '1'));
  return n / tokens_of(right);
}

double ExactAnswers::nats_per_token() const {
  double sum = 0;
  for (double x : nats) sum += x;
  return sum / tokens_of(right);
}

ExactAnswers answer_exactly(const Model& model, const Tokenizer& tokenizer, SuffixFormat format, const ExactTask& task,
                            int64_t rows) {
  std::vector<ScoreItem> items;
  for (const ScoreItem& item : task.items) items.push_back(asked(format, item, tokenizer.specials()));
  ScoreOptions options;
  options.rows = rows;
  ExactAnswers out;
  out.task = task.name;
  const std::vector<Score> scores = score(model, tokenizer, items, options);
  for (size_t i = 0; i < scores.size(); ++i) {
    out.nats.push_back(-scores[i].log_probability);
    std::string& right = out.right.emplace_back();
    for (size_t t = 0; t < scores[i].best.size(); ++t) {
      right += scores[i].best[t] == items[i].continuation[t] ? '1' : '0';
    }
  }
  return out;
}

}  // namespace triarch
