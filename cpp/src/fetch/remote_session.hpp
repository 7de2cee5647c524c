// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <utility>

#include "remote_fetch.hpp"

namespace cvfast::fetch {

/// What sessions of remote stores have in common.
class RemoteSession : public ChunkSession {
 public:
  RemoteSession(std::shared_ptr<const RemoteScale> scale, const Attention& attention)
      : scale_(std::move(scale)),
        attention_(attention),
        uploads_(scale_, attention) {}

  void expect(ExpectedChunks expected) override { fetcher_ = make_fetcher(std::move(expected)); }
  std::int64_t next() const override { return fetcher_->next(); }

  FetchState open(const ChunkAddress& chunk, OpenedFile& file, StoreError& error) const override {
    return fetch(chunk, false, file, error);
  }
  FetchState exists(const ChunkAddress& chunk, StoreError& error) const override {
    OpenedFile file;
    return fetch(chunk, true, file, error);
  }

  bool sync_entries(StoreError&) const override { return true; }
  bool finish(StoreError& error) const override { return uploads_.finish(error); }

 protected:
  [[nodiscard]] virtual std::unique_ptr<Fetcher> make_fetcher(ExpectedChunks expected) const = 0;
  [[nodiscard]] Uploads& uploads() const noexcept { return uploads_; }

  const std::shared_ptr<const RemoteScale> scale_;
  const Attention attention_;

 private:
  FetchState fetch(const ChunkAddress& chunk, bool only_existence, OpenedFile& file, StoreError& error) const {
    Arrived arrived;
    if (!fetcher_ || !fetcher_->take(chunk.grid_point, arrived)) {
      const auto at = [&chunk](std::size_t, Int3& point) {
        point = chunk.grid_point;
        return true;
      };
      const std::unique_ptr<Fetcher> one = make_fetcher({1, at, only_existence});
      if (one->next() < 0 || !one->take(chunk.grid_point, arrived)) {
        error = cancelled_error();
        return FetchState::kError;
      }
    }
    file = std::move(arrived.file);
    error = std::move(arrived.error);
    return arrived.state;
  }

  mutable Uploads uploads_;
  std::unique_ptr<Fetcher> fetcher_;
};

}  // namespace cvfast::fetch
