// Memory of this process and this machine, in bytes; 0 if the system does not tell.
#pragma once

#include <cstdint>

namespace triarch {

// The most that this process has had in main memory.
int64_t peak_memory();
// What may still be taken without swapping: of the machine, and of the control groups (containers) we are in.
int64_t available_memory();

}  // namespace triarch
