// SPDX-License-Identifier: BSD-3-Clause
//
// What the HTTP client is made of: MD5, headers, URLs, pauses.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "../src/fetch/http_md5.hpp"
#include "../src/fetch/http_memory.hpp"
#include "../src/fetch/http_poller.hpp"
#include "../src/fetch/http_response.hpp"
#include "../src/fetch/http_retry.hpp"

namespace {

namespace fetch = cvfast::fetch;
using fetch::HttpHeader;
using namespace std::chrono_literals;

std::span<const std::byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string hex(const fetch::Md5Digest& digest) {
  std::string out;
  for (const std::byte byte : digest) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    out += kDigits[std::to_integer<unsigned>(byte) >> 4];
    out += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return out;
}

std::string md5_of(std::string_view text) {
  fetch::Md5 md5;
  md5.update(bytes_of(text));
  return hex(md5.finish());
}

TEST(HttpMd5, VectorsOfRfc1321) {
  EXPECT_EQ(md5_of(""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(md5_of("a"), "0cc175b9c0f1b6a831c399e269772661");
  EXPECT_EQ(md5_of("abc"), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(md5_of("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
  EXPECT_EQ(md5_of("abcdefghijklmnopqrstuvwxyz"), "c3fcd3d76192e4007dfb496cca67e13b");
  EXPECT_EQ(md5_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
            "d174ab98d277d9f5a5611c2c9f419d9f");
  EXPECT_EQ(md5_of("12345678901234567890123456789012345678901234567890123456789012345678901234567890"),
            "57edf4a22be3c955ac49da2e2107b67a");
}

TEST(HttpMd5, PiecesMakeNoDifference) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 7);
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const std::string_view whole = std::string_view(text).substr(0, size);
    for (const std::size_t step : {std::size_t{1}, std::size_t{3}, std::size_t{63}, std::size_t{64}, std::size_t{65}}) {
      fetch::Md5 md5;
      for (std::size_t at = 0; at < size; at += step) md5.update(bytes_of(whole.substr(at, step)));
      ASSERT_EQ(hex(md5.finish()), md5_of(whole)) << size << " by " << step;
    }
  }
}

TEST(HttpUrl, Origins) {
  EXPECT_EQ(fetch::origin_of("HTTP://User:pw@Host.Example/x:y@z")->text(), "http://host.example:80");
  EXPECT_EQ(fetch::origin_of("https://h?a=http://b")->text(), "https://h:443");
  EXPECT_EQ(fetch::origin_of("https://[::1]:8080/x")->text(), "https://[::1]:8080");
  EXPECT_EQ(fetch::origin_of("https://[::1]")->text(), "https://[::1]:443");
  // A backslash ends the host for some readers: it must not name one origin here and another one there.
  EXPECT_EQ(fetch::origin_of("http://good\\@evil/")->text(), "http://good:80");
  for (const char* url : {"", "h", "ftp://h/", "file:///x", "http://", "http:///x", "http://h:0/", "http://h:65536/",
                          "http://h:x/", "http://h:/", "http://a b/", "http://h/\n", "http://h/\x7f"}) {
    EXPECT_FALSE(fetch::origin_of(url)) << url;
  }
}

TEST(HttpUrl, MessagesLeaveSecretsOut) {
  EXPECT_EQ(fetch::without_secrets("https://u:secret@h:1/a@b/c?secret#secret"), "https://h:1/a@b/c?...");
  EXPECT_EQ(fetch::without_secrets("https://h/a#secret"), "https://h/a");
  EXPECT_EQ(fetch::without_secrets("https://h/a#secret?secret"), "https://h/a");
  EXPECT_EQ(fetch::without_secrets("https://secret@h?secret"), "https://h?...");
  EXPECT_EQ(fetch::without_secrets("u:secret@h/x"), "h/x");
  EXPECT_EQ(fetch::without_secrets("https://h/a\r\nb"), "https://h/a??b");
}

TEST(HttpHeaders, ContentRange) {
  const auto range = fetch::parse_content_range("bytes 5-9/100");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->begin, 5U);
  EXPECT_EQ(range->end, 10U);
  EXPECT_EQ(range->total, 100U);
  EXPECT_FALSE(fetch::parse_content_range("Bytes 0-0/*")->total);
  for (const char* text : {"", "bytes", "bytes ", "bytes */10", "bytes 5-4/10", "bytes 5-10/10", "bytes 5-9",
                           "bytes -5-9/10", "items 5-9/10", "bytes 5-9/10x", "bytes 5-9/", "bytes 5/10-9",
                           "bytes 0-18446744073709551615/*", "bytes 0-99999999999999999999/*", "bytes 5 -9/10"}) {
    EXPECT_FALSE(fetch::parse_content_range(text)) << text;
  }
}

TEST(HttpHeaders, RetryAfter) {
  constexpr std::int64_t kNow = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT
  EXPECT_EQ(fetch::parse_retry_after("120", kNow), 120);
  EXPECT_EQ(fetch::parse_retry_after("0", kNow), 0);
  EXPECT_EQ(fetch::parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", kNow), 10);
  EXPECT_EQ(fetch::parse_retry_after("Sunday, 06-Nov-94 08:49:47 GMT", kNow), 10);
  EXPECT_EQ(fetch::parse_retry_after("Sun Nov  6 08:49:47 1994", kNow), 10);
  EXPECT_EQ(fetch::parse_retry_after("Sun, 06 Nov 1994 08:49:27 GMT", kNow), 0);
  EXPECT_FALSE(fetch::parse_retry_after("soon", kNow));
  EXPECT_FALSE(fetch::parse_retry_after("", kNow));
}

TEST(HttpHeaders, Digests) {
  EXPECT_EQ(fetch::parse_digest("AQIDBA==", 4), fetch::parse_digest("01020304", 4));
  EXPECT_EQ(fetch::parse_digest("/+8A/w==", 4), fetch::parse_digest("FFEF00fF", 4));
  for (const char* text : {"", "AQIDBA=", "AQIDBAA=", "AQIDBAAA", "AQI*BA==", "0102030g", "010203", "A======="}) {
    const auto found = fetch::parse_digest(text, 4);
    EXPECT_FALSE(found) << text;
  }
}

TEST(HttpHeaders, Sendable) {
  EXPECT_TRUE(fetch::is_sendable({"X-Amz-Meta_1", "any text; even \xc3\xa9 and\ttabs"}));
  EXPECT_FALSE(fetch::is_sendable({"X", "a\nb"}));
  EXPECT_FALSE(fetch::is_sendable({"X", std::string("a\0b", 3)}));
  EXPECT_FALSE(fetch::is_sendable({"X:", "a"}));
  EXPECT_FALSE(fetch::is_sendable({"", "a"}));
}

TEST(HttpHeaders, ErrorCodesOfStores) {
  EXPECT_EQ(fetch::find_error_code("<?xml?><Error><Code>SlowDown</Code><Message>x</Message>"), "SlowDown");
  EXPECT_EQ(fetch::find_error_code("{\"errors\": [{\"reason\": \"rateLimitExceeded\"}]}"), "rateLimitExceeded");
  EXPECT_EQ(fetch::find_error_code("<Code>a b"), "a");
  EXPECT_EQ(fetch::find_error_code("<Code>" + std::string(1000, 'x')).size(), 64U);
  EXPECT_EQ(fetch::find_error_code("nothing"), "");
}

TEST(HttpRetry, PausesStayWithinTheirBounds) {
  fetch::HttpPolicy policy;
  policy.backoff_seconds = 0.5;
  policy.max_backoff_seconds = 4;
  std::minstd_rand random(1);
  double last = 0;
  double most = 0;
  for (int i = 0; i < 1000; ++i) {
    const double pause = fetch::next_pause(last, policy, random);
    EXPECT_GE(pause, 0.5);
    EXPECT_LE(pause, std::min(4.0, 3 * std::max(0.5, last)));
    last = pause;
    most = std::max(most, pause);
  }
  EXPECT_GT(most, 3);
}

TEST(HttpRetry, AWaveOfRefusalsCountsOnce) {
  fetch::HttpPolicy policy;
  std::minstd_rand random(1);
  fetch::HostPace pace;
  const auto now = fetch::HttpClock::now();
  for (int i = 0; i < 64; ++i) pace.on_overload(now + 1ms * i, now - 1s, 0, 64, policy, random);
  EXPECT_EQ(pace.window(64), 32);
  EXPECT_LE(pace.not_before(), now + 1s);
  EXPECT_GT(pace.not_before(), now + 100ms);
  pace.on_overload(now + 2s, now + 1s, 30, 64, policy, random);
  EXPECT_EQ(pace.window(64), 16);
  EXPECT_GE(pace.not_before(), now + 32s);
  EXPECT_TRUE(pace.has_failed_for(1s, now + 2s));
  EXPECT_FALSE(pace.has_failed_for(3s, now + 2s));
  for (int i = 0; i < 2000; ++i) pace.on_answer(64);
  EXPECT_EQ(pace.window(64), 64);
  EXPECT_FALSE(pace.has_failed_for(0s, now + 9s));
}

TEST(HttpRetry, FewRequestsToANearHost) {
  const auto begin = fetch::HttpClock::now();
  constexpr int kMost = 128;
  constexpr int kNear = fetch::HostReach::kNear;
  fetch::HostReach reach;
  reach.on_burst(begin);
  auto now = begin;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(reach.limit(kMost, kNear, now), kNear);
    EXPECT_EQ(reach.due(kMost, kNear), now + fetch::HostReach::kPatience);
    reach.on_answer(now, now + 1ms);
    now += 1ms;
  }
  EXPECT_EQ(reach.limit(kNear / 2, kNear / 2, now), kNear / 2);
  EXPECT_EQ(reach.due(kNear / 2, kNear / 2), fetch::HttpClock::time_point::max());
  // A few that take long say nothing about what more of them would do.
  EXPECT_EQ(reach.limit(kMost, kNear - 1, now + 1s), kNear);
}

TEST(HttpRetry, ManyRequestsToAFarHost) {
  auto now = fetch::HttpClock::now();
  constexpr int kMost = 128;
  constexpr int kNear = fetch::HostReach::kNear;
  fetch::HostReach reach;
  reach.on_burst(now);
  EXPECT_EQ(reach.limit(kMost, kNear, now + 19ms), kNear);
  EXPECT_EQ(reach.limit(kMost, kNear, now + 20ms), kMost);
  reach.on_answer(now, now + 50ms);
  now += 1s;
  reach.on_burst(now);  // which is remembered
  EXPECT_EQ(reach.limit(kMost, 0, now), kMost);
  EXPECT_EQ(reach.due(kMost, kNear), fetch::HttpClock::time_point::max());
  reach.on_answer(now, now + 50ms);
  reach.on_answer(now, now + 2ms);
  EXPECT_EQ(reach.limit(kMost, kNear, now + 60ms), kMost);
  now += 1s;
  reach.on_burst(now);  // until it answers sooner
  EXPECT_EQ(reach.limit(kMost, 0, now), kNear);
}

TEST(HttpRetry, AFarHostIsGivenMoreAsItAnswers) {
  auto now = fetch::HttpClock::now();
  constexpr int kMost = 256;
  constexpr int kFar = fetch::HostReach::kFar;
  fetch::HostReach reach;
  reach.on_burst(now);
  for (int i = 0; i < 100; ++i) reach.on_answer(now, now + 1ms);  // near
  EXPECT_EQ(reach.limit(kMost, fetch::HostReach::kNear, now + 21ms), kFar);
  EXPECT_EQ(reach.last_limit(kMost), kFar);
  EXPECT_EQ(reach.last_limit(kFar - 1), kFar - 1);
  for (int i = 1; i <= 1000; ++i) {
    reach.on_answer(now, now + 50ms);
    EXPECT_EQ(reach.limit(kMost, 0, now + 50ms), std::min(kMost, kFar + i));
  }
  reach.on_overload();
  EXPECT_EQ(reach.limit(kMost, 0, now + 50ms), kFar);
  reach.on_answer(now, now + 50ms);
  EXPECT_EQ(reach.limit(kMost, 0, now + 50ms), kFar + 1);
}

TEST(HttpRetry, OverloadHalvesWhatTheHostWasGiven) {
  const auto now = fetch::HttpClock::now();
  constexpr int kMost = 256;
  std::minstd_rand random(1);
  fetch::HostPace pace;
  fetch::HostReach reach;
  reach.on_burst(now);
  pace.on_overload(now, now, 0, reach.last_limit(kMost), {}, random);
  EXPECT_EQ(pace.window(kMost), fetch::HostReach::kNear / 2);
}

// libcurl closes a socket that is still connecting, and says so afterwards or not at all.
TEST(HttpPoller, WatchesASocketThatTookTheNumberOfAClosedOne) {
  fetch::HttpPoller poller;
  ASSERT_EQ(poller.open(), 0);
  std::array<int, 2> first{};
  std::array<int, 2> second{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, first.data()), 0);
  poller.set(first[0], true, false);
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, second.data()), 0);
  ASSERT_EQ(::dup2(second[0], first[0]), first[0]);  // closes the first one, unknown to the poller
  poller.set(first[0], true, false);
  ASSERT_EQ(::write(second[1], "x", 1), 1);
  std::vector<fetch::HttpPoller::Event> events;
  poller.wait(2000, events);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].fd, first[0]);
  EXPECT_TRUE(events[0].is_readable);
  EXPECT_TRUE(poller.watches(first[0]));
  EXPECT_FALSE(poller.watches(second[0]));
  EXPECT_FALSE(poller.watches(-1));
  poller.remove(first[0]);
  EXPECT_FALSE(poller.watches(first[0]));
  for (const int fd : {first[0], first[1], second[0], second[1]}) ::close(fd);
}

