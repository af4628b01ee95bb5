// A matrix of Eigen's, rows first as tensors are.
#pragma once

#include <Eigen/Core>

namespace triarch {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

}  // namespace triarch
