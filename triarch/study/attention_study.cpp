#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "triarch/base/error.h"
#include "triarch/inference/attention_maps.h"
#include "triarch/inference/score.h"
#include "triarch/study/rank.h"

namespace triarch {
namespace {

// Where self attention goes, in shares of all that its rows give, by stack; mean over heads, layers, rows and texts.
void add_directions(const StudiedModel& m, StudyTable& table) {
  struct Sum {
    double before = 0, itself = 0, after = 0, seen = 0, spread = 0;
  };
  std::map<std::string, Sum> stacks;
  for (const std::vector<int32_t>& text : m.texts) {
    for (const AttentionMap& map :
         attention_maps(*m.model, m.tokenizer->specials(), looked_at(m.model->spec(), text))) {
      // The rows of a permutation LM are not in the order of the text.
      if (map.cross || map.keys.size() != map.queries.size() || m.model->spec().family == Family::permutation) continue;
      Sum& sum = stacks[map.stack];
      for (int64_t h = 0; h < map.heads; ++h) {
        for (size_t q = 0; q < map.queries.size(); ++q) {
          double entropy = 0, seen = 0;
          for (size_t k = 0; k < map.keys.size(); ++k) {
            const double p = map.at(h, q, k);
            (k < q ? sum.before : k == q ? sum.itself : sum.after) += p;
            if (p > 0) entropy -= p * std::log(p);
            seen += map.sees(h, q, k);
          }
          sum.seen += seen;
          sum.spread += std::exp(entropy);
        }
      }
    }
  }
  for (const auto& [stack, s] : stacks) {
    const double rows = s.before + s.itself + s.after;
    table.rows.push_back({m.title, stack, fmt::format("{:.0f} %", 100 * s.before / rows),
                          fmt::format("{:.0f} %", 100 * s.itself / rows), fmt::format("{:.0f} %", 100 * s.after / rows),
                          fmt::format("{:.1f}", s.seen / rows), fmt::format("{:.1f}", s.spread / rows)});
  }
}

}  // namespace

StudyReport attention_study(std::span<const StudiedModel> models, bool each_head) {
  StudyReport r;
  r.name = "attention";
  r.title = "Inside attention";
  r.question = "Who looks at whom?";
  r.source = "The models' own softmax, asked with unit vectors in place of values.";
  StudyTable directions{
      "Where self attention goes, mean over heads, layers, rows and texts",
      {"model", "stack", "to what is before", "to itself", "to what is after", "may see, tokens", "looks at, tokens"},
      {}};
  for (const StudiedModel& m : models) {
    require(!m.texts.empty(), "study attention: expected a text for {}, found none", m.title);
    const Example e = looked_at(m.model->spec(), m.texts.front());
    const std::vector<AttentionMap> maps = attention_maps(*m.model, m.tokenizer->specials(), e);
    r.pictures.push_back({m.title, attention_pictures(maps, *m.tokenizer, each_head)});
    add_directions(m, directions);
    if (m.model->spec().family == Family::encoder) continue;
    // What it expected of each token that it predicts.
    const std::vector<ScoreItem> items = {{e.source, e.target, {}}};
    const Score s = score(*m.model, *m.tokenizer, items).front();
    const std::vector<int32_t>& ids = m.texts.front();
    // Models of other tokenizers get a table of their own.
    const auto word = [&](int32_t id) { return m.tokenizer->decode_token(id); };
    std::vector<std::string> tokens;
    for (int32_t id : ids) tokens.push_back(word(id));
    const auto same = [&](const StudyTable& t) {
      return std::ranges::equal(t.rows, tokens, {}, [](const auto& row) { return row.front(); });
    };
    auto table = std::ranges::find_if(r.tables, same);
    if (table == r.tables.end()) {
      StudyTable t{"Probability of each token given what precedes it, and the likeliest one", {"token"}, {}};
      for (const std::string& token : tokens) t.rows.push_back({token});
      r.tables.push_back(std::move(t));
      table = r.tables.end() - 1;
    }
    table->head.push_back(m.title);
    for (size_t i = 0; i < ids.size(); ++i) {
      const size_t at = i - e.source.size();
      table->rows[i].push_back(i < e.source.size()
                                   ? "given"
                                   : fmt::format("{:.3f} {}", std::exp(s.log_probabilities[at]), word(s.best[at])));
    }
  }
  r.tables.insert(r.tables.begin(), directions);
  std::string spread, ahead;
  for (const auto& row : directions.rows) {
    const char* next = spread.empty() ? "" : ", ";
    spread += fmt::format("{}{} of {} ({}, {})", next, row[6], row[5], row[0], row[1]);
    ahead += fmt::format("{}{} ({}, {})", next, row[4], row[0], row[1]);
  }
  if (!directions.rows.empty()) {
    r.findings = {"Of the tokens that a row may see, it looks at about so many: " + spread + ".",
                  "Of its attention, so much goes to what comes after it: " + ahead + "."};
  }
  r.method = {each_head ? "Pictures: every head of every layer."
                        : "Pictures: the mean over the heads of each layer that may look at the same; --heads shows "
                          "each.",
              "An encoder is shown the text as a whole, a causal decoder token by token; where a model has both, the "
              "first half is its source. Tokens looked at: exp of the entropy of a row's probabilities."};
  r.limits = {
      "Pictures and probabilities: of one text. Where a model looks does not say what it does with what it sees."};
  return r;
}

}  // namespace triarch
