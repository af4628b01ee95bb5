#include "triarch/study/compare_board.h"

#include <chrono>
#include <numeric>

#include "triarch/base/files.h"
#include "triarch/train/events.h"

namespace triarch {

void write_board(const Comparison& comparison) {
  AtomicFolder folder(comparison.folder() / "tensorboard", "compare");
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const std::vector<double>& tokens = comparison.data().suffixes.tokens;
  const double suffix_tokens = std::accumulate(tokens.begin(), tokens.end(), 0.0);
  for (const Contender& contender : comparison.config().contenders) {
    for (const std::optional<TrialResult>& trial : comparison.results(contender)) {
      if (!trial) continue;
      std::string records = event_file_header(now);
      for (const CurvePoint& p : trial->curve) {
        std::vector<Metric> metrics = {{"loss", p.train_loss},
                                       {"eval_loss", p.own_loss},
                                       {"eval_tokens", double(p.tokens)},
                                       {"eval_flops", p.flops}};
        if (p.suffix_loss) metrics.push_back({"eval_suffix_loss", *p.suffix_loss});
        records += event_record(now, p.step, metrics);
      }
      std::vector<Metric> last = {{"test_loss", trial->own_loss}};
      if (!trial->suffix_losses.empty()) {
        const auto& x = trial->suffix_losses;
        last.push_back({"test_suffix_loss", std::accumulate(x.begin(), x.end(), 0.0) / suffix_tokens});
      }
      records += event_record(now, trial->steps, last);
      const std::filesystem::path run = folder.path() / fmt::format("{}.{}", contender.name, trial->seed);
      std::filesystem::create_directories(run);
      write_file(run / event_file_name(now), records, "compare");
    }
  }
  folder.commit();
}

}  // namespace triarch
