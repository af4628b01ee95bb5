#include "triarch/model/convert.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "triarch/base/error.h"
#include "triarch/base/fields.h"
#include "triarch/model/names.h"
#include "triarch/model/visibility.h"

namespace triarch {
namespace {

using Part = Conversion::Part;

std::string shape_of(const Parameter& p) { return fmt::format("[{}, {}]", p.rows, p.cols); }

// The specification without what conversions may change, and without what shapes tell.
ModelSpec meaning_of(const ModelSpec& full) {
  ModelSpec s = full, plain;
  s.family = plain.family;
  s.preset = plain.preset;
  s.encoder = s.decoder = {};
  s.share_stacks = false;
  s.vocabulary = s.width = s.heads = s.kv_heads = s.mlp_width = s.max_positions = 1;
  s.token_types = s.features = s.classes = s.tags = 0;
  s.labels.clear();
  s.pooling = plain.pooling;
  s.tied = s.head_bias = s.head_transform = s.pooler = false;
  s.dropout = s.attention_dropout = s.init_std = 0;
  return s;
}

class Converter {
 public:
  Converter(const Model& from, Model& to) : from_(from.spec()), to_(to.spec()), source_(from.parameters()) {
    const std::vector<std::string> other = differences<ModelSpec>(meaning_of(from_), meaning_of(to_));
    if (!other.empty()) {
      fail(ExitCode::usage, "convert: expected models whose weights mean the same, found {}; make the new one alike",
           fmt::join(other, ", "));
    }
    require(source_.precision().stream == to.parameters().precision().stream,
            "convert: expected two models of one precision, found {} and {}", name_of(source_.precision().stream),
            name_of(to.parameters().precision().stream));
    if (to_.kv_heads > from_.kv_heads || from_.kv_heads % to_.kv_heads != 0) {
      fail(ExitCode::usage, "convert: expected {} key heads or a part of them, found {}; heads can be joined, not made",
           from_.kv_heads, to_.kv_heads);
    }
    for (const char* stack : {"encoder", "decoder"}) {
      const StackSpec& s = stack_of(to_, stack);
      const StackSpec& old = stack_of(from_, counterpart(stack));
      if (s.layers > 0 && s.layers != old.layers) {
        fail(ExitCode::usage, "convert: expected {} layers in the {} as in what it comes from, found {}", old.layers,
             stack, s.layers);
      }
    }
    for (Parameter& p : to.parameters().all()) plan(p);
  }

  Conversion run() {
    std::set<std::string> used;
    for (const auto& [copy, from, to] : steps_) {
      used.insert(copy.from);
      if (to->value.dtype() == DType::f64) {
        move<double>(copy, *from, *to);
      } else {
        move<float>(copy, *from, *to);
      }
      out_.copied.push_back(copy);
    }
    for (const Parameter& p : source_.all()) {
      if (!used.contains(p.name)) out_.unused.push_back(p.name);
    }
    return std::move(out_);
  }

 private:
  struct Step {
    Conversion::Copy copy;
    const Parameter* from;
    Parameter* to;
  };

  static const StackSpec& stack_of(const ModelSpec& spec, std::string_view name) {
    return name == "encoder" ? spec.encoder : spec.decoder;
  }
  // The stack of the source that a stack begins as.
  std::string_view counterpart(std::string_view stack) const {
    return stack_of(from_, stack).layers > 0 ? stack : stack == "encoder" ? "decoder" : "encoder";
  }
  const Parameter* find(const std::string& name) const {
    const auto& all = source_.all();
    const auto found = std::ranges::find(all, name, &Parameter::name);
    return found == all.end() ? nullptr : &*found;
  }

  void plan(Parameter& p) {
    const size_t dot = p.name.find('.');
    const std::string first = p.name.substr(0, dot), rest = p.name.substr(dot);
    if (first == "encoder" || first == "decoder") {
      plan_stack(p, first, rest);
    } else if (first == "embedding" || from_.has_decoder() == to_.has_decoder()) {
      const Parameter* same = find(p.name);
      if (!same && p.name == "head.weight") same = find("embedding.weight");  // it was tied
      add(p, same, Part::whole);
    } else {
      add(p, nullptr, Part::whole);
    }
  }

