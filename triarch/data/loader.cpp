#include "triarch/data/loader.h"

#include <algorithm>
#include <utility>

#include "triarch/base/error.h"

namespace triarch {

Passage Documents::passage(int64_t document, int64_t begin, int64_t end) const {
  const size_t d = size_t(document), first = size_t(begins[d] + begin), count = size_t(end - begin);
  Passage p;
  p.ids = ids.subspan(first, count);
  if (!target_begins.empty()) {
    p.target = target_ids.subspan(size_t(target_begins[d]), size_t(target_begins[d + 1] - target_begins[d]));
  }
  if (!tags.empty()) p.tags = tags.subspan(first, count);
  if (!labels.empty()) p.label = labels[d];
  p.ends = begins[d] + end == begins[d + 1];
  return p;
}

Loader::Loader(const Documents& documents, MakeExample make, const Specials& specials, const LoaderOptions& options)
    : documents_(documents),
      make_(std::move(make)),
      options_(options),
      packer_(options.layout, specials, options.capacity, options.context) {
  const auto check_begins = [](std::span<const int64_t> begins, size_t ids, const char* what) {
    require(!begins.empty() && begins.front() == 0 && begins.back() == int64_t(ids) && std::ranges::is_sorted(begins),
            "load: expected the {} to begin at rising places from 0 to {}, which they do not", what, ids);
  };
  const size_t n = size_t(documents.size());
  if (n > 0) check_begins(documents.begins, documents.ids.size(), "documents");
  if (!documents.target_begins.empty()) {
    require(documents.target_begins.size() == n + 1, "load: expected {} targets, found {}", n,
            documents.target_begins.size() - 1);
    check_begins(documents.target_begins, documents.target_ids.size(), "targets");
  }
  require(documents.tags.empty() || documents.tags.size() == documents.ids.size(),
          "load: expected one tag per token, found {} for {}", documents.tags.size(), documents.ids.size());
  require(documents.labels.empty() || documents.labels.size() == n,
          "load: expected one label per document, found {} for {}", documents.labels.size(), n);
  require(options.piece >= 0, "load: expected pieces of at least one token, or 0 for whole documents, found {}",
          options.piece);
  require(options.piece == 0 || (documents.target_begins.empty() && documents.labels.empty()),
          "load: expected plain texts to cut into pieces, found pairs or labelled documents");
  tokens_ = int64_t(documents.ids.size() + documents.target_ids.size());
  start_epoch(0);
  if (order_.empty()) fail("load: expected at least one document with a token, found {} empty ones", n);
}

void Loader::start_epoch(int64_t epoch) {
  state_.epoch = epoch;
  state_.cursor = 0;
  const Key key = Key(options_.seed, Purpose::data_order).with(uint64_t(epoch));
  order_.clear();
  for (int64_t d = 0; d < documents_.size(); ++d) {
    const int64_t n = documents_.begins[size_t(d + 1)] - documents_.begins[size_t(d)];
    const int64_t most = options_.piece > 0 ? options_.piece : n;
    // Shuffled, the first piece of a long document is shorter by chance, so that in every epoch others meet.
    int64_t end = std::min(n, most);
    if (options_.shuffle && n > most) end = 1 + int64_t(key.with(1).with(uint64_t(d)).below(0, uint64_t(most)));
    for (int64_t begin = 0; begin < n; begin = end, end = std::min(n, begin + most)) {
      order_.push_back({epoch, d, begin, end});
    }
  }
  if (options_.shuffle) Draw(key.with(0)).shuffle(order_.data(), order_.size());
}

Example Loader::make(const Piece& piece) const {
  const Key key = Key(options_.seed, Purpose::corruption)
                      .with(uint64_t(piece.epoch))
                      .with(uint64_t(piece.document))
                      .with(uint64_t(piece.begin));
  return make_(documents_.passage(piece.document, piece.begin, piece.end), key);
}

const Batch& Loader::next() {
  packer_.clear();
  size_t left = 0;
  for (size_t i = 0; i < waiting_.size(); ++i) {
    if (packer_.add(waiting_[i])) continue;
    if (left < i) {
      waiting_[left] = std::move(waiting_[i]);
      state_.carried[left] = state_.carried[i];
    }
    ++left;
  }
  waiting_.resize(left);
  state_.carried.resize(left);
  while (packer_.free_rows() > 0 && waiting_.size() < kWaiting) {
    if (state_.cursor == pieces()) {
      if (!options_.shuffle) break;
      start_epoch(state_.epoch + 1);
    }
    const Piece piece = order_[size_t(state_.cursor++)];
    Example example = make(piece);
    if (packer_.add(example)) continue;
    waiting_.push_back(std::move(example));
    state_.carried.push_back(piece);
  }
  if (packer_.batch().rows() == 0) state_.cursor = 0;  // the end of a validation pass
  return packer_.batch();
}

void Loader::restore(const LoaderState& state) {
  const auto belongs = [&](const Piece& p) {
    if (p.epoch < 0 || p.epoch > state.epoch || p.document < 0 || p.document >= documents_.size()) return false;
    const int64_t n = documents_.begins[size_t(p.document + 1)] - documents_.begins[size_t(p.document)];
    return 0 <= p.begin && p.begin < p.end && p.end <= n;
  };
  require(state.epoch >= 0 && (options_.shuffle || state.epoch == 0) && std::ranges::all_of(state.carried, belongs),
          "load: the saved state does not belong to these documents; resume with the data that the run began with");
  start_epoch(state.epoch);
  require(state.cursor >= 0 && state.cursor <= pieces(),
          "load: the saved state is at piece {} of an epoch of {}; resume with the data and options that the run began "
          "with",
          state.cursor, pieces());
  state_ = state;
  waiting_.clear();
  for (const Piece& piece : state_.carried) waiting_.push_back(make(piece));
}

}  // namespace triarch
