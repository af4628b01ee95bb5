#include "triarch/inference/embed.h"

#include <cmath>

#include "triarch/inference/packed.h"

namespace triarch {

std::vector<std::vector<float>> embed(const Model& model, const Specials& specials,
                                      std::span<const std::vector<int32_t>> texts, const EmbedOptions& options) {
  const ModelSpec& spec = model.spec();
  for (const std::vector<int32_t>& text : texts) {
    const RowCount rows = row_count(layout_of(spec.family), int64_t(text.size()), 0);
    const int64_t longest = spec.has_encoder() ? rows.encoder : rows.decoder;
    if (longest > spec.max_positions) {
      fail(ExitCode::usage, "embed: a text of {} tokens takes {} rows, and the model has {} positions; split it",
           text.size(), longest, spec.max_positions);
    }
  }
  const auto make = [&](size_t i) {
    Example e;
    e.source = texts[i];
    e.head = Head::classes;  // the whole text is source, and nothing is predicted
    e.label = 0;
    return e;
  };
  std::vector<std::vector<float>> out;
  packed(model, specials, options.rows, texts.size(), make, [&](Context& ctx, const Batch& batch, size_t, size_t) {
    const Rows& rows = spec.has_encoder() ? batch.encoder : batch.decoder;
    const Var hidden = spec.has_encoder() ? model.encode(ctx, rows) : model.decode(ctx, rows, {}, {});
    const std::vector<double> pooled = doubles_of(model.pool(ctx, hidden, rows, options.pooling).value);
    const size_t width = size_t(spec.width);
    for (size_t begin = 0; begin < pooled.size(); begin += width) {
      double squares = 0;
      for (size_t i = begin; i < begin + width; ++i) squares += pooled[i] * pooled[i];
      const double scale = options.normalize && squares > 0 ? 1 / std::sqrt(squares) : 1;
      std::vector<float> row(width);
      for (size_t i = 0; i < width; ++i) row[i] = float(pooled[begin + i] * scale);
      out.push_back(std::move(row));
    }
  });
  return out;
}

}  // namespace triarch
