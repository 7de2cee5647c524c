// SPDX-License-Identifier: BSD-3-Clause
#include "remote_fetch.hpp"

#include <array>
#include <atomic>

#include "http_response.hpp"

namespace cvfast::fetch {
namespace {

// Requests that are on their way or wait for their turn: more than go at once, so that there is always a next one.
constexpr std::size_t kMaxInFlight = 512;
// Planning is worth a lock and a wake-up of the reactor when this many can go.
constexpr std::size_t kPlanAt = 64;
constexpr std::size_t kMaxUploads = 256;
constexpr std::uint64_t kMaxUploadBytes = std::uint64_t{128} << 20;

struct NamedEncoding {
  std::string_view name;
  ContentEncoding encoding;
};
// The first name of each is the one that is written.
constexpr std::array<NamedEncoding, 10> kEncodings{{{"gzip", ContentEncoding::kGzip},
                                                    {"x-gzip", ContentEncoding::kGzip},
                                                    {"br", ContentEncoding::kBrotli},
                                                    {"zstd", ContentEncoding::kZstd},
                                                    {"xz", ContentEncoding::kXz},
                                                    {"lzma", ContentEncoding::kXz},
                                                    {"bzip2", ContentEncoding::kBzip2},
                                                    {"bz2", ContentEncoding::kBzip2},
                                                    {"identity", ContentEncoding::kNone},
                                                    {"aws-chunked", ContentEncoding::kNone}}};

// Nothing for an encoding, or several of them, that nobody here undoes.
std::optional<ContentEncoding> parse_encoding(std::string_view text) {
  ContentEncoding out = ContentEncoding::kNone;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string name = to_lower(trimmed(text.substr(0, comma)));
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    if (name.empty()) continue;
    bool is_known = false;
    for (const NamedEncoding& known : kEncodings) {
      if (name != known.name) continue;
      is_known = true;
      if (known.encoding == ContentEncoding::kNone) break;
      if (out != ContentEncoding::kNone) return std::nullopt;
      out = known.encoding;
      break;
    }
    if (!is_known) return std::nullopt;
  }
  return out;
}

std::string_view encoding_name(ContentEncoding encoding) noexcept {
  for (const NamedEncoding& known : kEncodings) {
    if (known.encoding == encoding) return known.name;
  }
  return {};
}

// Of "bytes 0-9/123" or "bytes */123".
std::optional<std::uint64_t> total_of(std::string_view content_range) {
  const std::size_t slash = content_range.rfind('/');
  return slash == std::string_view::npos ? std::nullopt : parse_number(trimmed(content_range.substr(slash + 1)));
}

}  // namespace

StoreError server_error(std::string name, std::string detail) {
  StoreError out;
  out.trouble = StoreTrouble::kServer;
  out.name = std::move(name);
  out.detail = std::move(detail);
  return out;
}

StoreError cancelled_error() {
  StoreError out;
  out.trouble = StoreTrouble::kCancelled;
  return out;
}

Answer judge(const Endpoint& endpoint, HttpResult&& result) {
  Answer out;
  if (endpoint.is_absent(result)) return out;
  switch (result.state) {
    case HttpState::kMissing:
      return out;
    case HttpState::kCancelled:
      out.state = FetchState::kError;
      out.error = cancelled_error();
      return out;
    case HttpState::kNotModified:
    case HttpState::kFailed:
      out.state = FetchState::kError;
      out.error = server_error({}, result.message.empty() ? "unexpected answer" : std::move(result.message));
      out.error.io = {name(result.error), result.status};
      return out;
    case HttpState::kData:
      break;
  }
  const auto encoding = parse_encoding(result.header("content-encoding"));
  if (!encoding) {
    out.state = FetchState::kError;
    out.error = server_error({}, "expected a Content-Encoding of gzip, br, zstd, xz or bzip2, found " +
                                     std::string(result.header("content-encoding")));
    out.error.io = {name(HttpError::kProtocol), result.status};
    return out;
  }
  out.state = FetchState::kData;
  out.encoding = *encoding;
  out.etag = result.header("etag");
  out.total_bytes = total_of(result.header("content-range"));
  const auto body = std::make_shared<HttpBuffer>(std::move(result.body));
  out.bytes = std::as_const(*body).bytes();
  out.keeper = body;
  return out;
}

// -- Fetcher ----------------------------------------------------------------------------------------------------------

std::size_t Fetcher::PointHash::operator()(const Int3& point) const noexcept {
  std::uint64_t hash = 0;
  for (const std::int64_t value : point) {
    hash = (hash ^ static_cast<std::uint64_t>(value)) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 32;
  }
  return hash;
}

Fetcher::Fetcher(std::shared_ptr<const RemoteScale> scale, ExpectedChunks expected, const Attention& attention)
    : scale_(std::move(scale)),
      expected_(std::move(expected)),
      attention_(attention) {}

Fetcher::~Fetcher() {
  {
    const std::lock_guard lock(wire_->mutex);
    if (wire_->in_flight == 0) return;
  }
  http::cancel(group_);
}

void Fetcher::send(std::vector<Outgoing>&& out) {
  std::vector<http::Submission> submissions;
  submissions.reserve(out.size());
  for (Outgoing& one : out) {
    submissions.push_back({std::move(one.request), [wire = wire_, tag = one.tag](HttpResult&& result) {
                             {
                               const std::lock_guard lock(wire->mutex);
                               --wire->in_flight;
                               wire->events.push_back({tag, std::move(result)});
                             }
                             wire->changed.notify_one();
                           }});
  }
  http::submit_all(std::move(submissions), group_);
}

