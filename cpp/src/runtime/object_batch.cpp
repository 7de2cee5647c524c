// SPDX-License-Identifier: BSD-3-Clause
//
// Keys are grouped by their folder and dealt to the pool in runs of up to 16: a task opens its folder once and works
// relative to it, so that an object costs its own look-ups and no walk along the path.
#include "cvfast/runtime/object_batch.hpp"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string_view>
#include <system_error>

#include "cvfast/core/endian.hpp"
#include "cvfast/core/status.hpp"
#include "cvfast/decode/gzip.hpp"
#include "cvfast/runtime/thread_pool.hpp"

namespace cvfast::runtime {
namespace {

using fetch::ContentEncoding;
using fetch::FetchState;

constexpr std::size_t kRun = 16;  // a millisecond of writing: what the last thread may have left when others are done

std::string_view folder_of(std::string_view key) noexcept {
  const std::size_t slash = key.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : key.substr(0, slash);
}

std::string_view name_of(std::string_view key) noexcept {
  const std::size_t slash = key.rfind('/');
  return slash == std::string_view::npos ? key : key.substr(slash + 1);
}

// The plain keys, those of one folder together.
class Runs {
 public:
  explicit Runs(std::span<const std::string> keys) : keys_(keys) {
    order_.reserve(keys.size());
    bool is_sorted = true;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!is_plain_key(keys[i])) continue;
      if (!order_.empty() && folder_of(keys[order_.back()]) != folder_of(keys[i])) is_sorted = false;
      order_.push_back(i);
    }
    if (!is_sorted) {
      std::ranges::stable_sort(order_, {}, [&](std::size_t i) { return folder_of(keys[i]); });
    }
    for (std::size_t i = 0; i < order_.size(); ++i) {
      const bool is_other = starts_.empty() || folder_of(keys[order_[i]]) != folder_of(keys[order_[starts_.back()]]);
      if (!is_other && i - starts_.back() < kRun) continue;
      folders_.push_back(is_other ? starts_.size() : folders_.back());
      starts_.push_back(i);
    }
  }

  [[nodiscard]] std::size_t size() const noexcept { return starts_.size(); }
  [[nodiscard]] std::span<const std::size_t> members(std::size_t run) const noexcept {
    const std::size_t end = run + 1 < starts_.size() ? starts_[run + 1] : order_.size();
    return std::span(order_).subspan(starts_[run], end - starts_[run]);
  }
  // Runs of one folder have one number, which is that of the first of them.
  [[nodiscard]] std::size_t folder(std::size_t run) const noexcept { return folders_[run]; }
  // Calls work(folder, path, number of keys) for each folder.
  template <typename Work>
  void for_each_folder(const std::string& root, const Work& work) const {
    for (std::size_t run = 0; run < size();) {
      std::size_t end = run;
      std::size_t count = 0;
      for (; end < size() && folders_[end] == folders_[run]; ++end) count += members(end).size();
      work(run, path(root, run), count);
      run = end;
    }
  }
  [[nodiscard]] std::string path(const std::string& root, std::size_t run) const {
    const std::string_view folder = folder_of(keys_[order_[starts_[run]]]);
    return folder.empty() ? root : std::string(root).append("/").append(folder);
  }

 private:
  std::span<const std::string> keys_;
  std::vector<std::size_t> order_;
  std::vector<std::size_t> starts_;
  std::vector<std::size_t> folders_;
};

// Calls work(folder, i, run) for each plain key.
template <typename Work>
bool for_each_object(const std::string& root, const Runs& runs, const BatchOptions& options, const Work& work) {
  const int threads = options.threads > 0 ? options.threads : default_threads();
  std::atomic<bool> is_cancelled{false};  // relaxed: read by the thread that sets it
  const auto task = [&](std::size_t run) {
    try {
      const fetch::Folder folder(runs.path(root, run));
      for (const std::size_t i : runs.members(run)) {
        if (options.may_begin && !options.may_begin()) return false;
        if (!work(folder, i, run)) return false;
      }
    } catch (...) {  // no memory: what is not marked as done is an error
    }
    return true;
  };
  const auto poll = [&] {
    if (options.poll()) return true;
    is_cancelled.store(true, std::memory_order_relaxed);
    return false;
  };
  parallel_for(runs.size(), threads, task, poll);
  return !is_cancelled.load(std::memory_order_relaxed);
}

// One listing of each folder in the place of six look-ups an object, unless it holds many more than are asked for.
using Listings = std::vector<std::unique_ptr<const fetch::FolderNames>>;

Listings list_folders(const std::string& root, const Runs& runs, bool makes_folders) {
  constexpr std::size_t kFewKeys = 16;
  constexpr std::size_t kMostNames = 8;  // for each key
  Listings out(runs.size());
  runs.for_each_folder(root, [&](std::size_t folder, const std::string& path, std::size_t count) {
    std::error_code ignored;  // met again when the folder is used
    if (makes_folders) std::filesystem::create_directories(path, ignored);
    if (count >= kFewKeys) out[folder] = fetch::FolderNames::list(path, kMostNames * count);
  });
  return out;
}

FetchState read_object(const fetch::Folder& folder, const fetch::FolderNames* names, std::string_view name,
                       std::uint64_t limit_bytes, StoredObject& out) {
  fetch::OpenedFile file;
  fetch::IoError error;
  if (const FetchState state = folder.open(name, file, error, names); state != FetchState::kData) return state;
  std::vector<std::byte> bytes(file.size_bytes);
  if (!fetch::read_exact(file.descriptor(), bytes.data(), bytes.size(), file.offset, error)) return FetchState::kError;
  if (file.encoding == ContentEncoding::kGzip) {
    if (!decode::gzip::decompress(bytes, limit_bytes, out.bytes).ok()) return FetchState::kError;
  } else {
    out.bytes = std::move(bytes);
    out.encoding = file.encoding;
  }
  return FetchState::kData;
}

}  // namespace

