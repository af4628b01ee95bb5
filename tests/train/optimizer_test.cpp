// AdamW and Muon over a model's parameters, against the same in plain float64: which parameter takes which rule, what
// is decayed, clipping, frozen parameters, and gradients that are not finite.
#include "triarch/train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

#include "triarch/base/random.h"
#include "triarch/kernels/isa.h"

namespace triarch {
namespace {

using Values = std::vector<double>;

struct Shape {
  const char* name;
  int64_t rows, cols;
  ParameterKind kind;
};
const std::vector<Shape> kShapes = {
    {"embedding", 31, 7, ParameterKind::embedding}, {"gain", 1, 7, ParameterKind::vector},
    {"wide", 5, 33, ParameterKind::matrix},         {"tall", 67, 9, ParameterKind::matrix},
    {"bias", 1, 67, ParameterKind::vector},         {"one", 1, 1, ParameterKind::matrix},
    {"square", 8, 8, ParameterKind::matrix},        {"last", 1, 3, ParameterKind::vector},
};

double gradient_at(const std::string& name, int64_t step, int64_t i) {
  return float(
      Draw(Key(7, Purpose::test).with(uint64_t(step)).with(std::hash<std::string>()(name)).with(uint64_t(i))).normal());
}

Values read(const Tensor& t, int64_t count) {
  Values out;
  for (int64_t i = 0; i < count; ++i)
    out.push_back(t.dtype() == DType::f64 ? t.data<double>()[i] : double(t.data<float>()[i]));
  return out;
}

struct Trained {
  std::map<std::string, Values> values, first;
  Values norms;
};

// Three updates by the engine.
Trained by_engine(const OptimizerConfig& config, Precision precision, const std::string& frozen) {
  Parameters parameters(precision);
  for (const Shape& s : kShapes) parameters.add(s.name, s.rows, s.cols, s.kind, 0.5, 0.1).frozen = s.name == frozen;
  parameters.allocate(true);
  parameters.initialise(3);
  Optimizer optimizer(config, parameters);
  Trained out;
  for (int64_t step = 1; step <= 3; ++step) {
    parameters.begin_step();
    for (Parameter& p : parameters.all()) {
      if (p.frozen) continue;
      for (int64_t i = 0; i < p.count(); ++i) {
        const double g = gradient_at(p.name, step, i);
        if (precision.stream == DType::f64) {
          p.gradient.value.data<double>()[i] = g;
        } else {
          p.gradient.value.data<float>()[i] = float(g);
        }
      }
      p.gradient.written = true;
    }
    parameters.finish_gradients();
    out.norms.push_back(optimizer.step(1.0 / double(step)));
  }
  EXPECT_EQ(optimizer.steps(), 3);
  for (Parameter& p : parameters.all()) {
    out.values[p.name] = read(p.value, p.count());
    const int64_t size = size_of(precision.stream);
    out.first[p.name] =
        read(Tensor(static_cast<char*>(optimizer.first().raw()) + p.offset * size, precision.stream, 1, p.count()),
             p.count());
    // What products read follows the masters.
    if (precision.operand == DType::bf16) {
      for (int64_t i = 0; i < p.count(); ++i) {
        EXPECT_EQ(p.operand.data<bf16>()[i].bits, bf16(p.value.data<float>()[i]).bits) << p.name;
      }
    }
  }
  return out;
}

Values product(const Values& a, const Values& b, int64_t n, int64_t k, int64_t m, bool b_transposed) {
  Values c(size_t(n * m));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < m; ++j) {
      for (int64_t l = 0; l < k; ++l)
        c[size_t(i * m + j)] += a[size_t(i * k + l)] * b[size_t(b_transposed ? j * k + l : l * m + j)];
    }
  }
  return c;
}

// Newton-Schulz as its authors write it, on the smaller side.
Values orthogonalised(Values x, int64_t rows, int64_t cols, int64_t iterations) {
  double norm = 0;
  for (double v : x) norm += v * v;
  norm = std::sqrt(norm);
  const bool turn = rows > cols;
  const int64_t n = std::min(rows, cols), m = std::max(rows, cols);
  Values y(x.size());
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) y[size_t(turn ? j * rows + i : i * cols + j)] = x[size_t(i * cols + j)] / norm;
  }
  for (int64_t it = 0; it < iterations; ++it) {
    const Values a = product(y, y, n, m, n, true);
    Values b = product(a, a, n, n, n, false);
    for (size_t i = 0; i < b.size(); ++i) b[i] = -4.7750 * a[i] + 2.0315 * b[i];
    const Values by = product(b, y, n, n, m, false);
    for (size_t i = 0; i < y.size(); ++i) y[i] = 3.4445 * y[i] + by[i];
  }
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) x[size_t(i * cols + j)] = y[size_t(turn ? j * rows + i : i * cols + j)];
  }
  return x;
}

