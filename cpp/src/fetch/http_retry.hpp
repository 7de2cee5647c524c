// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
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

}  // namespace cvfast::fetch
