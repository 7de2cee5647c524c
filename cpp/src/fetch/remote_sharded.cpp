// SPDX-License-Identifier: BSD-3-Clause
//
// A request asks for the shard indexes of all its shards, and each shard goes on by itself: to the indexes of the
// minishards that hold wanted chunks, then to the chunks, as few requests of neighbouring bytes.  What the index cache
// knows is not asked for, so a repeated cutout costs its chunks alone.
#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <unordered_map>
#include <utility>

#include "cvfast/core/checked.hpp"
#include "cvfast/locate/shard_index.hpp"
#include "cvfast/locate/shard_spec.hpp"
#include "remote_session.hpp"
#include "shard_group.hpp"
#include "sharded_scale.hpp"

namespace cvfast::fetch {
namespace {

using locate::IndexExtent;
using locate::ShardEntry;
using locate::ShardLocation;

// What is not known of a file's size: no extent is refused for it.
constexpr std::uint64_t kUnknownBytes = std::uint64_t{1} << 62;

/// The files that shards are: one, or in the older form two.
enum class ShardForm : std::uint8_t { kUnknown, kOne, kTwo };

/// What is known of a shard while it stays the same.
struct KnownShard {
  ShardForm form = ShardForm::kUnknown;
  std::uint64_t generation = 0;  ///< part of the stamp under which its indexes are cached
  std::string etag;              ///< of the file with the data, "" while unknown
  std::uint64_t payload_bytes = kUnknownBytes;
};

/// What all requests to one remote sharded scale share.
struct RemoteShards {
  RemoteShards(RemoteScale where, const locate::ShardSpec& spec, std::shared_ptr<ShardIndexCache> cache,
               const CoalesceLimits& coalesce)
      : remote(std::make_shared<const RemoteScale>(std::move(where))),
        scale(remote->endpoint->read_prefix + remote->folder, spec, remote->grid, std::move(cache)),
        limits(coalesce) {}

  std::shared_ptr<const RemoteScale> remote;
  ShardedScale scale;
  CoalesceLimits limits;

  [[nodiscard]] KnownShard known(std::uint64_t shard) const {
    const std::lock_guard lock(mutex_);
    const auto found = known_.find(shard);
    if (found != known_.end()) return found->second;
    KnownShard out;
    out.form = usual_form_;
    return out;
  }
  void learn(std::uint64_t shard, const KnownShard& what) const {
    const std::lock_guard lock(mutex_);
    if (known_.size() >= kMaxKnown) known_.clear();
    known_[shard] = what;
    if (what.form == ShardForm::kOne) usual_form_ = ShardForm::kOne;
  }
  /// The shard is no longer what it was.
  void forget(std::uint64_t shard) const {
    const std::lock_guard lock(mutex_);
    KnownShard fresh;
    fresh.generation = ++generation_;
    known_[shard] = fresh;
  }

 private:
  static constexpr std::size_t kMaxKnown = std::size_t{1} << 18;

