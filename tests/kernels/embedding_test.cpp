#include "triarch/kernels/embedding.h"

#include "tests/kernels/check.h"

namespace triarch::kernels::test {
namespace {

constexpr int64_t kVocabulary = 23, kPositions = 11, kTypes = 3;

struct Problem {
  int64_t rows, cols;
  bool positional = true, typed = true;
  Values table = normal_values(kVocabulary * cols, 1);
  Values position_table = normal_values(kPositions * cols, 2);
  Values type_table = normal_values(kTypes * cols, 3);
  Values features = normal_values(rows * cols, 4);
  std::vector<int32_t> ids = integers(rows, 5, -1, kVocabulary);  // -1: a row without a token
  std::vector<int32_t> positions = integers(rows, 6, 0, kPositions);
  std::vector<int32_t> types = integers(rows, 7, 0, kTypes);
};

template <class S>
Values forward(const Problem& p) {
  auto table = as<S>(p.table), position_table = as<S>(p.position_table), type_table = as<S>(p.type_table);
  auto out = as<S>(p.features);
  EmbeddingForward<S> a;
  a.rows = p.rows, a.cols = p.cols, a.scale = S(0.5), a.out = out.data();
  a.ids = p.ids.data(), a.table = table.data();
  if (p.positional) a.positions = p.positions.data(), a.position_table = position_table.data();
  if (p.typed) a.types = p.types.data(), a.type_table = type_table.data();
  embedding_forward(a);
  return doubles(out);
}
template <class S>
Values backward(const Problem& p, const Values& dout_values, bool accumulate) {
  auto dout = as<S>(dout_values), gradient = as<S>(normal_values(kVocabulary * p.cols, 8));
  EmbeddingBackward<S> a;
  a.rows = p.rows, a.cols = p.cols, a.table_rows = kVocabulary, a.ids = p.ids.data(), a.scale = S(0.5);
  a.dout = dout.data(), a.table_gradient = gradient.data(), a.accumulate = accumulate;
  embedding_backward(a);
  return doubles(gradient);
}

TEST(embedding, equals_reference) {
  for (int64_t cols : {1, 15, 33, 67, 600}) {
    for (int64_t rows : {0, 1, 70}) {
      for (int option = 0; option < 4; ++option) {
        const Problem p{rows, cols, (option & 1) != 0, (option & 2) != 0};
        const Values dout = normal_values(rows * cols, 9);
        const bool accumulate = (option & 1) != 0;
        on_every_isa([&] {
          expect_close(forward<float>(p), forward<double>(p), 1e-6, "out");
          expect_close(backward<float>(p, dout, accumulate), backward<double>(p, dout, accumulate), 5e-6, "gradient");
        });
      }
    }
  }
}

TEST(embedding, reference_gradient_is_the_finite_difference) {
  Problem p{9, 5};
  const Values dout = normal_values(p.rows * p.cols, 9);
  expect_close(backward<double>(p, dout, false),
               finite_differences(p.table, [&] { return dot(forward<double>(p), dout); }), 1e-8, "gradient");
}

TEST(embedding, same_bits_on_any_number_of_threads) {
  const Problem p{500, 515};
  const Values dout = normal_values(p.rows * p.cols, 9);
  on_every_isa([&] {
    expect_same_on_any_threads([&] { return forward<float>(p); });
    expect_same_on_any_threads([&] { return backward<float>(p, dout, true); });
  });
}

}  // namespace
}  // namespace triarch::kernels::test
