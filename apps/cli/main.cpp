#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

#include "apps/cli/command.h"
#include "triarch/base/threads.h"
#include "triarch/base/version.h"

namespace triarch::cli {
namespace {

struct Verb {
  const char* name;
  const char* summary;
  Declare declare;
};
constexpr Verb kVerbs[] = {
    {"train", "train a model of any family on your text", declare_train},
    {"compare", "train every family under one budget and see which one your text wants", declare_compare},
    {"report", "write the report of a comparison again, also of one that is still running", declare_report},
    {"study", "the reasons given for one family or another, as experiments", declare_study},
    {"finetune", "go on from a model with other texts or another objective", declare_finetune},
    {"generate", "texts that go on from a prompt", declare_generate},
    {"fill", "the missing pieces of a text: <mask>, <extra_id_0>", declare_fill},
    {"embed", "texts as vectors", declare_embed},
    {"score", "how likely a model finds a text: log-probabilities, bits per byte", declare_score},
    {"evaluate", "answers to questions, pairs and minimal pairs, of one model or several", declare_evaluate},
    {"classify", "classes of texts", declare_classify},
    {"tag", "a tag for every word", declare_tag},
    {"tokenize", "text to token ids and back; make a tokenizer", declare_tokenize},
    {"inspect", "what is in a model's folder", declare_inspect},
    {"forward", "given token ids to logits, loss, hidden states, gradients", declare_forward},
    {"doctor", "what this machine has and how fast it is", declare_doctor},
};

// What other trainers call by names that no flag here is near to.
constexpr std::pair<std::string_view, std::string_view> kElsewhere[] = {
    {"--epochs", "a run's length is --max-tokens, --max-seconds or --steps"},
    {"--num-train-epochs", "a run's length is --max-tokens, --max-seconds or --steps"},
    {"--batch-size", "batches are counted in tokens: --batch-rows, times --accumulation"},
    {"--per-device-train-batch-size", "batches are counted in tokens: --batch-rows, times --accumulation"},
    {"--fp16", "half precision is --precision bfloat16"},
    {"--bf16", "half precision is --precision bfloat16"},
    {"--device", "it runs on the processor; --threads says on how much of it"},
};

// `--batch_rows` and `--batch-rows` are the same flag.
std::string with_dashes(const std::string& argument) {
  if (argument.rfind("--", 0) != 0) return argument;
  std::string out = argument;
  for (size_t i = 2; i < out.size() && out[i] != '='; ++i) {
    if (out[i] == '_') out[i] = '-';
  }
  return out;
}

// The long flags that a verb knows, for suggestions.
std::vector<std::string> flags_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* o : app.get_options()) {
    for (const std::string& n : o->get_lnames()) names.push_back("--" + n);
  }
  return names;
}

// Help of at most 100 columns; dots only where several values may stand.
class Help : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    std::string text = Formatter::make_option_opts(option);
    const bool dots = text.ends_with(" ...");
    if (option->get_positional()) return dots ? " ..." : "";
    if (dots && !option->get_allow_extra_args()) text.resize(text.size() - 4);
    return text;
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    const size_t width = 100 - get_column_width();
    std::string out = Formatter::make_option_desc(option);
    for (size_t begin = 0; out.size() - begin > width;) {
      const size_t space = out.rfind(' ', begin + width);
      if (space == std::string::npos || space <= begin) break;
      out[space] = '\n';
      begin = space + 1;
    }
    return out;
  }
};