  mutable std::mutex mutex_;
  mutable std::unordered_map<std::uint64_t, KnownShard> known_;
  mutable ShardForm usual_form_ = ShardForm::kUnknown;
  mutable std::uint64_t generation_ = 0;
};

/// Some bytes that are wanted of an object, and the whole request that they are fetched with.
struct Wanted {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::size_t item = 0;  ///< the caller's number of it
};
struct ByteRun {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::vector<Wanted> parts;
};

std::vector<ByteRun> coalesce(std::vector<Wanted> wanted, const CoalesceLimits& limits) {
  std::sort(wanted.begin(), wanted.end(), [](const Wanted& a, const Wanted& b) { return a.begin < b.begin; });
  std::vector<ByteRun> out;
  for (const Wanted& one : wanted) {
    const bool joins = !out.empty() && one.begin <= out.back().end + limits.max_gap_bytes &&
                       std::max(one.end, out.back().end) - out.back().begin <= limits.max_request_bytes;
    if (!joins) out.push_back({one.begin, one.end, {}});
    out.back().end = std::max(out.back().end, one.end);
    out.back().parts.push_back(one);
  }
  return out;
}

class ShardFetcher final : public Fetcher {
 public:
  ShardFetcher(std::shared_ptr<const RemoteShards> shards, ExpectedChunks expected, const Attention& attention)
      : Fetcher(shards->remote, std::move(expected), attention),
        shards_(std::move(shards)) {
    for (std::size_t i = 0; i < expected_.count; ++i) {
      Chunk chunk;
      chunk.index = i;
      if (!expected_.at(i, chunk.point)) {
        make_ready(i);
        continue;
      }
      chunk.id = scale().id_of(chunk.point);
      chunk.at = shard_location(scale().spec, chunk.id);
      chunks_.push_back(chunk);
    }
    std::sort(chunks_.begin(), chunks_.end(), [](const Chunk& a, const Chunk& b) {
      if (a.at.shard != b.at.shard) return a.at.shard < b.at.shard;
      return a.at.minishard != b.at.minishard ? a.at.minishard < b.at.minishard : a.id < b.id;
    });
  }

 private:
  struct Chunk {
    std::size_t index = 0;
    Int3 point{};
    std::uint64_t id = 0;
    ShardLocation at;
  };
  enum class Stage : std::uint8_t { kShardIndex, kMinishards, kData };
  // The chunks of one shard.
  struct Group {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::uint64_t shard = 0;
    Stage stage = Stage::kShardIndex;
    KnownShard known;
    bool is_known_by_now = false;  // `known` holds what this request was told
    bool has_started_again = false;
    bool has_delivered = false;
    bool is_over = false;
    std::size_t pending = 0;  // requests of this stage
    std::map<std::uint64_t, ShardIndexCache::Extents> pages;
    std::map<std::uint64_t, ShardIndexCache::Entries> minishards;
  };
  struct Request {
    std::size_t group = 0;
    Stage stage = Stage::kShardIndex;
    std::uint64_t page = 0;
    ByteRun run;
    bool is_used = false;
  };

  [[nodiscard]] const ShardedScale& scale() const noexcept { return shards_->scale; }

  [[nodiscard]] static FileStamp stamp(const KnownShard& known) noexcept {
    return {~std::uint64_t{0}, known.generation, 0, 0, 0};
  }

  [[nodiscard]] static const char* index_ending(const Group& group) noexcept {
    return group.known.form == ShardForm::kTwo ? ".index" : ".shard";
  }
  [[nodiscard]] static const char* data_ending(const Group& group) noexcept {
    return group.known.form == ShardForm::kTwo ? ".data" : ".shard";
  }
  [[nodiscard]] std::uint64_t payload_offset(const Group& group) const noexcept {
    return group.known.form == ShardForm::kTwo ? 0 : scale().index_bytes();
  }

  void plan(std::size_t room, std::vector<Outgoing>& out) override {
    // First what groups under way need, then further groups.
    while (out.size() < room) {
      if (!waiting_.empty()) {
        out.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      } else if (cursor_ < chunks_.size()) {
        begin_group();
      } else {
        break;
      }
    }
  }

  void begin_group() {
    Group group;
    group.begin = cursor_;
    group.shard = chunks_[cursor_].at.shard;
    while (cursor_ < chunks_.size() && chunks_[cursor_].at.shard == group.shard) ++cursor_;
    group.end = cursor_;
    group.known = shards_->known(group.shard);
    groups_.push_back(std::move(group));
    ask_shard_index(groups_.size() - 1);
  }

