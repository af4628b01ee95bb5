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

// A figure of all models on the same items.
struct Row {
  std::string about, figure;
  int64_t items = 0;
  std::optional<double> chance = {};
  double scale = 1;                                       // of a value to what is printed
  std::vector<double> values = {};                        // [models]
  std::vector<std::optional<Interval>> intervals = {};    // [models]; of one item nothing can be said
  std::vector<std::optional<Interval>> differences = {};  // [models] from the first
};

// right[model][item]
Row row_of_shares(std::string about, std::string figure, std::span<const std::string> right) {
  Row row{std::move(about), std::move(figure), int64_t(right.front().size())};
  row.scale = 100;
  for (const std::string& r : right) {
    const int64_t count = std::ranges::count(r, '1');
    row.values.push_back(double(count) / double(row.items));
    row.intervals.push_back(binomial_interval(count, row.items));
    row.differences.push_back(paired_shares_interval(r, right.front()));
  }
  return row;
}

Row row_of_estimates(std::string about, std::string figure, int64_t items, std::span<const Estimate> estimates) {
  Row row{std::move(about), std::move(figure), items};
  for (const Estimate& e : estimates) {
    const Figure f = figure_of(e, kPercent);
    row.values.push_back(f.mean);
    row.intervals.push_back(items > 1 ? std::optional(Interval{f.low, f.high}) : std::nullopt);
    row.differences.push_back(items > 1 ? std::optional(difference(e, estimates.front()).interval) : std::nullopt);
  }
  return row;
}

// Questions as they are asked, and what they are called.
struct Asked {
  std::string name;
  ChoiceTask task;
};

// Of one file or folder, what all models have room for.
std::vector<ChoiceTask> with_room(std::vector<ChoiceTask> tasks, std::span<const Loaded> models) {
  for (const Loaded& m : models) {
    std::vector<std::string> notes;
    tasks = that_fit(std::move(tasks), m.tokenizer, m.spec().max_positions, &notes);
    for (const std::string& note : notes) say("left out", note + " of " + m.folder.string());
  }
  return tasks;
}

// With as many examples before each question as every model has room for.
ChoiceTask with_shots(const EvaluateFlags& o, const ChoiceTask& task, std::span<const Choice> pool,
                      std::span<const Loaded> models, Key key) {
  std::optional<ChoiceTask> asked;
  for (const Loaded& m : models) {
    asked = few_shot(task, pool, asked ? asked->shots : o.shots, "\n\n", m.tokenizer, m.spec().max_positions, key);
    if (asked) continue;
    fail(ExitCode::usage,
         "evaluate: --shots {}: expected another question of '{}' and room for it before each one, found {} questions "
         "and {} tokens of {}; leave --shots out",
         o.shots, task.name, pool.size(), m.spec().max_positions, m.folder.string());
  }
  if (asked->shots < o.shots) {
    say("shots", fmt::format("{}: {} before each question, for which there is room", asked->name, asked->shots));
  }
  return std::move(*asked);
}

std::vector<Asked> asked_of(const EvaluateFlags& o, const std::string& path, bool pairs,
                            std::span<const Loaded> models) {
  const Key key = Key(o.seed, Purpose::test);
  const int64_t most = o.most > 0 ? o.most : INT64_MAX;
  const std::vector<ChoiceTask> all = with_room(pairs ? minimal_pairs(path, most, key) : read_task_file(path), models);
  if (all.empty()) fail(ExitCode::usage, "evaluate: no question of '{}' is short enough for these models", path);
  std::vector<Asked> out;
  for (size_t i = 0; i < all.size(); ++i) {
    ChoiceTask task = at_most({all[i]}, most, key).front();
    if (!pairs && o.shots > 0) task = with_shots(o, task, all[i].choices, models, key.with(i));
    const bool templates = std::ranges::count(all, task.name, &ChoiceTask::name) > 1;
    std::string name = task.name + (templates ? fmt::format(", template {}", task.wrapper + 1) : "") +
                       (task.shots > 0 ? fmt::format(", {} shots", task.shots) : "");
    out.push_back({std::move(name), std::move(task)});
  }
  return out;
}

