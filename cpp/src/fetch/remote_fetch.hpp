// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cvfast/fetch/chunk_store.hpp"
#include "cvfast/fetch/remote_store.hpp"

/// What sessions of remote stores are made of.
namespace cvfast::fetch {

/// What a server's answer means.
struct Answer {
  FetchState state = FetchState::kMissing;
  ContentEncoding encoding = ContentEncoding::kNone;
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> keeper;        ///< of the bytes
  std::string etag;                          ///< "" where the server names none
  std::optional<std::uint64_t> total_bytes;  ///< of an object of which a range was asked for
  StoreError error;                          ///< kError, but for its name
};
[[nodiscard]] Answer judge(const Endpoint& endpoint, HttpResult&& result);

[[nodiscard]] StoreError server_error(std::string name, std::string detail);
[[nodiscard]] StoreError cancelled_error();

/// A chunk, as far as it has come.
struct Arrived {
  FetchState state = FetchState::kMissing;
  OpenedFile file;
  StoreError error;
};

/// Fetches expected chunks.  Any number of threads may call; requests still under way at the end are cancelled.
class Fetcher {
 public:
  /// `expected.at` must be good for as long as `next` is called.
  Fetcher(std::shared_ptr<const RemoteScale> scale, ExpectedChunks expected, const Attention& attention);
  Fetcher(const Fetcher&) = delete;
  Fetcher& operator=(const Fetcher&) = delete;
  virtual ~Fetcher();

  /// See ChunkSession::next.  May throw std::bad_alloc.
  [[nodiscard]] std::int64_t next();
  /// What became of a chunk, once.
  [[nodiscard]] bool take(const Int3& grid_point, Arrived& out);

 protected:
  struct Outgoing {
    HttpRequest request;
    std::size_t tag = 0;
  };

  // These are called under the lock.

  /// Adds requests, `room` at most, and makes those chunks ready that need none.
  virtual void plan(std::size_t room, std::vector<Outgoing>& out) = 0;
  virtual void answered(std::size_t tag, HttpResult&& result) = 0;

  void make_ready(std::size_t index, const Int3& grid_point, Arrived&& what);
  void make_ready(std::size_t index) { ready_.push_back(index); }

  const std::shared_ptr<const RemoteScale> scale_;
  const ExpectedChunks expected_;

 private:
  struct PointHash {
    std::size_t operator()(const Int3& point) const noexcept;
  };
  struct Event {
    std::size_t tag = 0;
    HttpResult result;
  };
  // Shared with completions, which may come after the end.
  struct Wire {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Event> events;
    std::size_t in_flight = 0;
  };

  void send(std::vector<Outgoing>&& out);

  const Attention attention_;
  const std::shared_ptr<Wire> wire_ = std::make_shared<Wire>();
  const std::shared_ptr<HttpGroup> group_ = std::make_shared<HttpGroup>();
  // Guarded by the wire's mutex.
  std::deque<std::size_t> ready_;
  std::unordered_map<Int3, Arrived, PointHash> arrived_;
};

/// Puts and removes that go on while others are prepared.
class Uploads {
 public:
  Uploads(std::shared_ptr<const RemoteScale> scale, const Attention& attention);
  Uploads(const Uploads&) = delete;
  Uploads& operator=(const Uploads&) = delete;
  ~Uploads();

  /// Copies the bytes.  false for the first error of any, also of one that came before.
  [[nodiscard]] bool put(const std::string& name, ContentEncoding compression, std::span<const std::byte> bytes,
                         bool waits, StoreError& error);
  [[nodiscard]] bool put(const std::string& name, ContentEncoding compression, std::vector<std::byte>&& bytes,
                         bool waits, StoreError& error);
  [[nodiscard]] bool remove(const std::string& name, StoreError& error);
  [[nodiscard]] bool finish(StoreError& error);

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t in_flight = 0;
    std::uint64_t bytes = 0;
    std::uint64_t sent = 0;
    std::optional<StoreError> error;
  };

  [[nodiscard]] bool send(HttpRequest request, std::shared_ptr<const std::vector<std::byte>> body, std::string name,
                          bool waits, StoreError& error);

  const std::shared_ptr<const RemoteScale> scale_;
  const Attention attention_;
  const std::shared_ptr<State> state_ = std::make_shared<State>();
  const std::shared_ptr<HttpGroup> group_ = std::make_shared<HttpGroup>();
};

}  // namespace cvfast::fetch
