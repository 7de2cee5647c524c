// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cvfast/decode/compressed_segmentation.hpp"

/// Slow twins of the compressed_segmentation kernels, written from the format's description voxel by voxel.
namespace cvfast::reference {

/// The labels of a box (x fastest, channels last), unmapped; nothing but the status when the data are bad.
Status decode_compressed_segmentation(std::span<const std::byte> data,
                                      const decode::compressed_segmentation::Geometry& geometry, const Box3& box,
                                      std::int64_t channel_begin, std::int64_t channel_end,
                                      std::vector<std::uint64_t>& labels);

/// Encodes packed labels (x fastest, channels last).
Status encode_compressed_segmentation(const std::vector<std::uint64_t>& labels,
                                      const decode::compressed_segmentation::Geometry& geometry,
                                      std::vector<std::byte>& out);

}  // namespace cvfast::reference
