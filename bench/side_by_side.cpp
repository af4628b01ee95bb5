#include "bench/side_by_side.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "triarch/base/error.h"

namespace triarch::bench {

const Config& config_of(const std::string& name) {
  static constexpr Config configs[] = {
      {"A", 512, 128, 128, 4, 4, 32},
      {"B", 4096, 256, 256, 6, 4, 8},
      {"C", 4096, 512, 512, 8, 8, 4},
      {"D", 50304, 256, 768, 12, 12, 2},
  };
  for (const Config& c : configs) {
    if (name == c.name) return c;
  }
  fail(ExitCode::usage, "bench: expected a config of A, B, C, D, found '{}'", name);
}

std::map<std::string, std::string> options_of(int count, char** values, std::map<std::string, std::string> options) {
  for (int i = 1; i < count; i += 2) {
    if (!options.count(values[i])) fail(ExitCode::usage, "bench: unknown option '{}'", values[i]);
    if (i + 1 == count) fail(ExitCode::usage, "bench: expected a value behind '{}'", values[i]);
    options[values[i]] = values[i + 1];
  }
  return options;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  for (size_t i = 0; i <= text.size();) {
    const size_t end = std::min(text.find(',', i), text.size());
    if (end > i) out.push_back(text.substr(i, end - i));
    i = end + 1;
  }
  return out;
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

Peer::Peer(const std::vector<std::string>& command) {
  signal(SIGPIPE, SIG_IGN);
  int to[2], from[2];
  if (pipe(to) != 0 || pipe(from) != 0) fail("bench: no pipe for the peer");
  std::vector<char*> arguments;
  for (const std::string& a : command) arguments.push_back(const_cast<char*>(a.c_str()));
  arguments.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    dup2(to[0], 0);
    dup2(from[1], 1);
    for (int fd : {to[0], to[1], from[0], from[1]}) close(fd);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  out_ = fdopen(to[1], "w");
  in_ = fdopen(from[0], "r");
  char line[4096];
  ready_ = std::fgets(line, sizeof line, in_) != nullptr;
}

Peer::~Peer() {
  std::fclose(out_);
  std::fclose(in_);
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

double Peer::ask(const char* question) {
  std::fputs(question, out_);
  std::fflush(out_);
  char line[256];
  if (!std::fgets(line, sizeof line, in_)) fail("bench: the peer ended");
  return std::strtod(line, nullptr);
}

void rest() { usleep(100'000); }

void Medians::print_peers() const {
  for (const double t : peers) {
    if (t == 0) {
      fmt::print("{:>13}{:>8}", "-", "-");
    } else {
      fmt::print("{:>13.2f}{:>8.2f}", t, t / ours);
    }
  }
}

int guarded(int (*run)(int count, char** values), int count, char** values) {
  try {
    return run(count, values);
  } catch (const Error& e) {
    std::fprintf(stderr, "bench: %s\n", e.what());
    return int(e.code);
  }
}

}  // namespace triarch::bench