// The questions of all files, or the minimal pairs of all folders, and all of them together.
void answer_questions(const EvaluateFlags& o, const std::vector<std::string>& paths, bool pairs, Ranking ranking,
                      std::span<const Loaded> models, std::vector<Row>& rows) {
  std::vector<Asked> all;
  for (const std::string& path : paths) {
    for (Asked& a : asked_of(o, path, pairs, models)) {
      // What two files call the same is told apart by where it is from.
      if (std::ranges::find(all, a.name, &Asked::name) != all.end()) a.name = path + ": " + a.name;
      all.push_back(std::move(a));
    }
  }
  std::vector<std::string> together(models.size());
  double chance = 0;
  for (const auto& [name, task] : all) {
    std::vector<std::string> right, bare;
    for (size_t i = 0; i < models.size(); ++i) {
      const Loaded& m = models[i];
      const SuffixFormat format = m.spec().has_decoder() ? manner_of(m.spec().family, m.objectives)
                                                         : suffix_format(m.spec().family, m.objectives);
      ChoiceAnswers a = answer(*m.model, m.tokenizer, format, task, ranking);
      together[i] += a.right;
      right.push_back(std::move(a.right));
      if (!a.bare.empty()) bare.push_back(std::move(a.bare));
    }
    rows.push_back(row_of_shares(name, "% right", right));
    rows.back().chance = task.chance;
    chance += task.chance * double(task.choices.size());
    if (!bare.empty()) rows.push_back(row_of_shares(name, "% right without the context", bare));
  }
  if (all.size() < 2) return;
  rows.push_back(row_of_shares(pairs ? "all minimal pairs" : "all questions", "% right", together));
  rows.back().chance = chance / double(rows.back().items);
}

// Inputs and what is expected of them.
struct Pairs {
  std::string file;
  std::vector<Document> inputs;
  std::vector<std::string> references;
};

Pairs read_pairs(const EvaluateFlags& o, const std::string& file) {
  Pairs out{file, read_corpus({file}, {DocumentBreak::automatic, o.input_field, o.target_field}).documents, {}};
  if (!std::ranges::all_of(out.inputs, &Document::pair)) {
    fail(ExitCode::usage, "evaluate: expected pairs of input and target in '{}' (.tsv, .jsonl); found texts", file);
  }
  if (o.most > 0 && int64_t(out.inputs.size()) > o.most) {
    Draw(Key(o.seed, Purpose::test)).shuffle(out.inputs.data(), out.inputs.size());
    out.inputs.resize(size_t(o.most));
  }
  for (const Document& d : out.inputs) out.references.push_back(d.target);
  return out;
}

// Each input's likeliest answer, token by token.
std::vector<std::string> answers_of(const EvaluateFlags& o, const Loaded& m, const Pairs& pairs) {
  GenerateOptions options;
  options.sampling.temperature = 0;
  options.max_tokens = o.max_tokens;
  if (o.max_tokens == 0) {
    for (const std::string& r : pairs.references) {
      options.max_tokens = std::max(options.max_tokens, 2 * int64_t(m.tokenizer.encode(r).size()) + 8);
    }
  }
  std::vector<Request> requests;
  for (const Document& d : pairs.inputs) {
    requests.push_back(
        continuation(manner_of(m.spec().family, m.objectives), m.specials(), m.tokenizer.encode(d.text), options));
  }
  Session session(*m.model, m.specials(), room_for(m.spec(), requests));
  for (size_t i = 0; i < requests.size(); ++i) {
    about(pairs.inputs[i], [&] { session.check(requests[i].prompt()); });
  }
  std::vector<std::string> out;
  for (auto& choices : generate(session, m.tokenizer, std::move(requests))) out.push_back(std::move(choices[0].text));
  return out;
}

void answer_pairs(const EvaluateFlags& o, const Pairs& pairs, std::span<const Loaded> models, std::vector<Row>& rows) {
  const auto items = int64_t(pairs.inputs.size());
  std::vector<Estimate> bleu, chrf;
  std::vector<std::string> exact;
  for (const Loaded& m : models) {
    const std::vector<std::string> found = answers_of(o, m, pairs);
    bleu.push_back(corpus_estimate<BleuCounts>({found}, pairs.references, bleu_counts));
    chrf.push_back(corpus_estimate<ChrfCounts>({found}, pairs.references, chrf_counts));
    exact.emplace_back();
    for (size_t i = 0; i < found.size(); ++i) {
      const bool same = token_overlap(std::span(&found[i], 1), std::span(&pairs.references[i], 1)).exact_match == 1;
      exact.back() += same ? '1' : '0';
    }
  }
  rows.push_back(row_of_estimates(pairs.file, "BLEU", items, bleu));
  rows.push_back(row_of_estimates(pairs.file, "chrF", items, chrf));
  rows.push_back(row_of_shares(pairs.file, "% exactly right", exact));
}

