// What whole measurements beside a peer share: sizes, options, medians of alternating rounds, and the peer itself, a
// process that does one piece of work when asked.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace triarch::bench {

struct Config {
  const char* name;
  int64_t vocabulary, length, width, layers, heads, batch;
};
// A, B, C, or D (GPT-2 124M). Usage error for another.
const Config& config_of(const std::string& name);

// "--name value" pairs over these defaults. Usage error for a name that is not among them.
std::map<std::string, std::string> options_of(int count, char** values, std::map<std::string, std::string> defaults);
std::vector<std::string> split(const std::string& text);  // at commas
double median(std::vector<double> values);

// A process that says one line when it is ready, and then answers each line "step" with the milliseconds that it took,
// and may answer "memory" with the bytes that it took at most.
class Peer {
 public:
  explicit Peer(const std::vector<std::string>& command);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  bool ready() const { return ready_; }  // false: it ended before, and said why on stderr
  double step() { return ask("step\n"); }
  double memory() { return ask("memory\n"); }

 private:
  double ask(const char* line);
  pid_t pid_;
  std::FILE *in_ = nullptr, *out_ = nullptr;
  bool ready_ = false;
};

void rest();
// Medians in milliseconds of `rounds` rounds in which each takes its turn, ours first, after a moment of rest (what
// spun for the last one has gone to sleep) and one piece of work that does not count. A peer that is not ready has no
// times: 0.
struct Medians {
  double ours = 0;
  std::vector<double> peers;

  void print_peers() const;  // two columns for each: its milliseconds, and how many times ours; "-" without
};
template <class Ours>
Medians alternate(int rounds, const Ours& ours, const std::vector<std::unique_ptr<Peer>>& peers) {
  std::vector<double> mine;
  std::vector<std::vector<double>> theirs(peers.size());
  for (int r = 0; r < rounds; ++r) {
    rest();
    ours();
    mine.push_back(ours());
    for (size_t p = 0; p < peers.size(); ++p) {
      if (!peers[p]->ready()) continue;
      rest();
      peers[p]->step();
      theirs[p].push_back(peers[p]->step());
    }
  }
  Medians m{median(mine), {}};
  for (const auto& t : theirs) m.peers.push_back(t.empty() ? 0 : median(t));
  return m;
}

// What main does: 0, or the error's code, said on stderr.
int guarded(int (*run)(int count, char** values), int count, char** values);

}  // namespace triarch::bench
