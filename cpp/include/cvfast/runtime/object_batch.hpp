// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cvfast/fetch/file.hpp"

/// Many whole objects below one folder of a local file system, in one call.
///
/// A key is a path below the folder; objects lie under their bare names or with one of fetch::kSuffixes.  What is not
/// plainly done (an error, a key with empty or dotted components, a name that is too long) is reported as kError and
/// left to the caller, who looks at it one by one and knows how to name it.
namespace cvfast::runtime {

struct StoredObject {
  fetch::FetchState state = fetch::FetchState::kError;
  fetch::ContentEncoding encoding = fetch::ContentEncoding::kNone;  ///< of `bytes`: never kGzip, which is undone here
  std::vector<std::byte> bytes;
};

struct BatchOptions {
  int threads = 0;                                   ///< 0: as many as the process may use
  std::function<bool()> poll = [] { return true; };  ///< see parallel_for
  std::function<bool()> may_begin = {};              ///< asked before each object by the thread that works on it
};

/// Whether root/key is the path of the object as it stands.
[[nodiscard]] bool is_plain_key(std::string_view key) noexcept;

/// What lay in the folders of many keys at one moment, for those who read them in several batches.
class FolderListings {
 public:
  FolderListings(const std::string& root, std::span<const std::string> keys);
  /// Of the folder with this path; nothing where looking the keys up is quicker.
  [[nodiscard]] const fetch::FolderNames* of(const std::string& path) const;

 private:
  std::map<std::string, std::unique_ptr<const fetch::FolderNames>> names_;
};

/// Reads objects, `out` in the order of `keys`.
/// @param limit_bytes what a gzipped object may expand to; beyond it is an error of that object.
/// @param listings made for these keys and others; without them folders are listed where there are many keys.
/// @return whether poll let it finish; an error of one object does not stop the others.
bool read_objects(const std::string& root, std::span<const std::string> keys, std::uint64_t limit_bytes,
                  std::vector<StoredObject>& out, const BatchOptions& options,
                  const FolderListings* listings = nullptr);

/// Inflates gzipped objects, `in[i]` into all of `out[i]`; `done[i]` says whether it was exactly that long and sound.
bool inflate_objects(std::span<const std::span<const std::byte>> in, std::span<const std::span<std::byte>> out,
                     std::vector<std::uint8_t>& done, const BatchOptions& options);

/// Bytes that the end of a gzipped object claims it expands to, or 0 where so many bytes cannot expand to that.
[[nodiscard]] std::size_t claimed_bytes(std::span<const std::byte> gzipped) noexcept;

/// Replaces objects, compressed with gzip here where `encoding` says so and else as given; folders are made as needed.
/// No key may occur twice.  `done[i]` says whether object i was replaced; after the first failure no more are begun.
/// @return whether poll let it finish.
bool write_objects(const std::string& root, std::span<const std::string> keys,
                   std::span<const std::span<const std::byte>> objects, fetch::ContentEncoding encoding, int level,
                   bool sync, std::vector<std::uint8_t>& done, const BatchOptions& options);

/// Says of each object whether it is there.
bool find_objects(const std::string& root, std::span<const std::string> keys, std::vector<fetch::FetchState>& out,
                  const BatchOptions& options);

/// Removes objects under every suffix; `done[i]` says whether object i is gone.
bool remove_objects(const std::string& root, std::span<const std::string> keys, std::vector<std::uint8_t>& done,
                    const BatchOptions& options);

}  // namespace cvfast::runtime
