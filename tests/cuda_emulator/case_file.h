// What drivers read and write: numbers (int64) and arrays (a number of bytes, then the bytes), one after the other.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace emulator {

// Exactly as large as asked for, so that AddressSanitizer sees a byte too many; filled with 0xff (NaN, or -1).
class Buffer {
 public:
  Buffer(size_t bytes, size_t offset) : bytes_(bytes), offset_(offset) {
    if (posix_memalign(&memory_, 64, bytes + offset)) std::abort();
    if (bytes + offset) std::memset(memory_, 0xff, bytes + offset);
  }
  Buffer(Buffer&& other) noexcept : bytes_(other.bytes_), offset_(other.offset_), memory_(other.memory_) {
    other.memory_ = nullptr;
  }
  ~Buffer() { std::free(memory_); }

  size_t bytes() const { return bytes_; }
  void* data() const { return static_cast<char*>(memory_) + offset_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data());
  }

 private:
  size_t bytes_, offset_;
  void* memory_ = nullptr;
};

class CaseFile {
 public:
  CaseFile(const char* path, const char* mode) : file_(std::fopen(path, mode)) {
    if (file_ == nullptr) fail(path);
  }
  CaseFile(const CaseFile&) = delete;
  ~CaseFile() { std::fclose(file_); }

  int64_t number() {
    int64_t value;
    if (std::fread(&value, sizeof(value), 1, file_) != 1) fail("a number is missing");
    return value;
  }
  // An array; its first byte is `offset` bytes behind an address that suits every type.
  Buffer array(size_t offset = 0) {
    Buffer buffer(static_cast<size_t>(number()), offset);
    if (buffer.bytes() && std::fread(buffer.data(), buffer.bytes(), 1, file_) != 1) fail("an array is cut short");
    return buffer;
  }
  void write(const Buffer& buffer) {
    const auto bytes = static_cast<int64_t>(buffer.bytes());
    if (std::fwrite(&bytes, sizeof(bytes), 1, file_) != 1) fail("not written");
    if (bytes && std::fwrite(buffer.data(), buffer.bytes(), 1, file_) != 1) fail("not written");
  }

 private:
  [[noreturn]] static void fail(const char* why) {
    std::fprintf(stderr, "case file: %s\n", why);
    std::exit(2);
  }

  std::FILE* file_;
};

}  // namespace emulator
