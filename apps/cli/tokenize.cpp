// triarch tokenize: text to token ids and back, and tokenizers of one's own.
#include <fmt/format.h>

#include <charconv>
#include <iostream>
#include <iterator>

#include "apps/cli/command.h"
#include "apps/cli/loaded.h"
#include "triarch/base/human.h"
#include "triarch/checkpoint/weights.h"
#include "triarch/data/corpus.h"

namespace triarch::cli {
namespace {

struct TokenizeFlags {
  ModelFlags flags;
  bool decode = false, ids_only = false, specials = false;
  std::vector<std::string> train;
  std::string kind = "unigram", output = "tokenizer.bin";
  int32_t vocabulary = 0;
};

using Json = nlohmann::ordered_json;

// A tokenizer file, a model's folder, or a kind that needs no training.
Tokenizer tokenizer_from(const std::string& name) {
  if (name == "bytes") return Tokenizer();
  if (std::filesystem::is_regular_file(name)) return Tokenizer::load(name);
  if (std::filesystem::is_directory(name)) return Tokenizer::load(find_model(name) / model_file::tokenizer);
  fail(ExitCode::usage,
       "tokenize: expected a model's folder, a tokenizer file or `bytes`, found '{}'; make a tokenizer with "
       "`triarch tokenize --train my.txt`",
       name);
}

ExitCode train(const TokenizeFlags& o) {
  TokenizerOptions options;
  const auto kind = enum_value<TokenizerKind>(o.kind);
  if (!kind) {
    fail(ExitCode::usage, "--kind: expected bytes, characters, words, unigram or bpe, found '{}'{}", o.kind,
         did_you_mean(o.kind, {"bytes", "characters", "words", "unigram", "bpe"}));
  }
  options.kind = *kind;
  options.vocabulary = o.vocabulary;
  const Corpus corpus = read_corpus(o.train, o.flags.read_options());
  std::vector<std::string_view> texts;
  for (const Document& d : corpus.documents) {
    texts.push_back(d.text);
    if (d.pair) texts.push_back(d.target);
  }
  const Tokenizer tokenizer = Tokenizer::train(options, texts);
  tokenizer.save(o.output);
  // How well it does: on a part is enough.
  size_t bytes = 0, tokens = 0;
  for (std::string_view t : texts) {
    if (bytes > 2'000'000) break;
    const std::string_view part = t.substr(0, 2'000'000);
    bytes += part.size();
    tokens += tokenizer.encode(part).size();
  }
  const double rate = double(bytes) / double(std::max<size_t>(1, tokens));
  if (o.flags.json) {
    print_json({{"tokenizer", o.output},
                {"kind", enum_name(tokenizer.kind())},
                {"vocabulary", tokenizer.vocabulary()},
                {"bytes_per_token", rate}});
  } else {
    fmt::print("{}\n", o.output);
  }
  say("tokenizer", fmt::format("{}, {:.2f} bytes per token; use it with: triarch train --tokenizer {}",
                               tokenizer.description(), rate, o.output));
  return ExitCode::ok;
}

ExitCode run_tokenize(const TokenizeFlags& o) {
  if (!o.train.empty()) return train(o);
  const Tokenizer tokenizer = tokenizer_from(o.flags.model());
  for (const std::string& text : o.flags.plain_texts(true)) {
    if (o.decode) {
      std::vector<int32_t> ids;
      const std::string marks = " ,[]\n\t\r";
      for (size_t i = 0; i < text.size();) {
        if (marks.find(text[i]) != std::string::npos) {
          ++i;
          continue;
        }
        int32_t id = 0;
        const auto [end, error] = std::from_chars(text.data() + i, text.data() + text.size(), id);
        if (error != std::errc()) {
          fail(ExitCode::usage, "tokenize --decode: expected token ids such as 72 101 108, found '{}'",
               shortened(text.substr(i), 20));
        }
        ids.push_back(id);
        i = size_t(end - text.data());
      }
      const std::string back = tokenizer.decode(ids, true);
      if (o.flags.json) {
        print_json({{"ids", ids}, {"text", back}});
      } else {
        std::cout << back << "\n";
      }
      continue;
    }
    const std::vector<int32_t> ids = tokenizer.encode(text, o.specials ? SpecialText::parse : SpecialText::plain);
    if (o.flags.json) {
      Json pieces = Json::array();
      for (int32_t id : ids) pieces.push_back(tokenizer.decode_token(id));
      print_json({{"text", text}, {"ids", ids}, {"pieces", pieces}});
    } else if (o.ids_only) {
      fmt::print("{}\n", fmt::join(ids, " "));
    } else {
      for (int32_t id : ids) fmt::print("{:>7}  '{}'\n", id, visible(tokenizer.decode_token(id)));
    }
    say("tokens", fmt::format("{} for {} bytes; {}", ids.size(), text.size(), tokenizer.description()));
  }
  return ExitCode::ok;
}

}  // namespace

Action declare_tokenize(Arguments& app) {
  auto o = std::make_shared<TokenizeFlags>();
  o->flags.declare(app, "TEXT");
  app["MODEL"].description("a model's folder, a tokenizer file, or `bytes`");
  app.add_flag("--decode", o->decode, "the texts are token ids: print what they say");
  app.add_flag("--ids", o->ids_only, "print ids alone, on one line per text");
  app.add_flag("--specials", o->specials, "read <mask>, <extra_id_0> ... as specials, not as text");
  app.add_option("--train", o->train, "make a tokenizer from these texts (files, folders, globs)")
      .type_name("FILE...")
      .group("Training");
  app.add_option("--kind", o->kind, "unigram, bpe, words, characters or bytes")
      .type_name("")
      .capture_default_str()
      .group("Training");
  app.add_option("--vocabulary,--vocab-size", o->vocabulary, "most tokens; 0: suited to the text").group("Training");
  app.add_option("-o,--output", o->output, "file of the new tokenizer")
      .type_name("FILE")
      .capture_default_str()
      .group("Training");
  app.footer(
      "Examples:\n"
      "  triarch tokenize runs/emma-causal-0001 \"It is a truth\"\n"
      "  triarch tokenize bytes \"naïve\" --ids\n"
      "  triarch tokenize runs/emma-causal-0001 --decode \"1204 88 413\"\n"
      "  triarch tokenize --train emma.txt --kind bpe --vocabulary 2000 -o emma.bin");
  return [o] { return run_tokenize(*o); };
}

}  // namespace triarch::cli
