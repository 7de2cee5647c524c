// SPDX-License-Identifier: BSD-3-Clause
#include "http_transfer.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>
#include <string_view>
#include <utility>

#include "cvfast/core/crc32c.hpp"
#include "http_md5.hpp"

namespace cvfast::fetch {
namespace {

constexpr std::size_t kMaxHeaderBytes = 256 << 10;
constexpr std::size_t kErrorBodyBytes = 4096;
constexpr std::uint64_t kMaxErrorBodyBytes = 1 << 20;
// Draining this much costs less than another connection.
constexpr std::uint64_t kDrainedBytes = 256 << 10;
constexpr std::size_t kFirstUnknownBytes = 256 << 10;
// Hashing this much takes about 0.1 ms, which the reactor may spend.
constexpr std::uint64_t kInlineMd5Bytes = 64 << 10;

std::string first_set(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const char* const value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return {};
}

bool exists(const char* path) noexcept {
  struct stat info{};
  return path != nullptr && ::stat(path, &info) == 0;
}

// A libcurl that came with a wheel looks for certificates where the machine that built it keeps them.
std::string usual_ca_file() {
  const curl_version_info_data* const info = ::curl_version_info(CURLVERSION_NOW);
#if LIBCURL_VERSION_NUM >= 0x074600
  if (info->age >= CURLVERSION_SEVENTH && (exists(info->cainfo) || exists(info->capath))) return {};
  if (info->age >= CURLVERSION_SEVENTH && info->cainfo == nullptr && info->capath == nullptr) return {};
#else
  (void)info;
#endif
  for (const char* path : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                           "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}) {
    if (exists(path)) return path;
  }
  return {};
}

std::string quoted(std::uint64_t begin, std::uint64_t end) {
  return std::to_string(begin) + "-" + std::to_string(end - 1);
}

// What "name: value" makes curl send; an empty value needs another notation.
std::string to_line(const HttpHeader& header) {
  return header.value.empty() ? header.name + ";" : header.name + ": " + header.value;
}

}  // namespace

HttpEnvironment HttpEnvironment::read() {
  static const std::string usual = usual_ca_file();
  HttpEnvironment out;
  const std::string all = first_set({"all_proxy", "ALL_PROXY"});
  // As curl does: HTTP_PROXY in capitals can be set by whoever sends a request to a CGI program.
  out.http_proxy = first_set({"http_proxy"});
  out.https_proxy = first_set({"https_proxy", "HTTPS_PROXY"});
  if (out.http_proxy.empty()) out.http_proxy = all;
  if (out.https_proxy.empty()) out.https_proxy = all;
  out.no_proxy = first_set({"no_proxy", "NO_PROXY"});
  out.ca_file = first_set({"CURL_CA_BUNDLE", "SSL_CERT_FILE"});
  out.ca_folder = first_set({"SSL_CERT_DIR"});
  if (out.ca_file.empty() && out.ca_folder.empty()) out.ca_file = usual;
  return out;
}

HttpTransfer::HttpTransfer(HttpRequest request, HttpCompletion done, std::shared_ptr<HttpGroup> group,
                           std::shared_ptr<const HttpEnvironment> environment)
    : request_(std::move(request)),
      done_(std::move(done)),
      group_(std::move(group)),
      environment_(std::move(environment)),
      url_(request_.url) {}

HttpTransfer::~HttpTransfer() {
  end();
  forget_answer();
}

bool HttpTransfer::is_sendable() {
  const auto refuse = [&](std::string text) {
    fail(HttpError::kRequest, Retry::kNever, std::move(text));
    return false;
  };
  const auto origin = origin_of(request_.url);
  if (!origin) return refuse("expected an http:// or https:// URL without blanks and control characters");
  origin_ = *origin;
  for (const HttpHeader& header : request_.headers) {
    if (!cvfast::fetch::is_sendable(header)) return refuse("a header has control characters or no valid name");
  }
  if (request_.range && (request_.method != HttpMethod::kGet || request_.range->end <= request_.range->begin)) {
    return refuse("expected a range that is not empty, of a GET");
  }
  if (!request_.body.empty() && request_.method != HttpMethod::kPut && request_.method != HttpMethod::kPost) {
    return refuse("expected a body with PUT or POST only");
  }
  return true;
}

std::uint64_t HttpTransfer::foreseen_bytes() const noexcept {
  if (request_.method != HttpMethod::kGet || !request_.into.empty()) return 0;
  std::uint64_t bytes = 0;
  if (request_.range && !request_.may_end_early) bytes = request_.range->end - request_.range->begin;
  if (bytes == 0) bytes = request_.expected_size.value_or(0);
  return bytes == 0 || bytes > request_.max_size ? 0 : HttpMemory::rounded(bytes);
}

bool HttpTransfer::begin(CURL* handle, HttpTransferContext& context, std::uint64_t reserved) {
  context_ = &context;
  if (!text_.empty()) last_text_ = std::move(text_);
  forget_answer();
  reserved_ = reserved;
  easy = handle;
  socket = CURL_SOCKET_BAD;
  curl_text_[0] = '\0';
  const auto set = [&](CURLoption option, auto value) { (void)::curl_easy_setopt(handle, option, value); };
  set(CURLOPT_PRIVATE, static_cast<void*>(this));
  set(CURLOPT_URL, url_.c_str());
  set(CURLOPT_PATH_AS_IS, 1L);  // a key may hold ".." or "."
#if LIBCURL_VERSION_NUM >= 0x075500
  set(CURLOPT_PROTOCOLS_STR, "http,https");
#else
  set(CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x074000
  set(CURLOPT_HTTP09_ALLOWED, 0L);
#endif
#if LIBCURL_VERSION_NUM >= 0x073e00
  set(CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
#endif
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_FOLLOWLOCATION, 0L);  // followed here, where headers can be left behind
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  set(CURLOPT_PIPEWAIT, 1L);
  // libcurl allocates it for each transfer: below malloc's threshold for mapping memory anew, whose pages the kernel
  // would clear each time.  A tenth of the processor time of reading 256 KiB.
  set(CURLOPT_BUFFERSIZE, 112L << 10);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, std::max(1L, static_cast<long>(policy().connect_seconds * 1000)));
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_USERAGENT, "cloudvolume-fast");
  set(CURLOPT_ERRORBUFFER, curl_text_.data());
  set(CURLOPT_HEADERFUNCTION, &on_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(CURLOPT_WRITEFUNCTION, &on_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  // Set even where empty, which keeps curl from asking the environment.
  set(CURLOPT_PROXY, (origin_.scheme == "https" ? environment_->https_proxy : environment_->http_proxy).c_str());
  set(CURLOPT_NOPROXY, environment_->no_proxy.c_str());
  if (!environment_->ca_file.empty()) set(CURLOPT_CAINFO, environment_->ca_file.c_str());
  if (!environment_->ca_folder.empty()) set(CURLOPT_CAPATH, environment_->ca_folder.c_str());
  switch (request_.method) {
    case HttpMethod::kGet:
      break;
    case HttpMethod::kHead:
      set(CURLOPT_NOBODY, 1L);
      break;
    case HttpMethod::kDelete:
      set(CURLOPT_CUSTOMREQUEST, "DELETE");
      break;
    case HttpMethod::kPut:
    case HttpMethod::kPost:
      // Fields that curl does not copy, and can send again by itself when a kept connection turns out to be closed.
      set(CURLOPT_POST, 1L);
      set(CURLOPT_CUSTOMREQUEST, name(request_.method));
      set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
      set(CURLOPT_POSTFIELDS, request_.body.empty() ? "" : reinterpret_cast<const char*>(request_.body.data()));
      break;
  }
  // On a connection of its own, curl never sends a request a second time.
  if (!request_.is_repeatable) set(CURLOPT_FRESH_CONNECT, 1L);

  bool is_complete = true;
  const auto add = [&](const std::string& line) {
    curl_slist* const longer = ::curl_slist_append(header_list_, line.c_str());
    if (longer == nullptr) {
      is_complete = false;
    } else {
      header_list_ = longer;
    }
  };
  try {
    std::vector<HttpHeader> headers = request_.headers;
    if (has_left_origin_) {
      std::erase_if(headers, [](const HttpHeader& header) { return !may_leave_origin(header.name); });
    } else if (request_.signer != nullptr) {
      request_.signer->sign(request_.method, url_, request_.body, headers);
    }
    for (const HttpHeader& header : headers) add(to_line(header));
  } catch (const std::bad_alloc&) {
    is_complete = false;
  }
  if (find_header(request_.headers, "accept-encoding") == nullptr && request_.method != HttpMethod::kPut &&
      request_.method != HttpMethod::kPost && request_.method != HttpMethod::kDelete) {
    add(request_.range ? "Accept-Encoding: identity" : "Accept-Encoding: gzip, br;q=0.5, zstd;q=0.5");
  }
  if (request_.range) add("Range: bytes=" + quoted(request_.range->begin, request_.range->end));
  if (find_header(request_.headers, "content-type") == nullptr) add("Content-Type:");  // not a form
  add("Expect:");  // waiting for a "100 Continue" costs a second where it never comes
  if (!is_complete) {
    fail(HttpError::kNoMemory, Retry::kNever, "no memory for the headers");
    return false;
  }
  set(CURLOPT_HTTPHEADER, header_list_);
  return true;
}

void HttpTransfer::touch() {
  if (is_touched) return;
  context_->touched.push_back(this);
  is_touched = true;
}

bool HttpTransfer::expects_more() const noexcept {
  if (is_paused || error_ != HttpError::kNone) return false;
  if (!is_header_complete_) return true;
  return request_.method != HttpMethod::kHead && status_ != 204 && status_ != 304 && (!stated_ || position_ < *stated_);
}

void HttpTransfer::end() noexcept {
  ::curl_slist_free_all(header_list_);
  header_list_ = nullptr;
  easy = nullptr;
  is_paused = false;
  if (context_ != nullptr) {
    context_->memory.unreserve(std::exchange(reserved_, 0));
    std::erase(context_->paused, this);
    if (std::exchange(is_touched, false)) std::erase(context_->touched, this);
    if (context_->grower == this) context_->grower = nullptr;
  }
}

void HttpTransfer::rewind() {
  url_ = request_.url;
  if (auto origin = origin_of(url_)) origin_ = std::move(*origin);
  has_left_origin_ = false;
  redirects_ = 0;
  buffer_.reset();  // memory is not held while waiting
  out_ = nullptr;
  received_ = 0;
}

void HttpTransfer::forget_answer() noexcept {
  status_ = 0;
  headers_.clear();
  header_bytes_ = 0;
  is_header_complete_ = is_body_wanted_ = is_chunked_ = is_stopped_ = is_slice_ = is_whole_ = false;
  stated_.reset();
  length_.reset();
  skip_ = position_ = received_ = 0;
  error_body_.clear();
  error_code_.clear();
  out_ = nullptr;
  buffer_.reset();
  expected_ = {};
  checked_ = "";
  error_ = HttpError::kNone;
  text_.clear();
  retry_after_ = 0;
}

std::uint64_t HttpTransfer::moved_bytes() const noexcept {
  curl_off_t sent = 0;
  (void)::curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &sent);
  return header_bytes_ + position_ + static_cast<std::uint64_t>(std::max<curl_off_t>(0, sent));
}

bool HttpTransfer::is_plain() const noexcept {
  const std::string* const encoding = find_header(headers_, "content-encoding");
  // "aws-chunked" is how an object was uploaded, and stays behind on some stores.
  return encoding == nullptr || encoding->empty() || is_equal_ignoring_case(*encoding, "identity") ||
         is_equal_ignoring_case(*encoding, "aws-chunked");
}

// -- the answer, as it comes ------------------------------------------------------------------------------------------

std::size_t HttpTransfer::on_header(char* data, std::size_t size, std::size_t count, void* self) noexcept {
  auto& transfer = *static_cast<HttpTransfer*>(self);
  try {
    transfer.touch();
    transfer.read_header({data, size * count});
  } catch (...) {
    transfer.error_ = HttpError::kNoMemory;
    transfer.retry_ = Retry::kNever;
  }
  return transfer.error_ == HttpError::kNone ? size * count : 0;
}

void HttpTransfer::read_header(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > kMaxHeaderBytes) return fail(HttpError::kProtocol, Retry::kFew, "too many bytes of headers");
  line = trimmed(line);
  if (line.starts_with("HTTP/")) {  // also after an interim answer
    const std::size_t blank = line.find(' ');
    const auto code = blank == std::string_view::npos ? std::nullopt : parse_number(line.substr(blank + 1, 3));
    headers_.clear();
    stated_.reset();
    is_chunked_ = is_header_complete_ = false;
    status_ = code ? static_cast<int>(*code) : 0;
    return;
  }
  if (is_header_complete_) return;  // trailers
  if (line.empty()) {
    if (status_ < 200) return;
    is_header_complete_ = true;
    return plan_body();
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  HttpHeader header{to_lower(trimmed(line.substr(0, colon))), std::string(trimmed(line.substr(colon + 1)))};
  if (header.name == "content-length") {
    const auto length = parse_number(header.value);
    if (!length || (stated_ && *stated_ != *length)) {
      return fail(HttpError::kProtocol, Retry::kFew, "expected one Content-Length, found '" + header.value + "'");
    }
    stated_ = length;
  }
  if (header.name == "transfer-encoding") is_chunked_ = true;
  if (is_kept_header(header.name)) headers_.push_back(std::move(header));
}

void HttpTransfer::plan_body() {
  if (is_chunked_) stated_.reset();
  const bool is_read = request_.method == HttpMethod::kGet;
  is_body_wanted_ = request_.method != HttpMethod::kHead &&
                    (is_read ? status_ == 200 || status_ == 206 : status_ >= 200 && status_ < 300);
  if (!is_body_wanted_) return;
  length_ = stated_;
  is_whole_ = is_read && status_ == 200;
  if (request_.range) {
    plan_range();
  } else if (status_ == 206) {
    return fail(HttpError::kRange, Retry::kFew, "found part of an object, which nobody asked for");
  }
  if (error_ != HttpError::kNone || !length_) return;
  if (request_.expected_size && is_plain() && *length_ != *request_.expected_size) {
    return fail(HttpError::kSize, Retry::kFew,
                "expected " + std::to_string(*request_.expected_size) + " bytes, found " + std::to_string(*length_));
  }
  if (*length_ > request_.max_size) {
    return fail(HttpError::kSize, Retry::kNever,
                "expected at most " + std::to_string(request_.max_size) + " bytes, found " + std::to_string(*length_));
  }
}

void HttpTransfer::plan_range() {
  const ByteRange range = *request_.range;
  const std::string wanted = "expected bytes " + quoted(range.begin, range.end);
  if (status_ == 206) {
    const std::string* const text = find_header(headers_, "content-range");
    const auto found = text == nullptr ? std::nullopt : parse_content_range(*text);
    if (!found) {
      return fail(HttpError::kRange, Retry::kFew,
                  wanted + ", found Content-Range '" + (text == nullptr ? std::string() : *text) + "'");
    }
    const bool ends_early = found->end < range.end && found->total && *found->total == found->end;
    if (found->begin != range.begin || (found->end != range.end && !(ends_early && request_.may_end_early))) {
      return fail(HttpError::kRange, ends_early && found->begin == range.begin ? Retry::kNever : Retry::kFew,
                  wanted + ", found " + quoted(found->begin, found->end) +
                      (found->total ? " of " + std::to_string(*found->total) : std::string()));
    }
    if (stated_ && *stated_ != found->end - found->begin) {
      return fail(HttpError::kRange, Retry::kFew, wanted + ", found a Content-Length of " + std::to_string(*stated_));
    }
    length_ = found->end - found->begin;
    is_whole_ = found->begin == 0 && found->total && *found->total == found->end;
    return;
  }
  // The whole object instead of a part of it.
  if (!is_plain()) {
    return fail(
        HttpError::kRange, Retry::kNever,
        wanted + ", found the whole object with Content-Encoding " + *find_header(headers_, "content-encoding"));
  }
  const bool ends_early = stated_ && *stated_ < range.end;
  if (ends_early && (!request_.may_end_early || *stated_ <= range.begin)) {
    return fail(HttpError::kRange, Retry::kNever,
                wanted + ", found an object of " + std::to_string(*stated_) + " bytes");
  }
  const std::uint64_t end = ends_early ? *stated_ : range.end;
  if (end > policy().max_ignored_range_bytes) {
    return fail(HttpError::kRange, Retry::kNever,
                wanted + ", but the server ignores ranges and they end beyond the " +
                    std::to_string(policy().max_ignored_range_bytes) + " bytes to be read on the way");
  }
  is_slice_ = range.begin != 0 || !stated_ || *stated_ != end;
  is_whole_ = !is_slice_;
  skip_ = range.begin;
  length_ = end - range.begin;
}

std::size_t HttpTransfer::on_body(char* data, std::size_t size, std::size_t count, void* self) noexcept {
  auto& transfer = *static_cast<HttpTransfer*>(self);
  try {
    transfer.touch();
    return transfer.take(reinterpret_cast<const std::byte*>(data), size * count);
  } catch (...) {
    transfer.error_ = HttpError::kNoMemory;
    transfer.retry_ = Retry::kNever;
    return 0;
  }
}

// Returns n, or CURL_WRITEFUNC_PAUSE to be given the same again later, or 0 to end the transfer.
std::size_t HttpTransfer::take(const std::byte* data, std::size_t n) {
  if (error_ != HttpError::kNone || n == 0) return 0;
  if (!is_body_wanted_) {
    position_ += n;
    context_->bytes += n;
    const std::size_t kept = std::min(n, kErrorBodyBytes - std::min(kErrorBodyBytes, error_body_.size()));
    error_body_.append(reinterpret_cast<const char*>(data), kept);
    is_stopped_ = position_ > kMaxErrorBodyBytes;
    return is_stopped_ ? 0 : n;
  }
  // Of these bytes [from, to) are wanted.
  std::size_t from = 0;
  std::size_t to = n;
  if (is_slice_) {
    if (position_ < skip_) from = static_cast<std::size_t>(std::min<std::uint64_t>(n, skip_ - position_));
    to = from + static_cast<std::size_t>(std::min<std::uint64_t>(n - from, *length_ - received_));
  }
  if (to > from) {
    const std::size_t taken = store(data + from, to - from);
    if (taken != to - from) return taken;
  }
  position_ += n;
  context_->bytes += n;
  if (is_slice_ && received_ == *length_ && (!stated_ || *stated_ - position_ > kDrainedBytes)) {
    is_stopped_ = true;
    return 0;
  }
  return n;
}

std::size_t HttpTransfer::store(const std::byte* data, std::size_t n) {
  if (length_ && n > *length_ - received_) {
    fail(HttpError::kRange, Retry::kFew, "expected " + std::to_string(*length_) + " bytes, found more");
    return 0;
  }
  if (n > request_.max_size - received_) {
    fail(HttpError::kSize, Retry::kNever,
         "expected at most " + std::to_string(request_.max_size) + " bytes, found more");
    return 0;
  }
  switch (make_room(n)) {
    case Room::kYes:
      break;
    case Room::kWait:
      ++context_->pauses;
      is_paused = true;
      paused_since = HttpClock::now();
      context_->paused.push_back(this);
      return CURL_WRITEFUNC_PAUSE;
    case Room::kNever:
      fail(HttpError::kNoMemory, Retry::kNever,
           "no memory for a body of " +
               (length_ ? std::to_string(*length_) : "at least " + std::to_string(received_ + n)) + " bytes");
      return 0;
  }
  std::memcpy(out_ + received_, data, n);
  received_ += n;
  if (buffer_.bytes().data() != nullptr) HttpBufferAccess::set_size(buffer_, static_cast<std::size_t>(received_));
  return n;
}

HttpTransfer::Room HttpTransfer::make_room(std::size_t n) {
  HttpMemory& memory = context_->memory;
  const auto reserve = [&](std::uint64_t bytes) {
    awaited_bytes_ = bytes;
    if (memory.reserve(bytes)) return true;
    memory.expect_release();
    return memory.reserve(bytes);
  };
  if (out_ == nullptr) {
    if (length_ && !request_.into.empty() && *length_ == request_.into.size() && is_plain()) {
      out_ = request_.into.data();
      return Room::kYes;
    }
    const std::size_t capacity =
        HttpMemory::rounded(length_ ? *length_ : std::max<std::uint64_t>(n, kFirstUnknownBytes));
    if (reserved_ != capacity) {
      // Nothing is held while waiting for more, or two could wait for each other.
      memory.unreserve(std::exchange(reserved_, 0));
      if (!reserve(capacity)) return Room::kWait;
    }
    reserved_ = 0;
    if (!HttpBufferAccess::make(buffer_, memory, capacity, capacity)) return Room::kNever;
    out_ = HttpBufferAccess::data(buffer_);
    return Room::kYes;
  }
  const std::size_t have = HttpBufferAccess::capacity(buffer_);
  if (length_ || received_ + n <= have) return Room::kYes;
  const std::size_t capacity = HttpMemory::rounded(std::max<std::uint64_t>(received_ + n, 2 * std::uint64_t{have}));
  if (!reserve(capacity - have)) {
    if (context_->grower != nullptr && context_->grower != this) return Room::kWait;
    context_->grower = this;
    memory.reserve_anyway(capacity - have);
  }
  if (!HttpBufferAccess::grow(buffer_, capacity)) return Room::kNever;
  out_ = HttpBufferAccess::data(buffer_);
  return Room::kYes;
}

bool HttpTransfer::can_go_on() noexcept {
  HttpMemory& memory = context_->memory;
  if (out_ != nullptr && (context_->grower == nullptr || context_->grower == this)) return true;
  if (memory.has_room(awaited_bytes_)) return true;
  memory.expect_release();
  return memory.has_room(awaited_bytes_);
}

// -- the answer, when it has ended ------------------------------------------------------------------------------------

HttpTransfer::Verdict HttpTransfer::judge(CURL* handle, CURLcode code) {
  ++attempts_;
  if (error_ != HttpError::kNone) return failed();
  if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && is_stopped_)) {
    judge_code(code);
    return failed();
  }
  if (!is_header_complete_) {
    fail(HttpError::kProtocol, Retry::kFew, "found no answer");
    return failed();
  }
  if (status_ == 301 || status_ == 302 || status_ == 303 || status_ == 307 || status_ == 308) {
    char* target = nullptr;
    (void)::curl_easy_getinfo(handle, CURLINFO_REDIRECT_URL, &target);
    if (target != nullptr) {
      std::string text(target);
      const Verdict verdict = follow();
      if (verdict != Verdict::kFollow) return verdict;
      const auto next = origin_of(text);
      if (!next) {
        fail(HttpError::kRedirect, Retry::kNever, "redirected to what is no http or https URL");
      } else if (origin_.scheme == "https" && next->scheme == "http") {
        fail(HttpError::kRedirect, Retry::kNever, "redirected from https to " + without_secrets(text));
      } else if (*next != origin_ && request_.method != HttpMethod::kGet && request_.method != HttpMethod::kHead) {
        fail(HttpError::kRedirect, Retry::kNever,
             std::string("a ") + name(request_.method) + " was redirected to another server, " + without_secrets(text));
      } else {
        has_left_origin_ = has_left_origin_ || *next != origin_;
        origin_ = *next;
        url_ = std::move(text);
        return Verdict::kFollow;
      }
      return failed();
    }
  }
  if (is_body_wanted_) return judge_body();
  if (request_.method == HttpMethod::kHead && status_ == 200) return Verdict::kDone;
  if (status_ == 304 ||
      (status_ == 404 && request_.method != HttpMethod::kPut && request_.method != HttpMethod::kPost)) {
    return Verdict::kDone;
  }
  std::string text = "found status " + std::to_string(status_);
  error_code_ = find_error_code(error_body_);
  if (!error_code_.empty()) text += " (" + error_code_ + ")";
  if (const std::string* stated = find_header(headers_, "retry-after")) {
    retry_after_ = parse_retry_after(*stated, static_cast<std::int64_t>(std::time(nullptr))).value_or(0);
  }
  fail(status_ == 416 ? HttpError::kRange : HttpError::kStatus,
       is_retried_status(status_) ? Retry::kUsual : Retry::kNever, std::move(text));
  return failed();
}

