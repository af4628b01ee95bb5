// triarch forward: given token ids through a model, to check the engine against anything else.
#include <fmt/format.h>

#include <cstring>

#include "apps/cli/command.h"
#include "apps/cli/forward_inputs.h"
#include "apps/cli/loaded.h"
#include "triarch/checkpoint/weights.h"
#include "triarch/inference/load.h"
#include "triarch/train/learner.h"

namespace triarch::cli {
namespace {

struct ForwardFlags {
  ModelFlags model;
  std::string inputs, output, head;
  bool gradients = false;
};

// Tensors of the output file, in the stream's type.
class Outputs {
 public:
  explicit Outputs(Precision precision) : type_(precision.stream) {}

  void add(const std::string& name, std::vector<int64_t> shape, const std::vector<double>& values) {
    std::vector<char>& bytes = memory_.emplace_back(values.size() * size_t(size_of(type_)));
    for (size_t i = 0; i < values.size(); ++i) {
      const float f = float(values[i]);
      if (type_ == DType::f64) {
        std::memcpy(bytes.data() + 8 * i, &values[i], 8);
      } else {
        std::memcpy(bytes.data() + 4 * i, &f, 4);
      }
    }
    tensors_.emplace_back(name, file_type(type_), std::move(shape), bytes.data());
  }
  void add(NamedTensor tensor) { tensors_.push_back(std::move(tensor)); }
  const std::vector<NamedTensor>& tensors() const { return tensors_; }

