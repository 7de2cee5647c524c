// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <span>
#include <vector>

/// DEFLATE (RFC 1951) for skeletons of a few kilobytes, of which a volume may have millions.
namespace cvfast::decode {

/// Appends one stream where the input is a skeleton of a size that this is good at: two counts, as many vertices and
/// edges, and attributes of each vertex.  May throw std::bad_alloc.
/// @return whether it is, and becomes no larger than it would be stored; else nothing is appended.
bool skeleton_deflate(std::span<const std::byte> in, std::vector<std::byte>& out);

}  // namespace cvfast::decode
