// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/fetch/callback_store.hpp"

#include <algorithm>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "cvfast/locate/shard_index.hpp"
#include "shard_group.hpp"
#include "sharded_scale.hpp"

namespace cvfast::fetch {
namespace {

using locate::ShardEntry;
using locate::ShardLocation;

constexpr std::byte kNothing{};

struct Place {
  ObjectCalls calls;
  std::string folder;

  bool fail(std::string detail, std::string name, StoreError& error) const {
    error.trouble = StoreTrouble::kServer;
    error.detail = std::move(detail);
    error.name = std::move(name);
    return false;
  }
  FetchState get(const std::string& name, ContentEncoding& encoding, std::shared_ptr<std::vector<std::byte>>& bytes,
                 StoreError& error) const {
    bool is_there = false;
    bytes = std::make_shared<std::vector<std::byte>>();
    std::string detail = calls.get(folder + name, is_there, encoding, *bytes);
    if (detail.empty()) return is_there ? FetchState::kData : FetchState::kMissing;
    (void)fail(std::move(detail), name, error);
    return FetchState::kError;
  }
  FetchState exists(const std::string& name, StoreError& error) const {
    bool is_there = false;
    std::string detail = calls.exists(folder + name, is_there);
    if (detail.empty()) return is_there ? FetchState::kData : FetchState::kMissing;
    (void)fail(std::move(detail), name, error);
    return FetchState::kError;
  }
  bool put(const std::string& name, ContentEncoding encoding, std::span<const std::byte> bytes,
           StoreError& error) const {
    std::string detail = calls.put(folder + name, encoding, bytes);
    return detail.empty() || fail(std::move(detail), name, error);
  }
  bool remove(const std::string& name, StoreError& error) const {
    std::string detail = calls.remove(folder + name);
    return detail.empty() || fail(std::move(detail), name, error);
  }
};

class CallbackSession final : public ChunkSession {
 public:
  explicit CallbackSession(std::shared_ptr<const Place> place) : place_(std::move(place)) {}

  FetchState open(const ChunkAddress& chunk, OpenedFile& file, StoreError& error) const override {
    std::shared_ptr<std::vector<std::byte>> bytes;
    const FetchState state = place_->get(std::string(chunk.name), file.encoding, bytes, error);
    if (state != FetchState::kData) return state;
    file.memory = bytes->empty() ? &kNothing : bytes->data();
    file.size_bytes = bytes->size();
    file.keeper = std::move(bytes);
    return state;
  }
  FetchState exists(const ChunkAddress& chunk, StoreError& error) const override {
    return place_->exists(std::string(chunk.name), error);
  }
  std::string name_of(const ChunkAddress& chunk, ContentEncoding) const override { return std::string(chunk.name); }
  bool put(const ChunkAddress& chunk, ContentEncoding compression, std::span<const std::byte> bytes, bool,
           StoreError& error) const override {
    return place_->put(std::string(chunk.name), compression, bytes, error);
  }
  bool remove(const ChunkAddress& chunk, StoreError& error) const override {
    return place_->remove(std::string(chunk.name), error);
  }
  bool sync_entries(StoreError&) const override { return true; }

 private:
  std::shared_ptr<const Place> place_;
};

class CallbackStore final : public ChunkStore {
 public:
  explicit CallbackStore(std::shared_ptr<const Place> place) : place_(std::move(place)) {}
  std::unique_ptr<ChunkSession> read(const Attention&) const override {
    return std::make_unique<CallbackSession>(place_);
  }
  std::unique_ptr<ChunkSession> write(bool, const Attention&) const override {
    return std::make_unique<CallbackSession>(place_);
  }

 private:
  std::shared_ptr<const Place> place_;
};

// -- shards -----------------------------------------------------------------------------------------------------------

struct HeldShard {
  FetchState state = FetchState::kMissing;
  StoreError error;
  std::shared_ptr<const std::vector<std::byte>> bytes;

  [[nodiscard]] ShardInMemory contents(const ShardedScale& scale, std::uint64_t shard) const {
    return {scale, shard, std::span<const std::byte>(*bytes).first(scale.index_bytes()), payload(scale)};
  }
  [[nodiscard]] std::span<const std::byte> payload(const ShardedScale& scale) const {
    return std::span<const std::byte>(*bytes).subspan(scale.index_bytes());
  }
};

struct ShardedPlace {
  Place place;
  ShardedScale scale;

  // A shard that is at least as long as its index.
  HeldShard get(std::uint64_t shard) const {
    HeldShard out;
    const std::string name = scale.shard_name(shard);
    ContentEncoding encoding = ContentEncoding::kNone;
    std::shared_ptr<std::vector<std::byte>> bytes;
    out.state = place.get(name, encoding, bytes, out.error);
    if (out.state != FetchState::kData) return out;
    if (encoding != ContentEncoding::kNone) {
      out.state = FetchState::kError;
      (void)place.fail("expected a shard as it is stored, found a compression", name, out.error);
    } else if (bytes->empty()) {
      out.state = FetchState::kMissing;
    } else if (bytes->size() < scale.index_bytes()) {
      out.state = FetchState::kError;
      out.error.status = {Code::kTruncated, bytes->size(), scale.index_bytes(), bytes->size()};
      out.error.name = name + ": shard index";
    }
    out.bytes = std::move(bytes);
    return out;
  }
};

class CallbackShardedSession final : public ChunkSession {
 public:
  CallbackShardedSession(std::shared_ptr<const ShardedPlace> place, bool merges)
      : place_(std::move(place)),
        merges_(merges) {}

