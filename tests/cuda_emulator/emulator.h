// What drivers of emulated kernels and the tracer use of the emulator; kernels see include/ alone.
#pragma once

#include <cuda_runtime_api.h>

namespace emulator {

extern bool descending;         // lanes, warps and blocks run in descending order
extern void (*after_block)();   // called when a block has ended
int this_thread();              // number of the running lane within its block
int meetings();                 // how often it has met others

// Counts what warps do to [data, data + bytes); does something where kernels are compiled for counting alone.
void watch(const char* name, const void* data, size_t bytes);
// Writes "name read|write requests sectors bytes" for each watched buffer to standard output, and forgets them.
void report();

}  // namespace emulator
