// Pointwise functions of the MLP: 2048 rows of 4 d for d 256 and d 512.
#include "triarch/kernels/activation.h"

#include "bench/walk.h"

namespace triarch::bench {
namespace {

using namespace kernels;

template <class T>
void add(Activation f, const std::string& activation, int64_t rows, int64_t cols) {
  const std::string name = activation + "/" + type_name<T>() + "/" + std::to_string(rows) + "x" + std::to_string(cols);
  const double matrix = double(rows * cols) * sizeof(T);
  struct Buffers {
    std::vector<T> in, out, din, again;
  };
  const auto prepare = [=] {
    return std::make_shared<Buffers>(Buffers{values<T>(rows * 2 * cols, 1), values<T>(rows * cols, 2),
                                             values<T>(rows * 2 * cols, 3), values<T>(rows * cols, 4)});
  };
  add_walk("gated_forward/" + name, 3 * matrix, [=] {
    const auto b = prepare();
    return [=] { gated_forward(GatedForward<T>{rows, cols, b->in.data(), b->out.data(), f}); };
  });
  add_walk("gated_backward/" + name, 6 * matrix, [=] {
    const auto b = prepare();
    return [=] {
      gated_backward(GatedBackward<T>{rows, cols, b->in.data(), b->out.data(), b->din.data(), b->again.data(), f});
    };
  });
  add_walk("activation_backward/" + name, 4 * matrix, [=] {
    const auto b = prepare();
    return [=] {
      activation_backward(
          ActivationBackward<T>{rows, cols, b->in.data(), b->out.data(), b->din.data(), b->again.data(), f});
    };
  });
}

const bool registered = [] {
  for (int64_t cols : {1024, 2048}) {
    add<float>(Activation::silu, "silu", 2048, cols);
    add<bf16>(Activation::silu, "silu", 2048, cols);
    add<bf16>(Activation::gelu, "gelu", 2048, cols);
  }
  return true;
}();

}  // namespace
}  // namespace triarch::bench
