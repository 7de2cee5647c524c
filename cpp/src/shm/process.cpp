// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/shm/process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#if defined(__APPLE__)
#include <libproc.h>
#endif

namespace cvfast::shm {
namespace {

struct Life {
  bool exists = false;
  bool is_zombie = false;
  std::uint64_t start = 0;
};

#if defined(__linux__)

std::uint64_t pid_namespace() noexcept {
  struct stat status{};
  return ::stat("/proc/self/ns/pid", &status) == 0 ? static_cast<std::uint64_t>(status.st_ino) : 0;
}

// Field 3 (state) and field 22 (starttime) of /proc/<pid>/stat.  The second field is a name in parentheses, which may
// hold spaces and parentheses itself.
Life life_of(std::int64_t pid) noexcept {
  std::array<char, 64> path{};
  (void)std::snprintf(path.data(), path.size(), "/proc/%lld/stat", static_cast<long long>(pid));
  const int fd = ::open(path.data(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {errno != ENOENT && errno != ESRCH, false, 0};
  std::array<char, 1024> text{};
  const ssize_t size = ::read(fd, text.data(), text.size() - 1);
  ::close(fd);
  if (size <= 0) return {false, false, 0};  // it ended after open
  const char* at = std::strrchr(text.data(), ')');
  if (at == nullptr || at[1] != ' ') return {true, false, 0};
  at += 2;
  Life life{true, *at == 'Z' || *at == 'X', 0};
  for (int field = 3; field < 22 && at != nullptr; ++field) {
    at = std::strchr(at, ' ');
    if (at != nullptr) ++at;
  }
  if (at != nullptr) (void)std::from_chars(at, text.data() + size, life.start);
  return life;
}

#else

std::uint64_t pid_namespace() noexcept { return 0; }

Life life_of(std::int64_t pid) noexcept {
  Life life;
  life.exists = ::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM;
#if defined(__APPLE__)
  proc_bsdinfo info{};
  if (::proc_pidinfo(static_cast<int>(pid), PROC_PIDTBSDINFO, 0, &info, sizeof(info)) == sizeof(info)) {
    life.start = info.pbi_start_tvsec * 1000000 + info.pbi_start_tvusec;
    life.is_zombie = info.pbi_status == 5;  // SZOMB
  }
#endif
  return life;
}

#endif

}  // namespace

ProcessId this_process() noexcept {
  const auto pid = static_cast<std::int64_t>(::getpid());
  return {pid_namespace(), life_of(pid).start, pid};
}

bool has_ended(const ProcessId& process) noexcept {
  if (process.pid <= 0) return true;
  if (process.space != pid_namespace()) return false;
  const Life life = life_of(process.pid);
  return !life.exists || life.is_zombie || (life.start != 0 && process.start != 0 && life.start != process.start);
}

std::string to_text(const ProcessId& process) {
  return std::to_string(process.space) + "-" + std::to_string(process.pid) + "-" + std::to_string(process.start);
}

std::optional<ProcessId> process_of(std::string_view text) noexcept {
  ProcessId out;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto number = [&](auto& value, bool is_last) {
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc() || next == at) return false;
    at = next;
    if (at == end) return is_last;
    return *at++ == '-';
  };
  if (!number(out.space, false) || !number(out.pid, false) || !number(out.start, true)) return std::nullopt;
  return out;
}

}  // namespace cvfast::shm
