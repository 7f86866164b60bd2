// What the loops of all CPU operators share: vectors of 32 bytes, and the choice of instructions when they run.
#pragma once

#include <cstdint>

#define DUALDISTILL_INLINE inline __attribute__((always_inline))

// The same loops, compiled for plain x86-64 (or any other CPU) and for AVX2.
#if defined(__x86_64__)
#define DUALDISTILL_AVX2 __attribute__((target("avx2,fma")))
#endif

namespace dualdistill {

template <typename T>
struct Lanes;
template <>
struct Lanes<float> {
  typedef float vec __attribute__((vector_size(32), may_alias));
  static constexpr int64_t count = 8;
};
template <>
struct Lanes<double> {
  typedef double vec __attribute__((vector_size(32), may_alias));
  static constexpr int64_t count = 4;
};

template <typename Job, typename... Args>
void run_plain(const Job& job, Args... args) {
  job(args...);
}

#ifdef DUALDISTILL_AVX2
template <typename Job, typename... Args>
DUALDISTILL_AVX2 void run_avx2(const Job& job, Args... args) {
  job(args...);
}
#endif

// Calls job(args...), whose loops must be DUALDISTILL_INLINE.
template <typename Job, typename... Args>
void run(const Job& job, Args... args) {
#ifdef DUALDISTILL_AVX2
  static const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (has_avx2) return run_avx2(job, args...);
#endif
  run_plain(job, args...);
}

}  // namespace dualdistill
