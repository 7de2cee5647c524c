// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cvfast::shm {

/// A process of this machine, as others can look it up: numbers of processes are used again, so the time at which it
/// started belongs to its name, and they mean nothing in another pid namespace (another container).
struct ProcessId {
  std::uint64_t space = 0;  ///< inode of the pid namespace; 0 where there is no such thing
  std::uint64_t start = 0;  ///< in the kernel's units
  std::int64_t pid = 0;     ///< 0: nobody

  friend bool operator==(const ProcessId&, const ProcessId&) = default;
};

/// The calling process; looked up again in a forked child.
[[nodiscard]] ProcessId this_process() noexcept;

/// Whether a process has certainly ended (a zombie has).  Of another pid namespace this cannot be known.
[[nodiscard]] bool has_ended(const ProcessId& process) noexcept;

/// "<space>-<pid>-<start>", for names of files.
[[nodiscard]] std::string to_text(const ProcessId& process);

/// The process at the beginning of a text as to_text writes it, which must end there or go on with '-'.
[[nodiscard]] std::optional<ProcessId> process_of(std::string_view text) noexcept;

}  // namespace cvfast::shm
