// triarch evaluate: trained models on the same questions, pairs and minimal pairs, with intervals.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "apps/cli/command.h"
#include "apps/cli/loaded.h"
#include "triarch/base/human.h"
#include "triarch/evaluate/few_shot.h"
#include "triarch/evaluate/minimal_pairs.h"
#include "triarch/evaluate/statistics.h"
#include "triarch/evaluate/subset.h"
#include "triarch/evaluate/task_file.h"
#include "triarch/evaluate/text_metrics.h"
#include "triarch/inference/beam.h"
#include "triarch/report/page.h"

namespace triarch::cli {
namespace {

using Json = nlohmann::ordered_json;

struct EvaluateFlags {
  std::vector<std::string> models, tasks, minimal_pairs, pairs;
  std::string precision = "float32", ranking = "sum", input_field, target_field;
  int64_t shots = 0, most = 0, max_tokens = 0;
  uint64_t seed = 1;
  bool json = false;
};

constexpr Interval kShare = {0, 1}, kPercent = {0, 100};

// A figure of all models on the same items.
struct Row {
  std::string about, figure;
  int64_t items = 0;
  std::optional<double> chance;
  double scale = 1;                 // of a share to what is printed
  std::vector<Estimate> estimates;  // [models]
  std::vector<Interval> intervals;
};

Row row_of_shares(std::string about, std::string figure, std::span<const std::string> right) {
  Row row{std::move(about), std::move(figure), int64_t(right.front().size()), {}, 100, {}, {}};
  for (const std::string& r : right) {
    Measurements x;
    x.values.emplace_back();
    for (char c : r) x.values.back().push_back(c == '1' ? 1 : 0);
    row.estimates.push_back(estimate(x));
    row.intervals.push_back(binomial_interval(std::ranges::count(r, '1'), row.items));
  }
  return row;
}

// Questions that all models have room for.
std::vector<ChoiceTask> questions(const EvaluateFlags& o, std::span<const Loaded> models) {
  const Key key = Key(o.seed, Purpose::test);
  std::vector<ChoiceTask> tasks;
  const auto add = [&](std::vector<ChoiceTask> more) {
    if (o.most > 0) more = at_most(std::move(more), o.most, key);
    for (ChoiceTask& t : more) tasks.push_back(std::move(t));
  };
  for (const std::string& file : o.tasks) {
    std::vector<ChoiceTask> read = read_task_file(file);
    for (size_t i = 0; i < read.size() && o.shots > 0; ++i) {
      std::optional<ChoiceTask> asked;  // with as many examples as every model has room for
      for (const Loaded& m : models) {
        asked = few_shot(read[i], read[i].choices, asked ? asked->shots : o.shots, "\n\n", m.tokenizer,
                         m.spec().max_positions, key.with(i));
        if (!asked) {
          fail(ExitCode::usage, "evaluate: --shots: '{}' has no room for an example, or too few; leave it out",
               read[i].name);
        }
      }
      if (asked->shots < o.shots) {
        say("shots", fmt::format("{}: {} before each question, for which there is room", asked->name, asked->shots));
      }
      read[i] = std::move(*asked);
    }
    add(std::move(read));
  }
  for (const std::string& folder : o.minimal_pairs) {
    add(triarch::minimal_pairs(folder, o.most > 0 ? o.most : INT64_MAX, key));
  }
  std::vector<std::string> notes;
  for (const Loaded& m : models) tasks = that_fit(std::move(tasks), m.tokenizer, m.spec().max_positions, &notes);
  for (const std::string& note : notes) say("left out", note);
  return tasks;
}

void answer_questions(const EvaluateFlags& o, std::span<const Loaded> models, std::vector<Row>& rows) {
  const std::vector<ChoiceTask> tasks = questions(o, models);
  const auto ranking = enum_value<Ranking>(o.ranking);
  if (!ranking) {
    fail(ExitCode::usage, "--ranking: expected sum, per_token or per_byte, found '{}'", o.ranking);
  }
  std::vector<std::string> all(models.size());
  for (const ChoiceTask& task : tasks) {
    std::vector<std::string> right, bare;
    for (size_t i = 0; i < models.size(); ++i) {
      const Loaded& m = models[i];
      const SuffixFormat format = m.spec().has_decoder() ? manner_of(m.spec().family, m.objectives)
                                                         : suffix_format(m.spec().family, m.objectives);
      ChoiceAnswers a = answer(*m.model, m.tokenizer, format, task, *ranking);
      all[i] += a.right;
      right.push_back(std::move(a.right));
      if (!a.bare.empty()) bare.push_back(std::move(a.bare));
    }
    const auto same = std::ranges::count(tasks, task.name, &ChoiceTask::name);
    std::string name = task.name + (same > 1 ? fmt::format(", template {}", task.wrapper + 1) : "");
    if (task.shots > 0) name += fmt::format(", {} shots", task.shots);
    rows.push_back(row_of_shares(name, "% right", right));
    rows.back().chance = 100 * task.chance;
    if (!bare.empty()) rows.push_back(row_of_shares(name, "% right without the context", bare));
  }
  if (tasks.size() > 1) rows.push_back(row_of_shares("all questions", "% right", all));
}

// Each input's likeliest answer, token by token.
std::vector<std::string> answers_of(const Loaded& m, std::span<const Document> pairs, int64_t max_tokens) {
  std::vector<Request> requests;
  std::vector<std::string> out(pairs.size());
  GenerateOptions options;
  options.sampling.temperature = 0;
  options.max_tokens = max_tokens;
  SessionOptions session_options;
  session_options.slots = std::min<int64_t>(32, int64_t(pairs.size()));
  Session session(*m.model, m.specials(), session_options);
  const SuffixFormat manner = manner_of(m.spec().family, m.objectives);
  for (size_t i = 0; i < pairs.size(); ++i) {
    requests.push_back(continuation(manner, m.specials(), m.tokenizer.encode(pairs[i].text), options));
    about(pairs[i], [&] { session.check(requests.back().prompt()); });
    requests.back().on_done = [&out, i](int64_t, const Generation& g) { out[i] = g.text; };
  }
  generate(session, m.tokenizer, std::move(requests));
  return out;
}

void answer_pairs(const EvaluateFlags& o, std::span<const Loaded> models, std::vector<Row>& rows) {
  for (const std::string& file : o.pairs) {
    std::vector<Document> pairs =
        read_corpus({file}, {DocumentBreak::automatic, o.input_field, o.target_field}).documents;
    if (!std::ranges::all_of(pairs, &Document::pair)) {
      fail(ExitCode::usage, "evaluate: expected pairs of input and target in '{}' (.tsv, .jsonl); found texts", file);
    }
    if (o.most > 0 && int64_t(pairs.size()) > o.most) pairs.resize(size_t(o.most));
    std::vector<std::string> references;
    for (const Document& p : pairs) references.push_back(p.target);
    Row bleu{file, "BLEU", int64_t(pairs.size()), {}, 1, {}, {}}, chrf = bleu;
    chrf.figure = "chrF";
    std::vector<std::string> exact;
    for (const Loaded& m : models) {
      require_generator(m, "evaluate");
      int64_t longest = 0;
      for (const std::string& r : references) longest = std::max(longest, int64_t(m.tokenizer.encode(r).size()));
      const std::vector<std::string> found = answers_of(m, pairs, o.max_tokens > 0 ? o.max_tokens : 2 * longest + 8);
      bleu.estimates.push_back(corpus_estimate<BleuCounts>({found}, references, bleu_counts));
      chrf.estimates.push_back(corpus_estimate<ChrfCounts>({found}, references, chrf_counts));
      exact.emplace_back();
      for (size_t i = 0; i < found.size(); ++i) {
        const TokenOverlap one = token_overlap(std::span(&found[i], 1), std::span(&references[i], 1));
        exact.back() += one.exact_match == 1 ? '1' : '0';
      }
    }
    for (Row* row : {&bleu, &chrf}) {
      for (const Estimate& e : row->estimates) {
        const Figure f = figure_of(e, kPercent);
        row->intervals.push_back({f.low, f.high});
      }
      rows.push_back(std::move(*row));
    }
    rows.push_back(row_of_shares(file, "% exactly right", exact));
  }
}

void print(const EvaluateFlags& o, std::span<const Row> rows) {
  if (o.json) {
    for (const Row& row : rows) {
      for (size_t i = 0; i < row.estimates.size(); ++i) {
        Json line = {{"model", o.models[i]},
                     {"about", row.about},
                     {"figure", row.figure},
                     {"items", row.items},
                     {"value", row.scale * row.estimates[i].mean()},
                     {"low", row.scale * row.intervals[i].low},
                     {"high", row.scale * row.intervals[i].high}};
        if (row.chance) line["chance"] = *row.chance;
        if (i > 0) {
          const Interval d = difference(row.estimates[i], row.estimates[0]).interval;
          line["minus_first"] = {{"value", row.scale * (row.estimates[i].mean() - row.estimates[0].mean())},
                                 {"low", row.scale * d.low},
                                 {"high", row.scale * d.high}};
        }
        print_json(line);
      }
    }
    return;
  }
  report::Rows table;
  const bool chance = std::ranges::any_of(rows, [](const Row& r) { return r.chance.has_value(); });
  table.push_back({"", "", "items"});
  if (chance) table.back().push_back("chance");
  for (size_t i = 0; i < o.models.size(); ++i) {
    table.back().push_back(o.models[i]);
    if (i > 0) table.back().push_back("minus the first");
  }
  for (const Row& row : rows) {
    table.push_back({visible(row.about), row.figure, std::to_string(row.items)});
    if (chance) table.back().push_back(row.chance ? fmt::format("{:.1f}", *row.chance) : "");
    const auto cell = [&](const char* form, double value, const Interval& x) {
      return fmt::format(fmt::runtime(form), row.scale * value, row.scale * x.low, row.scale * x.high);
    };
    for (size_t i = 0; i < row.estimates.size(); ++i) {
      table.back().push_back(cell("{:.1f} ({:.1f} to {:.1f})", row.estimates[i].mean(), row.intervals[i]));
      if (i == 0) continue;
      const Difference d = difference(row.estimates[i], row.estimates[0]);
      table.back().push_back(cell("{:+.1f} ({:+.1f} to {:+.1f})", d.mean, d.interval));
    }
  }
  std::cout << report::rows_text(table);
}

ExitCode run_evaluate(const EvaluateFlags& o) {
  if (o.tasks.empty() && o.pairs.empty() && o.minimal_pairs.empty()) {
    fail(ExitCode::usage,
         "evaluate: expected --tasks, --minimal-pairs or --pairs; the loss of a text is `triarch score`, the accuracy "
         "of labels `triarch classify` or `tag`, with --file");
  }
  if (o.shots > 0 && o.tasks.empty()) fail(ExitCode::usage, "evaluate: --shots goes with --tasks");
  std::vector<Loaded> models;
  for (const std::string& path : o.models) {
    ModelFlags flags;
    flags.precision = o.precision;
    flags.use(path);
    models.push_back(load(flags));
    refuse_labeller(models.back(), "evaluate");
  }
  std::vector<Row> rows;
  if (!o.tasks.empty() || !o.minimal_pairs.empty()) answer_questions(o, models, rows);
  answer_pairs(o, models, rows);
  print(o, rows);
  if (!o.json) {
    say("intervals", "95 %, over items: what other items would give, not other seeds of training (`triarch compare`)");
  }
  return ExitCode::ok;
}

}  // namespace

Action declare_evaluate(Arguments& app) {
  auto o = std::make_shared<EvaluateFlags>();
  app.add_option("MODEL", o->models, "trained models: runs' folders or checkpoints; differences are from the first")
      .required();
  app.add_option("--tasks", o->tasks, "questions with candidates, .jsonl: {\"prompt\", \"candidates\", \"answer\"}")
      .one_value()
      .type_name("FILE");
  app.add_option("--shots", o->shots, "of the same file, with their answers, before each question");
  app.add_option("--ranking", o->ranking, "which candidate is taken, by log-probability: sum, per_token or per_byte")
      .capture_default_str();
  app.add_option("--minimal-pairs", o->minimal_pairs, "folder of sentences, of which one is grammatical: BLiMP, Zorro")
      .one_value()
      .type_name("FOLDER");
  app.add_option("--pairs", o->pairs, "inputs to answer and targets: BLEU, chrF, exact match (.tsv, .jsonl)")
      .one_value()
      .type_name("FILE");
  app.add_option("--input-field", o->input_field, "pairs of .jsonl: the field with the input").type_name("NAME");
  app.add_option("--target-field", o->target_field, "pairs of .jsonl: the field with the target").type_name("NAME");
  app.add_option("--max-tokens", o->max_tokens, "of an answer to a pair; default: twice the longest target");
  app.add_option("--most", o->most, "items of each task or file; default: all");
  app.add_option("--seed", o->seed, "of what is drawn: items, shots").capture_default_str();
  app.add_option("--precision", o->precision, "float32, bfloat16, int8 (of weights only), float64 or auto")
      .capture_default_str()
      .group("General");
  app.add_flag("--json", o->json, "results as lines of JSON").group("General");
  app.footer(
      "Every family answers questions: generators by the likeliest continuation, encoders by filling masks.\n"
      "Where a question has a context, it is asked a second time without. Examples:\n"
      "  triarch evaluate runs/emma-causal-0001 --tasks questions.jsonl --shots 4\n"
      "  triarch evaluate runs/emma-causal-0001 runs/emma-encoder-0001 --minimal-pairs blimp/\n"
      "  triarch evaluate runs/pairs-encoder_decoder-0001 --pairs held_out.tsv");
  return [o] { return run_evaluate(*o); };
}

}  // namespace triarch::cli
