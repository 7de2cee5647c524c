// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// HTTP on one thread per process: whoever needs bytes hands requests to the reactor and is told when they are there.
///
/// Who may call what:
/// - `submit`, `cancel`, `get_all`, `settings`, `configure`, `stats` and the methods of HttpBuffer: any thread, at any
///   time, also before the first use and in a forked child.
/// - `close`: any thread but the reactor's.
/// - Completions run on the reactor's thread.  They must not throw, must return within microseconds, may call `submit`
///   and `cancel`, and must not wait for anything that a thread may hold while it forks or closes: above all not the
///   GIL.
///
/// Fork: the thread that forks waits until the reactor is outside of libcurl, so no lock of libcurl or of the TLS
/// library is held in the child.  The child closes its copies of the sockets, forgets everything else, and starts
/// afresh on its first request; what the parent had under way goes on in the parent alone.
///
/// Exit: an exit handler stops the reactor before the TLS library takes itself apart.  Transfers under way are dropped,
/// their completions never called.
namespace cvfast::fetch {

enum class HttpMethod : std::uint8_t { kGet, kHead, kPut, kPost, kDelete };

[[nodiscard]] const char* name(HttpMethod method) noexcept;

enum class HttpState : std::uint8_t {
  kData,         ///< the answer that was asked for, complete and checked
  kMissing,      ///< 404 to a GET, HEAD or DELETE
  kNotModified,  ///< 304 to a conditional request: no bytes
  kFailed,       ///< see HttpResult::error
  kCancelled,
};

[[nodiscard]] const char* name(HttpState state) noexcept;

enum class HttpError : std::uint8_t {
  kNone,
  kRequest,    ///< the request makes no sense: URL, header, method
  kConnect,    ///< no address, or nobody listens
  kTls,        ///< no secure connection, or a certificate that is not trusted
  kTimeout,    ///< connecting, a stall, or the whole request took too long
  kReset,      ///< the connection broke
  kShortBody,  ///< the body ended before its stated length, or states none and could not be checked otherwise
  kStatus,     ///< the server said so: HttpResult::status
  kSize,       ///< the body is not as long as expected, or longer than allowed
  kDigest,     ///< the bytes are not those of the stated or expected digest
  kRange,      ///< other bytes than those of the range
  kRedirect,   ///< too many, or one that must not be followed
  kProtocol,   ///< an answer that is no HTTP, or contradicts itself
  kNoMemory,
  kForked,  ///< waited for in a child that was forked while it waited
};

[[nodiscard]] const char* name(HttpError error) noexcept;

/// Half-open, in bytes.
struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// How long and how often.  Each bound is on by default.
struct HttpPolicy {
  double connect_seconds = 10;  ///< to an established (TLS) connection
  /// A transfer that moves fewer than stall_bytes in stall_seconds has stalled; found within twice that time.
  double stall_seconds = 30;
  std::uint64_t stall_bytes = 1024;
  /// The whole request with its retries, from its first start; waiting for its turn or for memory does not count.
  double total_seconds = 600;
  int max_attempts = 7;
  double backoff_seconds = 0.2;  ///< least pause before a retry
  double max_backoff_seconds = 30;
  int max_redirects = 10;
  /// How far into an object to read in search of a range when a server ignores ranges.
  std::uint64_t max_ignored_range_bytes = std::uint64_t{64} << 20;
};

using Md5Digest = std::array<std::byte, 16>;

struct HttpHeader {
  std::string name;  ///< lower case in results
  std::string value;
};

struct HttpRequest;

/// Adds what proves who is asking, to each attempt anew, since signatures and tokens have an age.
class HttpSigner {
 public:
  HttpSigner() = default;
  HttpSigner(const HttpSigner&) = delete;
  HttpSigner& operator=(const HttpSigner&) = delete;
  virtual ~HttpSigner() = default;

  /// Called on the reactor's thread, under the rules for completions, for attempts that go to the request's own origin.
  /// `headers` are those of the request, in any case; what is added must be sendable.  May throw std::bad_alloc.
  virtual void sign(HttpMethod method, const std::string& url, std::span<const std::byte> body,
                    std::vector<HttpHeader>& headers) const = 0;