  void ask(std::size_t number, Stage stage, std::string_view ending, ByteRun run, std::uint64_t page,
           bool may_be_short) {
    std::size_t tag = requests_.size();
    if (!free_tags_.empty()) {
      tag = free_tags_.back();
      free_tags_.pop_back();
    } else {
      requests_.emplace_back();
    }
    const std::string name = scale().shard_name(groups_[number].shard, ending);
    Outgoing one{scale_->endpoint->request(HttpMethod::kGet, scale_->folder, name), tag};
    one.request.range = ::cvfast::fetch::ByteRange{run.begin, run.end};
    one.request.may_end_early = may_be_short;
    one.request.max_size = std::max(run.end - run.begin, std::uint64_t{1});
    requests_[tag] = {number, stage, page, std::move(run), true};
    ++groups_[number].pending;
    waiting_.push_back(std::move(one));
  }

  // -- the shard's index

  void ask_shard_index(std::size_t number) {
    Group& group = groups_[number];
    group.stage = Stage::kShardIndex;
    if (scale().index_bytes() >= kUnknownBytes) {
      StoreError error;
      error.status = {Code::kTooLarge, 0, kUnknownBytes, scale().index_bytes()};
      error.name = scale().shard_name(group.shard) + ": shard index";
      return end_group(group, FetchState::kError, error);
    }
    std::uint64_t last = std::numeric_limits<std::uint64_t>::max();
    for (std::size_t i = group.begin; i < group.end; ++i) {
      const std::uint64_t minishard = chunks_[i].at.minishard;
      const std::uint64_t page = minishard / ShardedScale::kPageEntries;
      // Where the minishard's own index is known, its place need not be.
      if (page == last || find_entries(group, minishard)) continue;
      last = page;
      ShardIndexCache::Extents extents = scale().cache->find_extents(page_key(group, page), stamp(group.known));
      if (extents) {
        group.pages[page] = std::move(extents);
        continue;
      }
      const ByteExtent where = scale().page_extent(page);
      ask(number, Stage::kShardIndex, index_ending(group), {where.begin, where.end, {}}, page, true);
    }
    if (group.pending == 0) ask_minishards(number);
  }

  [[nodiscard]] ShardIndexCache::Key page_key(const Group& group, std::uint64_t page) const noexcept {
    return {scale().number, true, group.shard, page};
  }
  [[nodiscard]] ShardIndexCache::Key minishard_key(const Group& group, std::uint64_t minishard) const noexcept {
    return {scale().number, false, group.shard, minishard};
  }

  bool find_entries(Group& group, std::uint64_t minishard) {
    if (group.minishards.contains(minishard)) return true;
    ShardIndexCache::Entries entries = scale().cache->find_entries(minishard_key(group, minishard), stamp(group.known));
    if (!entries) return false;
    group.minishards[minishard] = std::move(entries);
    return true;
  }

  void take_shard_index(std::size_t number, const Request& asked, Answer& answer) {
    Group& group = groups_[number];
    const auto fail = [&](const Status& status) {
      StoreError error;
      error.status = status;
      error.name = scale().shard_name(group.shard) + ": shard index";
      end_group(group, FetchState::kError, error);
    };
    if (answer.state == FetchState::kMissing) {
      if (group.known.form != ShardForm::kUnknown) return end_group(group, FetchState::kMissing, {});
      // There may be two files instead of the one.
      group.known.form = ShardForm::kTwo;
      return ask(number, Stage::kShardIndex, ".index", {asked.run.begin, asked.run.end, {}}, asked.page, true);
    }
    if (answer.encoding != ContentEncoding::kNone) return fail({Code::kUnsupported, 0, 0, 0});
    if (answer.bytes.empty() && answer.total_bytes.value_or(0) == 0) {
      return end_group(group, FetchState::kMissing, {});  // an empty file
    }
    if (answer.bytes.size() != asked.run.end - asked.run.begin) {
      const std::uint64_t found = asked.run.begin + answer.bytes.size();
      return fail({Code::kTruncated, found, asked.run.end, found});
    }
    if (group.known.form == ShardForm::kUnknown) group.known.form = ShardForm::kOne;
    if (group.known.form == ShardForm::kOne) {
      group.known.etag = answer.etag;
      if (answer.total_bytes)
        group.known.payload_bytes = *answer.total_bytes - std::min(*answer.total_bytes, scale().index_bytes());
    }
    if (!group.is_known_by_now) shards_->learn(group.shard, group.known);
    group.is_known_by_now = true;
    auto parsed = std::make_shared<std::vector<IndexExtent>>();
    const Status status = scale().parse_page(asked.page, answer.bytes, group.known.payload_bytes, *parsed);
    if (!status.ok()) return fail(status);
    scale().cache->insert(page_key(group, asked.page), stamp(group.known), parsed);
    group.pages[asked.page] = std::move(parsed);
    if (group.pending == 0) ask_minishards(number);
  }

