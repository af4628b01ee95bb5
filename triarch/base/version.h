// The one place of the version; CMakeLists.txt reads it.
#pragma once

namespace triarch {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace triarch