  /// Does what takes longer than that and has no age, such as to hash the body: once, before `submit`, on the thread
  /// that makes the request.  Need not be called.
  virtual void prepare(HttpRequest& /*request*/) const {}
};

struct HttpRequest {
  HttpMethod method = HttpMethod::kGet;
  std::string url;
  /// Sent as they are.  Unless one of them is Accept-Encoding, whole objects are asked for with "gzip, br;q=0.5,
  /// zstd;q=0.5" (a server that stores compressed bytes then sends them as stored) and ranges with "identity".
  std::vector<HttpHeader> headers;
  std::shared_ptr<const HttpSigner> signer;
  std::span<const std::byte> body;  ///< PUT and POST; kept alive by the caller until completion
  std::optional<ByteRange> range;   ///< GET only, not empty
  bool may_end_early = false;       ///< a range that reaches past the end of the object is answered with what there is
  /// Of the body; compared when the answer has no Content-Encoding.
  std::optional<std::uint64_t> expected_size;
  std::uint64_t max_size = std::uint64_t{1} << 30;
  /// Memory for the body, kept alive by the caller until completion.  Used when the body is exactly this long and has
  /// no Content-Encoding; every other body comes in a buffer.  May be written to by an attempt that fails.
  std::span<std::byte> into;
  /// Digests of the bytes asked for, known beforehand.
  std::optional<std::uint32_t> crc32c;
  std::optional<Md5Digest> md5;
  /// Check what the server states of a whole object: x-goog-hash, x-amz-checksum-crc32c, Content-MD5.
  bool checks_stated_digest = true;
  /// An ETag of 32 hexadecimal digits is the MD5, as on S3 (not checked for objects encrypted with KMS or customer
  /// keys).
  bool is_etag_md5 = false;
  /// Doing it twice is the same as doing it once.  If not, it is repeated only when it cannot have reached the server.
  bool is_repeatable = true;
  HttpPolicy policy;
};

/// Bytes of a body.  Counts as in flight until destroyed, moved from or `keep` is called.
class HttpBuffer {
 public:
  HttpBuffer() noexcept = default;
  HttpBuffer(HttpBuffer&& other) noexcept;
  HttpBuffer& operator=(HttpBuffer&& other) noexcept;
  HttpBuffer(const HttpBuffer&) = delete;
  HttpBuffer& operator=(const HttpBuffer&) = delete;
  ~HttpBuffer() { reset(); }

  [[nodiscard]] std::span<std::byte> bytes() noexcept { return {data_, size_}; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  /// No longer in flight, but the caller's for as long as it likes.
  void keep() noexcept;
  void reset() noexcept;

 private:
  friend class HttpBufferAccess;
  class HttpMemory* memory_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::uint64_t reserved_ = 0;
};

struct HttpResult {
  HttpState state = HttpState::kCancelled;
  HttpError error = HttpError::kNone;
  int status = 0;                ///< of the last answer, 0 without one
  int attempts = 0;              ///< requests sent, redirects not counted
  bool is_in_place = false;      ///< the body lies in HttpRequest::into
  const char* checked = "";      ///< digest that was compared: "crc32c", "md5" or ""
  std::uint64_t size_bytes = 0;  ///< of the body; for HEAD what the server states (0 if it does not)
  HttpBuffer body;
  std::vector<HttpHeader> headers;  ///< those that callers need, see http_response.cpp
  /// What the body of an answer with an error names as its reason, such as AccessDenied, or "".
  std::string error_code;
  /// Says what was tried, expected and found; names the URL without user, query or fragment.
  std::string message;

  /// The value of a header by its lower case name, or "".
  [[nodiscard]] std::string_view header(std::string_view lower_name) const noexcept;
};

using HttpCompletion = std::function<void(HttpResult&&)>;

/// What is cancelled together.
class HttpGroup {
 private:
  friend class HttpReactor;
  std::atomic<bool> is_cancelled_{false};
};

struct HttpSettings {
  int max_transfers = 512;  ///< at once, over all hosts; at most half of the descriptors that a process may have
  int max_transfers_per_host = 256;  ///< also the most connections to one host
  /// Of bodies.  Of a new process: three quarters of CVFAST_MAX_INFLIGHT_BYTES, as libcurl's buffers and what malloc
  /// keeps come on top.
  std::uint64_t max_inflight_bytes = std::uint64_t{192} << 20;
  double idle_seconds = 60;  ///< after which thread and connections are given up
};

struct HttpStats {
  std::uint64_t requests = 0;  ///< submitted
  std::uint64_t attempts = 0;  ///< sent
  std::uint64_t retries = 0;
  std::uint64_t redirects = 0;
  std::uint64_t connections = 0;  ///< sockets opened
  std::uint64_t pauses = 0;       ///< answers that had to wait for memory
  std::uint64_t bytes = 0;        ///< of bodies, errors included
  std::uint64_t inflight_bytes = 0;
  std::uint64_t peak_inflight_bytes = 0;
  bool is_running = false;  ///< whether the reactor's thread exists
};

/// The reactor of this process.
namespace http {

/// Starts a request; `done` is called once, on the reactor's thread.  Proxy and certificate settings are read from the
/// environment here (http_proxy, https_proxy, all_proxy, no_proxy; CURL_CA_BUNDLE, SSL_CERT_FILE, SSL_CERT_DIR).
void submit(HttpRequest request, HttpCompletion done, const std::shared_ptr<HttpGroup>& group = nullptr);

/// Many at once, started in this order as their turn comes.
struct Submission {
  HttpRequest request;
  HttpCompletion done;
};
void submit_all(std::vector<Submission> submissions, const std::shared_ptr<HttpGroup>& group = nullptr);

/// Takes every unfinished request of the group off the wire; each completes as kCancelled, soon, or as what it had
/// already become.  Does not wait.
void cancel(const std::shared_ptr<HttpGroup>& group);

/// Runs all and waits.  `poll` is called by the calling thread about every 50 ms without any lock held; false cancels.
/// Results are in the order of the requests and no longer count as in flight.  Every request has ended on return.
[[nodiscard]] std::vector<HttpResult> get_all(std::vector<HttpRequest> requests, const std::function<bool()>& poll);

[[nodiscard]] HttpSettings settings();
void configure(const HttpSettings& settings);
[[nodiscard]] HttpStats stats();

/// Cancels what is under way, closes every connection and ends the thread; returns when that is done.  The next request
/// starts it again.
void close();

}  // namespace http
}  // namespace cvfast::fetch
