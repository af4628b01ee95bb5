#include "apps/cli/forward_inputs.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "triarch/base/error.h"
#include "triarch/base/fields.h"
#include "triarch/base/files.h"
#include "triarch/text/tokenizer.h"

namespace triarch::cli {
namespace {

using Given = nlohmann::json;
using Matrix = std::vector<std::vector<double>>;

constexpr double kNone = -100;           // a label that is none
constexpr int64_t kPositions = 1 << 20;  // beyond any text; rotary models take more than max_positions

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path.string()) {
    const std::string text = read_file(path, "forward");
    try {
      json_ = Given::parse(text);
    } catch (const Given::parse_error& e) {
      fail(ExitCode::usage, "forward: '{}' is no valid JSON: at byte {}", path_, e.byte);
    }
    if (!json_.is_object()) fail(ExitCode::usage, "forward: '{}': expected an object with input_ids", path_);
    const std::vector<std::string> known = {"input_ids",
                                            "attention_mask",
                                            "position_ids",
                                            "token_type_ids",
                                            "decoder_input_ids",
                                            "decoder_attention_mask",
                                            "prefix_length",
                                            "query_id",
                                            "labels",
                                            "targets",
                                            "weights"};
    for (const auto& [key, value] : json_.items()) {
      if (std::ranges::find(known, key) == known.end()) {
        fail(ExitCode::usage, "forward: '{}': '{}' is not known{}", path_, key, did_you_mean(key, known));
      }
    }
  }

  bool has(const std::string& key) const { return json_.contains(key); }

  // One row per sequence.
  Matrix matrix(const std::string& key) const {
    const Given& value = json_[key];
    if (!value.is_array() || value.empty()) wrong(key, "a list of lists of numbers", value);
    if (value[0].is_number()) return {row(key, value)};
    Matrix out;
    for (const Given& line : value) out.push_back(row(key, line));
    return out;
  }
  // One number per sequence.
  std::vector<double> vector(const std::string& key, size_t sequences) const {
    const Given& value = json_[key];
    std::vector<double> out = value.is_number() ? std::vector<double>(sequences, value.get<double>()) : row(key, value);
    if (out.size() != sequences) {
      fail(ExitCode::usage, "forward: '{}': expected {} with one number for each of {} sequences, found {}", path_, key,
           sequences, out.size());
    }
    return out;
  }
  // Of the shape of another one, if it is there.
  std::optional<Matrix> like(const std::string& key, const std::string& other, const Matrix& shape) const {
    if (!has(key)) return std::nullopt;
    Matrix out = matrix(key);
    bool same = out.size() == shape.size();
    for (size_t i = 0; same && i < out.size(); ++i) same = out[i].size() == shape[i].size();
    if (!same) fail(ExitCode::usage, "forward: '{}': expected {} of the shape of {}", path_, key, other);
    return out;
  }
  const std::string& path() const { return path_; }

 private:
  [[noreturn]] void wrong(const std::string& key, const char* expected, const Given& found) const {
    fail(ExitCode::usage, "forward: '{}': {}: expected {}, found {}", path_, key, expected, found.dump().substr(0, 40));
  }
  std::vector<double> row(const std::string& key, const Given& line) const {
    if (!line.is_array()) wrong(key, "a list of numbers", line);
    std::vector<double> out;
    for (const Given& x : line) {
      if (!x.is_number()) wrong(key, "a number", x);
      out.push_back(x.get<double>());
    }
    return out;
  }

  std::string path_;
  Given json_;
};

// The rows of one stack.
struct Side {
  Matrix ids;
  std::vector<std::vector<int32_t>> row_of;  // [sequences][columns]: row of the batch, -1: masked
};

