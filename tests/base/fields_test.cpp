// Typed fields: what goes out as YAML comes back, and every mistake is named with its place and the nearest key.
#include "triarch/base/fields.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/scratch.h"
namespace triarch {

enum class Color : uint8_t { red, dark_blue };
template <>
struct EnumNames<Color> {
  static constexpr std::pair<Color, const char*> table[] = {
      {Color::red, "red"}, {Color::dark_blue, "dark_blue"}, {Color::dark_blue, "navy"}};
};

namespace {

struct Part {
  std::string name = "next_token";
  double weight = 1;
  template <class V>
  void fields(V& v) {
    v("name", name, "the objective");
    v("weight", weight, "its share");
  }
};

struct Stack {
  int64_t layers = 0;
  Color color = Color::red;
  template <class V>
  void fields(V& v) {
    v("layers", layers, "number of blocks");
    v("color", color);
  }
};

struct Config {
  int64_t max_steps = 2000;
  int small = 7;
  uint64_t seed = 42;
  double learning_rate = 3e-4;
  bool bf16 = false;
  std::string output_dir = "runs/x";
  std::optional<int64_t> limit;
  std::optional<std::string> stop_text;
  std::vector<std::string> stop;
  std::vector<int> sizes = {1, 2};
  std::vector<Part> mixture;
  Stack encoder, decoder{6, Color::dark_blue};
  template <class V>
  void fields(V& v) {
    v("max_steps", max_steps, "optimizer steps");
    v("small", small);
    v("seed", seed, "of all random numbers");
    v("learning_rate", learning_rate, "the peak");
    v("bf16", bf16, "multiply in bfloat16");
    v("output_dir", output_dir, "where the run is kept");
    v("limit", limit, "at most");
    v("stop_text", stop_text, "ends a text");
    v("stop", stop, "end a text");
    v("sizes", sizes);
    v("mixture", mixture, "objectives and weights");
    v.group("encoder", encoder);
    v.group("decoder", decoder, "the second stack");
  }
};

std::string refusal(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.code, ExitCode::usage);
    return e.what();
  }
  return "nothing was thrown";
}

std::string yaml_refusal(const std::string& text) {
  return refusal([&] {
    Config c;
    parse_yaml(text, "run.yaml", c);
  });
}

TEST(Fields, YamlSetsWhatItNames) {
  Config c;
  parse_yaml(
      "max-steps: 5\nlearning_rate: 1e-3\nbf16: yes\nlimit: 3\nstop_text: \"null\"\nstop: [\"\\n\", b]\n"
      "sizes: []\nmixture:\n  - name: span\n    weight: 0.5\n  - {weight: 2}\ndecoder:\n  layers: 1e1\n  color: navy\n",
      "run.yaml", c);
  EXPECT_EQ(c.max_steps, 5);
  EXPECT_EQ(c.seed, 42u);
  EXPECT_DOUBLE_EQ(c.learning_rate, 1e-3);
  EXPECT_TRUE(c.bf16);
  EXPECT_EQ(c.limit, 3);
  EXPECT_EQ(c.stop_text, "null");
  EXPECT_EQ(c.stop, (std::vector<std::string>{"\n", "b"}));
  EXPECT_TRUE(c.sizes.empty());
  ASSERT_EQ(c.mixture.size(), 2u);
  EXPECT_EQ(c.mixture[0].name, "span");
  EXPECT_EQ(c.mixture[1].name, "next_token");
  EXPECT_EQ(c.mixture[1].weight, 2);
  EXPECT_EQ(c.decoder.layers, 10);
  EXPECT_EQ(c.decoder.color, Color::dark_blue);
  EXPECT_EQ(c.encoder.layers, 0);
  // A later file overrides an earlier one; a list is replaced whole.
  parse_yaml("limit: null\nmixture: [{name: mlm}]\n", "two.yaml", c);
  EXPECT_FALSE(c.limit.has_value());
  ASSERT_EQ(c.mixture.size(), 1u);
  EXPECT_EQ(c.mixture[0].weight, 1);
  EXPECT_EQ(c.max_steps, 5);
  parse_yaml("", "empty.yaml", c);
  parse_yaml("# nothing\n", "empty.yaml", c);
}