TEST(HttpMemory, RoundsUpByAFifthAtMost) {
  for (std::uint64_t size = 1; size < 3000000; size += 1 + size / 50) {
    const std::uint64_t rounded = fetch::HttpMemory::rounded(size);
    EXPECT_GE(rounded, size);
    EXPECT_EQ(rounded % 4096, 0U);
    EXPECT_LE(rounded, std::max<std::uint64_t>(size + 4096, size * 5 / 4));
  }
  EXPECT_EQ(fetch::HttpMemory::rounded(256 << 10), 256U << 10);
}

TEST(HttpMemory, GrantsUpToTheLimitAndAtLeastOne) {
  int released = 0;
  fetch::HttpMemory memory([&] { ++released; });
  memory.set_limit(100);
  EXPECT_TRUE(memory.reserve(1000));
  EXPECT_FALSE(memory.reserve(1));
  memory.unreserve(1000);
  EXPECT_EQ(released, 0);
  EXPECT_TRUE(memory.reserve(60));
  EXPECT_TRUE(memory.reserve(40));
  memory.expect_release();
  EXPECT_FALSE(memory.reserve(1));
  memory.unreserve(40);
  EXPECT_EQ(released, 1);
  EXPECT_TRUE(memory.has_room(40));
  EXPECT_FALSE(memory.has_room(41));
  memory.unreserve(60);
  EXPECT_EQ(released, 1);
  EXPECT_EQ(memory.peak(), 1000U);
}

}  // namespace
