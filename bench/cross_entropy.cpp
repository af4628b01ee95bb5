// Loss and gradient on a chunk of logits, for the vocabularies 4096 and GPT-2's padded 50304.
#include "triarch/kernels/cross_entropy.h"

#include "bench/walk.h"

namespace triarch::bench {
namespace {

using namespace kernels;

template <class T>
void add(int64_t rows, int64_t vocabulary, bool gradient) {
  const std::string name = std::string(gradient ? "gradient/" : "loss/") + type_name<T>() + "/" + std::to_string(rows) +
                           "x" + std::to_string(vocabulary);
  struct Buffers {
    std::vector<float> logits, loss;
    std::vector<T> dlogits;
    std::vector<int32_t> targets;
  };
  add_walk("cross_entropy/" + name, double(rows * vocabulary) * (4 + (gradient ? sizeof(T) : 0)), [=] {
    auto b = std::make_shared<Buffers>(Buffers{values<float>(rows * vocabulary, 1), std::vector<float>(size_t(rows)),
                                               std::vector<T>(size_t(rows * vocabulary)),
                                               indices(rows, int32_t(vocabulary), 2)});
    return [=] {
      CrossEntropy<float, T> a;
      a.rows = rows, a.vocabulary = vocabulary, a.logits = b->logits.data(), a.targets = b->targets.data();
      a.loss = b->loss.data(), a.dlogits = gradient ? b->dlogits.data() : nullptr;
      cross_entropy(a);
    };
  });
}

void add_log_sum(int64_t rows, int64_t vocabulary) {
  add_walk("log_sum_exp/" + std::to_string(rows) + "x" + std::to_string(vocabulary), double(rows * vocabulary) * 4,
           [=] {
             auto z = std::make_shared<std::vector<float>>(values<float>(rows * vocabulary, 1));
             auto out = std::make_shared<std::vector<float>>(static_cast<size_t>(rows));
             return [=] { log_sum_exp(LogSumExp<float>{rows, vocabulary, z->data(), out->data()}); };
           });
}

const bool registered = [] {
  for (int64_t rows : {1, 64}) add_log_sum(rows, 50304);
  for (const auto& [rows, vocabulary] : {std::pair<int64_t, int64_t>{256, 4096}, {2048, 4096}, {128, 50304}}) {
    add<float>(rows, vocabulary, false);
    add<float>(rows, vocabulary, true);
    add<bf16>(rows, vocabulary, true);
  }
  return true;
}();

}  // namespace
}  // namespace triarch::bench