void print_lines(const EvaluateFlags& o, std::span<const Row> rows) {
  for (const Row& row : rows) {
    const auto figure = [&](double value, const std::optional<Interval>& x) {
      Json out = {{"value", row.scale * value}};
      if (x) out["low"] = row.scale * x->low, out["high"] = row.scale * x->high;
      return out;
    };
    for (size_t i = 0; i < row.values.size(); ++i) {
      Json line = {{"model", o.models[i]}, {"about", row.about}, {"figure", row.figure}, {"items", row.items}};
      line.update(figure(row.values[i], row.intervals[i]));
      if (row.chance) line["chance"] = row.scale * *row.chance;
      if (i > 0) line["minus_first"] = figure(row.values[i] - row.values[0], row.differences[i]);
      print_json(line);
    }
  }
}

void print_table(const EvaluateFlags& o, std::span<const Row> rows) {
  report::Rows table = {{"", "", "items"}};
  const bool chance = std::ranges::any_of(rows, [](const Row& r) { return r.chance.has_value(); });
  if (chance) table.back().push_back("chance");
  for (size_t i = 0; i < o.models.size(); ++i) {
    table.back().push_back(o.models[i]);
    if (i > 0) table.back().push_back("minus the first");
  }
  for (const Row& row : rows) {
    table.push_back({visible(row.about), row.figure, std::to_string(row.items)});
    if (chance) table.back().push_back(row.chance ? fmt::format("{:.1f}", row.scale * *row.chance) : "");
    const auto cell = [&](const char* form, double value, const std::optional<Interval>& x) {
      const auto number = [&](double v) { return fmt::format(fmt::runtime(form), row.scale * v); };
      return number(value) + (x ? fmt::format(" ({} to {})", number(x->low), number(x->high)) : "");
    };
    for (size_t i = 0; i < row.values.size(); ++i) {
      table.back().push_back(cell("{:.1f}", row.values[i], row.intervals[i]));
      if (i > 0) table.back().push_back(cell("{:+.1f}", row.values[i] - row.values[0], row.differences[i]));
    }
  }
  std::cout << report::rows_text(table);
  say("intervals", "95 %, over items: what other items would give, not other seeds of training (`triarch compare`)");
}

// Whatever can be wrong is found before a model is asked.
Ranking checked(const EvaluateFlags& o) {
  if (o.tasks.empty() && o.pairs.empty() && o.minimal_pairs.empty()) {
    fail(ExitCode::usage,
         "evaluate: expected --tasks, --minimal-pairs or --pairs; the loss of a text is `triarch score`, the accuracy "
         "of labels `triarch classify` or `tag`, with --file");
  }
  for (const auto& [flag, value] :
       {std::pair("--shots", o.shots), {"--most", o.most}, {"--max-tokens", o.max_tokens}}) {
    if (value < 0) fail(ExitCode::usage, "evaluate: {}: expected 0 or more, found {}", flag, value);
  }
  if (o.shots > 0 && o.tasks.empty()) fail(ExitCode::usage, "evaluate: --shots goes with --tasks");
  const auto ranking = enum_value<Ranking>(o.ranking);
  if (!ranking) {
    fail(ExitCode::usage, "evaluate: --ranking: expected sum, per_token or per_byte, found '{}'", o.ranking);
  }
  return *ranking;
}

ExitCode run_evaluate(const EvaluateFlags& o) {
  const Ranking ranking = checked(o);
  std::vector<Loaded> models;
  for (const std::string& path : o.models) {
    ModelFlags flags;
    flags.precision = o.precision;
    flags.use(path);
    models.push_back(load(flags));
    refuse_labeller(models.back(), "evaluate");
    if (!o.pairs.empty()) require_generator(models.back(), "evaluate --pairs");
  }
  std::vector<Pairs> pairs;
  for (const std::string& file : o.pairs) pairs.push_back(read_pairs(o, file));
  std::vector<Row> rows;
  answer_questions(o, o.tasks, false, ranking, models, rows);
  answer_questions(o, o.minimal_pairs, true, ranking, models, rows);
  for (const Pairs& p : pairs) answer_pairs(o, p, models, rows);
  o.json ? print_lines(o, rows) : print_table(o, rows);
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