  // -- the indexes of minishards

  void ask_minishards(std::size_t number) {
    Group& group = groups_[number];
    group.stage = Stage::kMinishards;
    std::vector<Wanted> wanted;
    for (std::size_t i = group.begin; i < group.end; ++i) {
      const std::uint64_t minishard = chunks_[i].at.minishard;
      if (i > group.begin && chunks_[i - 1].at.minishard == minishard) continue;
      if (find_entries(group, minishard)) continue;
      const auto page = group.pages.find(minishard / ShardedScale::kPageEntries);
      if (page == group.pages.end()) return ask_shard_index(number);  // what was cached has been evicted meanwhile
      const IndexExtent extent = (*page->second)[minishard % ShardedScale::kPageEntries];
      if (extent.begin == extent.end) {
        group.minishards[minishard] = nullptr;
        continue;
      }
      if (const Status status = scale().check_minishard_index_size(extent.end - extent.begin); !status.ok()) {
        return fail_minishard(group, minishard, status);
      }
      wanted.push_back({payload_offset(group) + extent.begin, payload_offset(group) + extent.end, minishard});
    }
    for (ByteRun& run : coalesce(std::move(wanted), shards_->limits)) {
      ask(number, Stage::kMinishards, data_ending(group), std::move(run), 0, false);
    }
    if (group.pending == 0) ask_data(number);
  }

  void fail_minishard(Group& group, std::uint64_t minishard, const Status& status) {
    StoreError error;
    error.status = status;
    error.name = scale().minishard_index_name({group.shard, minishard});
    end_group(group, FetchState::kError, error);
  }

  void take_minishards(std::size_t number, const Request& asked, const Answer& answer) {
    Group& group = groups_[number];
    for (const Wanted& part : asked.run.parts) {
      auto parsed = std::make_shared<std::vector<ShardEntry>>();
      const Status status =
          scale().parse_minishard(answer.bytes.subspan(part.begin - asked.run.begin, part.end - part.begin),
                                  group.known.payload_bytes, *parsed);
      if (!status.ok()) return fail_minishard(group, part.item, status);
      scale().cache->insert(minishard_key(group, part.item), stamp(group.known), parsed);
      group.minishards[part.item] = std::move(parsed);
    }
    if (group.pending == 0) ask_data(number);
  }

  // -- the chunks

  void ask_data(std::size_t number) {
    Group& group = groups_[number];
    group.stage = Stage::kData;
    group.pages.clear();
    std::vector<Wanted> wanted;
    for (std::size_t i = group.begin; i < group.end; ++i) {
      const ShardIndexCache::Entries& entries = group.minishards[chunks_[i].at.minishard];
      const ShardEntry* const entry = entries ? locate::find_entry(*entries, chunks_[i].id) : nullptr;
      if (entry == nullptr || expected_.only_existence || entry->size == 0) {
        group.has_delivered = true;
        Arrived out;
        out.state = entry == nullptr ? FetchState::kMissing : FetchState::kData;
        out.file.encoding = scale().compression();
        out.file.memory = &kNothing;
        make_ready(chunks_[i].index, chunks_[i].point, std::move(out));
        continue;
      }
      if (entry->size > scale_->max_object_bytes) {
        Arrived out;
        out.state = FetchState::kError;
        out.error.status = {Code::kTooLarge, 0, scale_->max_object_bytes, entry->size};
        out.error.name = title(chunks_[i]);
        make_ready(chunks_[i].index, chunks_[i].point, std::move(out));
        continue;
      }
      const std::uint64_t begin = payload_offset(group) + entry->offset;
      wanted.push_back({begin, begin + entry->size, i});
    }
    group.minishards.clear();
    for (ByteRun& run : coalesce(std::move(wanted), shards_->limits)) {
      ask(number, Stage::kData, data_ending(group), std::move(run), 0, false);
    }
  }

