#include "triarch/study/parts.h"

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>

#include "triarch/base/clock.h"
#include "triarch/base/signals.h"
#include "triarch/study/queue.h"
#include "triarch/study/workers.h"

namespace triarch {
namespace {

// Who has done what. Not safe by itself.
class Board {
 public:
  explicit Board(std::span<const Part> parts) : parts_(parts), done_(parts.size()) {
    for (const Part& p : parts) whole_ += p.cost;
  }

  bool finished(size_t i) {
    running_.erase(i);
    const bool first = !done_[i];
    done_[i] = true;
    return first;
  }
  void runs(size_t i, double share, int64_t tokens) { running_[i] = {share, tokens}; }
  void stopped(size_t i) { running_.erase(i); }
  bool done(size_t i) const { return done_[i]; }
  bool all_done() const { return state(false).done == int64_t(parts_.size()); }

  PartsState state(bool finished_one) const {
    PartsState s;
    s.parts = int64_t(parts_.size());
    s.finished_one = finished_one;
    for (size_t i = 0; i < parts_.size(); ++i) {
      if (!done_[i]) continue;
      ++s.done;
      s.share += parts_[i].cost / whole_;
      s.tokens += parts_[i].tokens;
    }
    for (const auto& [i, r] : running_) {
      s.share += r.share * parts_[i].cost / whole_;
      s.tokens += r.tokens;
      s.running.push_back(i);
    }
    return s;
  }

 private:
  struct Running {
    double share = 0;
    int64_t tokens = 0;
  };
  std::span<const Part> parts_;
  std::vector<bool> done_;
  std::map<size_t, Running> running_;
  double whole_ = 0;
};

}  // namespace

bool work_on_parts(const std::filesystem::path& folder, std::span<const Part> parts, int jobs,
                   const std::function<std::optional<std::string>(size_t part, const PartProgress&)>& work,
                   const PartEvents& events) {
  std::vector<std::string> names;
  std::map<std::string, size_t> which;
  for (const Part& p : parts) {
    which[p.name] = names.size();
    names.push_back(p.name);
  }
  WorkQueue::create(folder, names);
  WorkQueue queue(folder);
  queue.recover();

  std::mutex mutex;  // of all that follows
  Board board(parts);
  double last_said = 0;
  const auto finished = [&](size_t i, const std::string& result) {
    if (board.finished(i) && events.finished) events.finished(i, result);
  };
  const auto say = [&](bool finished_one) {
    if (!events.progress || (!finished_one && steady_seconds() - last_said < 0.2)) return;
    last_said = steady_seconds();
    events.progress(board.state(finished_one));
  };
  const auto collect = [&] {
    for (size_t i = 0; i < names.size(); ++i) {
      if (board.done(i)) continue;
      if (const auto text = queue.result(names[i])) finished(i, *text);
    }
  };

  collect();
  std::atomic<bool> stopped = false;
  for (;;) {
    each_on_a_thread(jobs, jobs, [&](int64_t) {
      while (!stopped && stop_signal() == 0) {
        const std::optional<std::string> name = queue.claim(names);
        if (!name) return;
        const size_t i = which.at(*name);
        std::optional<std::string> result;
        try {
          result = work(i, [&](double share, int64_t tokens) {
            queue.touch();
            const std::lock_guard lock(mutex);
            board.runs(i, share, tokens);
            say(false);
            return !stopped && stop_signal() == 0;
          });
        } catch (...) {
          stopped = true;
          queue.give_back(*name);
          throw;
        }
        const std::lock_guard lock(mutex);
        if (!result) {
          board.stopped(i);
          queue.give_back(*name);
          return;
        }
        queue.finish(*name, *result);
        finished(i, *result);
        say(true);
      }
    });
    if (board.all_done()) return true;
    if (stop_signal() != 0) return false;
    // Others have the rest: wait, and take over what they leave.
    const int64_t before = board.state(false).done;
    collect();
    if (board.state(false).done != before) say(true);
    if (board.all_done()) return true;
    queue.recover();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

}  // namespace triarch
