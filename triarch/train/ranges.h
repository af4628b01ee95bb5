// What a setting may be.
#pragma once

#include "triarch/base/error.h"

namespace triarch {

// Usage error unless `good`: "optimizer.beta2: expected at least 0 and below 1, found 1".
inline void check_setting(bool good, const char* field, const char* expected, double found) {
  if (!good) fail(ExitCode::usage, "{}: expected {}, found {}", field, expected, found);
}

}  // namespace triarch