  void take_data(const Request& asked, const Answer& answer) {
    groups_[asked.group].has_delivered = true;
    for (const Wanted& part : asked.run.parts) {
      Arrived out;
      out.state = FetchState::kData;
      out.file.encoding = scale().compression();
      out.file.memory = answer.bytes.data() + (part.begin - asked.run.begin);
      out.file.size_bytes = part.end - part.begin;
      out.file.keeper = answer.keeper;
      make_ready(chunks_[part.item].index, chunks_[part.item].point, std::move(out));
    }
  }

  void answered(std::size_t tag, HttpResult&& result) override {
    Request asked = std::move(requests_[tag]);
    requests_[tag] = {};
    free_tags_.push_back(tag);
    const std::size_t number = asked.group;
    const bool is_past_end = result.state == HttpState::kFailed && result.status == 416;
    Answer answer = judge(*scale_->endpoint, std::move(result));
    --groups_[number].pending;
    if (groups_[number].is_over) return;
    if (is_past_end && asked.stage == Stage::kShardIndex) {
      answer.state = FetchState::kData;  // an object that ends before the first byte asked for
      answer.error = {};
    }
    if (answer.state == FetchState::kError) return fail(number, asked, answer.error);
    if (asked.stage == Stage::kShardIndex) return take_shard_index(number, asked, answer);
    // What the indexes speak of must be the same file.
    Group& group = groups_[number];
    const bool is_other = answer.state == FetchState::kMissing ||
                          (!group.known.etag.empty() && !answer.etag.empty() && answer.etag != group.known.etag);
    if (is_other) return start_again(number, asked, answer);
    if (group.known.etag.empty() && !answer.etag.empty()) {
      group.known.etag = answer.etag;
      shards_->learn(group.shard, group.known);
    }
    if (answer.encoding != ContentEncoding::kNone || answer.bytes.size() != asked.run.end - asked.run.begin) {
      StoreError error =
          server_error({}, "expected " + std::to_string(asked.run.end - asked.run.begin) +
                               " bytes as they are stored, found " + std::to_string(answer.bytes.size()));
      return fail(number, asked, error);
    }
    if (asked.stage == Stage::kMinishards) return take_minishards(number, asked, answer);
    take_data(asked, answer);
  }

  // The shard was replaced after its indexes were read.
  void start_again(std::size_t number, const Request& asked, const Answer& answer) {
    Group& group = groups_[number];
    shards_->forget(group.shard);
    const std::string found = answer.state == FetchState::kMissing ? "none" : "ETag " + answer.etag;
    // Chunks that were handed out already are of the old shard, and a mixture of two states is what nobody has written.
    if (group.has_started_again || group.has_delivered) {
      StoreError error = server_error(
          {}, "the shard changed while it was read: expected ETag " + group.known.etag + ", found " + found);
      return fail(number, asked, error);
    }
    group.is_over = true;
    Group again;
    again.begin = group.begin;
    again.end = group.end;
    again.shard = group.shard;
    again.known = shards_->known(group.shard);
    again.has_started_again = true;
    groups_.push_back(std::move(again));
    ask_shard_index(groups_.size() - 1);
  }