std::int64_t Fetcher::next() {
  std::unique_lock lock(wire_->mutex);
  for (;;) {
    if (wire_->in_flight + kPlanAt <= kMaxInFlight) {
      std::vector<Outgoing> out;
      plan(kMaxInFlight - wire_->in_flight, out);
      if (!out.empty()) {
        wire_->in_flight += out.size();
        lock.unlock();
        send(std::move(out));
        lock.lock();
      }
    }
    if (!ready_.empty()) {
      const std::size_t index = ready_.front();
      ready_.pop_front();
      // Who leaves wakes one more where there is more: each that is woken has something to do.
      const bool is_more = !ready_.empty() || !wire_->events.empty();
      lock.unlock();
      if (is_more) wire_->changed.notify_one();
      return static_cast<std::int64_t>(index);
    }
    if (!wire_->events.empty()) {
      Event event = std::move(wire_->events.front());
      wire_->events.pop_front();
      answered(event.tag, std::move(event.result));
      continue;
    }
    if (attention_.is_stopped()) return -1;
    if (!attention_.wait(lock, wire_->changed, [&] { return !wire_->events.empty() || !ready_.empty(); })) return -1;
  }
}

bool Fetcher::take(const Int3& grid_point, Arrived& out) {
  const std::lock_guard lock(wire_->mutex);
  const auto found = arrived_.find(grid_point);
  if (found == arrived_.end()) return false;
  out = std::move(found->second);
  arrived_.erase(found);
  return true;
}

void Fetcher::make_ready(std::size_t index, const Int3& grid_point, Arrived&& what) {
  arrived_.insert_or_assign(grid_point, std::move(what));
  ready_.push_back(index);
}

// -- Uploads ----------------------------------------------------------------------------------------------------------

Uploads::Uploads(std::shared_ptr<const RemoteScale> scale, const Attention& attention)
    : scale_(std::move(scale)),
      attention_(attention) {}

Uploads::~Uploads() {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->in_flight == 0) return;
  }
  http::cancel(group_);
}

bool Uploads::put(const std::string& name, ContentEncoding compression, std::span<const std::byte> bytes, bool waits,
                  StoreError& error) {
  return put(name, compression, std::vector<std::byte>(bytes.begin(), bytes.end()), waits, error);
}

bool Uploads::put(const std::string& name, ContentEncoding compression, std::vector<std::byte>&& bytes, bool waits,
                  StoreError& error) {
  HttpRequest request = scale_->endpoint->request(HttpMethod::kPut, scale_->folder, name);
  request.headers.insert(request.headers.end(), scale_->upload_headers.begin(), scale_->upload_headers.end());
  if (compression != ContentEncoding::kNone) {
    request.headers.push_back({"Content-Encoding", std::string(encoding_name(compression))});
  }
  auto body = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  request.body = *body;
  if (request.signer != nullptr) request.signer->prepare(request);
  return send(std::move(request), std::move(body), name, waits, error);
}

bool Uploads::remove(const std::string& name, StoreError& error) {
  const Endpoint& endpoint = scale_->about ? *scale_->about : *scale_->endpoint;
  return send(endpoint.request(HttpMethod::kDelete, scale_->folder, name), nullptr, name, false, error);
}

bool Uploads::send(HttpRequest request, std::shared_ptr<const std::vector<std::byte>> body, std::string name,
                   bool waits, StoreError& error) {
  if (scale_->endpoint->write_prefix.empty()) {
    error = server_error(std::move(name), "objects of this place can only be read");
    error.io = {fetch::name(HttpError::kRequest), 0};
    return false;
  }
  const std::uint64_t size = body ? body->size() : 0;
  const auto is_done = std::make_shared<std::atomic<bool>>(false);
  std::unique_lock lock(state_->mutex);
  if (!attention_.wait(lock, state_->changed, [&] {
        return state_->error ||
               (state_->in_flight < kMaxUploads && (state_->bytes == 0 || state_->bytes + size <= kMaxUploadBytes));
      })) {
    error = cancelled_error();
    return false;
  }
  if (state_->error) {
    error = *state_->error;
    return false;
  }
  ++state_->in_flight;
  state_->bytes += size;
  lock.unlock();
  http::submit(
      std::move(request),
      [state = state_, body = std::move(body), name = std::move(name), size, is_done](HttpResult&& result) {
        const std::lock_guard guard(state->mutex);
        --state->in_flight;
        state->bytes -= size;
        if (result.state != HttpState::kData && result.state != HttpState::kMissing && !state->error) {
          if (result.state == HttpState::kCancelled) {
            state->error = cancelled_error();
          } else {
            state->error = server_error(name, std::move(result.message));
            state->error->io = {fetch::name(result.error), result.status};
          }
        }
        is_done->store(true, std::memory_order_relaxed);
        state->changed.notify_all();
      },
      group_);
  if (!waits) return true;
  lock.lock();
  if (!attention_.wait(lock, state_->changed, [&] { return is_done->load(std::memory_order_relaxed); })) {
    error = cancelled_error();
    return false;
  }
  if (!state_->error) return true;
  error = *state_->error;
  return false;
}

bool Uploads::finish(StoreError& error) {
  std::unique_lock lock(state_->mutex);
  if (!attention_.wait(lock, state_->changed, [&] { return state_->in_flight == 0 || state_->error.has_value(); })) {
    error = cancelled_error();
    return false;
  }
  if (!state_->error) return true;
  error = *state_->error;
  return false;
}

}  // namespace cvfast::fetch