bool is_plain_key(std::string_view key) noexcept {
  if (key.find('\0') != std::string_view::npos) return false;
  while (true) {
    const std::size_t slash = key.find('/');
    const std::string_view part = key.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    key.remove_prefix(slash + 1);
  }
}

FolderListings::FolderListings(const std::string& root, std::span<const std::string> keys) {
  const Runs runs(keys);
  Listings found = list_folders(root, runs, false);
  runs.for_each_folder(root, [&](std::size_t folder, const std::string& path, std::size_t) {
    if (found[folder] != nullptr) names_.emplace(path, std::move(found[folder]));
  });
}

const fetch::FolderNames* FolderListings::of(const std::string& path) const {
  const auto found = names_.find(path);
  return found == names_.end() ? nullptr : found->second.get();
}

bool read_objects(const std::string& root, std::span<const std::string> keys, std::uint64_t limit_bytes,
                  std::vector<StoredObject>& out, const BatchOptions& options, const FolderListings* listings) {
  out.clear();
  out.resize(keys.size());
  const Runs runs(keys);
  const Listings own = listings == nullptr ? list_folders(root, runs, false) : Listings(runs.size());
  std::vector<const fetch::FolderNames*> names(runs.size());
  runs.for_each_folder(root, [&](std::size_t folder, const std::string& path, std::size_t) {
    names[folder] = listings == nullptr ? own[folder].get() : listings->of(path);
  });
  return for_each_object(root, runs, options, [&](const fetch::Folder& folder, std::size_t i, std::size_t run) {
    out[i].state = read_object(folder, names[runs.folder(run)], name_of(keys[i]), limit_bytes, out[i]);
    return true;
  });
}

std::size_t claimed_bytes(std::span<const std::byte> gzipped) noexcept {
  constexpr std::size_t kLeast = 18;        // header and trailer
  constexpr std::size_t kMostTimes = 1032;  // deflate's greatest ratio
  if (gzipped.size() < kLeast) return 0;
  const std::size_t claimed = load_le<std::uint32_t>(gzipped.data() + gzipped.size() - 4);
  return claimed / kMostTimes <= gzipped.size() ? claimed : 0;
}

bool inflate_objects(std::span<const std::span<const std::byte>> in, std::span<const std::span<std::byte>> out,
                     std::vector<std::uint8_t>& done, const BatchOptions& options) {
  constexpr std::size_t kTogether = 16;  // small objects inflate in the time that it takes to deal a task
  done.assign(in.size(), 0);
  std::atomic<bool> is_cancelled{false};  // relaxed: read by the thread that sets it
  const auto task = [&](std::size_t run) {
    const std::size_t end = std::min(in.size(), (run + 1) * kTogether);
    for (std::size_t i = run * kTogether; i < end; ++i) {
      std::size_t written = 0;
      const Status status = decode::gzip::decompress(in[i], out[i].data(), out[i].size(), written);
      done[i] = status.ok() && written == out[i].size() ? 1 : 0;
    }
    return true;
  };
  const auto poll = [&] {
    if (options.poll()) return true;
    is_cancelled.store(true, std::memory_order_relaxed);
    return false;
  };
  parallel_for((in.size() + kTogether - 1) / kTogether, options.threads > 0 ? options.threads : default_threads(), task,
               poll);
  return !is_cancelled.load(std::memory_order_relaxed);
}

bool write_objects(const std::string& root, std::span<const std::string> keys,
                   std::span<const std::span<const std::byte>> objects, ContentEncoding encoding, int level, bool sync,
                   std::vector<std::uint8_t>& done, const BatchOptions& options) {
  done.assign(keys.size(), 0);
  const Runs runs(keys);
  const Listings names = list_folders(root, runs, true);
  return for_each_object(root, runs, options, [&](const fetch::Folder& folder, std::size_t i, std::size_t run) {
    std::span<const std::byte> stored = objects[i];
    std::vector<std::byte> compressed;
    if (encoding == ContentEncoding::kGzip) {
      if (!decode::gzip::compress(stored, level, compressed).ok()) return false;
      stored = compressed;
    }
    fetch::IoError error;
    if (!folder.put(name_of(keys[i]), encoding, stored.data(), stored.size(), sync, error,
                    names[runs.folder(run)].get())) {
      return false;
    }
    done[i] = 1;
    return true;
  });
}

bool find_objects(const std::string& root, std::span<const std::string> keys, std::vector<FetchState>& out,
                  const BatchOptions& options) {
  out.assign(keys.size(), FetchState::kError);
  return for_each_object(root, Runs(keys), options, [&](const fetch::Folder& folder, std::size_t i, std::size_t) {
    // Opened rather than looked up, so that a folder of the same name is no object.
    fetch::OpenedFile file;
    fetch::IoError error;
    out[i] = folder.open(name_of(keys[i]), file, error);
    return true;
  });
}

bool remove_objects(const std::string& root, std::span<const std::string> keys, std::vector<std::uint8_t>& done,
                    const BatchOptions& options) {
  done.assign(keys.size(), 0);
  return for_each_object(root, Runs(keys), options, [&](const fetch::Folder& folder, std::size_t i, std::size_t) {
    fetch::IoError error;
    if (!folder.remove(name_of(keys[i]), error)) return false;
    done[i] = 1;
    return true;
  });
}

}  // namespace cvfast::runtime
