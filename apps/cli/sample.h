// A run's own work, shown while it learns.
#pragma once

#include <functional>
#include <string>

#include "triarch/train/run.h"

namespace triarch::cli {

// For RunEvents::sample. From the beginning of the held-out text: a continuation by a model that generates, filled
// masks by an encoder, repaired spans by one that learns span corruption; a class or tags where these are learnt.
// Sampled with a fixed seed. `run` must outlive it.
std::function<std::string(Model&)> sampler(const Run& run);

}  // namespace triarch::cli