  void plan_stack(Parameter& p, const std::string& stack, const std::string& rest) {
    const std::string old(counterpart(stack));
    if (rest == ".relative_bias.weight" &&
        sees_both_sides(stack_of(from_, old).visibility) != sees_both_sides(stack_of(to_, stack).visibility)) {
      return add(p, nullptr, Part::whole);
    }
    // Blocks that both stacks of the source share are the encoder's.
    const auto of = [&](const std::string& name) {
      const Parameter* found = find(old + name);
      return !found && from_.share_stacks ? find("encoder" + name) : found;
    };
    std::string name = rest;
    Part part = Part::whole;
    const Parameter* found = of(name);
    const size_t cross = rest.find(".cross.");
    if (!found && cross != std::string::npos) {
      std::string layer = rest.substr(cross + 7);  // q.weight
      const size_t dot = layer.find('.');
      const std::string op = layer.substr(0, dot);
      if (op == "q" || op == "kv") {
        part = op == "q" ? Part::queries : Part::keys_values;
        layer = "qkv" + layer.substr(dot);
      }
      name = rest.substr(0, cross) + ".self." + layer;
      found = of(name);
    }
    if (!found) fail("convert: expected a tensor to begin '{}' with, found no '{}{}'", p.name, old, name);
    add(p, found, part);
  }

  void add(Parameter& p, const Parameter* from, Part part) {
    if (!from) {
      out_.initial.push_back(p.name);
      return;
    }
    // Rows that hold keys and values, in the matrix or its bias.
    const bool kv =
        from->name.find(".self.qkv.") != std::string::npos || p.name.find(".cross.kv.") != std::string::npos;
    const int64_t pooled = kv && part != Part::queries ? from_.kv_heads / to_.kv_heads : 1;
    const bool vector = from->rows == 1;
    const int64_t outputs = vector ? from->cols : from->rows;
    const int64_t keys = 2 * from_.kv_heads * from_.head_dim;
    int64_t wanted = part == Part::queries ? outputs - keys : part == Part::keys_values ? keys : outputs;
    if (pooled > 1) wanted -= keys - keys / pooled;
    if ((vector ? p.cols : p.rows) != wanted || (vector ? p.rows : p.cols) != (vector ? 1 : from->cols)) {
      fail(ExitCode::usage, "convert: '{}' {} does not fit '{}' {}; make the new model as wide as the old one",
           from->name, shape_of(*from), p.name, shape_of(p));
    }
    require(!from->value.empty() && !p.value.empty(), "convert: '{}' has no master weights: a model for use only",
            p.name);
    steps_.push_back({{p.name, from->name, part, pooled}, from, &p});
  }

  template <class S>
  void move(const Conversion::Copy& copy, const Parameter& from, Parameter& to) const {
    const int64_t each = from.rows == 1 ? 1 : from.cols;  // numbers of an output
    const int64_t keys = 2 * from_.kv_heads * from_.head_dim;
    const S* read = from.value.data<S>();
    S* write = to.value.data<S>();
    if (copy.part == Part::keys_values) read += from.count() - keys * each;
    // What is not pooled comes first: the queries.
    const int64_t pooled_count = copy.pooled > 1 ? keys / copy.pooled * each : 0;
    const int64_t plain = to.count() - pooled_count;
    std::copy_n(read, plain, write);
    read += plain;
    write += plain;
    const int64_t head = from_.head_dim * each;
    for (int64_t i = 0; i < pooled_count; ++i) {
      S sum = 0;
      for (int64_t h = 0; h < copy.pooled; ++h) sum += read[(i / head * copy.pooled + h) * head + i % head];
      write[i] = sum / S(copy.pooled);
    }
  }

  const ModelSpec &from_, &to_;
  const Parameters& source_;
  std::vector<Step> steps_;
  Conversion out_;
};

}  // namespace

Conversion convert_weights(const Model& from, Model& to) {
  Conversion out = Converter(from, to).run();
  to.parameters().refresh();
  return out;
}

}  // namespace triarch
