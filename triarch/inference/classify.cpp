#include "triarch/inference/classify.h"

#include <algorithm>
#include <cmath>

#include "triarch/inference/packed.h"
#include "triarch/inference/sampling.h"

namespace triarch {
namespace {

std::vector<double> probabilities(const Tensor& logits, int64_t row) {
  std::vector<double> p = log_softmax(doubles_of(logits.row_range(row, 1)));
  for (double& x : p) x = std::exp(x);
  return p;
}

std::vector<int32_t> beginning(const std::vector<int32_t>& ids, int64_t most) {
  return {ids.begin(), ids.begin() + std::min<ptrdiff_t>(ptrdiff_t(ids.size()), ptrdiff_t(most))};
}

}  // namespace

int64_t longest_text(const ModelSpec& spec) {
  const RowCount none = row_count(layout_of(spec.family), 0, 0);
  return std::max<int64_t>(1, spec.max_positions - (spec.has_encoder() ? none.encoder : none.decoder));
}

std::vector<std::vector<double>> classify(const Model& model, const Specials& specials,
                                          std::span<const std::vector<int32_t>> texts, int64_t rows) {
  if (model.spec().classes == 0) {
    fail(ExitCode::usage,
         "classify: this model has no classes; finetune it on texts with labels first (objective classification)");
  }
  const auto make = [&](size_t i) {
    Example e;
    e.source = beginning(texts[i], longest_text(model.spec()));
    e.head = Head::classes;
    e.label = 0;  // any: only logits are looked at
    return e;
  };
  std::vector<std::vector<double>> out;
  packed(model, specials, rows, texts.size(), make, [&](Context& ctx, const Batch& batch, size_t, size_t count) {
    const Tensor logits = model.logits(ctx, model.forward(ctx, batch), batch);
    for (size_t i = 0; i < count; ++i) out.push_back(probabilities(logits, int64_t(i)));
  });
  return out;
}

std::vector<std::vector<std::vector<double>>> tag(const Model& model, const Specials& specials,
                                                  std::span<const std::vector<int32_t>> texts,
                                                  std::span<const std::vector<int64_t>> places, int64_t rows) {
  if (model.spec().tags == 0) {
    fail(ExitCode::usage, "tag: this model has no tags; finetune it on tagged texts first (objective tagging)");
  }
  require(texts.size() == places.size(), "tag: expected places for each of {} texts, found {}", texts.size(),
          places.size());
  std::vector<std::vector<std::vector<double>>> out(texts.size());
  // Texts without a place to tag would be examples without a loss.
  std::vector<size_t> used;
  const int64_t most = longest_text(model.spec());
  const auto read = [&](size_t i, int64_t place) {
    return place >= 0 && place < std::min(most, int64_t(texts[i].size()));
  };
  for (size_t i = 0; i < texts.size(); ++i) {
    out[i].resize(places[i].size());
    if (std::ranges::any_of(places[i], [&](int64_t p) { return read(i, p); })) used.push_back(i);
  }
  const auto make = [&](size_t u) {
    Example e;
    e.source = beginning(texts[used[u]], most);
    e.head = Head::tags;
    e.labels.assign(e.source.size(), -1);
    for (int64_t p : places[used[u]]) {
      if (read(used[u], p)) e.labels[size_t(p)] = 0;  // any: it marks the row
    }
    return e;
  };
  packed(model, specials, rows, used.size(), make, [&](Context& ctx, const Batch& batch, size_t first, size_t count) {
    const Tensor logits = model.logits(ctx, model.forward(ctx, batch), batch);
    int64_t row = 0;
    for (size_t u = first; u < first + count; ++u) {
      const size_t i = used[u];
      for (size_t p = 0; p < places[i].size(); ++p) {
        if (read(i, places[i][p])) out[i][p] = probabilities(logits, row++);
      }
    }
  });
  return out;
}

}  // namespace triarch
