// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/fetch/remote_store.hpp"

#include <utility>

#include "remote_fetch.hpp"
#include "remote_session.hpp"

namespace cvfast::fetch {
namespace {

class ObjectFetcher final : public Fetcher {
 public:
  using Fetcher::Fetcher;

 private:
  void plan(std::size_t room, std::vector<Outgoing>& out) override {
    char buffer[locate::kChunkNameBytes];
    for (; cursor_ < expected_.count && out.size() < room; ++cursor_) {
      Int3 point{};
      if (!expected_.at(cursor_, point)) {
        make_ready(cursor_);
        continue;
      }
      const std::string_view name = locate::chunk_name(scale_->grid.chunk_box(point), buffer);
      const bool asks_elsewhere = expected_.only_existence && scale_->about;
      const Endpoint& endpoint = asks_elsewhere ? *scale_->about : *scale_->endpoint;
      const HttpMethod method = expected_.only_existence && !asks_elsewhere ? HttpMethod::kHead : HttpMethod::kGet;
      Outgoing one{endpoint.request(method, scale_->folder, name), cursor_};
      one.request.max_size = scale_->max_object_bytes;
      out.push_back(std::move(one));
    }
  }

  void answered(std::size_t tag, HttpResult&& result) override {
    Int3 point{};
    (void)expected_.at(tag, point);
    const bool is_empty = expected_.only_existence && !scale_->about && result.state == HttpState::kData &&
                          result.size_bytes == 0 && result.header("content-length") == "0";
    Answer answer = judge(*scale_->endpoint, std::move(result));
    Arrived out;
    out.state = answer.state;
    if (answer.state == FetchState::kData) {
      out.file.memory = answer.bytes.data();
      out.file.keeper = std::move(answer.keeper);
      out.file.encoding = answer.encoding;
      out.file.size_bytes = answer.bytes.size();
      if (out.file.memory == nullptr) out.file.memory = &kNothing;
      if (is_empty && answer.encoding == ContentEncoding::kNone) out.state = FetchState::kMissing;
    }
    if (answer.state == FetchState::kError) {
      char buffer[locate::kChunkNameBytes];
      out.error = std::move(answer.error);
      out.error.name = std::string(locate::chunk_name(scale_->grid.chunk_box(point), buffer));
    }
    make_ready(tag, point, std::move(out));
  }

  static constexpr std::byte kNothing{};
  std::size_t cursor_ = 0;
};

class ObjectSession final : public RemoteSession {
 public:
  ObjectSession(const std::shared_ptr<const RemoteScale>& scale, const Attention& attention)
      : RemoteSession(scale, attention) {}

  std::string name_of(const ChunkAddress& chunk, ContentEncoding) const override { return std::string(chunk.name); }

  bool put(const ChunkAddress& chunk, ContentEncoding compression, std::span<const std::byte> bytes, bool sync,
           StoreError& error) const override {
    return uploads().put(std::string(chunk.name), compression, bytes, sync, error);
  }
  bool remove(const ChunkAddress& chunk, StoreError& error) const override {
    return uploads().remove(std::string(chunk.name), error);
  }

 private:
  std::unique_ptr<Fetcher> make_fetcher(ExpectedChunks expected) const override {
    return std::make_unique<ObjectFetcher>(scale_, std::move(expected), attention_);
  }
};

class ObjectStore final : public ChunkStore {
 public:
  explicit ObjectStore(RemoteScale scale) : scale_(std::make_shared<const RemoteScale>(std::move(scale))) {}

  std::unique_ptr<ChunkSession> read(const Attention& attention) const override {
    return std::make_unique<ObjectSession>(scale_, attention);
  }
  std::unique_ptr<ChunkSession> write(bool, const Attention& attention) const override {
    return std::make_unique<ObjectSession>(scale_, attention);
  }
  bool is_remote() const noexcept override { return true; }

 private:
  std::shared_ptr<const RemoteScale> scale_;
};

}  // namespace

std::shared_ptr<const ChunkStore> make_remote_store(RemoteScale scale) {
  return std::make_shared<ObjectStore>(std::move(scale));
}

}  // namespace cvfast::fetch
