// SPDX-License-Identifier: BSD-3-Clause
#include "http_retry.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <ctime>

#include "http_response.hpp"

namespace cvfast::fetch {

HttpClock::duration to_duration(double seconds) noexcept {
  constexpr double kYear = 365.0 * 24 * 3600;
  return std::chrono::duration_cast<HttpClock::duration>(
      std::chrono::duration<double>(seconds >= 0 ? std::min(seconds, kYear) : 0.0));
}

bool is_retried_status(int status) noexcept {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

bool is_overload_status(int status) noexcept { return status == 429 || status == 503; }

std::optional<double> parse_retry_after(const std::string& text, std::int64_t unix_now) noexcept {
  if (const auto seconds = parse_number(text)) return static_cast<double>(*seconds);
  const std::time_t date = ::curl_getdate(text.c_str(), nullptr);
  if (date == -1) return std::nullopt;
  return std::max(0.0, static_cast<double>(date) - static_cast<double>(unix_now));
}

double next_pause(double last_seconds, const HttpPolicy& policy, std::minstd_rand& random) noexcept {
  const double low = policy.backoff_seconds;
  const double high = std::max(low, std::min(policy.max_backoff_seconds, 3 * std::max(low, last_seconds)));
  return low + (high - low) * std::generate_canonical<double, 32>(random);
}

void HostPace::on_answer(int max_transfers) noexcept {
  pause_seconds_ = 0;
  failing_since_ = {};
  if (window_ < max_transfers) window_ += 1 / window_;
}

void HostPace::on_overload(HttpClock::time_point now, HttpClock::time_point started, double stated_seconds,
                           int max_transfers, const HttpPolicy& policy, std::minstd_rand& random) noexcept {
  if (failing_since_ == HttpClock::time_point{}) failing_since_ = now;
  if (started >= paused_at_) {
    pause_seconds_ = next_pause(pause_seconds_, policy, random);
    paused_at_ = now;
    window_ = std::max(1.0, std::min<double>(max_transfers, window_) / 2);
    not_before_ = std::max(not_before_, now + to_duration(pause_seconds_));
  }
  if (stated_seconds > 0) not_before_ = std::max(not_before_, now + to_duration(stated_seconds));
}

void HostReach::on_burst(HttpClock::time_point now) noexcept {
  if (least_ != HttpClock::duration::max()) is_near_ = least_ <= kNearTime;
  least_ = HttpClock::duration::max();
  done_at_ = now;
}

void HostReach::on_answer(HttpClock::time_point started, HttpClock::time_point now) noexcept {
  least_ = std::min(least_, now - started);
  done_at_ = now;
  if (!is_near_ && far_ < std::numeric_limits<int>::max()) ++far_;
}

int HostReach::limit(int most, int active, HttpClock::time_point now) noexcept {
  if (now >= due(most, active)) is_near_ = false;
  return last_limit(most);
}

HttpClock::time_point HostReach::due(int most, int active) const noexcept {
  return is_near_ && most > kNear && active >= kNear ? done_at_ + kPatience : HttpClock::time_point::max();
}

}  // namespace cvfast::fetch