  void fail(std::size_t number, const Request& asked, StoreError error) {
    Group& group = groups_[number];
    if (asked.stage != Stage::kData) {
      if (error.name.empty()) {
        error.name = scale().shard_name(group.shard,
                                        asked.stage == Stage::kShardIndex ? index_ending(group) : data_ending(group)) +
                     (asked.stage == Stage::kShardIndex ? ": shard index" : ": minishard indexes");
      }
      return end_group(group, FetchState::kError, error);
    }
    for (const Wanted& part : asked.run.parts) {
      Arrived out;
      out.state = FetchState::kError;
      out.error = error;
      out.error.name = title(chunks_[part.item]);
      make_ready(chunks_[part.item].index, chunks_[part.item].point, std::move(out));
    }
  }

  void end_group(Group& group, FetchState state, const StoreError& error) {
    group.is_over = true;
    for (std::size_t i = group.begin; i < group.end; ++i) {
      Arrived out;
      out.state = state;
      out.error = error;
      make_ready(chunks_[i].index, chunks_[i].point, std::move(out));
    }
  }

  [[nodiscard]] std::string title(const Chunk& chunk) const {
    char buffer[locate::kChunkNameBytes];
    return scale().chunk_title({locate::chunk_name(scale().grid.chunk_box(chunk.point), buffer), chunk.point});
  }

  static constexpr std::byte kNothing{};

  const std::shared_ptr<const RemoteShards> shards_;
  std::vector<Chunk> chunks_;  // by shard, minishard and id
  std::size_t cursor_ = 0;
  std::vector<Group> groups_;
  std::vector<Request> requests_;
  std::vector<std::size_t> free_tags_;
  std::deque<Outgoing> waiting_;
};

class ShardSession : public RemoteSession {
 public:
  ShardSession(std::shared_ptr<const RemoteShards> shards, const Attention& attention)
      : RemoteSession(shards->remote, attention),
        shards_(std::move(shards)) {}

  std::string name_of(const ChunkAddress& chunk, ContentEncoding) const override {
    return shards_->scale.chunk_title(chunk);
  }
  bool put(const ChunkAddress& chunk, ContentEncoding, std::span<const std::byte>, bool,
           StoreError& error) const override {
    return refuse(chunk, error);
  }
  bool remove(const ChunkAddress& chunk, StoreError& error) const override { return refuse(chunk, error); }

 protected:
  const std::shared_ptr<const RemoteShards> shards_;

 private:
  std::unique_ptr<Fetcher> make_fetcher(ExpectedChunks expected) const override {
    return std::make_unique<ShardFetcher>(shards_, std::move(expected), attention_);
  }
  bool refuse(const ChunkAddress& chunk, StoreError& error) const {
    error = server_error(name_of(chunk, ContentEncoding::kNone), "a session that was begun to read");
    return false;
  }
};

// Shards are replaced as a whole: a server has nothing like a lock, so of two writers of one shard the last one wins.
class ShardWriteSession final : public ShardSession {
 public:
  ShardWriteSession(const std::shared_ptr<const RemoteShards>& shards, bool merges, const Attention& attention)
      : ShardSession(shards, attention),
        merges_(merges) {}

  GroupState begin_group(const WriteGroup& group, const std::function<bool()>&, StoreError& error) override {
    group_.emplace(shards_->scale, group);
    is_pair_ = false;
    if (!shards_->scale.covers_shard(group) && !take_over(error)) {
      return error.trouble == StoreTrouble::kCancelled ? GroupState::kCancelled : GroupState::kFailed;
    }
    return GroupState::kReady;
  }

  bool put(const ChunkAddress& chunk, ContentEncoding compression, std::span<const std::byte> bytes, bool,
           StoreError& error) const override {
    return group_->put(chunk, compression, bytes, error);
  }
  bool remove(const ChunkAddress& chunk, StoreError& error) const override { return group_->remove(chunk, error); }

  bool commit_group(bool, StoreError& error) override {
    const bool good = replace(error);
    shards_->forget(group_->shard());
    group_.reset();
    return good;
  }

