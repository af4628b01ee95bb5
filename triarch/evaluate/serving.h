// What a model costs to serve, measured: a prompt, a token more, and a conversation of several turns, by the very
// session that generates (inference/session.h). Wall times are of this machine at this moment; all else is exact.
//
// A conversation has K turns: u tokens from the user, then an answer of a tokens. In every turn a model is given all
// that was said, as it has learnt to be given texts, and what its cache still has is not computed again. By family,
// rows computed in turn k and in all of them:
//
//   causal, turn-blocked prefix   only what is new          u + a                        K (u + a)
//   prefix                        all: it sees both ways    k (u + a)                    K (K + 1) / 2 (u + a)
//   encoder-decoder               all, by the encoder       k (u + a) + 1                K (K + 1) / 2 (u + a) + K
//   permutation, prefix           all, and queries          k (u + a) + a                K (K + 1) / 2 (u + a) + K a
//
// (The last token of an answer is computed with the next turn; bos, and the encoder's eos, are rows too.) So those that
// must read again compute about (K + 1) / 2 times as much.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "triarch/model/model.h"

namespace triarch {

class Tokenizer;  // text/tokenizer.h

struct ServingOptions {
  int64_t prompt = 64;     // tokens
  int64_t generated = 32;  // tokens behind it
  int64_t turns = 4;       // of a conversation; 0: none is measured
  int64_t user = 16, answer = 8;
  int64_t repeats = 5;

  // Throws a usage error that says what is out of its range.
  void check() const;

  template <class V>
  void fields(V& v) {
    v("prompt", prompt, "tokens of a prompt");
    v("generated", generated, "tokens generated behind it");
    v("turns", turns, "turns of a conversation; 0: none");
    v("user", user, "tokens of a user's turn");
    v("answer", answer, "tokens of an answer");
    v("repeats", repeats, "each is done this often; times are medians");
  }
};

struct TurnCost {
  int64_t rows = 0;  // computed, encoder and decoder, queries included
  double flops = 0;  // of products
  double ms = 0;     // until the last token of the answer is known

  template <class V>
  void fields(V& v) {
    v("rows", rows, "rows computed");
    v("flops", flops, "floating-point operations of products");
    v("ms", ms, "milliseconds until the answer is complete");
  }
};

struct ServingCost {
  int64_t threads = 0;
  int64_t prompt_rows = 0;             // computed for a prompt of which nothing is cached
  double ms_per_prompt = 0;            // until its first token is known; of an encoder: until the text is embedded
  std::optional<int64_t> token_rows;   // computed for a token more; none of the following: an encoder
  std::optional<double> ms_per_token;  // generated one by one, greedily
  // Keys and values that a position of a sequence keeps in the decoder, and those of the prompt in an encoder-decoder's
  // cross attention, which an answer does not add to. (XLNet's keys of distances, one set for all sequences, not in.)
  int64_t cache_bytes_per_token = 0, cross_cache_bytes = 0;
  std::vector<TurnCost> turns;  // [turns]
  int64_t turn_rows = 0;        // of all turns
  double turn_ms = 0;

  template <class V>
  void fields(V& v) {
    v("threads", threads, "threads that computed");
    v("prompt_rows", prompt_rows, "rows computed for a prompt");
    v("ms_per_prompt", ms_per_prompt, "milliseconds until its first token; encoders: until its vector");
    v("token_rows", token_rows, "rows computed for a token more");
    v("ms_per_token", ms_per_token, "milliseconds for a token more");
    v("cache_bytes_per_token", cache_bytes_per_token, "bytes that a token of context keeps in the cache");
    v("cross_cache_bytes", cross_cache_bytes, "bytes that the prompt keeps beside, whatever the answer's length");
    v("turns", turns, "turns of a conversation");
    v("turn_rows", turn_rows, "rows computed in all turns");
    v("turn_ms", turn_ms, "milliseconds of all turns");
  }
};

// One sequence at a time; prompts of random tokens. Usage error if the model has not the positions for them.
ServingCost serving_cost(const Model& model, const Tokenizer& tokenizer, const ServingOptions& options = {});

}  // namespace triarch