int run(int count, char** values) {
  CLI::App app{
      "triarch: every family of transformer language model, trained, compared and run by one program.\n"
      "Start with `triarch compare my.txt`, or `triarch train my.txt`."};
  app.name("triarch");
  app.formatter(std::make_shared<Help>());
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", std::string("triarch ") + kVersion);
  int threads = 0;
  std::vector<std::string> given;
  for (int i = 1; i < count; ++i) given.push_back(with_dashes(values[i]));
  const bool helps_all = std::ranges::find(given, "--help-all") != given.end();
  std::ranges::replace(given, std::string("--help-all"), std::string("--help"));
  std::vector<Action> actions;
  for (const Verb& verb : kVerbs) {
    CLI::App* sub = app.add_subcommand(verb.name, verb.summary);
    sub->get_help_ptr()->group("General");
    Arguments arguments_of_verb(*sub, helps_all);
    arguments_of_verb.add_option("-t,--threads", threads, "threads; default: all cores this process may use")
        .group("General");
    // The flags of all verbs would take longer to declare than most of them to run.
    const bool wanted = std::ranges::find(given, verb.name) != given.end();
    actions.push_back(wanted ? verb.declare(arguments_of_verb) : Action());
  }
  app.footer(
      "Exit codes: 0 done, 1 failure, 2 wrong usage, 3 out of memory, 4 diverged (NaN), 5 damaged file,\n"
      "130 and 143 stopped by Ctrl-C or SIGTERM after saving.");

  try {
    app.parse(std::vector<std::string>(given.rbegin(), given.rend()));
  } catch (const CLI::ExtrasError& e) {
    std::string word;
    const CLI::App* where = &app;
    for (const CLI::App* sub : app.get_subcommands()) where = sub;
    for (const std::string& a : where->remaining(true)) {
      if (word.empty()) word = a;
    }
    std::vector<std::string> known = flags_of(*where);
    if (where == &app) {
      for (const Verb& v : kVerbs) known.push_back(v.name);
    }
    word = word.substr(0, word.find('='));
    const auto elsewhere = std::ranges::find(kElsewhere, word, &std::pair<std::string_view, std::string_view>::first);
    fail(ExitCode::usage, "{}'{}' is not known here{}; see `{} --help`",
         where == &app ? std::string() : where->get_name() + ": ", word,
         elsewhere != std::end(kElsewhere) && (where->get_name() == "train" || where->get_name() == "finetune")
             ? fmt::format("; {}", elsewhere->second)
             : did_you_mean(word, known),
         where == &app ? std::string("triarch") : "triarch " + where->get_name());
  } catch (const CLI::Success& e) {  // --help, --version
    return app.exit(e, std::cout, std::cerr);
  } catch (const CLI::ParseError& e) {
    std::string verb;
    for (const CLI::App* sub : app.get_subcommands()) verb = sub->get_name();
    fail(ExitCode::usage, "{}{}; see `triarch {}--help`", verb.empty() ? "" : verb + ": ", e.what(),
         verb.empty() ? "" : verb + " ");
  }
  if (app.get_subcommands().empty()) {
    std::cerr << app.help();
    return int(ExitCode::usage);
  }
  if (threads < 0) fail(ExitCode::usage, "--threads: expected at least 1, found {}", threads);
  if (threads > 0) set_thread_count(threads);
  for (size_t i = 0; i < actions.size(); ++i) {
    if (!app.got_subcommand(kVerbs[i].name)) continue;
    const ExitCode code = actions[i]();
    errno = 0;
    if (!std::cout.flush() || std::fflush(stdout) != 0 || std::ferror(stdout)) {
      fail("{}: results could not be written to standard output: {}", kVerbs[i].name,
           errno ? std::strerror(errno) : "it is closed or full");
    }
    return int(code);
  }
  return int(ExitCode::usage);
}

}  // namespace
}  // namespace triarch::cli

int main(int count, char** values) {
  try {
    return triarch::cli::run(count, values);
  } catch (const triarch::Error& e) {
    std::fprintf(stderr, "triarch: %s\n", e.what());
    return int(e.code);
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "triarch: out of memory; take a smaller model or batch\n");
    return int(triarch::ExitCode::out_of_memory);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "triarch: %s\n", e.what());
    return int(triarch::ExitCode::failure);
  }
}