HttpTransfer::Verdict HttpTransfer::follow() {
  const bool keeps_method = status_ == 307 || status_ == 308;
  if (!keeps_method && request_.method != HttpMethod::kGet && request_.method != HttpMethod::kHead) {
    fail(HttpError::kRedirect, Retry::kNever,
         std::string("a ") + name(request_.method) + " was redirected with status " + std::to_string(status_));
    return failed();
  }
  if (redirects_ >= policy().max_redirects) {
    fail(HttpError::kRedirect, Retry::kNever,
         "expected at most " + std::to_string(policy().max_redirects) + " redirects");
    return failed();
  }
  ++redirects_;
  --attempts_;
  return Verdict::kFollow;
}

HttpTransfer::Verdict HttpTransfer::judge_body() {
  if (length_ && received_ != *length_) {
    fail(HttpError::kShortBody, Retry::kUsual,
         "expected " + std::to_string(*length_) + " bytes, found " + std::to_string(received_));
    return failed();
  }
  if (request_.expected_size && is_plain() && received_ != *request_.expected_size &&
      request_.method == HttpMethod::kGet) {
    fail(HttpError::kSize, Retry::kFew,
         "expected " + std::to_string(*request_.expected_size) + " bytes, found " + std::to_string(received_));
    return failed();
  }
  if (!length_ && !request_.into.empty() && received_ == request_.into.size() && is_plain()) {
    std::memcpy(request_.into.data(), buffer_.bytes().data(), request_.into.size());
    buffer_.reset();
    out_ = request_.into.data();
  }
  if (request_.method == HttpMethod::kGet) {
    if (is_whole_ && request_.checks_stated_digest) expected_ = stated_digest(headers_, request_.is_etag_md5);
    if (request_.crc32c || request_.md5) expected_ = {request_.crc32c, request_.md5, "request"};
    if (expected_.crc32c) {
      const std::uint32_t found = crc32c(body());
      if (found != *expected_.crc32c) {
        fail(HttpError::kDigest, Retry::kFew,
             "expected crc32c " + std::to_string(*expected_.crc32c) + " (" + std::string(expected_.source) +
                 "), found " + std::to_string(found));
        return failed();
      }
      checked_ = "crc32c";
    }
    if (expected_.md5) {
      if (received_ > kInlineMd5Bytes) return Verdict::kCheck;
      Md5 md5;
      md5.update(body());
      return judge_md5(md5.finish() == *expected_.md5);
    }
    // Before HTTP/2 a body may end with its connection, and then nobody knows whether that was its end.
    long version = 0;
    (void)::curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
    const bool is_framed = length_ || is_chunked_ || version >= CURL_HTTP_VERSION_2_0;
    const bool is_known = (request_.expected_size && is_plain()) || *checked_ != '\0';
    if (!is_framed && !is_known) {
      fail(HttpError::kShortBody, Retry::kNever,
           "found neither a length nor a digest, so that a broken connection cannot be told from the end");
      return failed();
    }
  }
  return Verdict::kDone;
}

