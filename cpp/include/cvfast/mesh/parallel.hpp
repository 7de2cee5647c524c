// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <functional>

namespace cvfast::mesh {

/// Runs task(0) ... task(n - 1), in any order and on any threads, and returns when all have ended; false when one of
/// them returned false or the caller's patience did.  The kernels have no threads of their own: `runtime::parallel_for`
/// is one way to be given, `serially` another.
using Parallel = std::function<bool(std::size_t n, const std::function<bool(std::size_t)>& task)>;

inline bool serially(std::size_t n, const std::function<bool(std::size_t)>& task) {
  for (std::size_t i = 0; i < n; ++i) {
    if (!task(i)) return false;
  }
  return true;
}

}  // namespace cvfast::mesh