// The same three updates from the papers.
Trained by_hand(const OptimizerConfig& c, const std::string& frozen) {
  Parameters start(Precision::float64());
  for (const Shape& s : kShapes) start.add(s.name, s.rows, s.cols, s.kind, 0.5, 0.1);
  start.allocate(false);
  start.initialise(3);
  Trained out;
  std::map<std::string, Values> second;
  for (const Parameter& p : start.all()) {
    out.values[p.name] = read(p.value, p.count());
    out.first[p.name] = second[p.name] = Values(size_t(p.count()));
  }
  for (int64_t step = 1; step <= 3; ++step) {
    double norm = 0;
    for (const Parameter& p : start.all()) {
      if (p.name == frozen) continue;
      for (int64_t i = 0; i < p.count(); ++i) norm += std::pow(gradient_at(p.name, step, i), 2);
    }
    norm = std::sqrt(norm);
    out.norms.push_back(norm);
    const double clip = c.max_grad_norm > 0 ? std::min(1.0, c.max_grad_norm / norm) : 1, factor = 1.0 / double(step);
    for (const Parameter& p : start.all()) {
      if (p.name == frozen) continue;
      Values& w = out.values[p.name];
      Values& m = out.first[p.name];
      Values& v = second[p.name];
      const double decay = p.kind == ParameterKind::vector ? 0 : c.weight_decay;
      if (c.kind == OptimizerKind::muon && p.kind == ParameterKind::matrix) {
        Values u(w.size());
        for (size_t i = 0; i < w.size(); ++i) {
          const double g = clip * gradient_at(p.name, step, int64_t(i));
          m[i] = c.muon_momentum * m[i] + g;
          u[i] = g + c.muon_momentum * m[i];
        }
        const Values direction = orthogonalised(u, p.rows, p.cols, c.muon_iterations);
        const double rate = c.muon_learning_rate * factor,
                     shape = std::sqrt(std::max(1.0, double(p.rows) / double(p.cols)));
        for (size_t i = 0; i < w.size(); ++i) w[i] -= rate * (shape * direction[i] + decay * w[i]);
        continue;
      }
      const double rate = c.learning_rate * factor;
      for (size_t i = 0; i < w.size(); ++i) {
        const double g = clip * gradient_at(p.name, step, int64_t(i));
        m[i] = c.beta1 * m[i] + (1 - c.beta1) * g;
        v[i] = c.beta2 * v[i] + (1 - c.beta2) * g * g;
        const double mean = m[i] / (1 - std::pow(c.beta1, double(step)));
        const double square = v[i] / (1 - std::pow(c.beta2, double(step)));
        w[i] -= rate * (mean / (std::sqrt(square) + c.eps) + decay * w[i]);
      }
    }
  }
  return out;
}

void expect_near(const Trained& found, const Trained& expected, double tolerance) {
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(found.norms[i], expected.norms[i], tolerance * expected.norms[i]);
  for (const auto& [name, values] : expected.values) {
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_NEAR(found.values.at(name)[i], values[i], tolerance) << name << " " << i;
      ASSERT_NEAR(found.first.at(name)[i], expected.first.at(name)[i], tolerance)
          << "first moment of " << name << " " << i;
    }
  }
}

class OptimizerRules : public ::testing::TestWithParam<OptimizerKind> {
 protected:
  OptimizerConfig config() {
    OptimizerConfig c;
    c.kind = GetParam();
    c.learning_rate = 0.05;
    c.muon_learning_rate = 0.1;
    c.weight_decay = 0.3;
    return c;
  }
};

TEST_P(OptimizerRules, EqualFloat64) {
  for (double max_grad_norm : {0.0, 1.0, 1e6}) {
    for (const std::string frozen : {"", "embedding", "wide", "bias", "last"}) {
      OptimizerConfig c = config();
      c.max_grad_norm = max_grad_norm;
      const Trained expected = by_hand(c, frozen);
      expect_near(by_engine(c, Precision::float64(), frozen), expected, 1e-6);
      const kernels::Isa best = kernels::active_isa();
      for (kernels::Isa isa : kernels::kIsas) {
        if (!kernels::force_isa(isa)) continue;
        expect_near(by_engine(c, Precision::float32(), frozen), expected, 2e-5);
        expect_near(by_engine(c, Precision::bfloat16(), frozen), expected, 2e-5);
      }
      kernels::force_isa(best);
    }
  }
}

TEST_P(OptimizerRules, FrozenKeepTheirBytes) {
  Parameters parameters(Precision::float32());
  for (const Shape& s : kShapes) parameters.add(s.name, s.rows, s.cols, s.kind, 0.5);
  parameters.allocate(true);
  parameters.initialise(3);
  Parameter& p = *parameters.find("tall");
  p.frozen = true;
  const Values before = read(p.value, p.count());
  EXPECT_EQ(parameters.operand(p).gradient, nullptr);
  EXPECT_EQ(parameters.stream(p).gradient, nullptr);
  Optimizer optimizer(config(), parameters);
  // A gradient from before it was frozen counts for nothing.
  for (int64_t i = 0; i < p.count(); ++i) p.gradient.value.data<float>()[i] = 1e6f;
  parameters.begin_step();
  parameters.finish_gradients();
  EXPECT_EQ(optimizer.step(1), 0);
  EXPECT_EQ(read(p.value, p.count()), before);
}

TEST_P(OptimizerRules, AGradientThatIsNotFiniteChangesNothing) {
  for (float bad : {NAN, INFINITY}) {
    Parameters parameters(Precision::float32());
    for (const Shape& s : kShapes) parameters.add(s.name, s.rows, s.cols, s.kind, 0.5);
    parameters.allocate(true);
    parameters.initialise(3);
    Optimizer optimizer(config(), parameters);
    const Values before = read(parameters.flat_values(), parameters.flat_size());
    parameters.begin_step();
    parameters.finish_gradients();
    parameters.find("square")->gradient.value.data<float>()[5] = bad;
    EXPECT_FALSE(std::isfinite(optimizer.step(1)));
    EXPECT_EQ(read(parameters.flat_values(), parameters.flat_size()), before);
    EXPECT_EQ(read(optimizer.first(), parameters.flat_size()), Values(size_t(parameters.flat_size())));
    EXPECT_EQ(optimizer.steps(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, OptimizerRules, ::testing::Values(OptimizerKind::adamw, OptimizerKind::muon),
                         [](const auto& kind) { return kind.param == OptimizerKind::adamw ? "adamw" : "muon"; });

}  // namespace
}  // namespace triarch