HttpTransfer::Verdict HttpTransfer::judge_md5(bool is_equal) {
  checked_ = "md5";
  if (is_equal) return Verdict::kDone;
  fail(HttpError::kDigest, Retry::kFew, "found another MD5 than that of " + std::string(expected_.source));
  return failed();
}

std::span<const std::byte> HttpTransfer::body() const noexcept {
  if (received_ == 0) return {};
  return {out_, static_cast<std::size_t>(received_)};
}

void HttpTransfer::judge_code(CURLcode code) {
  const std::string text = curl_text_[0] != '\0' ? curl_text_.data() : ::curl_easy_strerror(code);
  switch (code) {
    case CURLE_URL_MALFORMAT:
      return fail(HttpError::kRequest, Retry::kNever, "libcurl cannot read the URL");
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return fail(HttpError::kConnect, Retry::kFew, text);
    case CURLE_COULDNT_CONNECT:
      return fail(HttpError::kConnect, Retry::kUsual, text);
    case CURLE_OPERATION_TIMEDOUT:
      return fail(HttpError::kTimeout, Retry::kUsual, text);
    case CURLE_SSL_CONNECT_ERROR:
      return fail(HttpError::kTls, Retry::kFew, text);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
      return fail(HttpError::kTls, Retry::kNever, text);
    case CURLE_PARTIAL_FILE:
      return fail(HttpError::kShortBody, Retry::kUsual,
                  stated_ ? "expected " + std::to_string(*stated_) + " bytes, found " + std::to_string(position_)
                          : "the body breaks off after " + std::to_string(position_) + " bytes");
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return fail(HttpError::kReset, Retry::kUsual, text);
    case CURLE_OUT_OF_MEMORY:
      return fail(HttpError::kNoMemory, Retry::kNever, text);
    default:
      return fail(HttpError::kProtocol, Retry::kFew, text);
  }
}

