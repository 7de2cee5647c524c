// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <string>

#include "cvfast/fetch/http_client.hpp"

namespace cvfast::fetch {

using HttpClock = std::chrono::steady_clock;

[[nodiscard]] HttpClock::duration to_duration(double seconds) noexcept;

/// What a failed attempt calls for.
enum class Retry : std::uint8_t {
  kNever,
  kFew,    ///< once or twice more: it may have been an accident, but is more likely to stay so (a wrong digest or size)
  kUsual,  ///< as often as the policy says
};

constexpr int kFewAttempts = 3;

/// 408, 429, 500, 502, 503, 504.
[[nodiscard]] bool is_retried_status(int status) noexcept;
/// Statuses by which a server speaks of its load rather than of the request: 429 and 503.
[[nodiscard]] bool is_overload_status(int status) noexcept;

/// Seconds from now that a Retry-After header asks for, as a number or as a date (0 for one in the past).
[[nodiscard]] std::optional<double> parse_retry_after(const std::string& text, std::int64_t unix_now) noexcept;

/// Decorrelated jitter: each pause is drawn between the least one and three times the last.
[[nodiscard]] double next_pause(double last_seconds, const HttpPolicy& policy, std::minstd_rand& random) noexcept;

/// One host's patience, shared by all requests to it.
///
/// Overload makes everybody wait, and halves how many requests are under way; each answer that is none lets one more in
/// for every window full of them.
class HostPace {
 public:
  /// When the next request may start.
  [[nodiscard]] HttpClock::time_point not_before() const noexcept { return not_before_; }
  /// How many may be under way, of the most that the settings allow.
  [[nodiscard]] int window(int max_transfers) const noexcept {
    return window_ < max_transfers ? static_cast<int>(window_) : max_transfers;
  }

  /// Whether there has been nothing but overload for this long.
  [[nodiscard]] bool has_failed_for(HttpClock::duration time, HttpClock::time_point now) const noexcept {
    return failing_since_ != HttpClock::time_point{} && now - failing_since_ > time;
  }

  void on_answer(int max_transfers) noexcept;
  /// @param started when the failed attempt began: failures of attempts from before the last pause say nothing new.
  /// @param max_transfers how many the host may have been given at once.
  /// @param stated_seconds of a Retry-After header, 0 for none.
  void on_overload(HttpClock::time_point now, HttpClock::time_point started, double stated_seconds, int max_transfers,
                   const HttpPolicy& policy, std::minstd_rand& random) noexcept;

 private:
  double window_ = 1e9;  // no bound until the first overload
  double pause_seconds_ = 0;
  HttpClock::time_point failing_since_{};
  HttpClock::time_point paused_at_{};
  HttpClock::time_point not_before_{};
};

/// How many requests one host is to be given at once, as far as its distance goes.
///
/// Many requests hide the time that a far server takes to answer.  A near one is busy with few of them; more only make
/// bodies come a piece of each in turn, so that all of them lie in memory half received and none is done.  512 objects
/// of 256 KiB from loopback took the client's thread 36 ms of processor time with 128 at once and 26 ms with 16.
///
/// A host counts as near until a few requests have been under way for a while without one of them being done. Of each
/// burst of requests the quickest tells what the host is in the next one.
///
/// A far host is given kFar at first, and one more for each answer, so that no server is met by more connections at
/// once than it has shown to bear.  Overload takes it back to kFar.
class HostReach {
 public:
  static constexpr int kNear = 32;
  static constexpr int kFar = 128;
  static constexpr std::chrono::milliseconds kNearTime{5};  ///< from the start of a request to its end
  /// How long to believe so while nothing is done: longer, since the machine may be busy.
  static constexpr std::chrono::milliseconds kPatience{20};

  /// The first request of a burst is there.
  void on_burst(HttpClock::time_point now) noexcept;
  /// A request that began then is done.
  void on_answer(HttpClock::time_point started, HttpClock::time_point now) noexcept;
  /// The host has said that it has too much to do.
  void on_overload() noexcept { far_ = kFar; }
  /// How many may be under way.
  [[nodiscard]] int limit(int most, int active, HttpClock::time_point now) noexcept;
  /// The same, as it was last told.
  [[nodiscard]] int last_limit(int most) const noexcept { return std::min(most, is_near_ ? kNear : far_); }
  /// When to ask for the limit again although nothing has been done, if it keeps requests waiting.
  [[nodiscard]] HttpClock::time_point due(int most, int active) const noexcept;

 private:
  bool is_near_ = true;
  int far_ = kFar;
  HttpClock::time_point done_at_{};
  HttpClock::duration least_ = HttpClock::duration::max();
};

}  // namespace cvfast::fetch
