// Stands in for CUDA's header of this name: half precision in storage, rounded to nearest even.
#pragma once

#include <cmath>
#include <cstdint>

struct __half {
  uint16_t bits;
};

inline float __half2float(__half value) {
  const int exponent = value.bits >> 10 & 31, fraction = value.bits & 1023;
  const float sign = value.bits & 0x8000 ? -1.0f : 1.0f;
  if (exponent == 31) return fraction ? NAN : sign * INFINITY;
  return sign * (exponent ? std::ldexp(1024.0f + fraction, exponent - 25) : std::ldexp(float(fraction), -24));
}

inline __half __float2half_rn(float value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const float size = std::fabs(value);
  if (std::isnan(value)) return {uint16_t(sign | 0x7e00)};
  if (size >= 65520.0f) return {uint16_t(sign | 0x7c00)};
  if (size == 0.0f) return {sign};
  int exponent = 0;
  std::frexp(size, &exponent);  // size = 0.5 .. 1 times two to the exponent
  const int unit = (exponent < -13 ? -13 : exponent) - 11;  // of the last place, smallest numbers included
  const auto steps = static_cast<uint16_t>(std::nearbyint(std::ldexp(size, -unit)));
  return {uint16_t(sign | (((unit + 24) << 10) + steps))};  // a carry into the exponent is right as it is
}
