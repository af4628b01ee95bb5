#include "triarch/study/attention_view.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "triarch/base/error.h"
#include "triarch/inference/packed.h"

namespace triarch {
namespace {

// The row's scores in every head.
std::vector<double> scores_of(const ops::AttentionOperands& o, const std::vector<double>& queries, int64_t row) {
  const int64_t keys = o.kv.rows(), d = o.head_dim, q_width = o.heads * d, k_width = o.kv_heads * d;
  const std::vector<double> k = doubles_of(o.kv.value.columns(o.k_column, k_width));
  std::vector<double> out(size_t(o.heads * keys), -std::numeric_limits<double>::infinity());
  for (int64_t h = 0; h < o.heads; ++h) {
    const double* q = queries.data() + row * q_width + h * d;
    for (int64_t j = o.begin[0][row]; j < o.end[0][row]; ++j) {
      const double* key = k.data() + j * k_width + h / (o.heads / o.kv_heads) * d;
      double dot = 0;
      for (int64_t c = 0; c < d; ++c) dot += q[c] * key[c];
      out[size_t(h * keys + j)] = dot * o.scale;
    }
  }
  return out;
}

}  // namespace

std::string AttentionPlace::title() const {
  return cross ? "cross attention" : encoder ? "encoder's self attention" : "decoder's self attention";
}

std::vector<double> AttentionView::attention(size_t layer) const {
  const std::vector<double>& s = layers[layer].scores;
  std::vector<double> out(size_t(keys), 0.0);
  for (int64_t h = 0; h < heads; ++h) {
    const double* row = s.data() + h * keys;
    const double most = *std::max_element(row, row + keys);
    double sum = 0;
    for (int64_t j = 0; j < keys; ++j) sum += std::exp(row[j] - most);
    for (int64_t j = 0; j < keys; ++j) out[size_t(j)] += std::exp(row[j] - most) / sum;
  }
  return out;
}

AttentionWatch::AttentionWatch(Model& model, std::vector<AttentionPlace> places)
    : model_(model), places_(std::move(places)) {
  const auto place_of = [this](const StackSpec& stack, bool cross) {
    const AttentionPlace place{&stack == &model_.spec().encoder, cross};
    return size_t(std::ranges::find(places_, place) - places_.begin());
  };
  model_.attention_observer = [this, place_of](Context&, const StackSpec& stack, int64_t layer, bool cross,
                                               const ops::AttentionOperands& o) {
    const size_t p = place_of(stack, cross);
    if (rows_.empty() || p == places_.size()) return;
    require(o.bias.empty() && o.r.empty() && o.classes == 1,
            "attention view: expected scores of queries and keys alone, found a bias or heads that see different rows");
    AttentionView& view = views_[p];
    view.rows = o.q.rows();
    view.heads = o.heads;
    view.keys = o.kv.rows();
    view.layers.resize(size_t(layer) + 1);
    AttentionView::Layer& at = view.layers[size_t(layer)];
    at.queries = doubles_of(o.q.value.columns(o.q_column, o.heads * o.head_dim));
    at.scores = scores_of(o, at.queries, rows_[p]);
  };
  model_.attention_output_observer = [this, place_of](const StackSpec& stack, int64_t layer, bool cross,
                                                      const Var& output) {
    const size_t p = place_of(stack, cross);
    if (rows_.empty() || p == places_.size()) return;
    std::vector<double>& out = views_[p].layers[size_t(layer)].output;
    out = doubles_of(output.value.row_range(rows_[p], 1));
    double sum = 0;
    for (double x : out) sum += x * x;
    for (double& x : out) x /= std::sqrt(std::max(sum, 1e-300));
  };
}

AttentionWatch::~AttentionWatch() {
  model_.attention_observer = {};
  model_.attention_output_observer = {};
}

void AttentionWatch::look(std::vector<int64_t> rows) {
  require(rows.size() == places_.size(), "attention view: expected a row for each of {} places, found {}",
          places_.size(), rows.size());
  rows_ = std::move(rows);
  views_.assign(places_.size(), {});
}

std::vector<AttentionView> AttentionWatch::take() {
  rows_.clear();
  return std::exchange(views_, {});
}

}  // namespace triarch