 private:
  // A whole object; false with `error` where it cannot be had.
  bool get(const std::string& name, Answer& out, StoreError& error) const {
    std::vector<HttpRequest> one;
    one.push_back(scale_->endpoint->request(HttpMethod::kGet, scale_->folder, name));
    one[0].headers.push_back({"Accept-Encoding", "identity"});
    one[0].max_size = kUnknownBytes;
    std::vector<HttpResult> results = http::get_all(std::move(one), [this] { return attention_.goes_on(); });
    out = judge(*scale_->endpoint, std::move(results.front()));
    if (out.state == FetchState::kData && out.encoding != ContentEncoding::kNone) {
      out.state = FetchState::kError;
      out.error = server_error({}, "expected a shard as it is stored, found a Content-Encoding");
    }
    if (out.state != FetchState::kError) return true;
    error = std::move(out.error);
    error.name = name;
    return false;
  }

  // What the shard holds besides the group's chunks.
  bool take_over(StoreError& error) {
    const ShardedScale& scale = shards_->scale;
    Answer index;
    Answer data;
    const std::string name = scale.shard_name(group_->shard());
    if (!get(name, index, error)) return false;
    std::span<const std::byte> payload;
    const std::uint64_t index_bytes = scale.index_bytes();
    if (index.state == FetchState::kMissing) {
      if (!get(scale.shard_name(group_->shard(), ".index"), index, error)) return false;
      if (index.state == FetchState::kMissing) return true;
      if (!get(scale.shard_name(group_->shard(), ".data"), data, error)) return false;
      is_pair_ = true;
      payload = data.bytes;
    } else if (index.bytes.size() > index_bytes) {
      payload = index.bytes.subspan(index_bytes);
    }
    if (index.bytes.empty()) return true;
    if (index.bytes.size() < index_bytes) {
      error.status = {Code::kTruncated, index.bytes.size(), index_bytes, index.bytes.size()};
      error.name = name + ": shard index";
      return false;
    }
    ShardInMemory contents(scale, group_->shard(), index.bytes.first(index_bytes), payload);
    return group_->take_over(contents, merges_, error);
  }

  bool replace(StoreError& error) {
    const ShardedScale& scale = shards_->scale;
    const std::uint64_t shard = group_->shard();
    std::vector<std::byte> whole;
    if (!group_->assemble(whole, error)) return false;
    if (whole.empty()) {
      if (!uploads().remove(scale.shard_name(shard), error)) return false;
    } else {
      if (!uploads().put(scale.shard_name(shard), ContentEncoding::kNone, std::move(whole), true, error)) return false;
    }
    if (!is_pair_) return true;
    return uploads().remove(scale.shard_name(shard, ".index"), error) &&
           uploads().remove(scale.shard_name(shard, ".data"), error);
  }

  bool merges_;
  bool is_pair_ = false;  // the shard lies in two files
  mutable std::optional<ShardGroup> group_;
};

class RemoteShardedStore final : public ChunkStore {
 public:
  explicit RemoteShardedStore(std::shared_ptr<const RemoteShards> shards) : shards_(std::move(shards)) {}

  std::unique_ptr<ChunkSession> read(const Attention& attention) const override {
    return std::make_unique<ShardSession>(shards_, attention);
  }
  std::unique_ptr<ChunkSession> write(bool merges, const Attention& attention) const override {
    return std::make_unique<ShardWriteSession>(shards_, merges, attention);
  }
  bool is_remote() const noexcept override { return true; }
  bool writes_in_groups() const noexcept override { return true; }
  std::vector<WriteGroup> groups(const Box3& grid_range) const override { return shards_->scale.groups(grid_range); }

 private:
  std::shared_ptr<const RemoteShards> shards_;
};

}  // namespace

std::shared_ptr<const ChunkStore> make_remote_sharded_store(RemoteScale scale, const locate::ShardSpec& spec,
                                                            std::shared_ptr<ShardIndexCache> cache,
                                                            const CoalesceLimits& limits) {
  return std::make_shared<RemoteShardedStore>(
      std::make_shared<const RemoteShards>(std::move(scale), spec, std::move(cache), limits));
}

}  // namespace cvfast::fetch