TEST(Fields, YamlComesBackAsItself) {
  Config c;
  c.learning_rate = 0.1 + 0.2;
  c.seed = UINT64_MAX;
  c.max_steps = INT64_MIN;
  c.output_dir = "a: b # c";
  c.stop_text = "null";
  c.stop = {"", " ", "yes", "1.5", "\n\t\"\\", "- x", "Gr\xc3\xbc\xc3\x9f", "trailing ", "{a}", "*b", "plain text"};
  c.mixture = {{"a", 1e-300}, {"b", 1.0 / 3}};
  c.encoder = {3, Color::dark_blue};
  for (bool help : {false, true}) {
    const std::string text = to_yaml(c, help);
    EXPECT_EQ(text.find("# optimizer steps") != std::string::npos, help);
    Config d;
    d.mixture.resize(5);
    parse_yaml(text, "again", d);
    EXPECT_EQ(to_yaml(d, help), text);
    EXPECT_TRUE(differences(c, d).empty());
    EXPECT_EQ(d.learning_rate, c.learning_rate);
    EXPECT_EQ(d.seed, c.seed);
    EXPECT_EQ(d.stop, c.stop);
    EXPECT_EQ(d.output_dir, c.output_dir);
    EXPECT_EQ(d.mixture[1].weight, 1.0 / 3);
  }
  EXPECT_NE(to_yaml(Config()).find("max_steps: 2000  # optimizer steps\n"), std::string::npos);
  EXPECT_NE(
      to_yaml(Config()).find("decoder:  # the second stack\n  layers: 6  # number of blocks\n  color: dark_blue\n"),
      std::string::npos);
}

TEST(Fields, Json) {
  Config c;
  c.stop = {"a\"b", "\xff"};
  c.mixture = {{"a", 0.25}};
  const auto json = nlohmann::json::parse(to_json(c));
  EXPECT_EQ(json["max_steps"], 2000);
  EXPECT_EQ(json["bf16"], false);
  EXPECT_TRUE(json["limit"].is_null());
  EXPECT_EQ(json["decoder"]["color"], "dark_blue");
  EXPECT_EQ(json["stop"][0], "a\"b");
  EXPECT_EQ(json["mixture"][0]["weight"], 0.25);
  EXPECT_EQ(json["learning_rate"], 3e-4);
}

TEST(Fields, JsonComesBack) {
  Config c;
  c.learning_rate = 0.1 + 0.2;
  c.seed = UINT64_MAX;
  c.max_steps = INT64_MIN;
  c.stop = {"", "null", "\xf0\x9f\x98\x80 \n"};
  c.stop_text = "null";
  c.mixture = {{"a", 1e-300}, {"b", 1e300}};
  c.decoder.color = Color::red;
  Config d;
  d.limit = 5;
  parse_json(to_json(c), "state", d);
  EXPECT_TRUE(differences(c, d).empty());
  EXPECT_EQ(d.learning_rate, c.learning_rate);
  EXPECT_EQ(d.seed, c.seed);
  EXPECT_EQ(d.mixture[1].weight, 1e300);
  const auto wrong = [&](const char* text) { return refusal([&] { parse_json(text, "state", d); }); };
  EXPECT_EQ(wrong("{\"sede\": 1}"), "state: unknown key 'sede'; did you mean 'seed'?");
  EXPECT_EQ(wrong("{\"seed\": \"1\"}"), "state: seed: expected an integer of at least 0, found \"1\"");
  EXPECT_EQ(wrong("{\"seed\": null}"), "state: seed: expected an integer of at least 0, found null");
  EXPECT_EQ(wrong("{\"decoder\": {\"layers\": [1]}}"),
            "state: decoder.layers: expected an integer (5000, 500k, 5M), found [1]");
  EXPECT_NE(wrong("{\"seed\": 1").find("state: expected JSON"), std::string::npos);
}

TEST(Fields, WhatIsNoNumberIsNullInJson) {
  Config c, d;
  c.learning_rate = std::numeric_limits<double>::quiet_NaN();
  c.mixture = {{"a", std::numeric_limits<double>::infinity()}};
  EXPECT_TRUE(nlohmann::json::parse(to_json(c))["learning_rate"].is_null());
  parse_json(to_json(c), "state", d);
  EXPECT_TRUE(std::isnan(d.learning_rate));
  EXPECT_TRUE(std::isnan(d.mixture.at(0).weight));
}

