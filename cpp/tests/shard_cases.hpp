// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>

#include "cvfast/locate/shard_spec.hpp"
#include "random_input.hpp"

namespace cvfast::testing {

/// Any valid specification; the ends of each range come up often.
inline locate::ShardSpec random_shard_spec(Random& random, int max_minishard_bits = 64) {
  const auto bits = [&](int most) {
    if (random.one_in(5)) return 0;
    if (random.one_in(5)) return most;
    return static_cast<int>(random.between(0, most));
  };
  locate::ShardSpec spec;
  spec.preshift_bits = bits(random.one_in(2) ? 64 : 8);
  spec.minishard_bits = bits(std::min(max_minishard_bits, 64));
  spec.shard_bits = bits(64 - spec.minishard_bits);
  spec.hash = random.one_in(2) ? locate::ShardHash::kIdentity : locate::ShardHash::kMurmurhash3;
  spec.gzip_minishard_index = random.one_in(2);
  spec.gzip_data = random.one_in(2);
  return spec;
}

}  // namespace cvfast::testing
