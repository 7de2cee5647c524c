// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <curl/curl.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cvfast/fetch/http_client.hpp"
#include "http_memory.hpp"
#include "http_response.hpp"
#include "http_retry.hpp"

namespace cvfast::fetch {

/// What a request needs of the environment, read on the thread that submits it: getenv on another thread races with
/// changes of the environment.
struct HttpEnvironment {
  std::string http_proxy;
  std::string https_proxy;
  std::string no_proxy;
  std::string ca_file;
  std::string ca_folder;

  [[nodiscard]] static HttpEnvironment read();
};

class HttpTransfer;

/// What transfers share on the reactor's thread.
struct HttpTransferContext {
  HttpMemory& memory;
  /// The one body of unknown length that may grow beyond the limit, so that several cannot wait for each other.
  HttpTransfer* grower = nullptr;
  /// Waiting for memory, in order.
  std::deque<HttpTransfer*> paused{};
  /// Those to which something came in this round of events.
  std::vector<HttpTransfer*> touched{};
  std::uint64_t pauses = 0;
  std::uint64_t bytes = 0;
};

/// One request on its way, of which the reactor's thread alone knows.  Sends, receives and judges; when to do so is the
/// reactor's business.
class HttpTransfer {
 public:
  enum class Place : std::uint8_t { kQueued, kActive, kBackoff, kChecking };
  enum class Verdict : std::uint8_t { kDone, kFollow, kRetry, kCheck };

  HttpTransfer(HttpRequest request, HttpCompletion done, std::shared_ptr<HttpGroup> group,
               std::shared_ptr<const HttpEnvironment> environment);
  ~HttpTransfer();
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;

  [[nodiscard]] const HttpRequest& request() const noexcept { return request_; }
  [[nodiscard]] const HttpPolicy& policy() const noexcept { return request_.policy; }
  [[nodiscard]] const std::shared_ptr<HttpGroup>& group() const noexcept { return group_; }
  [[nodiscard]] const Origin& origin() const noexcept { return origin_; }
  /// Whether the request can be sent at all; if not it has failed.
  [[nodiscard]] bool is_sendable();

  /// Bytes of memory that the answer will surely need, 0 where that is not known before it comes.
  [[nodiscard]] std::uint64_t foreseen_bytes() const noexcept;
  /// Sets the handle up.  @param reserved of foreseen_bytes, now this transfer's.
  [[nodiscard]] bool begin(CURL* easy, HttpTransferContext& context, std::uint64_t reserved);
  /// Looks at what came; the handle is still set up.
  [[nodiscard]] Verdict judge(CURL* easy, CURLcode code);
  /// Whether there is memory now for what a paused transfer waits for.
  [[nodiscard]] bool can_go_on() noexcept;
  /// Whether more of the answer is to come.
  [[nodiscard]] bool expects_more() const noexcept;
  /// Lets go of the handle.
  void end() noexcept;
  /// Back to the first URL, for another attempt.
  void rewind();

  /// The MD5 that is still to be compared (Verdict::kCheck), and what came of it.
  [[nodiscard]] const Md5Digest& expected_md5() const noexcept { return *expected_.md5; }
  [[nodiscard]] std::span<const std::byte> body() const noexcept;
  [[nodiscard]] Verdict judge_md5(bool is_equal);

  /// An attempt that is taken off before it can be judged.
  void count_attempt() noexcept { ++attempts_; }
  /// Whether a failure may be tried again; counts it.
  [[nodiscard]] bool may_retry();
  void fail(HttpError error, Retry retry, std::string text);
  /// No more attempts; the text goes in front of that of the last failure.
  void give_up(HttpError error, const std::string& why);
  [[nodiscard]] HttpError error() const noexcept { return error_; }
  [[nodiscard]] int status() const noexcept { return status_; }
  [[nodiscard]] double retry_after() const noexcept { return retry_after_; }
  /// Calls the completion.
  void complete(HttpState state) noexcept;

  // What the reactor notes.
  Place place = Place::kQueued;
  CURL* easy = nullptr;
  struct HttpHost* host = nullptr;
  std::size_t active_index = 0;
  HttpClock::time_point started{};                                // of this attempt
  HttpClock::time_point deadline = HttpClock::time_point::max();  // of all
  HttpClock::time_point paused_since{};
  HttpClock::time_point marked_at{};  // since when marked_bytes have moved
  std::uint64_t marked_bytes = 0;
  double pause_seconds = 0;
  bool is_paused = false;
  bool is_touched = false;
  curl_socket_t socket = CURL_SOCKET_BAD;  // where known: of HTTP/2 only one transfer knows it
  std::atomic<bool> is_check_cancelled{false};

  /// Bytes moved in this attempt, headers included, for finding stalls.
  [[nodiscard]] std::uint64_t moved_bytes() const noexcept;

 private:
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self) noexcept;
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) noexcept;
  void touch();
  void read_header(std::string_view line);
  void plan_body();
  void plan_range();
  [[nodiscard]] std::size_t take(const std::byte* data, std::size_t n);
  enum class Room : std::uint8_t { kYes, kWait, kNever };
  [[nodiscard]] Room make_room(std::size_t n);
  [[nodiscard]] std::size_t store(const std::byte* data, std::size_t n);
  [[nodiscard]] Verdict judge_body();
  [[nodiscard]] Verdict follow();
  void judge_code(CURLcode code);
  [[nodiscard]] Verdict failed() const noexcept { return Verdict::kRetry; }
  void forget_answer() noexcept;
  [[nodiscard]] bool is_plain() const noexcept;

  HttpRequest request_;
  HttpCompletion done_;
  std::shared_ptr<HttpGroup> group_;
  std::shared_ptr<const HttpEnvironment> environment_;
  HttpTransferContext* context_ = nullptr;
  curl_slist* header_list_ = nullptr;
  std::array<char, CURL_ERROR_SIZE> curl_text_{};

  std::string url_;  // where redirects have led
  Origin origin_;
  bool has_left_origin_ = false;
  int redirects_ = 0;
  int attempts_ = 0;
  int few_failures_ = 0;

  // The answer.
  int status_ = 0;
  std::vector<HttpHeader> headers_;
  std::size_t header_bytes_ = 0;
  bool is_header_complete_ = false;
  bool is_body_wanted_ = false;
  bool is_chunked_ = false;
  bool is_stopped_ = false;              // everything wanted is here: the rest was not waited for
  std::optional<std::uint64_t> stated_;  // Content-Length
  std::optional<std::uint64_t> length_;  // bytes to store
  std::uint64_t skip_ = 0;               // bytes to pass over before those
  bool is_slice_ = false;                // of a whole object that was sent instead of a range
  bool is_whole_ = false;                // the bytes are all of the object
  std::uint64_t position_ = 0;           // bytes of the body seen
  std::uint64_t received_ = 0;           // and stored
  std::string error_body_;
  std::string error_code_;
  std::uint64_t reserved_ = 0;
  std::uint64_t awaited_bytes_ = 0;  // of memory, while paused
  std::byte* out_ = nullptr;
  HttpBuffer buffer_;
  StatedDigest expected_;
  const char* checked_ = "";

  HttpError error_ = HttpError::kNone;
  Retry retry_ = Retry::kNever;
  std::string text_;
  std::string last_text_;  // of the attempt before
  double retry_after_ = 0;
};

}  // namespace cvfast::fetch