TEST(Fields, MistakesAreNamedWithTheirPlace) {
  EXPECT_EQ(yaml_refusal("seed: 1\nlearning_rte: 1\n"),
            "run.yaml line 2: unknown key 'learning_rte'; did you mean 'learning_rate'?");
  EXPECT_EQ(yaml_refusal("decoder:\n  layer: 1\n"),
            "run.yaml line 2: unknown key 'decoder.layer'; did you mean 'layers'?");
  EXPECT_EQ(yaml_refusal("layers: 1\n"), "run.yaml line 1: unknown key 'layers'; did you mean 'encoder.layers'?");
  EXPECT_EQ(yaml_refusal("quux: 1\n"), "run.yaml line 1: unknown key 'quux'");
  EXPECT_EQ(yaml_refusal("seed: -1\n"), "run.yaml line 1: seed: expected an integer of at least 0, found '-1'");
  EXPECT_EQ(yaml_refusal("small: 3e9\n"), "run.yaml line 1: small: expected an integer (5000, 500k, 5M), found '3e9'");
  EXPECT_EQ(yaml_refusal("max_steps: 1.5\n"),
            "run.yaml line 1: max_steps: expected an integer (5000, 500k, 5M), found '1.5'");
  EXPECT_EQ(yaml_refusal("max_steps:\n"),
            "run.yaml line 1: max_steps: expected an integer (5000, 500k, 5M), found nothing");
  EXPECT_EQ(yaml_refusal("learning_rate: .nan\n"), "run.yaml line 1: learning_rate: expected a number, found '.nan'");
  EXPECT_EQ(yaml_refusal("learning_rate: nan\n"), "run.yaml line 1: learning_rate: expected a number, found 'nan'");
  EXPECT_EQ(yaml_refusal("bf16: maybe\n"), "run.yaml line 1: bf16: expected true or false, found 'maybe'");
  EXPECT_EQ(yaml_refusal("encoder: 5\n"), "run.yaml line 1: encoder: expected keys and values, found '5'");
  EXPECT_EQ(yaml_refusal("encoder:\n  color: green\n"),
            "run.yaml line 2: encoder.color: expected one of red, dark_blue, navy, found 'green'");
  EXPECT_EQ(yaml_refusal("stop: x\n"), "run.yaml line 1: stop: expected a list, found 'x'");
  EXPECT_EQ(yaml_refusal("\nsizes: [1, two]\n"),
            "run.yaml line 2: sizes.1: expected an integer (5000, 500k, 5M), found 'two'");
  EXPECT_EQ(yaml_refusal("mixture:\n  - nam: x\n"),
            "run.yaml line 2: unknown key 'mixture.0.nam'; did you mean 'name'?");
  EXPECT_EQ(yaml_refusal("seed: 1\nseed: 2\n"), "run.yaml line 2: the key 'seed' is there twice");
  EXPECT_EQ(yaml_refusal("- a\n"), "run.yaml line 1: the file: expected keys and values, found a list");
  EXPECT_NE(yaml_refusal("a: [1\nb: }\n").find("run.yaml line "), std::string::npos);
  EXPECT_NE(yaml_refusal("a: [1\nb: }\n").find("expected YAML"), std::string::npos);
}

TEST(Fields, DottedOverrides) {
  Config c;
  set_field(c, "max-steps=7", "--set");
  EXPECT_EQ(c.max_steps, 7);
  set_field(c, "decoder.layers", "9", "--set");
  EXPECT_EQ(c.decoder.layers, 9);
  set_field(c, "Output-Dir", "a=b: [c", "--set");
  EXPECT_EQ(c.output_dir, "a=b: [c");
  set_field(c, "stop=[a, 'b c']", "--set");
  EXPECT_EQ(c.stop, (std::vector<std::string>{"a", "b c"}));
  set_field(c, "stop", "one", "--set");
  EXPECT_EQ(c.stop, (std::vector<std::string>{"one"}));
  set_field(c, "stop=", "--set");
  EXPECT_TRUE(c.stop.empty());
  set_field(c, "mixture=[{name: span, weight: 3}, {}]", "--set");
  set_field(c, "mixture.1.weight=4", "--set");
  EXPECT_EQ(c.mixture[0].name, "span");
  EXPECT_EQ(c.mixture[1].weight, 4);
  set_field(c, "limit=5", "--set");
  EXPECT_EQ(c.limit, 5);
  set_field(c, "limit=null", "--set");
  EXPECT_FALSE(c.limit);

  const auto wrong = [&](const std::string& assignment) { return refusal([&] { set_field(c, assignment, "--set"); }); };
  EXPECT_EQ(wrong("layers=2"),
            "--set: the key 'layers' is in several groups: expected one of encoder.layers, decoder.layers");
  EXPECT_EQ(wrong("decoder.layrs=2"), "--set: unknown key 'decoder.layrs'; did you mean 'decoder.layers'?");
  EXPECT_EQ(wrong("decoder=2"), "--set: 'decoder' is a group of keys: set one of layers, color");
  EXPECT_EQ(wrong("decoder.layers=x"), "--set: decoder.layers: expected an integer (5000, 500k, 5M), found 'x'");
  EXPECT_EQ(wrong("mixture.2.weight=4").substr(0, 38), "--set: unknown key 'mixture.2.weight'");
  EXPECT_EQ(wrong("max_steps"), "--set: expected key=value, found 'max_steps'");
  EXPECT_EQ(wrong("max_steps="), "--set: max_steps: expected an integer (5000, 500k, 5M), found ''");
}

struct Outer {
  Config run;
  template <class V>
  void fields(V& v) {
    v.group("run", run);
  }
};