  FetchState open(const ChunkAddress& chunk, OpenedFile& file, StoreError& error) const override {
    const std::uint64_t id = place_->scale.id_of(chunk.grid_point);
    const ShardLocation at = shard_location(place_->scale.spec, id);
    const HeldShard held = hold(at.shard);
    if (held.state != FetchState::kData) {
      error = held.error;
      return held.state;
    }
    ShardInMemory contents = held.contents(place_->scale, at.shard);
    std::span<const ShardEntry> entries;
    if (!contents.entries(at.minishard, entries, error)) return FetchState::kError;
    const ShardEntry* const entry = locate::find_entry(entries, id);
    if (entry == nullptr) return FetchState::kMissing;
    file.memory = entry->size == 0 ? &kNothing : held.payload(place_->scale).data() + entry->offset;
    file.size_bytes = entry->size;
    file.encoding = place_->scale.compression();
    file.keeper = held.bytes;
    return FetchState::kData;
  }
  FetchState exists(const ChunkAddress& chunk, StoreError& error) const override {
    OpenedFile file;
    return open(chunk, file, error);
  }
  std::string name_of(const ChunkAddress& chunk, ContentEncoding) const override {
    return place_->scale.chunk_title(chunk);
  }

  GroupState begin_group(const WriteGroup& group, const std::function<bool()>&, StoreError& error) override {
    group_.emplace(place_->scale, group);
    return place_->scale.covers_shard(group) || take_over(error) ? GroupState::kReady : GroupState::kFailed;
  }
  bool put(const ChunkAddress& chunk, ContentEncoding compression, std::span<const std::byte> bytes, bool,
           StoreError& error) const override {
    return group_->put(chunk, compression, bytes, error);
  }
  bool remove(const ChunkAddress& chunk, StoreError& error) const override { return group_->remove(chunk, error); }
  bool commit_group(bool, StoreError& error) override {
    const bool good = replace(error);
    {
      const std::lock_guard lock(mutex_);
      held_.erase(group_->shard());
    }
    group_.reset();
    return good;
  }
  bool sync_entries(StoreError&) const override { return true; }

 private:
  HeldShard hold(std::uint64_t shard) const {
    const std::lock_guard lock(mutex_);
    const auto found = held_.find(shard);
    if (found != held_.end()) return found->second;
    if (held_.size() >= kMaxHeld) held_.clear();
    return held_.emplace(shard, place_->get(shard)).first->second;
  }

  bool take_over(StoreError& error) {
    const HeldShard held = place_->get(group_->shard());
    if (held.state != FetchState::kData) {
      error = held.error;
      return held.state == FetchState::kMissing;
    }
    ShardInMemory contents = held.contents(place_->scale, group_->shard());
    return group_->take_over(contents, merges_, error);
  }

  bool replace(StoreError& error) {
    const std::string name = place_->scale.shard_name(group_->shard());
    std::vector<std::byte> whole;
    if (!group_->assemble(whole, error)) return false;
    if (whole.empty()) return place_->place.remove(name, error);
    return place_->place.put(name, ContentEncoding::kNone, whole, error);
  }

  static constexpr std::size_t kMaxHeld = 16;

  std::shared_ptr<const ShardedPlace> place_;
  bool merges_;
  mutable std::optional<ShardGroup> group_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::uint64_t, HeldShard> held_;
};

class CallbackShardedStore final : public ChunkStore {
 public:
  explicit CallbackShardedStore(std::shared_ptr<const ShardedPlace> place) : place_(std::move(place)) {}
  std::unique_ptr<ChunkSession> read(const Attention&) const override {
    return std::make_unique<CallbackShardedSession>(place_, false);
  }
  std::unique_ptr<ChunkSession> write(bool merges, const Attention&) const override {
    return std::make_unique<CallbackShardedSession>(place_, merges);
  }
  bool writes_in_groups() const noexcept override { return true; }
  std::vector<WriteGroup> groups(const Box3& grid_range) const override { return place_->scale.groups(grid_range); }

 private:
  std::shared_ptr<const ShardedPlace> place_;
};

}  // namespace

std::shared_ptr<const ChunkStore> make_callback_store(ObjectCalls calls, std::string folder) {
  return std::make_shared<CallbackStore>(std::make_shared<const Place>(Place{std::move(calls), std::move(folder)}));
}

std::shared_ptr<const ChunkStore> make_callback_sharded_store(ObjectCalls calls, std::string folder,
                                                              const locate::ShardSpec& spec,
                                                              const locate::ChunkGrid& grid) {
  // Shards are in memory for as long as their indexes are of use.
  const auto no_cache = std::make_shared<ShardIndexCache>(0);
  ShardedScale scale(folder, spec, grid, no_cache);
  return std::make_shared<CallbackShardedStore>(
      std::make_shared<const ShardedPlace>(ShardedPlace{{std::move(calls), std::move(folder)}, std::move(scale)}));
}

}  // namespace cvfast::fetch
