// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <new>
#include <thread>
#include <utility>

#include "cvfast/fetch/sharded.hpp"

namespace cvfast::fetch {
namespace {

// The list node, the hash node and the two vectors' heads.
constexpr std::uint64_t kRecordBytes = 256;

// Critical sections take tens of nanoseconds, so this is never used up but by a child whose lock nobody will release.
constexpr int kLockAttempts = 1000;

}  // namespace

std::size_t ShardIndexCache::Hash::operator()(const Key& key) const noexcept {
  std::uint64_t hash = key.store * 2 + (key.is_shard_index ? 1 : 0);
  for (const std::uint64_t value : {key.shard, key.part}) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 32;
  }
  return hash;
}

std::unique_lock<std::mutex> ShardIndexCache::try_lock() noexcept {
  std::unique_lock lock(mutex_, std::try_to_lock);
  for (int attempt = 1; !lock && attempt < kLockAttempts; ++attempt) {
    std::this_thread::yield();
    lock = std::unique_lock(mutex_, std::try_to_lock);
  }
  return lock;
}

std::uint32_t ShardIndexCache::intern(const std::string& folder, const locate::ShardSpec& spec) {
  const auto lock = try_lock();
  if (!lock) return UINT32_MAX;  // a number of its own: it only makes misses
  const std::pair<std::string, locate::ShardSpec> store(folder, spec);
  const auto found = std::find(stores_.begin(), stores_.end(), store);
  if (found == stores_.end()) {
    stores_.push_back(store);
    return static_cast<std::uint32_t>(stores_.size() - 1);
  }
  return static_cast<std::uint32_t>(found - stores_.begin());
}

const ShardIndexCache::Record* ShardIndexCache::find(const Key& key, const FileStamp& stamp) noexcept {
  const auto found = index_.find(key);
  if (found == index_.end() || !(found->second->stamp == stamp)) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return &*found->second;
}

ShardIndexCache::Extents ShardIndexCache::find_extents(const Key& key, const FileStamp& stamp) noexcept {
  const auto lock = try_lock();
  const Record* const record = lock ? find(key, stamp) : nullptr;
  return record != nullptr ? record->extents : nullptr;
}

ShardIndexCache::Entries ShardIndexCache::find_entries(const Key& key, const FileStamp& stamp) noexcept {
  const auto lock = try_lock();
  const Record* const record = lock ? find(key, stamp) : nullptr;
  return record != nullptr ? record->entries : nullptr;
}

void ShardIndexCache::insert(const Key& key, const FileStamp& stamp, Extents extents) noexcept {
  const std::uint64_t bytes = extents->capacity() * sizeof(locate::IndexExtent);
  insert(Record{key, stamp, std::move(extents), nullptr, bytes + kRecordBytes});
}

void ShardIndexCache::insert(const Key& key, const FileStamp& stamp, Entries entries) noexcept {
  const std::uint64_t bytes = entries->capacity() * sizeof(locate::ShardEntry);
  insert(Record{key, stamp, nullptr, std::move(entries), bytes + kRecordBytes});
}

void ShardIndexCache::insert(Record record) noexcept {
  Order removed;  // freed after the lock
  const auto lock = try_lock();
  if (!lock || record.charge > limit_) return;
  const auto remove = [&](Order::iterator entry) {
    held_ -= entry->charge;
    index_.erase(entry->key);
    removed.splice(removed.begin(), order_, entry);
  };
  try {
    if (const auto found = index_.find(record.key); found != index_.end()) remove(found->second);
    while (held_ + record.charge > limit_) remove(std::prev(order_.end()));
    order_.push_front(std::move(record));
    try {
      index_.emplace(order_.front().key, order_.begin());
    } catch (...) {
      order_.pop_front();
      throw;
    }
    held_ += order_.front().charge;
  } catch (const std::bad_alloc&) {  // what is not kept is read again
  }
}

void ShardIndexCache::clear() noexcept {
  Order removed;
  const auto lock = try_lock();
  if (!lock) return;
  index_.clear();
  removed.swap(order_);
  held_ = 0;
}

std::uint64_t ShardIndexCache::held_bytes() noexcept {
  const auto lock = try_lock();
  return lock ? held_ : 0;
}

}  // namespace cvfast::fetch
