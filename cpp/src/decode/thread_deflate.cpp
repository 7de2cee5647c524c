// SPDX-License-Identifier: BSD-3-Clause
#include "thread_deflate.hpp"

#include <array>
#include <cstddef>
#include <memory>

namespace cvfast::decode {
namespace {

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* p) const noexcept { libdeflate_free_decompressor(p); }
};
struct FreeCompressor {
  void operator()(libdeflate_compressor* p) const noexcept { libdeflate_free_compressor(p); }
};

}  // namespace

libdeflate_decompressor* thread_decompressor() noexcept {
  thread_local std::unique_ptr<libdeflate_decompressor, FreeDecompressor> decompressor;
  if (!decompressor) decompressor.reset(libdeflate_alloc_decompressor());
  return decompressor.get();
}

libdeflate_compressor* thread_compressor(int level) noexcept {
  thread_local std::array<std::unique_ptr<libdeflate_compressor, FreeCompressor>, kMaxDeflateLevel + 1> compressors;
  auto& compressor = compressors[static_cast<std::size_t>(level)];
  if (!compressor) compressor.reset(libdeflate_alloc_compressor(level));
  return compressor.get();
}

}  // namespace cvfast::decode
