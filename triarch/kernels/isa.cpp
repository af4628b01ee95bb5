#include "triarch/kernels/isa.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>

#include "triarch/base/error.h"

namespace triarch::kernels {
namespace {

// A bit of CPUID's leaf 7.
bool cpuid_bit(unsigned subleaf, int which, int bit) {
  unsigned r[4] = {0, 0, 0, 0};
  if (!__get_cpuid_count(7, subleaf, &r[0], &r[1], &r[2], &r[3])) return false;
  return (r[which] >> bit) & 1;
}
bool cpu_has_avx512_bf16() { return cpuid_bit(1, 0, 5); }

// Linux gives a process the tile registers' 8 KB when it asks for them (arch_prctl(2), since 5.16).
bool may_use_tiles() {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool cpu_has(Isa isa) {
  switch (isa) {
    case Isa::amx: {
      static const bool has = cpu_has(Isa::avx512) && cpu_has_avx512_bf16() && cpuid_bit(0, 3, 22) &&
                              cpuid_bit(0, 3, 24) && may_use_tiles();
      return has;
    }
    case Isa::avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && cpu_has(Isa::avx2);
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    case Isa::baseline:
      return true;
  }
  return false;
}

Isa chosen() {
  Isa best = Isa::baseline;
  for (const Isa isa : kIsas) {
    if (cpu_has(isa)) best = isa;
  }
  const char* asked = std::getenv("TRIARCH_ISA");
  if (!asked || !*asked) return best;
  for (const Isa isa : kIsas) {
    if (name_of(isa) != std::string(asked)) continue;
    if (!cpu_has(isa))
      fail(ExitCode::usage, "TRIARCH_ISA: this processor has no {}; the best it has is {}", asked, name_of(best));
    return isa;
  }
  fail(ExitCode::usage, "TRIARCH_ISA: expected baseline, avx2, avx512 or amx, found '{}'", asked);
}

std::atomic<Isa>& current() {
  static std::atomic<Isa> isa{chosen()};
  return isa;
}

}  // namespace

Isa active_isa() { return current().load(std::memory_order_relaxed); }
bool has_isa(Isa isa) { return cpu_has(isa); }
bool force_isa(Isa isa) {
  if (!cpu_has(isa)) return false;
  current().store(isa);
  return true;
}
const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::amx:
      return "amx";
    case Isa::avx512:
      return "avx512";
    case Isa::avx2:
      return "avx2";
    case Isa::baseline:
      break;
  }
  return "baseline";
}
bool has_avx512_bf16() {
  static const bool has = cpu_has_avx512_bf16();
  return has && active_isa() >= Isa::avx512;
}

}  // namespace triarch::kernels
