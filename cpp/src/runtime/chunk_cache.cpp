// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/runtime/chunk_cache.hpp"

#include <pthread.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <new>

#include "block_memory.hpp"

namespace cvfast::runtime {

struct CacheBlock::Header {
  std::atomic<std::size_t> references{1};
  std::size_t size = 0;
};

CacheBlock::CacheBlock(const CacheBlock& other) noexcept : block_(other.block_) {
  // Relaxed: whoever copies a reference has one already.
  if (block_ != nullptr) block_->references.fetch_add(1, std::memory_order_relaxed);
}

CacheBlock::~CacheBlock() {
  if (block_ == nullptr) return;
  // Release pairs with the acquire: uses by other holders happen before the memory goes.
  if (block_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    const std::size_t allocated = sizeof(Header) + block_->size;
    block_->~Header();
    release_block(block_, allocated);
  }
}

CacheBlock CacheBlock::make(std::size_t n) noexcept {
  CacheBlock out;
  if (n > SIZE_MAX - sizeof(Header)) return out;
  void* const memory = allocate_block(sizeof(Header) + n);
  if (memory == nullptr) return out;
  out.block_ = new (memory) Header;
  out.block_->size = n;
  return out;
}

CacheBlock CacheBlock::copy(std::span<const std::byte> bytes) noexcept {
  CacheBlock out = make(bytes.size());
  if (out && !bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

std::byte* CacheBlock::data() const noexcept { return reinterpret_cast<std::byte*>(block_ + 1); }

std::span<const std::byte> CacheBlock::bytes() const noexcept { return {data(), block_->size}; }

std::size_t CacheBlock::allocated_bytes() const noexcept {
  return block_footprint(block_, sizeof(Header) + block_->size);
}

namespace {

bool same_format(const decode::ImageFormat& a, const decode::ImageFormat& b) noexcept {
  return a.encoding == b.encoding && a.item_size == b.item_size && a.num_channels == b.num_channels &&
         a.block_shape == b.block_shape;
}

bool same_grid(const locate::ChunkGrid& a, const locate::ChunkGrid& b) noexcept {
  return a.voxel_offset == b.voxel_offset && a.volume_size == b.volume_size && a.chunk_size == b.chunk_size;
}

// Every cache of the process, for the fork handlers.  Never destroyed: a cache may outlive static destruction.
struct Registry {
  std::mutex mutex;
  std::vector<ChunkCache*> caches;
};
Registry& registry() {
  static auto* const made = new Registry;
  return *made;
}

std::string path_of(const CacheSpace& space, const Int3& chunk) {
  char buffer[locate::kChunkNameBytes];
  std::string out = space.key;
  out += '/';
  out += locate::chunk_name(space.grid.chunk_box(chunk), buffer);
  return out;
}

// The first voxel of a chunk's name, "x0-x1_y0-y1_z0-z1"; the name is compared as a whole later.
std::optional<Int3> first_voxel(std::string_view name) noexcept {
  Int3 out{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), out[axis]);
    if (parsed.ec != std::errc{}) return std::nullopt;
    if (axis == 2) break;
    const std::size_t next = name.find('_', static_cast<std::size_t>(parsed.ptr - name.data()));
    if (next == std::string_view::npos) return std::nullopt;
    name.remove_prefix(next + 1);
  }
  return out;
}

}  // namespace

// fork copies mutexes as they are; one that a thread of the parent holds would stay locked in the child for ever.  So
// the forking thread takes them all before, and releases its copies on both sides.
struct ForkGuard {
  static void prepare() {
    registry().mutex.lock();
    for (ChunkCache* cache : registry().caches) cache->mutex_.lock();
    lock_block_memory();
  }
  static void release() {
    unlock_block_memory();
    for (ChunkCache* cache : registry().caches) cache->mutex_.unlock();
    registry().mutex.unlock();
  }
};

bool operator==(const CacheSpace& a, const CacheSpace& b) {
  return a.folder == b.folder && a.key == b.key && same_grid(a.grid, b.grid) &&
         a.stored_encoding == b.stored_encoding && same_format(a.stored, b.stored) &&
         a.entry_encoding == b.entry_encoding && same_format(a.entry, b.entry);
}

std::size_t ChunkCache::Hash::operator()(const CacheKey& key) const noexcept {
  std::uint64_t h = key.space;
  for (const std::int64_t coordinate : key.chunk) {
    h = (h ^ static_cast<std::uint64_t>(coordinate)) * 0x9e3779b97f4a7c15U;
    h ^= h >> 32;
  }
  return h;
}

ChunkCache::ChunkCache(std::uint64_t limit_bytes) : limit_(limit_bytes) {
  static const int registered = ::pthread_atfork(&ForkGuard::prepare, &ForkGuard::release, &ForkGuard::release);
  (void)registered;
  const std::lock_guard lock(registry().mutex);
  registry().caches.push_back(this);
}

ChunkCache::~ChunkCache() {
  const std::lock_guard lock(registry().mutex);
  std::erase(registry().caches, this);
}

std::uint64_t ChunkCache::charge_of(const CacheBlock& block) noexcept {
  // A list node, a map node and a bucket, and malloc's word for each of the two nodes.
  constexpr std::uint64_t kNodes = sizeof(Entry) + 2 * sizeof(void*) + sizeof(std::pair<CacheKey, Order::iterator>) +
                                   2 * sizeof(void*) + sizeof(void*) + 2 * sizeof(std::size_t);
  return kNodes + block.allocated_bytes();
}

std::uint64_t& ChunkCache::version(const CacheKey& key) noexcept { return versions_[Hash{}(key) % versions_.size()]; }

std::uint32_t ChunkCache::intern(const CacheSpace& space) {
  const std::lock_guard lock(mutex_);
  std::vector<std::uint32_t> siblings;
  for (std::uint32_t i = 0; i < spaces_.size(); ++i) {
    if (spaces_[i].space == space) return i;
    if (spaces_[i].space.folder == space.folder) siblings.push_back(i);
  }
  const auto number = static_cast<std::uint32_t>(spaces_.size());
  for (const std::uint32_t sibling : siblings) spaces_[sibling].siblings.reserve(siblings.size());
  spaces_.push_back({space, siblings, 0});
  for (const std::uint32_t sibling : siblings) spaces_[sibling].siblings.push_back(number);
  return number;
}

CacheSpace ChunkCache::space(std::uint32_t number) const {
  const std::lock_guard lock(mutex_);
  return spaces_.at(number).space;
}

void ChunkCache::remove(Order::iterator entry, Order& removed) noexcept {
  held_ -= entry->charge;
  --spaces_[entry->key.space].entries;
  index_.erase(entry->key);
  removed.splice(removed.end(), order_, entry);
}

void ChunkCache::shrink_to(std::uint64_t limit, Order& removed) noexcept {
  while (held_ > limit) remove(std::prev(order_.end()), removed);
}

bool ChunkCache::add(const CacheKey& key, CacheBlock& block, Order& removed) noexcept {
  const std::uint64_t charge = charge_of(block);
  const std::uint64_t limit = limit_.load(std::memory_order_relaxed);
  if (const auto old = index_.find(key); old != index_.end()) remove(old->second, removed);
  if (charge > limit) return false;
  shrink_to(limit - charge, removed);
  try {
    order_.push_front({key, std::move(block), charge});
    try {
      index_.emplace(key, order_.begin());
    } catch (const std::bad_alloc&) {
      removed.splice(removed.end(), order_, order_.begin());
      return false;
    }
  } catch (const std::bad_alloc&) {
    return false;
  }
  held_ += charge;
  ++spaces_[key.space].entries;
  return true;
}

ChunkCache::Lookup ChunkCache::lookup(const CacheKey& key) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(key);
  if (found == index_.end()) return {{}, version(key)};
  order_.splice(order_.begin(), order_, found->second);
  return {found->second->block, 0};
}

