// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace cvfast {

/// Instruction sets that kernels have variants for.  kSse2 is part of x86-64, so that nothing but its name is asked
/// for.
enum class Isa { kPortable, kSse2, kAvx512 };

/// The best set of this machine, found once.  The environment variable CVFAST_ISA=portable asks for none.
/// kAvx512 stands for F, BW, DQ, VL and BMI2: every processor since Skylake-SP and Zen 4.
[[nodiscard]] Isa best_isa() noexcept;

/// Whether the processor has the crc32 instruction (SSE4.2); false under CVFAST_ISA=portable.
[[nodiscard]] bool has_crc32c() noexcept;

}  // namespace cvfast
