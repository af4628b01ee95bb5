// The other objectives, and what holds for all.
#include "triarch/objective/objective.h"

#include <cmath>
#include <map>
#include <set>

#include "tests/objective/objective_problem.h"
#include "triarch/base/fields.h"

namespace triarch {
namespace {

std::vector<ObjectiveKind> kinds() {
  std::vector<ObjectiveKind> out;
  for (const auto& [kind, name] : EnumNames<ObjectiveKind>::table) out.push_back(kind);
  return out;
}

bool same(const Example& a, const Example& b) {
  return a.source == b.source && a.target == b.target && a.labels == b.labels &&
         a.source_positions == b.source_positions && a.target_positions == b.target_positions && a.label == b.label &&
         a.head == b.head && a.key == b.key && a.tokens == b.tokens && a.target_bytes == b.target_bytes;
}

// A passage that every objective takes.
struct Everything {
  Ids ids, target = words(4), tags;
  Passage passage;
  explicit Everything(int64_t n) : ids(words(n)), tags(size_t(n), 2) {
    passage.ids = ids;
    passage.target = target;
    passage.tags = tags;
    passage.label = 1;
  }
};

TEST(NextToken, AllOfTheText) {
  const auto o = make_objective(spec_of(ObjectiveKind::next_token), test_vocabulary());
  const Ids ids = words(5);
  Passage p;
  p.ids = ids;
  EXPECT_EQ(o->example(p, {}).target, joined(ids, {1}));
  EXPECT_TRUE(o->example(p, {}).source.empty());
  EXPECT_EQ(o->example(p, {}).target_bytes, 20);  // eos is no text
  p.ends = false;
  EXPECT_EQ(o->example(p, {}).target, ids);
}

TEST(PrefixLm, UniformSplit) {
  const auto o = make_objective(spec_of(ObjectiveKind::prefix_lm), test_vocabulary());
  const Ids ids = words(10);
  std::map<size_t, double> splits;
  const int examples = 5000;
  for (int k = 0; k < examples; ++k) {
    const Example e = o->example(ids, test_key(uint64_t(k)));
    EXPECT_EQ(joined(e.source, e.target), joined(ids, {1}));
    ++splits[e.source.size()];
  }
  EXPECT_EQ(splits.size(), 10u);
  EXPECT_FALSE(splits.contains(10));  // something is left to predict
  for (const auto& [at, times] : splits) expect_share(times / examples, 0.1, examples);
  EXPECT_EQ(o->example(words(1), test_key(1)).target, joined(words(1), {1}));
}

TEST(PermutationLm, PositionsRestoreTheText) {
  for (double share : {1.0, 1 / 6.0, 0.5}) {
    ObjectiveSpec s = spec_of(ObjectiveKind::permutation_lm);
    s.plm_probability = share;
    const auto o = make_objective(s, test_vocabulary());
    for (int64_t n : {1, 2, 5, 31, 100}) {
      double targets = 0;
      const Ids ids = joined(words(n), {1});
      std::set<Ids> orders;
      const int examples = 300;
      for (int k = 0; k < examples; ++k) {
        const Example e = o->example(words(n), test_key(uint64_t(k)));
        ASSERT_EQ(e.source.size(), e.source_positions.size());
        ASSERT_EQ(e.target.size(), e.target_positions.size());
        ASSERT_GE(e.target.size(), 1u);
        ASSERT_LE(int64_t(e.target.size()), o->extent(n).target);
        EXPECT_TRUE(std::is_sorted(e.source_positions.begin(), e.source_positions.end()));
        Ids text(ids.size(), -1);
        for (size_t i = 0; i < e.source.size(); ++i) text[size_t(e.source_positions[i])] = e.source[i];
        for (size_t i = 0; i < e.target.size(); ++i) text[size_t(e.target_positions[i])] = e.target[i];
        EXPECT_EQ(text, ids);
        orders.insert(e.target_positions);
        targets += double(e.target.size());
      }
      if (share == 1) {
        EXPECT_EQ(targets, double(examples) * double(n + 1));
      }
      if (n == 100 && share < 1) {
        EXPECT_NEAR(targets / examples / 101, share, 0.02);
      }
      if (n == 100) {
        EXPECT_GT(orders.size(), 290u);
      }
    }
  }
}

TEST(PermutationLm, SpansWithinTheirStretch) {
  // A text long enough that the ends do not matter: spans of 1 to 5 tokens, equally often.
  ObjectiveSpec s = spec_of(ObjectiveKind::permutation_lm);
  const auto o = make_objective(s, test_vocabulary());
  const Example e = o->example(words(60000), test_key(1));
  EXPECT_NEAR(double(e.target.size()) / 60001, 1 / 6.0, 0.002);
  // All orders of factorisation of three targets are equally likely.
  s.plm_probability = 1;
  const auto all = make_objective(s, test_vocabulary());
  std::map<Ids, double> orders;
  const int examples = 6000;
  for (int k = 0; k < examples; ++k) ++orders[all->example(words(2), test_key(uint64_t(k))).target_positions];
  EXPECT_EQ(orders.size(), 6u);
  for (const auto& [order, times] : orders) expect_share(times / examples, 1 / 6.0, examples);
}

TEST(Labelled, PairsClassesAndTags) {
  const Vocabulary v = test_vocabulary();
  const Everything all(3);
  const Example pair = make_objective(spec_of(ObjectiveKind::seq2seq), v)->example(all.passage, {});
  EXPECT_EQ(pair.source, all.ids);
  EXPECT_EQ(pair.target, joined(all.target, {1}));
  EXPECT_EQ(pair.tokens, 7);
  EXPECT_EQ(pair.target_bytes, 16);
  const Example masked = make_objective(spec_of(ObjectiveKind::masked_target), v)->example(all.passage, {});
  EXPECT_EQ(masked.source, joined(all.ids, Ids(4, v.specials.mask)));
  EXPECT_EQ(masked.labels, joined(Ids(3, -1), all.target));
  EXPECT_TRUE(masked.target.empty());
  const Example cls = make_objective(spec_of(ObjectiveKind::classification), v)->example(all.passage, {});
  EXPECT_EQ(cls.source, all.ids);
  EXPECT_EQ(cls.label, 1);
  EXPECT_EQ(cls.head, Head::classes);
  EXPECT_EQ(cls.target_bytes, 0);
  const Example tags = make_objective(spec_of(ObjectiveKind::tagging), v)->example(all.passage, {});
  EXPECT_EQ(tags.labels, all.tags);
  EXPECT_EQ(tags.head, Head::tags);
  for (ObjectiveKind kind :
       {ObjectiveKind::seq2seq, ObjectiveKind::masked_target, ObjectiveKind::classification, ObjectiveKind::tagging}) {
    const auto o = make_objective(spec_of(kind), v);
    EXPECT_FALSE(o->takes_text());
    EXPECT_THROW(o->example(all.ids, {}), Error);  // the text alone
    EXPECT_EQ(longest_passage(*o, Layout::decoder, 32, 64), 0);
  }
}

TEST(Objectives, PureFunctionsOfPassageAndKey) {
  const Vocabulary v = test_vocabulary();
  const Everything all(67);
  for (ObjectiveKind kind : kinds()) {
    const auto a = make_objective(spec_of(kind), v), b = make_objective(spec_of(kind), v);
    const Example first = a->example(all.passage, test_key(1));
    for (uint64_t k = 2; k < 5; ++k) b->example(all.passage, test_key(k));  // leaves nothing behind
    EXPECT_TRUE(same(first, b->example(all.passage, test_key(1)))) << a->name();
    EXPECT_EQ(first.key, test_key(1).value());
    EXPECT_EQ(a->name(), enum_name(kind));
    EXPECT_THROW(a->example(Passage{}, test_key(1)), Error);
    // One kind of loss.
    EXPECT_EQ(int(!first.target.empty()) + int(!first.labels.empty()) + int(first.label >= 0), 1) << a->name();
  }
}

TEST(Objectives, EveryPairingPacksAndLongestPassagesFit) {
  const Vocabulary v = test_vocabulary();
  for (Family family :
       {Family::encoder, Family::causal, Family::prefix, Family::encoder_decoder, Family::permutation}) {
    for (ObjectiveKind kind : kinds()) {
      if (!pairs(family, kind)) {
        EXPECT_THROW(check_pairing(family, kind), Error);
        continue;
      }
      check_pairing(family, kind);
      const auto o = make_objective(spec_of(kind), v);
      const Layout layout = layout_of(family);
      for (auto [context, capacity] : {std::pair<int64_t, int64_t>(64, 160), {33, 40}, {256, 256}}) {
        int64_t longest = longest_passage(*o, layout, context, capacity);
        if (!o->takes_text()) longest = 20;
        Packer packer(layout, v.specials, capacity, context);
        int64_t most = 0;
        for (int64_t n : {int64_t(1), int64_t(2), longest / 2, longest - 1, longest}) {
          if (n < 1) continue;
          const Everything all(n);
          for (uint64_t k = 0; k < 30; ++k) {
            packer.clear();
            const Example e = o->example(all.passage, test_key(k));
            ASSERT_TRUE(packer.add(e));
            most = std::max(most, packer.batch().rows());
            if (o->takes_text()) {
              const Extent bound = o->extent(n);
              EXPECT_LE(int64_t(e.source.size()), bound.source) << o->name();
              EXPECT_LE(int64_t(e.target.size()), bound.target) << o->name();
              EXPECT_LE(int64_t(e.source.size() + e.target.size()), bound.both) << o->name();
            }
          }
        }
        EXPECT_EQ(packer.truncated(), 0) << o->name() << " for " << layout_name(layout) << " at " << context;
        // The bound is not a waste: rows come near to the context.
        if (o->takes_text()) {
          EXPECT_GE(most, std::min(context, capacity) * 2 / 3) << o->name();
        }
      }
    }
  }
}

TEST(Objectives, LongestPassagesByHand) {
  const Vocabulary v = test_vocabulary();
  const auto longest = [&](ObjectiveKind kind, Layout layout, int64_t context, int64_t capacity) {
    return longest_passage(*make_objective(spec_of(kind), v), layout, context, capacity);
  };
  EXPECT_EQ(longest(ObjectiveKind::next_token, Layout::decoder, 256, 2048), 255);
  EXPECT_EQ(longest(ObjectiveKind::masked_lm, Layout::encoder, 256, 2048), 254);
  // T5's own: 568 tokens become 512 inputs and 114 targets, both with eos.
  EXPECT_EQ(longest(ObjectiveKind::span_corruption, Layout::encoder_decoder, 512, 2048), 568);
  EXPECT_THROW(longest(ObjectiveKind::next_token, Layout::encoder, 256, 2048), Error);
  EXPECT_THROW(longest(ObjectiveKind::masked_lm, Layout::encoder, 2, 2048), Error);
}

TEST(Objectives, PairingErrorsNameWhatWorks) {
  try {
    check_pairing(Family::encoder, ObjectiveKind::next_token);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code, ExitCode::usage);
    const std::string text = e.what();
    for (const char* word : {"an encoder cannot learn from next_token", "masked_lm, masked_next_token, masked_target",
                             "a causal decoder, a prefix decoder or a permutation LM"}) {
      EXPECT_NE(text.find(word), std::string::npos) << text;
    }
  }
}

TEST(Mixture, DrawsByWeight) {
  const Vocabulary v = test_vocabulary();
  std::vector<ObjectiveSpec> specs{spec_of(ObjectiveKind::next_token), spec_of(ObjectiveKind::span_corruption),
                                   spec_of(ObjectiveKind::prefix_lm)};
  specs[0].weight = 1;
  specs[1].weight = 2;
  specs[2].weight = 1;
  const auto o = make_objective(specs, v);
  EXPECT_EQ(o->name(), "0.25 next_token + 0.50 span_corruption + 0.25 prefix_lm");
  const auto next = make_objective(specs[0], v), span = make_objective(specs[1], v),
             prefix = make_objective(specs[2], v);
  const Ids ids = words(50);
  double found[3] = {};
  const int examples = 4000;
  for (int k = 0; k < examples; ++k) {
    const Example e = o->example(ids, test_key(uint64_t(k)));
    // The example is that of the part alone, with the same key.
    int i = 0;
    for (const auto* part : {&next, &span, &prefix}) {
      if (same(e, (*part)->example(ids, test_key(uint64_t(k))))) break;
      ++i;
    }
    ASSERT_LT(i, 3);
    ++found[i];
  }
  // A prefix LM whose source is empty (1 in 50) is the same as next token.
  expect_share(found[0] / examples, 0.25 * 51 / 50, examples);
  expect_share(found[1] / examples, 0.5, examples);
  EXPECT_EQ(o->extent(50).both, span->extent(50).both);
  EXPECT_EQ(make_objective(std::vector{specs[0]}, v)->name(), "next_token");
  EXPECT_THROW(make_objective(std::vector<ObjectiveSpec>{}, v), Error);
  EXPECT_THROW(make_objective({specs[0], spec_of(ObjectiveKind::classification)}, v), Error);
  specs[0].weight = 0;
  EXPECT_THROW(make_objective(specs, v), Error);
}

TEST(ObjectiveSpecs, ReadFromText) {
  ObjectiveSpec s;
  parse_yaml("kind: span-corruption\nnoise_density: 0.5\n", "test", s);
  EXPECT_EQ(s.kind, ObjectiveKind::span_corruption);
  EXPECT_EQ(s.noise_density, 0.5);
  EXPECT_THROW(parse_yaml("kind: next_tokens\n", "test", s), Error);
  s.noise_density = 1;
  EXPECT_THROW(make_objective(s, test_vocabulary()), Error);
}

TEST(Vocabularies, OfATokenizer) {
  const Vocabulary v = vocabulary_of(Tokenizer());
  EXPECT_EQ(v.size, Tokenizer().vocabulary());
  const Ids ids = Tokenizer().encode("a.\n");
  ASSERT_EQ(ids.size(), 3u);
  EXPECT_FALSE(v.ends_sentence[size_t(ids[0])]);
  EXPECT_TRUE(v.ends_sentence[size_t(ids[1])]);
  EXPECT_TRUE(v.ends_sentence[size_t(ids[2])]);
  EXPECT_EQ(v.bytes[size_t(ids[0])], 1);
  EXPECT_EQ(v.bytes[size_t(v.specials.mask)], 0);
  const Tokenizer closed = Tokenizer::of_words({"so", "end.", "quoted.\"", "e.g", "\u3002"});
  const Vocabulary w = vocabulary_of(closed);
  const auto ends = [&](const char* word) { return bool(w.ends_sentence[size_t(closed.encode(word).front())]); };
  EXPECT_FALSE(ends("so"));
  EXPECT_TRUE(ends("end."));
  EXPECT_TRUE(ends("quoted.\""));
  EXPECT_FALSE(ends("e.g"));
  EXPECT_TRUE(ends("\u3002"));
}

}  // namespace
}  // namespace triarch