CacheBlock ChunkCache::peek(const CacheKey& key) const noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(key);
  return found == index_.end() ? CacheBlock() : found->second->block;
}

std::uint64_t ChunkCache::ticket(const CacheKey& key) noexcept {
  const std::lock_guard lock(mutex_);
  return version(key);
}

bool ChunkCache::insert(const CacheKey& key, CacheBlock block, std::uint64_t ticket) noexcept {
  Order removed;
  const std::lock_guard lock(mutex_);
  return block && version(key) == ticket && add(key, block, removed);
}

void ChunkCache::written(const CacheKey& key, CacheBlock block, std::uint64_t ticket) noexcept {
  Order removed;
  const std::lock_guard lock(mutex_);
  const bool was_alone = version(key) == ticket;
  ++version(key);
  const auto old = index_.find(key);
  if (old != index_.end()) remove(old->second, removed);
  if (block && was_alone) add(key, block, removed);
  if (spaces_[key.space].siblings.empty()) return;
  for (std::uint64_t& counter : versions_) ++counter;
  for (const std::uint32_t sibling : spaces_[key.space].siblings) {
    for (auto it = order_.begin(); spaces_[sibling].entries > 0 && it != order_.end();) {
      const auto next = std::next(it);
      if (it->key.space == sibling) remove(it, removed);
      it = next;
    }
  }
}

