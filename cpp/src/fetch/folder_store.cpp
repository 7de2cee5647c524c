// SPDX-License-Identifier: BSD-3-Clause
#include <utility>

#include "cvfast/fetch/chunk_store.hpp"

namespace cvfast::fetch {
namespace {

class FolderSession final : public ChunkSession {
 public:
  FolderSession(const std::string& folder, FolderMemory* memory) : folder_(folder, memory) {}

  FetchState open(const ChunkAddress& chunk, OpenedFile& file, StoreError& error) const override {
    const FetchState state = folder_.open(chunk.name, file, error.io);
    if (state == FetchState::kError) error.name = name_of(chunk, file.encoding);
    return state;
  }

  FetchState exists(const ChunkAddress& chunk, StoreError& error) const override {
    const FetchState state = folder_.exists(chunk.name, error.io);
    if (state == FetchState::kError) error.name = std::string(chunk.name);
    return state;
  }

  std::string name_of(const ChunkAddress& chunk, ContentEncoding compression) const override {
    return std::string(chunk.name) + suffix(compression);
  }

  bool put(const ChunkAddress& chunk, ContentEncoding compression, std::span<const std::byte> bytes, bool sync,
           StoreError& error) const override {
    if (folder_.put(chunk.name, compression, bytes.data(), bytes.size(), sync, error.io)) return true;
    error.name = name_of(chunk, compression);
    return false;
  }

  bool remove(const ChunkAddress& chunk, StoreError& error) const override {
    if (folder_.remove(chunk.name, error.io)) return true;
    error.name = std::string(chunk.name);
    return false;
  }

  bool sync_entries(StoreError& error) const override { return folder_.sync_entries(error.io); }

 private:
  Folder folder_;
};

class FolderStore final : public ChunkStore {
 public:
  explicit FolderStore(std::string folder) : folder_(std::move(folder)) {}

  std::unique_ptr<ChunkSession> read(const Attention&) const override {
    return std::make_unique<FolderSession>(folder_, &memory_);
  }
  std::unique_ptr<ChunkSession> write(bool, const Attention&) const override {
    return std::make_unique<FolderSession>(folder_, nullptr);
  }

 private:
  std::string folder_;
  mutable FolderMemory memory_;  // has a lock of its own
};

}  // namespace

std::shared_ptr<const ChunkStore> make_folder_store(std::string folder) {
  return std::make_shared<FolderStore>(std::move(folder));
}

}  // namespace cvfast::fetch
