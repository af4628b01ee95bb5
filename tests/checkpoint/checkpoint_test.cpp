// Checkpoints appear whole or not at all, whatever ends the process, and damage of any bit is found.
#include "triarch/checkpoint/checkpoint.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/scratch.h"
#include "triarch/base/error.h"
#include "triarch/base/random.h"

namespace triarch {
namespace {

namespace fs = std::filesystem;

// In place where the length stays: file systems wait for the disk when a file is emptied and written again.
void overwrite(const fs::path& path, const std::string& bytes) {
  const bool in_place = fs::exists(path) && fs::file_size(path) == bytes.size();
  std::fstream(path, in_place ? std::ios::in | std::ios::out : std::ios::out) << bytes;
}

struct State {
  int64_t step = 0;
  double seconds = 0;
  std::vector<int64_t> carried = {3, 4};
  template <class V>
  void fields(V& v) {
    v("step", step);
    v("seconds", seconds);
    v("carried", carried);
  }
};

constexpr int64_t kFloats = 20011;

// All contents are functions of the step.
fs::path save(const fs::path& run, int64_t step) {
  CheckpointWriter writer(run, step);
  const std::vector<float> weights(kFloats, float(step)), moments(2 * kFloats, float(-step));
  writer.tensors(checkpoint_file::model, {{"w", FileType::f32, {kFloats}, weights.data()}});
  writer.tensors(checkpoint_file::optimizer, {{"m", FileType::f32, {2 * kFloats}, moments.data()}});
  State state;
  state.step = step;
  state.seconds = 0.1 * double(step);
  writer.state(state);
  writer.text(checkpoint_file::config, "a: 1\n");
  overwrite(writer.path() / "tokenizer.model", "tokens");
  return writer.commit();
}

void expect_whole(const fs::path& path, int64_t step) {
  const Checkpoint c(path);
  EXPECT_EQ(c.step(), step);
  const SafetensorsFile model = c.tensors(checkpoint_file::model), optimizer = c.tensors(checkpoint_file::optimizer);
  const auto* w = static_cast<const float*>(model.get("w", std::vector<int64_t>{kFloats}).data);
  EXPECT_EQ(w[0], float(step));
  EXPECT_EQ(w[kFloats - 1], float(step));
  EXPECT_EQ(static_cast<const float*>(optimizer.find("m")->data)[2 * kFloats - 1], float(-step));
  State state;
  c.state(state);
  EXPECT_EQ(state.step, step);
  EXPECT_EQ(state.seconds, 0.1 * double(step));
  EXPECT_EQ(state.carried, (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(c.text("tokenizer.model"), "tokens");
}

class Checkpoints : public ::testing::Test {
 protected:
  std::vector<int64_t> steps() const {
    std::vector<int64_t> found;
    for (const auto& place : list_checkpoints(run_)) found.push_back(place.step);
    return found;
  }
  std::string refusal(const fs::path& path) {
    try {
      Checkpoint c(path);
    } catch (const Error& e) {
      EXPECT_EQ(e.code, ExitCode::corrupt) << e.what();
      return e.what();
    }
    return "";
  }
  const Scratch scratch_;
  const fs::path run_ = scratch_.path();
};

TEST_F(Checkpoints, ComesBack) {
  EXPECT_EQ(save(run_, 7), run_ / "checkpoint-7");
  expect_whole(run_ / "checkpoint-7", 7);
  save(run_, 7);  // in place of the former one
  expect_whole(run_ / "checkpoint-7", 7);
  EXPECT_EQ(std::distance(fs::directory_iterator(run_), fs::directory_iterator()), 1);
  const Checkpoint c(run_ / "checkpoint-7");
  EXPECT_TRUE(c.has("tokenizer.model"));
  EXPECT_FALSE(c.has("other"));
  EXPECT_THROW(c.text("other"), Error);
}

TEST_F(Checkpoints, NewestAndPrune) {
  EXPECT_FALSE(newest_checkpoint(run_));
  EXPECT_FALSE(newest_checkpoint(run_ / "none"));
  EXPECT_THROW(resolve_checkpoint(run_), Error);
  EXPECT_THROW(resolve_checkpoint(run_ / "none"), Error);
  for (int64_t step : {5, 100, 20, 9}) save(run_, step);
  fs::create_directory(run_ / "checkpoint-300");  // never finished
  fs::create_directory(run_ / "checkpoint-x");
  fs::create_directory(run_ / "checkpoint-400.tmp-1-0123abcd");
  EXPECT_EQ(steps(), (std::vector<int64_t>{5, 9, 20, 100}));
  EXPECT_EQ(newest_checkpoint(run_)->step, 100);
  EXPECT_EQ(resolve_checkpoint(run_), run_ / "checkpoint-100");
  EXPECT_EQ(resolve_checkpoint(run_ / "checkpoint-9"), run_ / "checkpoint-9");
  EXPECT_NE(refusal(run_ / "checkpoint-300").find("never finished"), std::string::npos);
  prune_checkpoints(run_, 0);
  EXPECT_EQ(steps(), (std::vector<int64_t>{5, 9, 20, 100}));
  prune_checkpoints(run_, 2, 5);
  EXPECT_EQ(steps(), (std::vector<int64_t>{5, 20, 100}));
  prune_checkpoints(run_, 2);
  EXPECT_EQ(steps(), (std::vector<int64_t>{20, 100}));
  prune_checkpoints(run_, 5);
  EXPECT_EQ(steps(), (std::vector<int64_t>{20, 100}));
}

TEST_F(Checkpoints, BitFlipsAnywhereAreFound) {
  const fs::path path = save(run_, 7);
  Draw draw(Key(2, Purpose::test));
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string whole = read_file(entry.path(), "test");
    for (int round = 0; round < 60; ++round) {
      std::string changed = whole;
      // Also all bits of the manifest's first bytes, and both ends of each file.
      const uint64_t bit = round == 0 ? 0 : round == 1 ? whole.size() * 8 - 1 : draw.below(whole.size() * 8);
      changed[bit / 8] = char(changed[bit / 8] ^ (1 << (bit % 8)));
      overwrite(entry.path(), changed);
      const std::string message = refusal(path);
      EXPECT_NE(message.find(entry.path().filename().string()), std::string::npos) << entry.path() << " " << bit;
    }
    overwrite(entry.path(), whole.substr(0, whole.size() - 1));
    EXPECT_NE(refusal(path).find(entry.path().filename().string()), std::string::npos);
    fs::remove(entry.path());
    EXPECT_NE(refusal(path).find(entry.path().filename().string()), std::string::npos);
    overwrite(entry.path(), whole);
  }
  expect_whole(path, 7);
}

// Who uses a model waits for what he reads only.
TEST_F(Checkpoints, OnlyWhatIsReadIsChecked) {
  const fs::path path = save(run_, 1), moments = path / checkpoint_file::optimizer;
  std::string bytes = read_file(moments, "test");
  bytes.back() = char(bytes.back() ^ 1);
  overwrite(moments, bytes);
  EXPECT_EQ(Checkpoint(path, {checkpoint_file::model, checkpoint_file::config}).step(), 1);
  EXPECT_THROW(Checkpoint(path, {checkpoint_file::optimizer}), Error);
  EXPECT_THROW(Checkpoint{path}, Error);
  fs::resize_file(moments, bytes.size() - 1);
  EXPECT_THROW(Checkpoint(path, {checkpoint_file::model}), Error);
}

TEST_F(Checkpoints, EveryBitOfTheManifestMatters) {
  const fs::path path = save(run_, 7), manifest = path / checkpoint_file::manifest;
  const std::string whole = read_file(manifest, "test");
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string changed = whole;
    changed[bit / 8] = char(changed[bit / 8] ^ (1 << (bit % 8)));
    overwrite(manifest, changed);
    EXPECT_NE(refusal(path), "") << bit;
  }
}

// A child saves step after step and is killed at a random moment, again and again: the newest checkpoint is always
// whole, and never older than the last one that the child reported as saved.
TEST_F(Checkpoints, KillsDuringSaves) {
  Draw draw(Key(3, Purpose::test));
  int64_t begin = 1;
  int leftovers = 0;
  for (int round = 0; round < 40; ++round) {
    int done[2];
    ASSERT_EQ(::pipe(done), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(done[0]);
      for (int64_t step = begin;; ++step) {
        save(run_, step);
        if (::write(done[1], &step, sizeof step) != sizeof step) ::_exit(1);
        prune_checkpoints(run_, 2);
      }
    }
    ::close(done[1]);
    // One whole save, so that there is progress, then up to a few more.
    int64_t reported = 0, next;
    ASSERT_EQ(::read(done[0], &reported, sizeof reported), ssize_t(sizeof reported));
    ::usleep(useconds_t(draw.below(8000)));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    while (::read(done[0], &next, sizeof next) == ssize_t(sizeof next)) reported = next;
    ::close(done[0]);

    const auto newest = newest_checkpoint(run_);
    ASSERT_TRUE(newest);
    EXPECT_GE(newest->step, reported);
    EXPECT_LE(newest->step, reported + 1);
    for (const auto& place : list_checkpoints(run_)) expect_whole(place.path, place.step);
    leftovers += remove_leftovers(run_);
    begin = newest->step + 1;
  }
  EXPECT_GT(leftovers, 4) << "too few kills fell into a save to show anything";
  EXPECT_LE(steps().size(), 3u);
}

TEST_F(Checkpoints, AFullDiskKeepsTheLastOne) {
  const fs::path disk = run_ / "disk";
  fs::create_directory(disk);
  if (::mount("none", disk.c_str(), "tmpfs", 0, "size=400k") != 0) GTEST_SKIP() << "mounting needs root";
  save(disk, 1);  // takes about 240 kB
  try {
    save(disk, 2);
    ADD_FAILURE() << "expected a full disk";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("save checkpoint: cannot write"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("No space left on device"), std::string::npos) << e.what();
    EXPECT_EQ(e.code, ExitCode::failure);
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(disk), fs::directory_iterator()), 1);
  expect_whole(disk / "checkpoint-1", 1);
  ::mount("none", disk.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=400k");
  EXPECT_THROW(save(disk, 3), Error);
  expect_whole(disk / "checkpoint-1", 1);
  ::umount(disk.c_str());
}

}  // namespace
}  // namespace triarch