CacheBlock ChunkCache::take(const CacheKey& key) noexcept {
  Order removed;
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(key);
  if (found == index_.end()) return {};
  remove(found->second, removed);
  return removed.front().block;
}

bool ChunkCache::admits(std::uint64_t n) const noexcept { return n < limit_bytes(); }

void ChunkCache::clear() noexcept {
  Order removed;
  const std::lock_guard lock(mutex_);
  shrink_to(0, removed);
}

void ChunkCache::resize(std::uint64_t limit_bytes) noexcept {
  Order removed;
  const std::lock_guard lock(mutex_);
  limit_.store(limit_bytes, std::memory_order_relaxed);
  shrink_to(limit_bytes, removed);
}

std::uint64_t ChunkCache::held_bytes() const noexcept {
  const std::lock_guard lock(mutex_);
  return held_;
}

std::size_t ChunkCache::size() const noexcept {
  const std::lock_guard lock(mutex_);
  return index_.size();
}

std::vector<ChunkCache::Listed> ChunkCache::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<Listed> out;
  out.reserve(index_.size());
  for (const Entry& entry : order_) {
    out.push_back({path_of(spaces_[entry.key.space].space, entry.key.chunk), entry.key});
  }
  return out;
}

std::optional<CacheKey> ChunkCache::find(std::string_view path) const noexcept {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view key = path.substr(0, slash);
  const std::string_view name = path.substr(slash + 1);
  const auto first = first_voxel(name);
  if (!first) return std::nullopt;
  const std::lock_guard lock(mutex_);
  for (std::uint32_t i = 0; i < spaces_.size(); ++i) {
    const CacheSpace& space = spaces_[i].space;
    const Box3 bounds = space.grid.bounds();
    bool is_inside = space.key == key;
    for (int axis = 0; axis < 3; ++axis) {
      is_inside = is_inside && (*first)[axis] >= bounds.min[axis] && (*first)[axis] < bounds.max[axis];
    }
    if (!is_inside) continue;
    const Box3 voxel{*first, {(*first)[0] + 1, (*first)[1] + 1, (*first)[2] + 1}};
    const CacheKey found{i, space.grid.grid_range(voxel).min};
    char buffer[locate::kChunkNameBytes];
    if (locate::chunk_name(space.grid.chunk_box(found.chunk), buffer) != name) continue;
    if (index_.contains(found)) return found;
  }
  return std::nullopt;
}

}  // namespace cvfast::runtime
