// The run record: metrics.jsonl and TensorBoard's event file, read back by a decoder of our own.
#include "triarch/train/record.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/scratch.h"
#include "tests/train/event_reader.h"
#include "triarch/base/error.h"
#include "triarch/base/files.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;
using testing::decode;
using testing::DecodedEvent;
using testing::masked_crc;

class Record : public ::testing::Test {
 protected:
  std::vector<nlohmann::json> lines() {
    std::vector<nlohmann::json> found;
    std::istringstream file(read_file(run_ / "metrics.jsonl", "test"));
    for (std::string line; std::getline(file, line);) found.push_back(nlohmann::json::parse(line));
    return found;
  }
  std::vector<int64_t> steps() {
    std::vector<int64_t> found;
    for (const auto& line : lines()) found.push_back(line["step"]);
    return found;
  }
  std::vector<int64_t> event_steps(const RecordPosition& p) {
    std::vector<int64_t> found;
    for (const DecodedEvent& e : decode(read_file(run_ / p.events_file, "test"))) {
      if (e.version.empty()) found.push_back(e.step);
    }
    return found;
  }
  static void log(RunRecord& record, int64_t step) { record.log(step, {{"loss", 1.0 / double(step)}}); }
  const Scratch scratch_;
  const fs::path run_ = scratch_.path();
};

TEST(Events, Tags) {
  EXPECT_EQ(event_tag("loss"), "train/loss");
  EXPECT_EQ(event_tag("eval_loss"), "eval/loss");
  EXPECT_EQ(event_tag("eval_samples_per_second"), "eval/samples_per_second");
  EXPECT_EQ(event_tag("test_loss"), "test/loss");
  EXPECT_EQ(event_tag("evaluation"), "train/evaluation");
  EXPECT_EQ(event_tag("val/bpb"), "val/bpb");
}

// The decoder's own CRC, against the published check value of CRC-32C.
TEST(Events, Crc) { EXPECT_EQ(masked_crc("123456789"), ((0xe3069283u >> 15) | (0xe3069283u << 17)) + 0xa282ead8u); }

TEST_F(Record, BothFilesSayTheSame) {
  RecordPosition position;
  {
    RunRecord record(run_);
    record.log(1, {{"loss", 0.1}, {"learning_rate", 3e-4}, {"val/bpb", 1.5}});
    record.log(int64_t(1) << 40, {{"loss", std::nan("")}, {"eval_loss", INFINITY}});
    record.text(3, "sample", "To be\n\"or\" \xff not");
    position = record.sync();
  }
  const auto json = lines();
  ASSERT_EQ(json.size(), 3u);
  EXPECT_EQ(json[0].dump(), R"({"learning_rate":0.0003,"loss":0.1,"step":1,"val/bpb":1.5})");
  EXPECT_TRUE(json[1]["loss"].is_null());
  EXPECT_EQ(json[1]["step"], int64_t(1) << 40);
  EXPECT_EQ(json[2]["sample"], "To be\n\"or\" \xef\xbf\xbd not");
  EXPECT_EQ(read_file(run_ / "metrics.jsonl", "test").rfind("{\"step\": 1, \"loss\": 0.1, ", 0), 0u);

  EXPECT_EQ(position.events_file.rfind("events.out.tfevents.", 0), 0u);
  const auto events = decode(read_file(run_ / position.events_file, "test"));
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].version, "brain.Event:2");
  EXPECT_GT(events[0].wall_time, 1.7e9);
  EXPECT_EQ(events[1].step, 1);
  EXPECT_EQ(events[1].values,
            (std::map<std::string, float>{{"train/loss", 0.1f}, {"train/learning_rate", 3e-4f}, {"val/bpb", 1.5f}}));
  EXPECT_EQ(events[2].step, int64_t(1) << 40);
  EXPECT_TRUE(std::isnan(events[2].values.at("train/loss")));
  EXPECT_TRUE(std::isinf(events[2].values.at("eval/loss")));
}

TEST_F(Record, ResumeHasEveryStepOnce) {
  RecordPosition position;
  {
    RunRecord record(run_);
    for (int step = 1; step <= 4; ++step) log(record, step);
    position = record.sync();
    for (int step = 5; step <= 7; ++step) log(record, step);  // after the checkpoint, before the crash
  }
  // The crash left half a line and half an event.
  truncate_file(run_ / "metrics.jsonl", fs::file_size(run_ / "metrics.jsonl") - 3, "test");
  truncate_file(run_ / position.events_file, fs::file_size(run_ / position.events_file) - 3, "test");
  {
    RunRecord record(run_, position);
    EXPECT_EQ(record.sync(), position);
    for (int step = 5; step <= 9; ++step) log(record, step);
  }
  const std::vector<int64_t> expected = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  EXPECT_EQ(steps(), expected);
  EXPECT_EQ(event_steps(position), expected);
  EXPECT_EQ(std::distance(fs::directory_iterator(run_), fs::directory_iterator()), 2);
}

TEST_F(Record, AMissingFileStartsAnew) {
  RecordPosition position;
  {
    RunRecord record(run_);
    log(record, 2);
    position = record.sync();
  }
  fs::remove(run_ / position.events_file);
  {
    RunRecord record(run_, position);
    log(record, 3);
  }
  EXPECT_EQ(steps(), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(event_steps(position), (std::vector<int64_t>{3}));
}

TEST_F(Record, AShorterFileIsDamaged) {
  RecordPosition position;
  {
    RunRecord record(run_);
    log(record, 1);
    position = record.sync();
  }
  truncate_file(run_ / "metrics.jsonl", 3, "test");
  try {
    RunRecord record(run_, position);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code, ExitCode::corrupt);
    EXPECT_NE(std::string(e.what()).find("metrics.jsonl"), std::string::npos);
  }
  EXPECT_THROW(RunRecord(run_ / "none"), Error);
}

}  // namespace
}  // namespace triarch
