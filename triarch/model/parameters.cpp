#include "triarch/model/parameters.h"

#include <algorithm>
#include <cstring>

#include "triarch/autograd/context.h"
#include "triarch/base/error.h"
#include "triarch/base/threads.h"
#include "triarch/kernels/rows.h"

namespace triarch {
namespace {

constexpr int64_t kAlignment = 64;  // elements: whole cache lines and vectors in every type

uint64_t hash_name(const std::string& name) {  // FNV-1a
  uint64_t h = 0xcbf29ce484222325ull;
  for (unsigned char c : name) h = (h ^ c) * 0x100000001b3ull;
  return h;
}

}  // namespace

Tensor Parameter::part_of(const Tensor& flat) const {
  return Tensor(static_cast<char*>(flat.raw()) + offset * size_of(flat.dtype()), flat.dtype(), rows, cols);
}

Parameter& Parameters::add(std::string name, int64_t rows, int64_t cols, ParameterKind kind, double init_std,
                           double init_mean) {
  require(values_.empty(), "parameters: '{}' is added after allocation", name);
  Parameter& p = list_.emplace_back();
  require(by_name_.emplace(name, &p).second, "parameters: '{}' exists already", name);
  p.name = std::move(name);
  p.rows = rows;
  p.cols = cols;
  p.kind = kind;
  p.init_std = init_std;
  p.init_mean = init_mean;
  p.offset = flat_size_;
  flat_size_ += (p.count() + kAlignment - 1) / kAlignment * kAlignment;
  return p;
}

void Parameters::allocate(bool with_gradients) {
  const auto take = [&](DType type, int64_t rows, int64_t cols) {
    Tensor t = arena_.tensor(type, rows, cols);
    // The first to touch it waits for the system to clear it: all threads share that.
    constexpr int64_t kPiece = 4 << 20;
    const int64_t bytes = rows * cols * size_of(type);
    parallel((bytes + kPiece - 1) / kPiece, [&](int64_t i, int) {
      std::memset(static_cast<char*>(t.raw()) + i * kPiece, 0, size_t(std::min(kPiece, bytes - i * kPiece)));
    });
    return t;
  };
  const DType stored = precision_.weights;
  if (!with_gradients && stored != precision_.stream) {
    for (Parameter& p : list_) {
      if (p.kind != ParameterKind::matrix) p.value = take(precision_.stream, p.rows, p.cols);
      p.operand = p.value;
      if (p.kind == ParameterKind::vector) continue;
      p.operand = stored == DType::i8 ? take(stored, p.rows, kScaleBytes + p.cols).columns(kScaleBytes, p.cols)
                                      : take(stored, p.rows, p.cols);
    }
    return;
  }
  require(stored == precision_.operand, "parameters: weights stored as {} are for use, not for training",
          name_of(stored));
  const auto zeros = [&](DType type) { return take(type, 1, flat_size_); };
  values_ = zeros(precision_.stream);
  operands_ = precision_.operand == precision_.stream ? values_ : zeros(precision_.operand);
  if (with_gradients) gradients_ = zeros(precision_.stream);
  for (Parameter& p : list_) {
    p.value = p.part_of(values_);
    p.operand = p.part_of(operands_);
    if (with_gradients) p.gradient.value = p.part_of(gradients_);
  }
}

void Parameters::initialise(uint64_t seed) {
  const auto draw_one = [&](int64_t at, int) {
    Parameter& p = list_[size_t(at)];
    Draw draw(Key(seed, Purpose::initial_weights).with(hash_name(p.name)));
    write(p, [&](const Tensor& to) {
      dispatch(precision_, [&]<class S, class T>() {
        S* w = to.data<S>();
        for (int64_t i = 0; i < p.count(); ++i) {
          // Rounded to float32 in every precision, so that a float64 model starts where a float32 one does.
          w[i] = S(float(p.init_mean + (p.init_std > 0 ? p.init_std * draw.normal() : 0)));
        }
      });
    });
  };
  if (!values_.empty()) return parallel(int64_t(list_.size()), draw_one);
  for (int64_t i = 0; i < int64_t(list_.size()); ++i) draw_one(i, 0);  // takes memory, which may fail
}

void Parameters::write(Parameter& p, const std::function<void(const Tensor& to)>& fill) {
  Arena arena;
  const Tensor values = p.value.empty() ? arena.tensor(precision_.stream, p.rows, p.cols) : p.value;
  fill(values);
  if (p.operand.raw() == values.raw()) return;
  if (p.operand.dtype() == DType::i8) {
    kernels::QuantiseRows q;
    q.rows = p.rows;
    q.cols = p.cols;
    q.from = values.data<float>();
    q.to = p.operand.data<int8_t>();
    q.to_stride = p.operand.stride();
    kernels::quantise_rows(q);
  } else {
    kernels::convert(kernels::Convert<float, bf16>{p.count(), values.data<float>(), p.operand.data<bf16>()});
  }
}

Parameter* Parameters::find(const std::string& name) {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

int64_t Parameters::count() const {
  int64_t n = 0;
  for (const Parameter& p : list_) n += p.count();
  return n;
}

void Parameters::begin_step() {
  for (Parameter& p : list_) p.gradient.written = false;
}

void Parameters::finish_gradients() {
  for (Parameter& p : list_) {
    if (p.gradient.written) continue;
    std::memset(p.gradient.value.raw(), 0, size_t(p.count() * size_of(p.gradient.value.dtype())));
    p.gradient.written = true;
  }
}

void Parameters::refresh() {
  require(!values_.empty(), "parameters: a model for use only has no masters to refresh from");
  if (precision_.operand != DType::bf16) return;
  kernels::Convert<float, bf16> c;
  c.count = flat_size_;
  c.from = values_.data<float>();
  c.to = operands_.data<bf16>();
  kernels::convert(c);
}

}  // namespace triarch
