// triarch compare: which family fits this text and budget.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <set>

#include "apps/cli/command.h"
#include "apps/cli/comparing.h"
#include "apps/cli/loaded.h"
#include "triarch/base/files.h"
#include "triarch/base/human.h"
#include "triarch/base/machine.h"
#include "triarch/base/signals.h"
#include "triarch/base/threads.h"
#include "triarch/report/comparison.h"
#include "triarch/study/compare_board.h"
#include "triarch/study/compare_report.h"
#include "triarch/train/progress.h"

namespace triarch::cli {
namespace {

namespace fs = std::filesystem;

struct CompareFlags {
  std::vector<std::string> inputs, contenders;
  FieldFlags flags;
  std::string budget, output, resume;
  int jobs = 0;
  std::string grid;
  bool all = false, dry_run = false, json = false;
};

// The report of a comparison, and its table, or JSON, on stdout.
void publish(const Comparison& comparison, bool json) {
  const std::string report = write_report(comparison);
  std::cout << (json ? report + "\n" : report::comparison_table(report)) << std::flush;
  say("report", fs::absolute(comparison.folder() / "report.html").lexically_normal().string());
}

CompareConfig configured(const CompareFlags& o) {
  CompareConfig config;
  config.data.inputs = o.inputs;
  if (!o.budget.empty()) set_budget(config, o.budget);
  if (int(o.all) + int(!o.grid.empty()) + int(!o.contenders.empty()) > 1) {
    fail(ExitCode::usage, "compare: expected one of --contenders, --all and --grid, found several");
  }
  if (o.all) config.contenders = all_contenders();
  if (!o.grid.empty() && o.grid != "wang") {
    fail(ExitCode::usage, "compare: expected --grid wang, the table of Wang et al. 2022, found '{}'", o.grid);
  }
  if (!o.grid.empty()) config.contenders = wang_contenders();
  for (const std::string& list : o.contenders) {
    for (size_t begin = 0; begin <= list.size();) {
      const size_t end = std::min(list.find(',', begin), list.size());
      config.contenders.push_back(parse_contender(list.substr(begin, end - begin)));
      begin = end + 1;
    }
  }
  for (const Assignment& a : o.flags.assignments()) set_field(config, a.key, a.value, a.source);
  return config;
}

// What is done, in order.
std::string stages(const Comparison& c) {
  const CompareConfig& k = c.config();
  const CompareData& d = c.data();
  std::vector<std::string> out = {"pretraining"};
  out.push_back(d.pairs ? "answers to held-out inputs" : "suffix loss");
  if (!d.tasks.empty()) {
    const bool few = std::ranges::any_of(d.tasks, [](const ChoiceTask& t) { return t.shots > 0; });
    out.push_back(few ? "zero- and few-shot questions" : "zero-shot questions");
  }
  if (!d.heads.empty()) out.push_back("heads for labels");
  if (d.instruction_tokens > 0) {
    out.push_back(fmt::format("finetuning on many tasks ({} tokens)", human_count(double(d.instruction_tokens))));
    if (!d.tasks.empty()) out.push_back("the questions again");
  }
  if (!k.adaptations.empty()) out.push_back("adaptation between families");
  if (k.serving.value_or(false)) out.push_back("cost to serve");
  return fmt::format("{}", fmt::join(out, ", "));
}

void print_plan(const Comparison& c, int jobs) {
  const CompareConfig& k = c.config();
  say("data", c.data().description);
  for (size_t i = 0; i < k.contenders.size(); ++i) {
    say(i == 0 ? "compares" : "",
        fmt::format("{} ({} parameters)", k.contenders[i].title(), human_count(double(c.costs()[i].parameters))));
  }
  const CompareData& d = c.data();
  if (!d.tasks.empty()) {
    std::set<std::string> kinds;
    size_t most = 0;
    for (const ChoiceTask& t : d.tasks) {
      kinds.insert(t.name);
      most = std::max(most, t.choices.size());
    }
    say("asks", fmt::format("{} kinds of questions, at most {} of each under each prompt{}", kinds.size(), most,
                            k.asked_items > 0 ? ": the budget is too short for more" : ""));
  }
  for (const HeadTask& t : d.heads) {
    say("labels", fmt::format("{}: {} {}, a head learns from {} tokens", t.name, t.data.labels.size(),
                              t.tagging ? "tags" : "classes", human_count(double(t.tokens))));
  }
  double flops = 0, seconds = 0, bytes = 0;
  for (size_t i = 0; i < c.costs().size(); ++i) {
    const TrialCost& cost = c.costs()[i];
    const double tokens = k.contenders[i].token_share * double((k.tokens + c.data().instruction_tokens) * k.seeds);
    flops += cost.flops_per_token * tokens;
    seconds += cost.seconds_per_token * tokens / jobs;
    bytes = std::max(bytes, cost.peak_bytes);
  }
  say("stages", stages(c));
  say("models",
      fmt::format("{}, width {}, {} layers per stack, {}", k.preset, k.width, k.layers, enum_name(k.precision)));
  say("plan",
      fmt::format("{} runs ({} seeds), {} tokens each{} in steps of {}, {}FLOP{}, {} at a time, {} of memory each",
                  c.trials().size(), k.seeds, human_count(double(k.tokens)),
                  k.match == Match::tokens ? "" : fmt::format(" on average, matched by {},", enum_name(k.match)),
                  k.step_tokens, human_count(flops),
                  seconds > 0 ? fmt::format(", about {}", human_duration(seconds)) : "", jobs, human_bytes(bytes)));
  const double available = double(available_memory());
  if (available > 0 && bytes * jobs > available) {
    fail(ExitCode::out_of_memory,
         "compare: {} runs at a time need {} and {} is free; take fewer --jobs or a smaller "
         "--width",
         jobs, human_bytes(bytes * jobs), human_bytes(available));
  }
}

ExitCode compare(const CompareFlags& o) {
  const int jobs = o.jobs > 0 ? o.jobs : thread_count();
  const StopSignals signals;  // of the preparation, too: what is asked then is done before the first run
  std::unique_ptr<Comparison> comparison;
  if (!o.resume.empty()) {
    if (!o.inputs.empty() || !o.budget.empty() || !o.contenders.empty() || o.all || !o.grid.empty() ||
        !o.output.empty() || !o.flags.assignments().empty()) {
      fail(ExitCode::usage, "compare: --resume goes on with what '{}' was asked; leave out texts, budget and settings",
           o.resume);
    }
    comparison = Comparison::open(o.resume);
  } else {
    Progress line(100);
    line.set_unit("% swept");
    comparison = Comparison::create(configured(o), o.output, jobs, o.dry_run, [&](double share) {
      line.update(int64_t(100 * share), share, 0, {}, false);
      return stop_signal() == 0;
    });
    line.finish();
    if (!comparison) {
      say("stopped", "in the sweep of learning rates; nothing was begun");
      return stop_exit_code();
    }
  }
  const int at_once = std::min<int>(jobs, int(comparison->trials().size()));
  print_plan(*comparison, at_once);
  if (o.dry_run) return ExitCode::ok;
  const fs::path& folder = comparison->folder();
  say("folder", folder.string());

  if (!run_comparison(*comparison, at_once)) {
    say("stopped", fmt::format("finished runs are kept; go on with: triarch compare --resume {}", folder.string()));
    return stop_exit_code();
  }
  publish(*comparison, o.json);
  return ExitCode::ok;
}

}  // namespace

bool run_comparison(Comparison& comparison, int jobs) {
  Progress line(int64_t(comparison.trials().size()));
  line.set_unit("run");
  CompareEvents events;
  events.progress = [&](const CompareEvents::State& s) {
    Progress::Items items;
    if (!s.best.empty()) items.push_back({"best", s.best});
    if (!s.running.empty()) items.push_back({"now", s.running});
    line.update(s.done, s.share, s.tokens, std::move(items), s.finished_one);
  };
  events.note = [&](const std::string& text) { line.print(text); };
  const bool finished = comparison.work(jobs, events);
  line.finish();
  if (!finished || !comparison.config().serving.value_or(false)) return finished;
  say("serving", "measuring what each contender costs to serve");
  return comparison.measure_serving();
}

std::string write_report(const Comparison& comparison) {
  const fs::path& folder = comparison.folder();
  const std::string report = to_json(report_of(comparison));
  write_file(folder / "report.json", report + "\n", "compare");
  write_file(folder / "report.md", report::comparison_markdown(report), "compare");
  write_file(folder / "report.html", report::comparison_page(report), "compare");
  write_board(comparison);
  return report;
}

Action declare_report(Arguments& app) {
  struct ReportOptions {
    std::vector<std::string> folders;
    bool json = false;
  };
  auto o = std::make_shared<ReportOptions>();
  app.add_option("FOLDER", o->folders, "folders of comparisons, finished or not").required();
  app.add_flag("--json", o->json, "print each report as one line of JSON").group("General");
  return [o] {
    for (const std::string& folder : o->folders) publish(*Comparison::open(folder), o->json);
    return ExitCode::ok;
  };
}

Action declare_compare(Arguments& app) {
  auto o = std::make_shared<CompareFlags>();
  app.add_option("INPUT", o->inputs,
                 "texts: .txt, .jsonl, .tsv, folders or globs, also .gz and .zst; none: the built-in world");
  app.add_option("-b,--budget", o->budget,
                 "time of it all (90s, 3m, 1h) or what each run sees (500k tokens); default: 3m, on the built-in world "
                 "400k tokens")
      .group("General");
  app.add_option("--contenders", o->contenders,
                 "family, family:objective+objective or family/variant:..., with commas; default: "
                 "causal,prefix,encoder_decoder,encoder")
      .group("General");
  app.add_flag("--all", o->all, "every family with every objective of the paper's grid, and variants").group("General");
  app.add_option("--grid", o->grid, "wang: architecture x objective, with and without finetuning (Wang et al. 2022)")
      .group("General");
  app.add_option("-j,--jobs", o->jobs, "runs at a time, each on one core; default: the cores this process may use")
      .group("General");
  app.add_option("-o,--output-dir", o->output, "folder of the comparison; default: runs/compare-<text>-NNNN")
      .group("General");
  app.add_option("--resume", o->resume, "go on with a comparison, or help another process with it: its folder")
      .group("General");
  app.add_flag("--dry-run", o->dry_run, "print the plan and stop").group("General");
  app.add_flag("--json", o->json, "print the report as one line of JSON").group("General");
  static CompareConfig defaults;
  std::vector<Field> fields = fields_of(defaults);
  // These have flags of their own, or are not for people.
  std::erase_if(fields, [](const Field& f) {
    return f.name == "contenders" || f.name == "tokens" || f.name == "seconds" || f.name == "hash" || f.name == "swept";
  });
  o->flags.declare(app, fields,
                   {{"lr", "optimizer.learning_rate"}, {"optim", "optimizer.kind"}, {"block_size", "context"}},
                   {"seeds", "width", "layers", "context", "match", "sweep", "tasks", "minimal_pairs", "classify",
                    "tag", "data.tokenizer", "data.vocabulary", "data.input_field", "data.target_field"});
  app.footer(
      "--help-all shows all settings: of data, finetuning, questions, optimizer and schedule. Examples:\n"
      "  triarch compare                                   # the built-in world, 3 minutes\n"
      "  triarch compare my.txt --budget 20m\n"
      "  triarch compare pairs.tsv --budget 20m            # input, tab, target on each line: transforming\n"
      "  triarch compare my.txt --contenders causal,prefix --seeds 5\n"
      "  triarch compare --resume runs/compare-my-0001");
  return [o] { return compare(*o); };
}

}  // namespace triarch::cli
