// Figures of an attention matrix: how much of the space of its rows it keeps.
#pragma once

#include <cstdint>
#include <span>

namespace triarch {

struct Spectrum {
  double log_determinant = 0;  // ln |det A|; of a triangular matrix the sum of ln of its diagonal, exactly
  double rank = 0;             // singular values above n eps max (float32's eps, in which attention is computed)
  double effective_rank = 0;   // exp of the entropy of the normalised singular values (Roy and Vetterli 2007)
  double condition = 0;        // smallest / largest singular value, at least 1e-16, which is rounding
  double entropy = 0;          // of a row, mean over rows, nats
};

// Of a square matrix [n][n] whose rows sum to 1. Error if it is not square or empty.
Spectrum spectrum_of(std::span<const double> matrix, int64_t n);

}  // namespace triarch
