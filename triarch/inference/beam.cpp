#include "triarch/inference/beam.h"

#include <algorithm>
#include <cmath>

#include "triarch/base/error.h"
#include "triarch/base/threads.h"
#include "triarch/inference/sampling.h"
#include "triarch/text/tokenizer.h"

namespace triarch {
namespace {

// The search for one prompt.
struct Search {
  struct Running {
    Beam beam;
    int32_t slot = 0;
  };
  size_t prompt = 0;
  std::vector<int32_t> slots;  // [beams]
  std::vector<Running> running;
  std::vector<Beam> ended;  // best first
  bool fresh = true;
};

double score_of(const BeamOptions& o, double log_probability, size_t tokens) {
  return log_probability / std::pow(double(tokens), o.length_penalty);
}

void keep(Search& s, const BeamOptions& o, Beam beam) {
  beam.score = score_of(o, beam.log_probability, beam.ids.size() + beam.ended);
  const auto place = std::find_if(s.ended.begin(), s.ended.end(), [&](const Beam& b) { return b.score < beam.score; });
  s.ended.insert(place, std::move(beam));
  if (s.ended.size() > size_t(o.beams)) s.ended.pop_back();
}

// Nothing that runs can change the result, as early_stopping says.
bool decided(const Search& s, const BeamOptions& o) {
  if (s.running.empty()) return true;
  if (s.ended.size() < size_t(o.beams)) return false;
  if (o.early_stopping == EarlyStopping::yes) return true;
  const Beam& best = s.running[0].beam;
  size_t tokens = best.ids.size();
  if (o.early_stopping == EarlyStopping::never && o.length_penalty > 0) tokens = size_t(o.max_tokens);
  return score_of(o, best.log_probability, tokens) <= s.ended.back().score;
}

// A token that may come next.
struct Likely {
  double log_probability;
  int32_t id;
};

// One token further, with the likeliest of each running beam.
void extend(Search& s, const BeamOptions& o, const Specials& specials, std::span<const std::vector<Likely>> rows) {
  struct Step {
    double log_probability;
    size_t parent;
    int32_t id;
  };
  std::vector<Step> steps;
  for (size_t b = 0; b < rows.size(); ++b) {
    const double so_far = s.running[b].beam.log_probability;
    for (const Likely& t : rows[b]) steps.push_back({so_far + t.log_probability, b, t.id});
  }
  const size_t kept = std::min(steps.size(), size_t(2 * o.beams));
  std::partial_sort(steps.begin(), steps.begin() + ptrdiff_t(kept), steps.end(), [](const Step& a, const Step& b) {
    if (a.log_probability != b.log_probability) return a.log_probability > b.log_probability;
    return a.parent != b.parent ? a.parent < b.parent : a.id < b.id;
  });
  std::vector<Search::Running> next;
  for (size_t rank = 0; rank < kept && next.size() < size_t(o.beams); ++rank) {
    const Step& step = steps[rank];
    Beam beam = s.running[step.parent].beam;
    beam.log_probability = step.log_probability;
    beam.ended = step.id == specials.eos;
    if (!beam.ended) beam.ids.push_back(step.id);
    beam.stopped = !beam.ended && o.stops && o.stops(beam.ids);
    if (!beam.ended && !beam.stopped) {
      next.push_back({std::move(beam), s.running[step.parent].slot});
    } else if (rank < size_t(o.beams)) {
      keep(s, o, std::move(beam));
    }
  }
  s.running = std::move(next);
}

// Gives every running beam a slot of its own: the first child stays where its parent was, others are copies.
void place(Search& s, Session& session) {
  std::vector<int32_t> free = s.slots;
  for (const Search::Running& r : s.running) std::erase(free, r.slot);
  std::vector<int32_t> used;
  for (Search::Running& r : s.running) {
    if (std::find(used.begin(), used.end(), r.slot) != used.end()) {
      session.copy(r.slot, free.back());
      r.slot = free.back();
      free.pop_back();
    }
    used.push_back(r.slot);
  }
}

}  // namespace

void BeamOptions::check() const {
  if (beams < 1) fail(ExitCode::usage, "beam.beams: expected at least 1, found {}", beams);
  if (n < 1 || n > beams) fail(ExitCode::usage, "beam.n: expected 1 to {} (beams), found {}", beams, n);
  if (max_tokens < 1) fail(ExitCode::usage, "beam.max_tokens: expected at least 1, found {}", max_tokens);
}

std::vector<std::vector<Beam>> beam_search(
    Session& session, const Specials& specials, std::span<const Prompt> prompts, const BeamOptions& options,
    const std::function<void(size_t prompt, const std::vector<Beam>& beams)>& done) {
  options.check();
  if (session.slots() < options.beams) {
    fail(ExitCode::usage, "beam search: {} beams need as many slots, found {}; open the session with more",
         options.beams, session.slots());
  }
  for (const Prompt& p : prompts) session.check(p);
  std::vector<int32_t> never = suppressed(specials, false);
  if (options.ignore_eos) never.push_back(specials.eos);
  std::vector<std::vector<Beam>> out(prompts.size());
  std::vector<Search> active;
  std::vector<std::vector<int32_t>> groups;  // of free slots
  for (int32_t first = 0; first + options.beams <= session.slots(); first += int32_t(options.beams)) {
    groups.emplace_back();
    for (int32_t i = 0; i < options.beams; ++i) groups.back().push_back(first + i);
  }
  for (size_t next = 0; next < prompts.size() || !active.empty();) {
    while (next < prompts.size() && !groups.empty()) {
      Search s;
      s.prompt = next++;
      s.slots = std::move(groups.back());
      groups.pop_back();
      s.running.push_back({{}, s.slots[0]});
      active.push_back(std::move(s));
    }
    std::vector<Session::Begin> begins;
    std::vector<Session::Next> nexts;
    std::vector<std::span<const int32_t>> answers;  // [rows of logits]
    for (const Search& s : active) {
      if (s.fresh) begins.push_back({s.slots[0], prompts[s.prompt]});
    }
    answers.resize(begins.size());
    for (const Search& s : active) {
      if (s.fresh) continue;
      for (const Search::Running& r : s.running) {
        nexts.push_back({r.slot, r.beam.ids.back()});
        answers.push_back(r.beam.ids);
      }
    }
    const Logits logits = session.advance(begins, nexts);
    std::vector<std::vector<Likely>> rows(size_t(logits.rows));
    parallel(logits.rows, [&](int64_t row, int) {
      if (!std::isfinite(logits.log_sums[size_t(row)])) return;
      std::span<const double> z = logits.row(row);
      std::vector<double> changed;
      if (options.adjust) {
        changed.assign(z.begin(), z.end());
        options.adjust(changed, answers[size_t(row)]);
        z = changed;
      }
      if (options.vocabulary > 0) z = z.first(std::min(z.size(), size_t(options.vocabulary)));
      for (int32_t id : likeliest(z, 2 * options.beams, never)) {
        rows[size_t(row)].push_back({z[size_t(id)] - logits.log_sums[size_t(row)], id});
      }
    });
    for (const std::vector<Likely>& row : rows) {
      require(!row.empty(), "beam search: no token has a probability; the model has diverged");
    }
    size_t begun = 0, going = begins.size();
    for (Search& s : active) {
      const auto mine = std::span<const std::vector<Likely>>(rows).subspan(s.fresh ? begun : going, s.running.size());
      (s.fresh ? begun : going) += s.running.size();
      s.fresh = false;
      extend(s, options, specials, mine);
      if (s.running.empty()) continue;
      place(s, session);
      const bool full =
          int64_t(s.running[0].beam.ids.size()) >= options.max_tokens || session.room(s.running[0].slot) == 0;
      if (full && !decided(s, options)) {
        for (Search::Running& r : s.running) keep(s, options, std::move(r.beam));
      }
      if (full) s.running.clear();
    }
    for (Search& s : active) {
      if (!decided(s, options)) continue;
      out[s.prompt].assign(s.ended.begin(),
                           s.ended.begin() + std::min(ptrdiff_t(options.n), ptrdiff_t(s.ended.size())));
      if (done) done(s.prompt, out[s.prompt]);
      groups.push_back(std::move(s.slots));
      s.slots.clear();
    }
    std::erase_if(active, [](const Search& s) { return s.slots.empty(); });
  }
  return out;
}

}  // namespace triarch
