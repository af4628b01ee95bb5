#include "triarch/model/convert.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <set>

#include "tests/model/tiny.h"
#include "triarch/base/error.h"

namespace triarch::testing {
namespace {

// Every weight random, gains and biases too.
std::unique_ptr<Model> random_model(const ModelSpec& spec, uint64_t seed, Precision precision = Precision::float64()) {
  auto model = std::make_unique<Model>(spec, precision, true);
  for (Parameter& p : model->parameters().all()) {
    const Key key = Key(seed, Purpose::test).with(uint64_t(p.offset));
    for (int64_t i = 0; i < p.count(); ++i) {
      const double value = key.uniform(uint64_t(i)) - (p.name.ends_with("gain") ? 0 : 0.5);
      if (p.value.dtype() == DType::f64) {
        p.value.data<double>()[i] = value;
      } else {
        p.value.data<float>()[i] = float(value);
      }
    }
  }
  model->parameters().refresh();
  return model;
}

std::vector<double> values(Model& model, const std::string& name) {
  const Parameter* p = model.parameters().find(name);
  if (!p) fail("no parameter '{}'", name);
  return {p->value.data<double>(), p->value.data<double>() + p->count()};
}
std::vector<double> part(const std::vector<double>& x, int64_t begin, int64_t end) {
  return {x.begin() + begin, x.begin() + end};
}

// Two segments, of 7 and of 4 rows.
Rows rows_of(int32_t prefix) {
  Rows rows;
  for (int32_t n : {7, 4}) {
    Segment s;
    s.begin = s.key_begin = int32_t(rows.size());
    s.length = n;
    s.prefix = std::min(prefix, n);
    for (int32_t i = 0; i < n; ++i) {
      rows.ids.push_back((5 * int32_t(rows.size()) + 3) % 23);
      rows.positions.push_back(i);
    }
    rows.segments.push_back(s);
  }
  return rows;
}

std::vector<double> hidden(const Model& model, const Rows& rows, bool encoder) {
  Arena arena;
  Context ctx{arena, nullptr, model.parameters().precision()};
  const Tensor t = (encoder ? model.encode(ctx, rows) : model.decode(ctx, rows, {}, {})).value;
  return {t.data<double>(), t.data<double>() + t.rows() * t.cols()};
}
template <class S>
std::vector<S> logits(const Model& model, const Rows& rows) {
  Arena arena;
  Context ctx{arena, nullptr, model.parameters().precision()};
  std::vector<int32_t> all(size_t(rows.size()));
  for (size_t i = 0; i < all.size(); ++i) all[i] = int32_t(i);
  const Tensor t = model.logits(ctx, model.decode(ctx, rows, {}, {}), all);
  return {t.data<S>(), t.data<S>() + t.rows() * t.cols()};
}

// Whatever is converted: every parameter of `to` is told of once, copies are bit for bit, the rest is as it was.
Conversion checked(Model& from, Model& to) {
  std::map<std::string, std::vector<double>> before;
  for (const Parameter& p : to.parameters().all()) before[p.name] = values(to, p.name);
  const Conversion c = convert_weights(from, to);
  std::map<std::string, int> told;
  std::set<std::string> used;
  for (const Conversion::Copy& copy : c.copied) {
    ++told[copy.to];
    used.insert(copy.from);
    const std::vector<double> old = values(from, copy.from), now = values(to, copy.to);
    if (copy.pooled > 1) continue;
    const int64_t n = int64_t(now.size()),
                  begin = copy.part == Conversion::Part::keys_values ? int64_t(old.size()) - n : 0;
    EXPECT_EQ(now, part(old, begin, begin + n)) << copy.to;
    EXPECT_TRUE(copy.part != Conversion::Part::whole || now.size() == old.size()) << copy.to;
  }
  for (const std::string& name : c.initial) {
    ++told[name];
    EXPECT_EQ(values(to, name), before[name]) << name;
  }
  for (const Parameter& p : to.parameters().all()) EXPECT_EQ(told[p.name], 1) << p.name;
  for (const std::string& name : c.unused) EXPECT_FALSE(used.contains(name)) << name;
  EXPECT_EQ(used.size() + c.unused.size(), from.parameters().all().size());
  return c;
}

TEST(Convert, EveryPairOfFamiliesOfEveryPreset) {
  using enum Family;
  for (const std::string& name : preset_names()) {
    for (Family a : {causal, prefix, encoder, encoder_decoder, permutation}) {
      for (Family b : {causal, prefix, encoder, encoder_decoder, permutation}) {
        SCOPED_TRACE(name + ' ' + std::to_string(int(a)) + " to " + std::to_string(int(b)));
        const auto from = random_model(tiny(name, a), 1), to = random_model(tiny(name, b), 2);
        const Conversion c = checked(*from, *to);
        EXPECT_GT(c.copied.size(), c.initial.size());
        for (const Conversion::Copy& copy : c.copied) {
          const bool cross = copy.to.find(".cross.") != std::string::npos;
          EXPECT_EQ(cross && a != encoder_decoder, copy.from.find(".self.") != std::string::npos && cross) << copy.to;
        }
      }
    }
  }
}

TEST(Convert, CausalIsPrefixWithAPrefixOfOne) {
  for (const char* name : {"llama", "gpt2", "bert"}) {
    const auto causal = random_model(tiny(name, Family::causal), 1);
    const auto prefix = random_model(tiny(name, Family::prefix), 2);
    const Conversion c = checked(*causal, *prefix);
    EXPECT_TRUE(c.initial.empty());
    EXPECT_TRUE(c.unused.empty());
    EXPECT_EQ(logits<double>(*prefix, rows_of(1)), logits<double>(*causal, rows_of(1))) << name;
    EXPECT_NE(logits<double>(*prefix, rows_of(3)), logits<double>(*causal, rows_of(3))) << name;
    const auto back = random_model(tiny(name, Family::causal), 3);
    checked(*prefix, *back);
    EXPECT_EQ(logits<double>(*back, rows_of(3)), logits<double>(*causal, rows_of(3))) << name;
  }
}

TEST(Convert, OperandsFollow) {
  const auto from = random_model(tiny("llama", Family::causal), 1, Precision::bfloat16());
  const auto to = random_model(tiny("llama", Family::prefix), 2, Precision::bfloat16());
  convert_weights(*from, *to);
  EXPECT_EQ(logits<float>(*to, rows_of(1)), logits<float>(*from, rows_of(1)));
}

TEST(Convert, AnEncoderIsTheStackOfTheDecoder) {
  ModelSpec spec = tiny("gpt2", Family::encoder);
  spec.encoder.visibility = Visibility::causal;
  spec.classes = 3;
  spec.pooler = true;
  spec.head_transform = true;
  ModelSpec decoder = tiny("gpt2", Family::causal);
  decoder.tied = false;
  const auto from = random_model(decoder, 1), to = random_model(spec, 2);
  const Conversion c = checked(*from, *to);
  EXPECT_EQ(c.initial, (std::vector<std::string>{"head.transform.weight", "head.transform.bias", "head.norm.gain",
                                                 "head.norm.bias", "classes.pooler.weight", "classes.pooler.bias",
                                                 "classes.weight", "classes.bias"}));
  EXPECT_EQ(c.unused, std::vector<std::string>{"head.weight"});
  EXPECT_EQ(hidden(*to, rows_of(0), true), hidden(*from, rows_of(0), false));
  const auto back = random_model(decoder, 3);
  EXPECT_EQ(checked(*to, *back).initial, std::vector<std::string>{"head.weight"});
  EXPECT_EQ(hidden(*back, rows_of(0), false), hidden(*from, rows_of(0), false));
}

TEST(Convert, SurgeryFromADecoderToAnEncoderDecoder) {
  for (const char* name : {"llama", "gpt2", "bart"}) {
    ModelSpec spec = tiny(name, Family::encoder_decoder);
    spec.encoder.visibility = Visibility::causal;
    spec.kv_heads = 2;
    ModelSpec decoder = tiny(name, Family::causal);
    decoder.kv_heads = 2;
    const auto from = random_model(decoder, 1), to = random_model(spec, 2);
    const Conversion c = checked(*from, *to);
    EXPECT_TRUE(c.initial.empty());
    EXPECT_TRUE(c.unused.empty());
    for (const Parameter& p : from->parameters().all()) {
      if (!p.name.starts_with("decoder")) continue;
      EXPECT_EQ(values(*to, p.name), values(*from, p.name)) << p.name;
      EXPECT_EQ(values(*to, "encoder" + p.name.substr(7)), values(*from, p.name)) << p.name;
    }
    // 16 rows of queries, 8 of keys, 8 of values.
    const std::vector<double> qkv = values(*from, "decoder.layers.1.self.qkv.weight");
    EXPECT_EQ(values(*to, "decoder.layers.1.cross.q.weight"), part(qkv, 0, 16 * 16));
    EXPECT_EQ(values(*to, "decoder.layers.1.cross.kv.weight"), part(qkv, 16 * 16, 32 * 16));
    EXPECT_EQ(values(*to, "decoder.layers.1.cross.out.weight"), values(*from, "decoder.layers.1.self.out.weight"));
    EXPECT_EQ(values(*to, "decoder.layers.1.cross.norm.gain"), values(*from, "decoder.layers.1.self.norm.gain"));
    if (spec.biases) {
      const std::vector<double> bias = values(*from, "decoder.layers.1.self.qkv.bias");
      EXPECT_EQ(values(*to, "decoder.layers.1.cross.q.bias"), part(bias, 0, 16));
      EXPECT_EQ(values(*to, "decoder.layers.1.cross.kv.bias"), part(bias, 16, 32));
    }
    EXPECT_EQ(hidden(*to, rows_of(0), true), hidden(*from, rows_of(0), false));
    // And back.
    const auto back = random_model(decoder, 3);
    const Conversion again = checked(*to, *back);
    EXPECT_TRUE(std::ranges::all_of(again.unused, [](const std::string& unused) {
      return unused.starts_with("encoder") || unused.find(".cross.") != std::string::npos;
    }));
    EXPECT_EQ(logits<double>(*back, rows_of(0)), logits<double>(*from, rows_of(0)));
  }
}

TEST(Convert, SharedStacksBeginAsOneAndPart) {
  ModelSpec spec = tiny("llama", Family::encoder_decoder);
  const auto from = random_model(tiny("llama", Family::causal), 1), apart = random_model(spec, 3);
  spec.share_stacks = true;
  const auto to = random_model(spec, 2);
  EXPECT_TRUE(checked(*from, *to).initial.empty());
  EXPECT_TRUE(checked(*to, *apart).initial.empty());
  EXPECT_EQ(values(*apart, "decoder.layers.1.mlp.in.weight"), values(*from, "decoder.layers.1.mlp.in.weight"));
}

TEST(Convert, AHeadThatWasTiedBeginsAsTheEmbedding) {
  ModelSpec spec = tiny("llama", Family::causal);
  const auto from = random_model(spec, 1);
  spec.tied = false;
  const auto to = random_model(spec, 2);
  EXPECT_TRUE(checked(*from, *to).initial.empty());
  EXPECT_EQ(logits<double>(*to, rows_of(0)), logits<double>(*from, rows_of(0)));
}

TEST(Convert, TheTableOfDistancesKeepsItsSides) {
  const auto causal = random_model(tiny("t5", Family::causal), 1), prefix = random_model(tiny("t5", Family::prefix), 2);
  const auto both = random_model(tiny("t5", Family::encoder_decoder), 3);
  EXPECT_EQ(checked(*causal, *prefix).initial, std::vector<std::string>{"decoder.relative_bias.weight"});
  EXPECT_EQ(checked(*causal, *both).initial, std::vector<std::string>{"encoder.relative_bias.weight"});
}

// Means of heads, by hand; and with heads that are alike nothing changes.
TEST(Convert, HeadsOfKeysAndValuesArePooled) {
  for (const char* name : {"llama", "gpt2"}) {
    ModelSpec spec = tiny(name, Family::causal);
    const auto from = random_model(spec, 1);
    spec.kv_heads = 2;
    const auto to = random_model(spec, 2);
    checked(*from, *to);
    // [16 rows of queries, 4 heads of keys, 4 of values], a head 4 rows of 16.
    const std::vector<double> old = values(*from, "decoder.layers.0.self.qkv.weight");
    const std::vector<double> now = values(*to, "decoder.layers.0.self.qkv.weight");
    EXPECT_EQ(part(now, 0, 16 * 16), part(old, 0, 16 * 16));
    for (int64_t head = 0; head < 4; ++head) {  // two of keys, two of values
      for (int64_t i = 0; i < 4 * 16; ++i) {
        const size_t first = size_t((16 + 8 * head) * 16 + i);
        EXPECT_DOUBLE_EQ(now[size_t((16 + 4 * head) * 16 + i)], (old[first] + old[first + 4 * 16]) / 2);
      }
    }
    for (Parameter& p : from->parameters().all()) {
      if (p.name.find("qkv") == std::string::npos) continue;
      const int64_t each = p.rows == 1 ? 1 : p.cols, head = 4 * each;
      for (int64_t k = 4; k < 12; k += 2) {
        std::copy_n(p.value.data<double>() + k * head, head, p.value.data<double>() + (k + 1) * head);
      }
    }
    checked(*from, *to);
    const std::vector<double> a = logits<double>(*from, rows_of(0)), b = logits<double>(*to, rows_of(0));
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-12);
  }
  // Into the cross attention of an encoder-decoder, too.
  ModelSpec spec = tiny("llama", Family::encoder_decoder);
  spec.kv_heads = 1;
  const auto from = random_model(tiny("llama", Family::causal), 1), to = random_model(spec, 2);
  checked(*from, *to);
  const std::vector<double> qkv = values(*from, "decoder.layers.0.self.qkv.weight");
  const std::vector<double> kv = values(*to, "decoder.layers.0.cross.kv.weight");
  double sum = 0;
  for (int64_t head = 0; head < 4; ++head) sum += qkv[size_t((32 + 4 * head) * 16 + 5)];  // the first row of values
  EXPECT_NEAR(kv[4 * 16 + 5], sum / 4, 1e-15);
  EXPECT_EQ(values(*to, "decoder.layers.0.cross.q.weight"), part(qkv, 0, 16 * 16));
}

TEST(Convert, SaysWhatDoesNotFitAndChangesNothing) {
  const auto from = random_model(tiny("llama", Family::causal), 1);
  const auto said = [&](ModelSpec spec) -> std::string {
    const auto to = random_model(spec, 2), before = random_model(spec, 2);
    try {
      convert_weights(*from, *to);
    } catch (const Error& e) {
      for (const Parameter& p : to->parameters().all()) EXPECT_EQ(values(*to, p.name), values(*before, p.name));
      return e.what();
    }
    return "";
  };
  const auto has = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  ModelSpec spec = tiny("llama", Family::encoder_decoder);
  spec.mlp_width = 24;
  has(said(spec), "'decoder.layers.0.mlp.in.weight' [40, 16] does not fit 'encoder.layers.0.mlp.in.weight' [48, 16]");
  spec = tiny("llama", Family::prefix);
  spec.vocabulary = 24;
  has(said(spec), "'embedding.weight' [23, 16] does not fit 'embedding.weight' [24, 16]");
  spec = tiny("llama", Family::prefix);
  spec.decoder.layers = 3;
  has(said(spec), "2 layers in the decoder");
  spec = tiny("llama", Family::prefix);
  spec.activation = Activation::gelu;
  spec.rotary_base = 500;
  has(said(spec), "activation: \"silu\" and \"gelu\", rotary_base: 10000 and 500");
  spec = tiny("llama", Family::prefix);
  spec.heads = spec.kv_heads = 8;
  spec.head_dim = 2;
  has(said(spec), "head_dim: 4 and 2");
  spec = tiny("llama", Family::prefix);
  spec.heads = spec.kv_heads = 8;
  has(said(spec), "4 key heads");
}

}  // namespace
}  // namespace triarch::testing