void add_rows(const Reader& in, const ModelSpec& spec, const std::string& ids_key, const std::string& mask_key,
              bool is_input, Rows& rows, std::vector<Place>& places, Side& side) {
  side.ids = in.matrix(ids_key);
  const auto mask = in.like(mask_key, ids_key, side.ids);
  const auto positions = is_input ? in.like("position_ids", ids_key, side.ids) : std::nullopt;
  const auto types = is_input ? in.like("token_type_ids", ids_key, side.ids) : std::nullopt;
  if (types && spec.token_types == 0) {
    fail(ExitCode::usage, "forward: '{}': this model has no token types", in.path());
  }
  const auto check = [&](const char* key, double value, int64_t end) {
    if (value < 0 || value >= double(end) || value != double(int64_t(value))) {
      fail(ExitCode::usage, "forward: '{}': {}: expected integers in [0, {}), found {}", in.path(), key, end, value);
    }
  };
  for (size_t s = 0; s < side.ids.size(); ++s) {
    const size_t n = side.ids[s].size();
    Segment segment;
    segment.begin = segment.key_begin = int32_t(rows.size());
    side.row_of.emplace_back(n, -1);
    bool ended = false;
    for (size_t c = 0; c < n; ++c) {
      if (mask && (*mask)[s][c] == 0) {
        ended = segment.length > 0;
        continue;
      }
      if (ended) {
        fail(ExitCode::usage, "forward: '{}': {}: expected the ones of sequence {} to stand together", in.path(),
             mask_key, s);
      }
      check(ids_key.c_str(), side.ids[s][c], spec.vocabulary);
      side.row_of[s][c] = int32_t(rows.size());
      rows.ids.push_back(int32_t(side.ids[s][c]));
      const double position = positions ? (*positions)[s][c] : segment.length;
      check("position_ids", position, kPositions);
      rows.positions.push_back(int32_t(position));
      if (types) {
        check("token_type_ids", (*types)[s][c], spec.token_types);
        rows.types.push_back(int32_t((*types)[s][c]));
      }
      places.push_back({int64_t(s), int64_t(c)});
      ++segment.length;
    }
    if (segment.length == 0) fail(ExitCode::usage, "forward: '{}': sequence {} of {} is empty", in.path(), s, ids_key);
    rows.segments.push_back(segment);
  }
}

int64_t longest(const Side& side) {
  size_t most = 0;
  for (const auto& line : side.ids) most = std::max(most, line.size());
  return int64_t(most);
}

}  // namespace

