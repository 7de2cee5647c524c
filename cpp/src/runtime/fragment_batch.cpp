// SPDX-License-Identifier: BSD-3-Clause
//
// Nearly all of the time is inflating. Were fragments inflated into memory of their own, the kernel's would come on
// top: pages that are cleared, written, read once and given back, as many as the mesh itself takes.
#include "cvfast/runtime/fragment_batch.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <new>
#include <optional>
#include <string_view>

#include "../decode/inflate_prefix.hpp"
#include "cvfast/core/endian.hpp"
#include "cvfast/core/status.hpp"
#include "cvfast/decode/gzip.hpp"
#include "cvfast/runtime/memory.hpp"
#include "cvfast/runtime/thread_pool.hpp"

namespace cvfast::runtime {
namespace {

using fetch::ContentEncoding;
using fetch::FetchState;

constexpr std::size_t kRun = 64;
constexpr std::size_t kCountBytes = 4;
constexpr std::uint64_t kRowBytes = 12;
// "DRAC", where a fragment of this format counts its vertices.
constexpr std::uint32_t kDracoMagic = 0x43415244U;
// What a thread keeps of its buffer between calls.
constexpr std::size_t kKeptScratchBytes = std::size_t{1} << 22;

Scratch& thread_scratch() {
  thread_local Scratch scratch;
  return scratch;
}

/// Runs tasks and tells why one of them stopped.
template <typename Task>
FragmentOutcome run(std::size_t n, const BatchOptions& options, const Task& task) {
  std::atomic<bool> is_cancelled{false};  // relaxed: read by the thread that sets it
  const bool done = parallel_for(n, options.threads > 0 ? options.threads : default_threads(), task, [&] {
    if (options.poll()) return true;
    is_cancelled.store(true, std::memory_order_relaxed);
    return false;
  });
  if (is_cancelled.load(std::memory_order_relaxed)) return FragmentOutcome::kInterrupted;
  return done ? FragmentOutcome::kDone : FragmentOutcome::kOtherwise;
}

/// The first four bytes of a gzipped fragment.
std::optional<std::uint32_t> inflated_count(const FragmentFile& file) {
  const std::span<const std::byte> stored(file.bytes.get(), file.size_bytes);
  std::array<std::byte, kCountBytes + decode::InflatePrefix::kSlackBytes> begin;
  decode::InflatePrefix inflater(decode::gzip::first_stream(stored), begin);
  if (inflater.extend(kCountBytes)) return load_le<std::uint32_t>(begin.data());
  // Short ones end before a prefix can be had.
  const auto size = static_cast<std::size_t>(file.inflated_bytes);
  std::byte* const whole = thread_scratch().get(size);
  std::size_t written = 0;
  if (whole == nullptr || !decode::gzip::decompress(stored, whole, size, written).ok()) return std::nullopt;
  const auto count = written >= kCountBytes ? std::optional(load_le<std::uint32_t>(whole)) : std::nullopt;
  thread_scratch().trim(kKeptScratchBytes);
  return count;
}

bool open_fragment(const fetch::Folder& folder, const fetch::FolderNames* names, std::string_view name,
                   std::uint64_t limit_bytes, FragmentFile& out, mesh::FragmentShape& shape) {
  fetch::OpenedFile file;
  fetch::IoError error;
  if (folder.open(name, file, error, names) != FetchState::kData) return false;
  if (file.encoding != ContentEncoding::kNone && file.encoding != ContentEncoding::kGzip) return false;
  out.size_bytes = static_cast<std::size_t>(file.size_bytes);
  out.bytes.reset(new std::byte[out.size_bytes + decode::gzip::kInputPadding]);
  std::memset(out.bytes.get() + out.size_bytes, 0, decode::gzip::kInputPadding);
  if (!fetch::read_exact(file, out.bytes.get(), out.size_bytes, 0, error)) return false;
  const std::span<const std::byte> stored(out.bytes.get(), out.size_bytes);
  if (file.encoding == ContentEncoding::kNone) {
    return mesh::parse_fragment(stored, shape).ok() && load_le<std::uint32_t>(stored.data()) != kDracoMagic;
  }
  out.inflated_bytes = claimed_bytes(stored);
  if (out.inflated_bytes < kCountBytes || out.inflated_bytes > limit_bytes) return false;
  const std::optional<std::uint32_t> count = inflated_count(out);
  if (!count || *count == kDracoMagic) return false;
  const std::uint64_t faces_at = kCountBytes + kRowBytes * *count;
  if (out.inflated_bytes < faces_at || (out.inflated_bytes - faces_at) % kRowBytes != 0) return false;
  shape = {*count, (out.inflated_bytes - faces_at) / kRowBytes};
  return true;
}

/// The bytes of a fragment, inflated where it is compressed; empty where they are not what `open_fragment` was told.
std::span<const std::byte> content_of(const FragmentFile& file) {
  const std::span<const std::byte> stored(file.bytes.get(), file.size_bytes);
  if (file.inflated_bytes == 0) return stored;
  const auto size = static_cast<std::size_t>(file.inflated_bytes);
  std::byte* const whole = thread_scratch().get(size + decode::gzip::kOutputPadding);
  if (whole == nullptr) return {};
  if (decode::gzip::decompress_padded(stored.data(), stored.size(), whole, size)) return {whole, size};
  std::size_t written = 0;
  if (!decode::gzip::decompress(stored, whole, size, written).ok() || written != size) return {};
  return {whole, size};
}

}  // namespace

FragmentOutcome open_fragments(const std::string& root, std::span<const std::string> keys, std::uint64_t limit_bytes,
                               FragmentBatch& out, const BatchOptions& options) {
  if (!std::ranges::all_of(keys, is_plain_key)) return FragmentOutcome::kOtherwise;
  out.files.clear();
  out.files.resize(keys.size());
  mesh::StitchPlan& plan = out.plan;
  plan = {};
  plan.shapes.resize(keys.size());
  const FolderListings listings(root, keys);
  const auto task = [&](std::size_t number) {
    try {
      std::optional<fetch::Folder> folder;
      const fetch::FolderNames* names = nullptr;
      std::string_view opened;
      const std::size_t end = std::min(keys.size(), (number + 1) * kRun);
      for (std::size_t i = number * kRun; i < end; ++i) {
        const std::string_view key = keys[i];
        const std::size_t slash = key.rfind('/');
        const std::string_view path = slash == std::string_view::npos ? std::string_view{} : key.substr(0, slash);
        if (!folder || path != opened) {
          const std::string whole = path.empty() ? root : std::string(root).append("/").append(path);
          folder.emplace(whole);
          names = listings.of(whole);
          opened = path;
        }
        const std::string_view name = slash == std::string_view::npos ? key : key.substr(slash + 1);
        if (!open_fragment(*folder, names, name, limit_bytes, out.files[i], plan.shapes[i])) return false;
      }
      return true;
    } catch (const std::bad_alloc&) {
      return false;
    }
  };
  const FragmentOutcome outcome = run((keys.size() + kRun - 1) / kRun, options, task);
  if (outcome != FragmentOutcome::kDone) return outcome;
  return mesh::place_fragments(plan).status.ok() ? FragmentOutcome::kDone : FragmentOutcome::kOtherwise;
}

FragmentOutcome decode_fragments(FragmentBatch& batch, const mesh::Transform& transform, float* vertices,
                                 std::uint32_t* faces, const BatchOptions& options) {
  const mesh::StitchPlan& plan = batch.plan;
  return run(batch.files.size(), options, [&](std::size_t i) {
    FragmentFile& file = batch.files[i];
    const std::span<const std::byte> bytes = content_of(file);
    mesh::FragmentShape shape;
    const bool is_sound =
        mesh::parse_fragment(bytes, shape).ok() && shape == plan.shapes[i] &&
        mesh::decode_fragment(bytes, shape, plan.begins[i].num_vertices, transform,
                              vertices + 3 * plan.begins[i].num_vertices, faces + 3 * plan.begins[i].num_faces)
            .ok();
    file.bytes.reset();
    thread_scratch().trim(kKeptScratchBytes);
    return is_sound;
  });
}

}  // namespace cvfast::runtime
