// How alike two vectors are, and two orders.
#pragma once

#include <span>

namespace triarch {

// 0 where one of them is all zeros. Error if they are of different lengths, here and below.
double cosine(std::span<const double> a, std::span<const double> b);
// cos(a - origin, b - origin)
double cosine_from(std::span<const double> origin, std::span<const double> a, std::span<const double> b);
// Kendall's tau-b (1945): (agreeing - disagreeing pairs) / sqrt of the product of the pairs that are not tied in each;
// 0 where all are tied.
double kendall_tau(std::span<const double> a, std::span<const double> b);

}  // namespace triarch
