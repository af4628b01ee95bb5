#include "triarch/inference/generate.h"

#include <algorithm>
#include <cmath>

#include "triarch/base/error.h"
#include "triarch/base/threads.h"

namespace triarch {

void GenerateOptions::check() const {
  sampling.check();
  if (max_tokens < 1) fail(ExitCode::usage, "generate.max_tokens: expected at least 1, found {}", max_tokens);
  if (n < 1) fail(ExitCode::usage, "generate.n: expected at least 1, found {}", n);
  if (top < 0) fail(ExitCode::usage, "generate.top: expected 0 or more, found {}", top);
  for (const std::string& s : stop) {
    if (s.empty()) fail(ExitCode::usage, "generate.stop: expected texts that are not empty");
  }
}

const char* finish_name(Finish finish) {
  switch (finish) {
    case Finish::eos:
    case Finish::stop:
      return "stop";
    case Finish::length:
      return "length";
    case Finish::cancelled:
      return "cancelled";
  }
  return "?";
}

Generator::Generator(Session& session, const Tokenizer& tokenizer)
    : session_(session), tokenizer_(tokenizer), busy_(size_t(session.slots()), false) {
  require(tokenizer.vocabulary() <= session.model().spec().vocabulary,
          "generate: the tokenizer has {} tokens and the model {}; take the tokenizer that it was trained with",
          tokenizer.vocabulary(), session.model().spec().vocabulary);
}

void Generator::submit(Request request) {
  request.options.check();
  session_.check(request.prompt());
  const auto shared = std::make_shared<const Request>(std::move(request));
  for (int64_t i = 0; i < shared->options.n; ++i) {
    Answer a{shared, i, -1, -1, Decoder(tokenizer_), {}, {}, {}, false};
    if (!session_.model().spec().has_encoder()) a.seen = shared->source;
    a.seen.insert(a.seen.end(), shared->start.begin(), shared->start.end());
    waiting_.push_back(std::move(a));
  }
}

// Of the free slots, the one that has most of the prompt already.
int32_t Generator::best_slot(const Request& request, const std::vector<bool>& taken) const {
  int32_t best = -1;
  int64_t most = -1;
  for (size_t s = 0; s < taken.size(); ++s) {
    if (taken[s]) continue;
    const int64_t rows = session_.reusable(int32_t(s), request.prompt());
    if (rows > most) {
      most = rows;
      best = int32_t(s);
    }
  }
  return best;
}

bool Generator::step() {
  std::vector<Session::Next> nexts;
  for (const Answer& a : running_) nexts.push_back({a.slot, a.next});
  std::vector<Session::Begin> begins;
  std::vector<size_t> logits_of(running_.size());  // row of the logits for each running answer
  std::vector<std::pair<int32_t, int32_t>> copies;
  const size_t going = running_.size();
  while (!waiting_.empty()) {
    Answer& a = waiting_.front();
    a.slot = best_slot(*a.request, busy_);
    if (a.slot < 0) break;
    busy_[size_t(a.slot)] = true;
    // Further answers to a prompt that begins in this pass are copies of the first.
    const bool same = running_.size() > going && running_.back().request == a.request;
    if (same) {
      copies.push_back({begins.back().slot, a.slot});
    } else {
      begins.push_back({a.slot, a.request->prompt()});
    }
    logits_of.push_back(begins.size() - 1);
    running_.push_back(std::move(a));
    waiting_.pop_front();
  }
  if (running_.empty()) return false;
  for (size_t i = 0; i < going; ++i) logits_of[i] = begins.size() + i;
  const Logits logits = session_.advance(begins, nexts);
  for (const auto& [from, to] : copies) session_.copy(from, to);
  // Sampling from a large vocabulary takes as long as a small model's pass.
  std::vector<Choice> choices(running_.size());
  parallel(int64_t(running_.size()), [&](int64_t i, int) {
    Choice& c = choices[size_t(i)];
    try {
      c = choose(running_[size_t(i)], logits, int64_t(logits_of[size_t(i)]));
    } catch (...) {
      c.error = std::current_exception();
    }
  });
  for (size_t i = 0; i < running_.size(); ++i) take(running_[i], std::move(choices[i]));
  for (const Answer& a : running_) {
    if (a.done) busy_[size_t(a.slot)] = false;
  }
  std::erase_if(running_, [](const Answer& a) { return a.done; });
  return !running_.empty() || !waiting_.empty();
}

Generator::Choice Generator::choose(const Answer& a, const Logits& logits, int64_t row) const {
  const GenerateOptions& o = a.request->options;
  const Specials& specials = tokenizer_.specials();
  const std::span<const double> own = logits.row(row);
  std::vector<double> z(own.begin(), own.end());
  suppress(z, suppressed(specials, o.sentinels));
  if (o.ignore_eos) suppress(z, {&specials.eos, 1});
  // A model may have more ids than its tokenizer (tables rounded up).
  for (size_t i = size_t(tokenizer_.vocabulary()); i < z.size(); ++i) z[i] = -HUGE_VAL;
  if (a.request->adjust) a.request->adjust(z, a.out.ids);
  const Key key = sampling_key(o.sampling.seed, uint64_t(a.choice));
  Choice out;
  out.id = sample(z, o.sampling, a.seen, key.uniform(a.out.ids.size()));
  out.log_probability = logits.log_probability(row, out.id);
  if (o.top > 0 && out.id != specials.eos) out.top = most_likely(own, logits.log_sums[size_t(row)], o.top);
  return out;
}

// Appends the token that was chosen to an answer, and ends it where it ends.
void Generator::take(Answer& a, Choice choice) {
  if (choice.error) std::rethrow_exception(choice.error);
  const GenerateOptions& o = a.request->options;
  const int32_t id = choice.id;
  a.out.log_probability += choice.log_probability;
  if (id == tokenizer_.specials().eos) return finish(a, Finish::eos);

  a.out.ids.push_back(id);
  a.out.log_probabilities.push_back(choice.log_probability);
  if (o.top > 0) a.out.top.push_back(std::move(choice.top));
  a.seen.push_back(id);
  a.next = id;
  say(a, a.decoder.push(id), false);
  if (a.done) return;
  if (int64_t(a.out.ids.size()) >= o.max_tokens || session_.room(a.slot) == 0) finish(a, Finish::length);
}

// Gives out what cannot become a stop string any more.
void Generator::say(Answer& a, std::string text, bool last) {
  const std::vector<std::string>& stops = a.request->options.stop;
  a.held += text;
  size_t end = std::string::npos;
  for (const std::string& s : stops) end = std::min(end, a.held.find(s));
  const bool stopped = end != std::string::npos;
  if (!stopped) {
    end = a.held.size();
    for (const std::string& s : stops) {
      if (last) break;
      for (size_t n = std::min(s.size() - 1, a.held.size()); n > 0; --n) {
        if (a.held.ends_with(std::string_view(s).substr(0, n))) {
          end = std::min(end, a.held.size() - n);
          break;
        }
      }
    }
  }
  const std::string out = a.held.substr(0, end);
  a.held.erase(0, end);
  a.out.text += out;
  if (!out.empty() && a.request->on_text && !a.request->on_text(a.choice, out)) return finish(a, Finish::cancelled);
  if (stopped) finish(a, Finish::stop);
}

void Generator::finish(Answer& a, Finish why) {
  if (a.done) return;
  a.out.finish = why;
  if (why == Finish::eos || why == Finish::length) {
    say(a, a.decoder.finish(), true);  // which may find a stop string, and end it for that
    if (a.done) return;
  }
  a.done = true;
  if (a.request->on_done) a.request->on_done(a.choice, std::move(a.out));
}

SessionOptions room_for(const ModelSpec& spec, std::span<const Request> requests, int64_t slots) {
  const bool pairs = spec.has_encoder();
  const int64_t most = session_rows(spec);
  SessionOptions room{.slots = 0, .rows = 1, .memory_rows = 1};
  for (const Request& r : requests) {
    const int64_t source = int64_t(r.source.size()), start = int64_t(r.start.size());
    const int64_t prompt = 1 + start + (pairs ? 0 : source);
    room.slots = std::min(slots, room.slots + r.options.n);
    room.rows = std::max(room.rows, std::min(most, prompt + std::min(most, r.options.max_tokens)));
    room.memory_rows = std::max(room.memory_rows, std::min(most, source + 1));
  }
  room.slots = std::max<int64_t>(1, room.slots);
  return room;
}

std::vector<std::vector<Generation>> generate(Session& session, const Tokenizer& tokenizer,
                                              std::vector<Request> requests) {
  std::vector<std::vector<Generation>> out(requests.size());
  Generator generator(session, tokenizer);
  for (size_t i = 0; i < requests.size(); ++i) {
    out[i].resize(size_t(std::max<int64_t>(0, requests[i].options.n)));
    requests[i].on_done = [&to = out[i], also = requests[i].on_done](int64_t choice, Generation g) {
      if (also) also(choice, g);
      to[size_t(choice)] = std::move(g);
    };
    generator.submit(std::move(requests[i]));
  }
  while (generator.step()) {
  }
  return out;
}

Generation generate(Session& session, const Tokenizer& tokenizer, std::string_view prompt,
                    const GenerateOptions& options, std::function<bool(std::string_view text)> on_text) {
  Request request;
  request.source = tokenizer.encode(prompt);
  request.options = options;
  request.options.n = 1;
  if (on_text) request.on_text = [f = std::move(on_text)](int64_t, std::string_view text) { return f(text); };
  std::vector<Request> one;
  one.push_back(std::move(request));
  return std::move(generate(session, tokenizer, std::move(one))[0][0]);
}

}  // namespace triarch
