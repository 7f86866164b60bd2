// Nothing is counted where kernels are compiled for the sanitizers.
#include "emulator.h"

namespace emulator {

void watch(const char*, const void*, size_t) {}
void report() {}

}  // namespace emulator