void HttpTransfer::fail(HttpError error, Retry retry, std::string text) {
  error_ = error;
  retry_ = retry;
  text_ = std::move(text);
}

void HttpTransfer::give_up(HttpError error, const std::string& why) {
  const std::string& last = text_.empty() ? last_text_ : text_;
  text_ = last.empty() ? why : why + "; before that: " + last;
  error_ = error;
  retry_ = Retry::kNever;
}

bool HttpTransfer::may_retry() {
  if (retry_ == Retry::kFew && ++few_failures_ >= kFewAttempts) return false;
  // A request that must not happen twice was not heard when nobody was connected to, or not done when it was put off.
  const bool is_safe =
      request_.is_repeatable || error_ == HttpError::kConnect || (error_ == HttpError::kStatus && status_ == 429);
  return retry_ != Retry::kNever && is_safe && attempts_ < policy().max_attempts;
}

void HttpTransfer::complete(HttpState state) noexcept {
  HttpResult result;
  try {
    if (state == HttpState::kData && error_ != HttpError::kNone) state = HttpState::kFailed;
    if (state == HttpState::kData && status_ == 304) state = HttpState::kNotModified;
    if (state == HttpState::kData && status_ == 404) state = HttpState::kMissing;
    result.state = state;
    result.status = status_;
    result.attempts = attempts_;
    result.headers = std::move(headers_);
    if (state == HttpState::kData) {
      result.checked = checked_;
      result.size_bytes = request_.method == HttpMethod::kHead ? stated_.value_or(0) : received_;
      result.is_in_place = received_ != 0 && out_ == request_.into.data();
      result.body = std::move(buffer_);
    } else if (state == HttpState::kFailed) {
      result.error = error_;
      result.error_code = std::move(error_code_);
      result.message = std::string(name(request_.method)) + " " + without_secrets(request_.url);
      if (url_ != request_.url) result.message += " (redirected to " + without_secrets(url_) + ")";
      result.message += ": " + text_;
      if (attempts_ > 1) result.message += ", after " + std::to_string(attempts_) + " attempts";
    }
  } catch (...) {
    result = {};
    result.state = HttpState::kFailed;
    result.error = HttpError::kNoMemory;
  }
  forget_answer();
  done_(std::move(result));
}

}  // namespace cvfast::fetch