 private:
  DType type_;
  std::deque<std::vector<char>> memory_;
  std::vector<NamedTensor> tensors_;
};

double element(const Tensor& t, int64_t row, int64_t col) {
  const int64_t i = row * t.stride() + col;
  switch (t.dtype()) {
    case DType::f64:
      return t.data<double>()[i];
    case DType::bf16:
      return double(float(t.data<bf16>()[i]));
    default:
      return double(t.data<float>()[i]);
  }
}

// Rows at their places, [sequences, columns, cols]; zeros where there is none. `plus`: added, or empty.
struct Spread {
  std::vector<int64_t> shape;
  std::vector<double> values;
};
Spread spread(const Tensor& rows, const Tensor& plus, const std::vector<int32_t>& index,
              const std::vector<Place>& places, int64_t sequences, int64_t columns) {
  Spread out{{sequences, columns, rows.cols()}, {}};
  out.values.assign(size_t(sequences * columns * rows.cols()), 0);
  for (size_t i = 0; i < index.size(); ++i) {
    const Place p = places[size_t(index[i])];
    for (int64_t c = 0; c < rows.cols(); ++c) {
      // Of a tensor with a row per entry of index, or with all rows.
      const int64_t row = rows.rows() == int64_t(index.size()) ? int64_t(i) : int64_t(index[i]);
      out.values[size_t((p.sequence * columns + p.column) * rows.cols() + c)] =
          element(rows, row, c) + (plus.empty() ? 0 : element(plus, row, c));
    }
  }
  return out;
}

Head head_of(const std::string& name, const ModelSpec& spec) {
  if (name.empty()) return spec.classes > 0 ? Head::classes : spec.tags > 0 ? Head::tags : Head::vocabulary;
  if (name == "vocabulary") return Head::vocabulary;
  if (name == "classes") return Head::classes;
  if (name == "tags") return Head::tags;
  fail(ExitCode::usage, "--head: expected vocabulary, classes or tags, found '{}'", name);
}

// Content rows of a stack, and its query rows.
std::vector<int32_t> rows_of(const Rows& rows, bool queries) {
  std::vector<int32_t> out;
  for (const Segment& s : rows.segments) {
    const int32_t begin = queries ? s.begin + s.length : s.begin;
    for (int32_t i = 0; i < (queries ? s.queries : s.length); ++i) out.push_back(begin + i);
  }
  return out;
}

ExitCode run_forward(const ForwardFlags& o) {
  const auto choice = enum_value<PrecisionChoice>(o.model.precision);
  if (!choice) {
    fail(ExitCode::usage, "--precision: expected float32, float64, bfloat16 or auto, found '{}'", o.model.precision);
  }
  const std::filesystem::path folder = open_model(o.model.model());
  ModelSpec spec = read_spec(folder);
  spec.dropout = spec.attention_dropout = 0;
  const Precision precision = resolve(*choice);
  Learner learner(spec, precision, {});
  Model& model = learner.model();
  load_parameters(SafetensorsFile(folder / model_file::weights, "forward"), model.parameters());
  const Head head = head_of(o.head, spec);
  const ForwardInputs in = read_forward_inputs(o.inputs, spec, head);
  const Batch& batch = in.batch;
  if (o.gradients && !in.has_targets) {
    fail(ExitCode::usage, "forward --gradients: '{}': expected labels (there is no loss without), found none",
         o.inputs);
  }

  Outputs out(precision);
  const bool both = spec.has_encoder() && spec.has_decoder();
  const std::vector<int32_t> encoder_rows = rows_of(batch.encoder, false), decoder_rows = rows_of(batch.decoder, false);
  const auto name = [&](bool encoder) {
    return std::string(!both ? "" : encoder ? "encoder_" : "decoder_") + "hidden_states.";
  };
  const auto keep = [&](bool encoder, int64_t layer, const Tensor& x, const Tensor& plus) {
    const Spread s = spread(x, plus, encoder ? encoder_rows : decoder_rows, encoder ? in.encoder : in.decoder,
                            in.sequences, encoder ? in.encoder_columns : in.decoder_columns);
    out.add(name(encoder) + std::to_string(layer), s.shape, s.values);
  };
  {
    // As Transformers counts them: 0 is the embedding, the last one is behind the last norm.
    model.observer = [&](const StackSpec& stack, int64_t layer, const ops::Residual& rows) {
      if (layer == stack.layers) return;
      const bool post = spec.norm_place == NormPlace::post;
      if (post && !rows.y.empty()) {
        keep(&stack == &model.spec().encoder, layer, rows.y.value, {});
      } else {
        keep(&stack == &model.spec().encoder, layer, rows.x.value, rows.delta.value);
      }
    };
    Context ctx{learner.arena(), nullptr, precision};
    Var hidden, memory;
    if (spec.has_encoder()) {
      hidden = memory = model.encode(ctx, batch.encoder);
      keep(true, spec.encoder.layers, hidden.value, {});
    }
    if (spec.has_decoder()) {
      hidden = model.decode(ctx, batch.decoder, memory, batch.encoder.segments);
      keep(false, spec.decoder.layers, hidden.value, {});
    }
    model.observer = {};

    const bool decoder = spec.has_decoder();
    const std::vector<Place>& places = decoder ? in.decoder : in.encoder;
    Batch all;  // predicts everywhere
    all.encoder = batch.encoder;
    all.decoder = batch.decoder;
    all.head = head;
    if (head == Head::classes) {
      for (int64_t s = 0; s < in.sequences; ++s) all.loss_rows.push_back(int32_t(s));
    } else {
      all.loss_rows = spec.family == Family::permutation && head == Head::vocabulary ? rows_of(batch.decoder, true)
                      : decoder                                                      ? decoder_rows
                                                                                     : encoder_rows;
    }
    if (all.loss_rows.empty()) {
      fail(ExitCode::usage, "forward: '{}': the prefix leaves nothing to predict; a permutation LM needs a shorter one",
           o.inputs);
    }
    const Tensor logits = model.logits(ctx, hidden, all);
    if (head == Head::classes) {
      std::vector<double> values;
      for (int64_t r = 0; r < logits.rows(); ++r) {
        for (int64_t c = 0; c < logits.cols(); ++c) values.push_back(element(logits, r, c));
      }
      out.add("logits", {logits.rows(), logits.cols()}, values);
    } else {
      const Spread s =
          spread(logits, {}, all.loss_rows, places, in.sequences, decoder ? in.decoder_columns : in.encoder_columns);
      out.add("logits", s.shape, s.values);
    }
  }
  nlohmann::ordered_json said = {{"output", o.output}, {"sequences", in.sequences}};
  if (in.has_targets) {
    const Tally t = o.gradients ? learner.gradients({&batch, 1}) : learner.evaluate(batch);
    out.add("loss", {}, {t.mean_nll()});
    said["loss"] = t.mean_nll();
    said["targets"] = t.weight;
  }
  if (o.gradients) {
    for (const Parameter& p : model.parameters().all()) {
      out.add(NamedTensor("gradient." + p.name, p.gradient.value, is_vector(p)));
    }
  }
  write_safetensors(o.output, out.tensors(), {}, "forward");
  said["tensors"] = out.tensors().size();
  if (o.model.json) {
    print_json(said);
  } else {
    fmt::print("{}: {} tensors of {} sequences{}\n", o.output, out.tensors().size(), in.sequences,
               in.has_targets ? fmt::format(", loss {:.6f}", said["loss"].get<double>()) : "");
  }
  return ExitCode::ok;
}

}  // namespace

Action declare_forward(Arguments& app) {
  auto o = std::make_shared<ForwardFlags>();
  o->model.declare(app, "");
  app.add_option("-i,--inputs", o->inputs, "JSON with input_ids and what goes with them").required().type_name("FILE");
  app.add_option("-o,--output", o->output, "safetensors file to write").required().type_name("FILE");
  app.add_flag("--gradients", o->gradients, "also the gradient of the mean loss for every parameter: gradient.NAME");
  app.add_option("--head", o->head, "vocabulary, classes or tags; default: what the model was made for").type_name("");
  app.footer(
      "Inputs: {\"input_ids\": [[5, 6, 7], [8, 9]]} and, where wanted, attention_mask, position_ids, token_type_ids,\n"
      "decoder_input_ids, decoder_attention_mask, prefix_length (one per sequence), query_id, weights, and\n"
      "  labels   (-100: none) for decoders the sequence itself, shifted as Transformers does; or\n"
      "  targets  what each place predicts, never shifted.\n"
      "No special ids are added.\n"
      "Outputs: logits [sequences, length, vocabulary], loss, and hidden_states.0 (the embedding) to hidden_states.N\n"
      "(behind the last norm), for encoder-decoders encoder_hidden_states and decoder_hidden_states; zeros where a\n"
      "sequence is shorter. Example:\n"
      "  triarch forward runs/emma-causal-0001 -i in.json -o out.safetensors --gradients --precision float64");
  return [o] { return run_forward(*o); };
}

}  // namespace triarch::cli
