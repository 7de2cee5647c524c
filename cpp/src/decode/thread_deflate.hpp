// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <libdeflate.h>

/// libdeflate's scratch memory, one of each kind per thread.  It is without identity (tables that each call rebuilds),
/// and allocating a level 6 compressor for each 64^3 chunk costs more than compressing an empty one.
namespace cvfast::decode {

inline constexpr int kMaxDeflateLevel = 12;

/// Null when memory is exhausted.
[[nodiscard]] libdeflate_decompressor* thread_decompressor() noexcept;

/// @param level 0 to kMaxDeflateLevel.  Null when memory is exhausted.
[[nodiscard]] libdeflate_compressor* thread_compressor(int level) noexcept;

}  // namespace cvfast::decode
