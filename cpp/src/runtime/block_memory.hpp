// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

namespace cvfast::runtime {

/// Memory for blocks that come and go in any order and size, such that what is given back leaves the process: a cache
/// on malloc grows to nearly twice its limit in holes between blocks (55 MiB for 32 after 20,000 reads of compressed
/// chunks of 20 to 260 KiB).
///
/// On Linux blocks of 16 KiB and more take a slot of the next power of two in address space reserved for that size, of
/// which only the pages they touch are backed.  Given back, the pages go, but for a sixteenth of what is in use, and
/// the slot waits for the next.  The first half of slots of 4 MiB and more, which whoever needs such a slot fills, lies
/// on huge pages where the system has them.  Elsewhere, and for smaller blocks, this is malloc.  Null when memory is
/// exhausted.
[[nodiscard]] void* allocate_block(std::size_t size_bytes) noexcept;
void release_block(void* block, std::size_t size_bytes) noexcept;

/// What a block takes from the system.
[[nodiscard]] std::size_t block_footprint(void* block, std::size_t size_bytes) noexcept;

/// Around fork, so that the child does not find the bookkeeping locked.
void lock_block_memory() noexcept;
void unlock_block_memory() noexcept;

}  // namespace cvfast::runtime
