// Ranges of settings, and what a model to start from says against dials.
#include "triarch/train/config.h"

#include "tests/train/run_problem.h"
#include "triarch/checkpoint/weights.h"

namespace triarch {
namespace {

using testing::RunTest;

class ConfigTest : public RunTest {};

TEST_F(ConfigTest, RangesAreChecked) {
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"optimizer.beta1", "1"},
                                                        {"optimizer.beta2", "1"},
                                                        {"optimizer.eps", "0"},
                                                        {"optimizer.learning_rate", "-1"},
                                                        {"optimizer.weight_decay", "-0.1"},
                                                        {"optimizer.max_grad_norm", "-1"},
                                                        {"optimizer.muon_learning_rate", "-1"},
                                                        {"optimizer.muon_momentum", "1.5"},
                                                        {"optimizer.muon_iterations", "0"},
                                                        {"schedule.warmup", "-5"},
                                                        {"schedule.floor", "2"},
                                                        {"schedule.decay", "-1"},
                                                        {"loss.label_smoothing", "1"},
                                                        {"loss.z_loss", "-1"},
                                                        {"budget.steps", "-1"},
                                                        {"budget.tokens", "-5"},
                                                        {"data.vocabulary", "-1"},
                                                        {"data.vocabulary", "5G"},
                                                        {"context", "4"},
                                                        {"batch_rows", "16"},
                                                        {"batch_rows", "5G"},
                                                        {"depth", "-1"},
                                                        {"accumulation", "0"}}) {
    TrainConfig c = config("run");
    c.check();
    assign(c, {{key, value, "--" + key}});
    const std::string message = error_of([&] { begin(c); }, ExitCode::usage);
    EXPECT_EQ(message.rfind(key + ": expected", 0), 0u) << message;
  }
}

TEST_F(ConfigTest, AModelToStartFromKeepsItsShape) {
  train(*begin(config("base", Family::causal, 2)));
  const std::string base = (root_ / "base").string();
  const auto configured = [&](std::vector<Assignment> with) {
    with.push_back({"init_from", base, "MODEL"});
    return configure({}, with);
  };
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"size", "small"}, {"size", "mini"}, {"depth", "5"}, {"model.preset", "gpt2"}, {"size", "smal"}}) {
    const std::string message = error_of([&, k = key, v = value] { configured({{k, v, "--" + k}}); }, ExitCode::usage);
    EXPECT_EQ(message.rfind(key + ":", 0), 0u) << message;
  }
  const TrainConfig c = configured({{"depth", "2", "--depth"}, {"model.preset", "llama", "--preset"}});
  EXPECT_EQ(c.model.width, 32);
  EXPECT_EQ(c.model.decoder.layers, 2);
  // What was resolved can be asked for again.
  write_file(root_ / "again.yaml", to_yaml(configured({})), "test");
  EXPECT_EQ(configure({(root_ / "again.yaml").string()}, {}).model.width, 32);
  EXPECT_EQ(configure({}, {{"size", "small", "--size"}}).size, "small");
  EXPECT_EQ(configure({}, {}).size, "mini");
}

}  // namespace
}  // namespace triarch
