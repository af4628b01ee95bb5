// The run record: metrics.jsonl, one JSON object per logged step, and the same numbers for TensorBoard. After a crash
// both are cut back to where the checkpoint says, so that a resumed run has every step exactly once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "triarch/train/events.h"

namespace triarch {

// How much of the record belongs to a checkpoint (state.json keeps it).
struct RecordPosition {
  int64_t metrics_bytes = 0;
  std::string events_file;  // its name in the run's folder
  int64_t events_bytes = 0;
  bool operator==(const RecordPosition&) const = default;
};

class RunRecord {
 public:
  // Starts a record in the run's folder, which has none.
  explicit RunRecord(const std::filesystem::path& run);
  // Goes on with the record where a checkpoint left it. What came later is cut off; a file that is gone starts anew;
  // one that is shorter than it was is an error with ExitCode::corrupt.
  RunRecord(const std::filesystem::path& run, const RecordPosition& at);
  ~RunRecord();
  RunRecord(const RunRecord&) = delete;
  RunRecord& operator=(const RunRecord&) = delete;

  // One line {"step": 10, "loss": 2.5, ...} in the order given, and one event. A number that is not finite is null in
  // JSON and itself in the event. Other programs see it at once. Names as Hugging Face's: loss, learning_rate,
  // grad_norm, epoch, eval_loss; or with a slash: val/bpb, train/tok_per_sec, memory/max_active(GiB).
  void log(int64_t step, const std::vector<Metric>& metrics);
  // One line {"step": 10, "sample": "..."}: the model's own work. Not for TensorBoard.
  void text(int64_t step, const std::string& name, const std::string& text);
  // Waits until all of it is on the disk; to be called before a checkpoint that holds the position is committed.
  RecordPosition sync();

 private:
  void open();
  void append(int fd, const std::string& bytes, const std::filesystem::path& path);

  std::filesystem::path metrics_path_, events_path_;
  int metrics_ = -1, events_ = -1;
};

}  // namespace triarch