// A key that is unique without its groups, or with some of them.
TEST(Fields, AWordIsTheFirstFieldOfAnElement) {
  Config c;
  parse_yaml("mixture: [masked_lm, {name: bart, weight: 3}]", "f", c);
  ASSERT_EQ(c.mixture.size(), 2u);
  EXPECT_EQ(c.mixture[0].name, "masked_lm");
  EXPECT_EQ(c.mixture[0].weight, 1);
  EXPECT_EQ(c.mixture[1].name, "bart");
  set_field(c, "mixture", "ul2", "--mixture");
  ASSERT_EQ(c.mixture.size(), 1u);
  EXPECT_EQ(c.mixture[0].name, "ul2");
  EXPECT_NE(refusal([&] { parse_yaml("encoder: 3", "f", c); }), "");  // not of a group that is no element
}

TEST(Fields, ShortKeys) {
  Outer o;
  set_field(o, "learning-rate=0.5", "--set");
  EXPECT_EQ(o.run.learning_rate, 0.5);
  set_field(o, "decoder.layers=3", "--set");
  EXPECT_EQ(o.run.decoder.layers, 3);
}

TEST(Fields, FlattenAndDifferences) {
  Config a, b;
  b.decoder.layers = 7;
  b.stop = {"x"};
  EXPECT_EQ(differences(a, b), (std::vector<std::string>{"stop: [] and [\"x\"]", "decoder.layers: 6 and 7"}));
  bool found = false;
  for (const Field& f : flatten(fields_of(a))) {
    if (f.name != "decoder.layers") continue;
    found = true;
    EXPECT_EQ(f.help, "number of blocks");
    EXPECT_EQ(f.type(), "an integer (5000, 500k, 5M)");
    EXPECT_EQ(f.print(), "6");
  }
  EXPECT_TRUE(found);
}

TEST(Fields, DidYouMean) {
  const std::vector<std::string> flags = {"learning_rate", "max_steps", "seed", "lr_scheduler_type"};
  EXPECT_EQ(did_you_mean("learning-rat", flags), "; did you mean 'learning_rate'?");
  EXPECT_EQ(did_you_mean("maxsteps", flags), "; did you mean 'max_steps'?");
  EXPECT_EQ(did_you_mean("sede", flags), "; did you mean 'seed'?");
  EXPECT_EQ(did_you_mean("output", flags), "");
  EXPECT_EQ(did_you_mean("output", {"seed", "output-dir"}), "; did you mean 'output-dir'?");
  EXPECT_EQ(did_you_mean("", flags), "");
}

TEST(Fields, FileErrors) {
  Config c;
  const Scratch scratch;
  const auto path = scratch / "a.yaml";
  std::ofstream(path) << "seed: 3\nsmal: 1\n";
  try {
    load_yaml(path, c);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.what(), path.string() + " line 2: unknown key 'smal'; did you mean 'small'?");
  }
  std::filesystem::remove(path);
  EXPECT_THROW(load_yaml(path, c), Error);
}

struct Sizes {
  int64_t tokens = 0;
  double flops = 0;
  Seconds time;
  template <class V>
  void fields(V& v) {
    v("tokens", tokens);
    v("flops", flops);
    v("time", time);
  }
};

TEST(Fields, NumbersHaveUnitsAndTimesTheirs) {
  Sizes s;
  for (const auto& [text, value] : {std::pair("500k", 500'000), {"2M", 2'000'000}, {"1.5G", 1'500'000'000}}) {
    set_field(s, "tokens", text, "--tokens");
    EXPECT_EQ(s.tokens, value) << text;
    set_field(s, "flops", text, "--flops");
    EXPECT_EQ(s.flops, value) << text;
  }
  for (const auto& [text, value] : {std::pair("90", 90), {"90s", 90}, {"5m", 300}, {"1.5h", 5400}, {"1e3", 1000}}) {
    set_field(s, "time", text, "--time");
    EXPECT_EQ(s.time, value) << text;
    Sizes read;
    parse_yaml(std::string("time: ") + text, "a.yaml", read);
    EXPECT_EQ(read.time, value) << text;
    parse_yaml(to_yaml(s), "b.yaml", read);
    EXPECT_EQ(read.time, value) << text;
  }
  for (const char* wrong : {"1.5", "3 k", "5m", "1B", "k", "1e300G"}) {
    EXPECT_THROW(set_field(s, "tokens", wrong, "--tokens"), Error) << wrong;
  }
  for (const char* wrong : {"5M", "3k", "m", "1x", "1e308d", "nan"}) {
    EXPECT_THROW(set_field(s, "time", wrong, "--time"), Error) << wrong;
  }
}

}  // namespace
}  // namespace triarch