ForwardInputs read_forward_inputs(const std::filesystem::path& path, const ModelSpec& spec, Head head) {
  const Reader in(path);
  if (!in.has("input_ids")) fail(ExitCode::usage, "forward: '{}': expected input_ids, found none", in.path());
  const bool paired = spec.family == Family::encoder_decoder;
  if (paired != in.has("decoder_input_ids")) {
    fail(ExitCode::usage, "forward: '{}': {}", in.path(),
         paired ? "expected decoder_input_ids (labels are not shifted for you), found none"
                : "decoder_input_ids are for encoder-decoders");
  }
  ForwardInputs out;
  Batch& b = out.batch;
  b.head = head;
  Side encoder, decoder;
  if (spec.has_encoder()) add_rows(in, spec, "input_ids", "attention_mask", true, b.encoder, out.encoder, encoder);
  if (paired) {
    add_rows(in, spec, "decoder_input_ids", "decoder_attention_mask", false, b.decoder, out.decoder, decoder);
    if (encoder.ids.size() != decoder.ids.size()) {
      fail(ExitCode::usage,
           "forward: '{}': expected as many sequences of decoder_input_ids as of input_ids ({}), found {}", in.path(),
           encoder.ids.size(), decoder.ids.size());
    }
    for (size_t s = 0; s < b.decoder.segments.size(); ++s) b.decoder.segments[s].memory = int32_t(s);
  } else if (spec.has_decoder()) {
    add_rows(in, spec, "input_ids", "attention_mask", true, b.decoder, out.decoder, decoder);
  }
  Side& side = spec.has_decoder() ? decoder : encoder;
  Rows& rows = spec.has_decoder() ? b.decoder : b.encoder;
  out.sequences = int64_t(side.ids.size());
  out.encoder_columns = longest(encoder);
  out.decoder_columns = longest(decoder);

  std::vector<double> prefix(side.ids.size(), 0);
  if (in.has("prefix_length")) prefix = in.vector("prefix_length", side.ids.size());
  for (size_t s = 0; s < rows.segments.size(); ++s) {
    Segment& segment = rows.segments[s];
    if (prefix[s] < 0 || prefix[s] > double(segment.length)) {
      fail(ExitCode::usage, "forward: '{}': prefix_length: expected at most the {} ids of sequence {}, found {}",
           in.path(), segment.length, s, prefix[s]);
    }
    segment.prefix = int32_t(prefix[s]);
  }
  if (spec.has_decoder() && spec.decoder.visibility == Visibility::turn_prefix) {
    // A prefix is one turn.
    for (const Segment& segment : rows.segments) {
      for (int32_t i = 0; i < segment.length; ++i) rows.turn_ends.push_back(i < segment.prefix ? segment.prefix : 0);
    }
  }
  if (spec.family == Family::permutation && head == Head::vocabulary) {
    // A query row behind each segment for each id behind the prefix. Segments move apart for them.
    const double query_id = in.has("query_id") ? in.vector("query_id", 1)[0] : Specials{}.mask;
    if (query_id < 0 || query_id >= double(spec.vocabulary)) {
      fail(ExitCode::usage, "forward: '{}': query_id: expected an integer in [0, {}), found {}", in.path(),
           spec.vocabulary, query_id);
    }
    Rows moved;
    std::vector<Place> places;
    for (size_t s = 0; s < rows.segments.size(); ++s) {
      Segment segment = rows.segments[s];
      const int32_t first = segment.begin;
      segment.queries = segment.length - segment.prefix;
      segment.begin = segment.key_begin = int32_t(moved.size());
      for (int32_t i = 0; i < segment.length + segment.queries; ++i) {
        const bool query = i >= segment.length;
        const size_t from = size_t(first + (query ? i - segment.queries : i));
        moved.ids.push_back(query ? int32_t(query_id) : rows.ids[from]);
        moved.positions.push_back(rows.positions[from]);
        if (!rows.types.empty()) moved.types.push_back(rows.types[from]);
        const Place place = out.decoder[from];
        // What the place predicts is predicted by its query row.
        side.row_of[size_t(place.sequence)][size_t(place.column)] = query ? int32_t(moved.size()) - 1 : -1;
        places.push_back(place);
      }
      moved.segments.push_back(segment);
    }
    rows = std::move(moved);
    out.decoder = std::move(places);
  }

  if (in.has("labels") && in.has("targets")) {
    fail(ExitCode::usage, "forward: '{}': expected labels or targets, found both", in.path());
  }
  const bool shifted = in.has("labels") && spec.has_decoder() && !paired && spec.family != Family::permutation &&
                       head == Head::vocabulary;
  const std::string key = in.has("targets") ? "targets" : "labels";
  const int64_t outputs = head == Head::classes ? spec.classes : head == Head::tags ? spec.tags : spec.vocabulary;
  out.has_targets = in.has(key);
  if (!out.has_targets) {
    if (in.has("weights")) fail(ExitCode::usage, "forward: '{}': weights without labels", in.path());
    return out;
  }
  const auto add = [&](int32_t row, double label, double weight) {
    if (label == kNone) return;
    if (label < 0 || label >= double(outputs)) {
      fail(ExitCode::usage, "forward: '{}': {}: expected -100 or integers in [0, {}), found {}", in.path(), key,
           outputs, label);
    }
    b.loss_rows.push_back(row);
    b.targets.push_back(int32_t(label));
    if (in.has("weights")) b.weights.push_back(float(weight));
  };
  if (head == Head::classes) {
    const auto labels = in.vector(key, side.ids.size());
    const auto weights = in.has("weights") ? in.vector("weights", side.ids.size()) : labels;
    for (size_t s = 0; s < labels.size(); ++s) add(int32_t(s), labels[s], weights[s]);
  } else {
    const Matrix labels = *in.like(key, paired ? "decoder_input_ids" : "input_ids", side.ids);
    const Matrix weights = in.like("weights", key, side.ids).value_or(labels);
    for (size_t s = 0; s < labels.size(); ++s) {
      int32_t before = -1;  // the row of the place before
      for (size_t c = 0; c < labels[s].size(); ++c) {
        const int32_t row = side.row_of[s][c];
        if (int32_t predicting = shifted ? before : row; row >= 0 && predicting >= 0) {
          add(predicting, labels[s][c], weights[s][c]);
        }
        before = row;
      }
    }
  }
  if (b.targets.empty()) fail(ExitCode::usage, "forward: '{}': {}: all of them are -100", in.path(), key);
  return out;
}

}  // namespace triarch::cli
