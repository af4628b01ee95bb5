// The weights of a model: named views of flat buffers, so that one clip, one update and one all-reduce
// serve all of them.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "triarch/autograd/tape.h"
#include "triarch/base/random.h"

namespace triarch {

enum class ParameterKind : uint8_t {
  matrix,     // of a linear layer [out, in]: decayed, Muon's
  embedding,  // a table [rows, width]: decayed
  vector,     // gains, biases: neither
};

struct Parameter {
  std::string name;
  int64_t rows = 1, cols = 0;
  ParameterKind kind = ParameterKind::vector;
  double init_mean = 0, init_std = 0;
  bool frozen = false;
  int64_t offset = 0;  // in the flat buffers, in elements
  Tensor value;        // master weights, in the stream's type; empty where only `operand` is kept
  Tensor operand;      // the same as products read them (the masters themselves where the types are equal)
  Gradient gradient;   // in the stream's type, over the flat gradient buffer

  int64_t count() const { return rows * cols; }
  // Its part of a flat buffer.
  Tensor part_of(const Tensor& flat) const;
};

class Parameters {
 public:
  explicit Parameters(Precision precision) : precision_(precision) {}

  // Before allocate(). References stay valid.
  Parameter& add(std::string name, int64_t rows, int64_t cols, ParameterKind kind, double init_std,
                 double init_mean = 0);
  // Takes the buffers; gradients only where the model will be trained. Where it will not be, matrices that are stored
  // in another type than the stream's have no masters, and nothing is flat.
  void allocate(bool with_gradients);
  // Draws all weights: each parameter from its own key, so that none depends on which others exist.
  void initialise(uint64_t seed);

  // New values: `fill` writes them into a matrix of p's shape in the stream's type, which becomes p.
  void write(Parameter& p, const std::function<void(const Tensor& to)>& fill);

  Parameter* find(const std::string& name);
  std::deque<Parameter>& all() { return list_; }
  const std::deque<Parameter>& all() const { return list_; }

  // The flat buffers, padding between parameters included (zeros); empty where nothing is flat.
  int64_t flat_size() const { return flat_size_; }
  Tensor flat_values() const { return values_; }
  Tensor flat_gradients() const { return gradients_; }
  int64_t count() const;  // weights

  // Gradients start anew: the next backward writes.
  void begin_step();
  // Zeroes what no backward wrote (and frozen parameters): now the flat buffer is the gradient.
  void finish_gradients();
  // After the masters have changed: refreshes the operand copies.
  void refresh();
  size_t bytes() const { return arena_.used(); }

  Precision precision() const { return precision_; }
  // The parameter as an operand of a product, or as a stream-typed vector or table.
  Var operand(Parameter& p) const { return {p.operand, p.frozen || gradients_.empty() ? nullptr : &p.gradient}; }
  Var stream(Parameter& p) const { return {p.value, p.frozen || gradients_.empty() ? nullptr : &p.gradient}; }

 private:
  Precision precision_;
  Arena arena_;  // before the tensors, which it must outlive
  std::deque<Parameter> list_;
  std::unordered_map<std::string, Parameter*> by_name_;
  int64_t flat_size_ = 0;
  Tensor values_, gradients_, operands_;
};

}  // namespace triarch
