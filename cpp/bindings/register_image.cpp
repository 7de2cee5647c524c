// SPDX-License-Identifier: BSD-3-Clause
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cvfast/core/checked.hpp"
#include "cvfast/decode/png.hpp"
#include "cvfast/fetch/cached_store.hpp"
#include "cvfast/fetch/callback_store.hpp"
#include "cvfast/fetch/remote_store.hpp"
#include "cvfast/fetch/sharded.hpp"
#include "cvfast/locate/morton.hpp"
#include "cvfast/runtime/chunk_cache.hpp"
#include "cvfast/runtime/read_image.hpp"
#include "cvfast/runtime/transfer_image.hpp"
#include "cvfast/runtime/write_image.hpp"
#include "gil.hpp"
#include "register.hpp"

namespace {

namespace rt = cvfast::runtime;
using Bounds = std::array<std::int64_t, 6>;
using cvfast::Box3;
using cvfast::Int3;
using cvfast::Int4;

Box3 to_box(const Bounds& b) { return {{b[0], b[1], b[2]}, {b[3], b[4], b[5]}}; }

std::array<std::byte, 16> to_item(const std::string& bytes) {
  std::array<std::byte, 16> out{};
  if (bytes.size() > out.size()) throw std::invalid_argument("background: expected at most 16 bytes");
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

Int4 strides_of(const py::array& array) {
  return {array.strides(0), array.strides(1), array.strides(2), array.strides(3)};
}

void check_array(const py::array& array, const Box3& box, std::int64_t channels, std::size_t item_size) {
  const Int3 shape = box.shape();
  if (array.ndim() != 4 || array.shape(0) != shape[0] || array.shape(1) != shape[1] || array.shape(2) != shape[2] ||
      array.shape(3) != channels || static_cast<std::size_t>(array.itemsize()) != item_size) {
    throw std::invalid_argument("array: shape or item size does not fit the request");
  }
}

using Labels = py::array_t<std::uint64_t, py::array::c_style>;

// Calls into Python on a pool thread, with the GIL.  Returns what went wrong, or an empty string.  Exceptions that say
// nothing about the bytes (Ctrl-C arrives in whatever Python code the main thread runs; a package is not installed) are
// kept in `raised`, which the GIL guards.
template <typename Call>
std::string with_python(std::exception_ptr& raised, const Call& call) {
  const cvfast::bindings::HeldGil held;
  try {
    call();
    return {};
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_Exception) || error.matches(PyExc_MemoryError) || error.matches(PyExc_ImportError)) {
      if (!raised) raised = std::current_exception();
      return "interrupted";
    }
    const std::string message = py::str(error.value());
    return message.empty() ? std::string(py::str(error.type().attr("__name__"))) : message;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    cvfast::bindings::sleep_until_the_process_ends();
  }
}

py::memoryview view_of(std::span<const std::byte> bytes) {
  return py::memoryview::from_memory(bytes.data(), static_cast<py::ssize_t>(bytes.size()));
}

void assign(const py::bytes& from, std::vector<std::byte>& out) {
  const std::string_view text = from;
  const auto* const data = reinterpret_cast<const std::byte*>(text.data());
  out.assign(data, data + text.size());
}

py::tuple to_tuple(const Box3& box) {
  return py::make_tuple(box.min[0], box.min[1], box.min[2], box.max[0], box.max[1], box.max[2]);
}

py::object call_hook(py::handle hooks, const char* name, const py::tuple& arguments) {
  const py::object hook = hooks.attr(name);
  return cvfast::bindings::call_python(hook, arguments);
}

// The method `name` of `hooks`: (suffix, bytes, int) -> bytes.  A handle suffices, and needs no GIL to be copied,
// because the layout that is being called keeps the object alive.
rt::ByteTransform to_transform(py::handle hooks, const char* name, std::exception_ptr& raised) {
  return [hooks, name, &raised](cvfast::fetch::ContentEncoding encoding, std::span<const std::byte> in,
                                std::int64_t parameter, std::vector<std::byte>& out) {
    return with_python(raised, [&] {
      const auto arguments = py::make_tuple(cvfast::fetch::suffix(encoding), view_of(in), parameter);
      assign(call_hook(hooks, name, arguments).cast<py::bytes>(), out);
    });
  };
}

// decode(bytes, chunk_shape, box) -> array of the box, any strides; encode(array) -> bytes;
// unique(bytes, chunk_shape, box) -> array of uint64.
rt::ExternalCodec to_codec(py::handle hooks, std::int64_t item_size, std::int64_t num_channels,
                           std::exception_ptr& raised) {
  rt::ExternalCodec codec;
  std::exception_ptr* const kept = &raised;
  codec.decode = [=](std::span<const std::byte> data, const Int3& chunk_shape, const Box3& box,
                     const rt::PaintVoxels& paint) {
    return with_python(*kept, [&] {
      const auto arguments = py::make_tuple(view_of(data), py::cast(chunk_shape), to_tuple(box));
      const auto array = call_hook(hooks, "decode", arguments).cast<py::array>();
      check_array(array, box, num_channels, static_cast<std::size_t>(item_size));
      const auto* const voxels = static_cast<const std::byte*>(array.data());
      const Int4 strides = strides_of(array);
      cvfast::bindings::without_gil([&] { paint(voxels, strides); });
    });
  };
  codec.encode = [=](const std::byte* src, const Int4& strides, const Int3& shape, std::vector<std::byte>& out) {
    return with_python(*kept, [&] {
      // A view of the caller's voxels, for the length of this call.
      const py::array array(hooks.attr("dtype").cast<py::dtype>(),
                            std::vector<py::ssize_t>{shape[0], shape[1], shape[2], num_channels},
                            std::vector<py::ssize_t>(strides.begin(), strides.end()), src, py::none());
      assign(call_hook(hooks, "encode", py::make_tuple(array)).cast<py::bytes>(), out);
    });
  };
  codec.unique = [=](std::span<const std::byte> data, const Int3& chunk_shape, const Box3& box,
                     std::vector<std::uint64_t>& labels) {
    return with_python(*kept, [&] {
      const auto arguments = py::make_tuple(view_of(data), py::cast(chunk_shape), to_tuple(box));
      const auto found = call_hook(hooks, "unique", arguments).cast<Labels>();
      labels.assign(found.data(), found.data() + found.size());
    });
  };
  return codec;
}

cvfast::fetch::ContentEncoding to_compression(const std::string& suffix);

// get_stored(key) -> (bytes, suffix) or None; put_stored(key, bytes, suffix, content_type, cache_control);
// exists_many([key]) -> [bool]; delete_many([key]), of a store in Python.  The exceptions that say nothing about an
// object end with it.
cvfast::fetch::ObjectCalls to_calls(py::handle store, const std::string& content_type,
                                    const std::optional<std::string>& cache_control) {
  const auto call = [](const auto& what) {
    std::exception_ptr raised;
    return with_python(raised, what);
  };
  cvfast::fetch::ObjectCalls calls;
  calls.get = [=](const std::string& key, bool& is_there, cvfast::fetch::ContentEncoding& encoding,
                  std::vector<std::byte>& bytes) {
    return call([&] {
      const py::object found = call_hook(store, "get_stored", py::make_tuple(key));
      is_there = !found.is_none();
      if (!is_there) return;
      const auto row = found.cast<py::tuple>();
      encoding = to_compression(row[1].cast<std::string>());
      assign(row[0].cast<py::bytes>(), bytes);
    });
  };
  calls.put = [=](const std::string& key, cvfast::fetch::ContentEncoding encoding, std::span<const std::byte> bytes) {
    return call([&] {
      const py::bytes data(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      (void)call_hook(store, "put_stored",
                      py::make_tuple(key, data, cvfast::fetch::suffix(encoding), content_type, cache_control));
    });
  };
  calls.exists = [=](const std::string& key, bool& is_there) {
    return call([&] {
      const auto asked = py::make_tuple(py::make_tuple(key));
      is_there = call_hook(store, "exists_many", asked).cast<std::vector<bool>>().at(0);
    });
  };
  calls.remove = [=](const std::string& key) {
    return call([&] { (void)call_hook(store, "delete_many", py::make_tuple(py::make_tuple(key))); });
  };
  return calls;
}

cvfast::decode::Encoding to_encoding(const std::string& name, const cvfast::decode::ImageFormat& format) {
  using cvfast::decode::Encoding;
  if (name == "raw") return Encoding::kRaw;
  if (name == "compressed_segmentation" && (format.item_size == 4 || format.item_size == 8)) {
    return Encoding::kCompressedSegmentation;
  }
  if (name == "png" && cvfast::decode::png::supports(format.num_channels, format.item_size) && format.level >= 0 &&
      format.level <= cvfast::decode::png::kMaxLevel) {
    return Encoding::kPng;
  }
  const bool is_label = std::has_single_bit(static_cast<std::uint64_t>(format.item_size)) && format.item_size <= 8;
  if (name == "compresso" && is_label && format.num_channels == 1) return Encoding::kCompresso;
  if (name == "crackle" && is_label && format.num_channels == 1) return Encoding::kCrackle;
  if (name == "external") return Encoding::kExternal;
  throw std::invalid_argument("ImageLayout: no native codec for " + name + " with " +
                              std::to_string(format.num_channels) + " channels of " + std::to_string(format.item_size) +
                              " bytes at level " + std::to_string(format.level));
}

cvfast::fetch::ContentEncoding to_compression(const std::string& suffix) {
  std::size_t found = 0;
  while (found < cvfast::fetch::kSuffixes.size() && suffix != cvfast::fetch::kSuffixes[found]) ++found;
  if (found == cvfast::fetch::kSuffixes.size()) throw std::invalid_argument("compression: unknown suffix " + suffix);
  return static_cast<cvfast::fetch::ContentEncoding>(found);
}

struct Layout {
  rt::ImageLayout value;
  py::object hooks;
  std::shared_ptr<rt::ChunkCache> cache;
  rt::CacheUse cache_use;  // without its codec
  py::object entry_hooks;
  std::optional<cvfast::locate::ShardSpec> spec;
  std::shared_ptr<std::atomic<std::uint64_t>> kept_bytes = std::make_shared<std::atomic<std::uint64_t>>(0);
  cvfast::fetch::RemoteScale remote;  // without an endpoint where the scale is not behind one
  std::optional<cvfast::fetch::ObjectCalls> calls;
  std::string calls_folder;
  py::object python_store;  // keeps alive what is called

  Layout(std::string folder, const Int3& voxel_offset, const Int3& volume_size, const Int3& chunk_size,
         const std::string& encoding, std::int64_t item_size, std::int64_t num_channels, const Int3& block_shape,
         int level, py::object python_hooks)
      : hooks(std::move(python_hooks)) {
    for (int i = 0; i < 3; ++i) {
      std::int64_t end = 0;
      if (volume_size[i] < 1 || chunk_size[i] < 1 || block_shape[i] < 1 ||
          __builtin_add_overflow(voxel_offset[i], volume_size[i], &end)) {
        throw std::invalid_argument("ImageLayout: sizes must be positive and bounds within int64");
      }
    }
    if (item_size < 1 || item_size > 16 || num_channels < 1) {
      throw std::invalid_argument("ImageLayout: item_size must be 1 to 16 and num_channels positive");
    }
    value.store = cvfast::fetch::make_folder_store(folder);
    value.folder = std::move(folder);
    value.grid = {voxel_offset, volume_size, chunk_size};
    value.format.item_size = item_size;
    value.format.num_channels = num_channels;
    value.format.block_shape = block_shape;
    value.format.level = level;
    value.format.encoding = to_encoding(encoding, value.format);
  }

  // Looks for chunks behind an endpoint from now on, below the key `folder`.  Call before use_shards.
  void use_endpoint(std::shared_ptr<const cvfast::fetch::Endpoint> endpoint, const std::string& folder,
                    const std::vector<std::pair<std::string, std::string>>& upload_headers,
                    std::shared_ptr<const cvfast::fetch::Endpoint> about) {
    remote.endpoint = std::move(endpoint);
    remote.about = std::move(about);
    remote.folder = folder;
    if (!folder.empty() && folder.back() != '/') remote.folder += '/';
    remote.grid = value.grid;
    // A stored chunk may be larger than its voxels where a compressor finds nothing.
    const std::uint64_t largest = cvfast::decode::max_chunk_bytes(value.format, value.grid.chunk_size);
    remote.max_object_bytes = largest < (std::uint64_t{1} << 60) ? 2 * largest + (1 << 16) : largest;
    for (const auto& [key, text] : upload_headers) remote.upload_headers.push_back({key, text});
    value.folder = remote.endpoint->read_prefix + remote.folder;
    value.store = cvfast::fetch::make_remote_store(remote);
  }

  // Looks for chunks in a store of Python's from now on, below the key `folder`.  Call before use_shards.
  void use_store(py::object store, const std::string& cloudpath, const std::string& folder,
                 const std::string& content_type, const std::optional<std::string>& cache_control) {
    calls = to_calls(store, content_type, cache_control);
    calls_folder = folder;
    if (!folder.empty() && folder.back() != '/') calls_folder += '/';
    value.folder = cloudpath + '/' + calls_folder;
    value.store = cvfast::fetch::make_callback_store(*calls, calls_folder);
    python_store = std::move(store);
  }

  // Looks for chunks in shards from now on.  (preshift_bits, minishard_bits, shard_bits, hash, minishard index
  // encoding, data encoding) are those of the specification.
  void use_shards(int preshift_bits, int minishard_bits, int shard_bits, const std::string& hash,
                  const std::string& minishard_index_encoding, const std::string& data_encoding,
                  std::shared_ptr<cvfast::fetch::ShardIndexCache> index_cache) {
    const auto is = [](const std::string& found, const char* zero, const char* one) {
      if (found != zero && found != one) throw std::invalid_argument("use_shards: unknown " + found);
      return found == one;
    };
    cvfast::locate::ShardSpec wanted{preshift_bits, minishard_bits, shard_bits};
    wanted.hash = is(hash, "identity", "murmurhash3_x86_128") ? cvfast::locate::ShardHash::kMurmurhash3
                                                              : cvfast::locate::ShardHash::kIdentity;
    wanted.gzip_minishard_index = is(minishard_index_encoding, "raw", "gzip");
    wanted.gzip_data = is(data_encoding, "raw", "gzip");
    if (!wanted.valid() || cvfast::locate::morton_bits(value.grid.grid_size()) > 64) {
      throw std::invalid_argument("use_shards: expected bits within 64");
    }
    if (remote.endpoint) {
      value.store = cvfast::fetch::make_remote_sharded_store(remote, wanted, std::move(index_cache));
    } else if (calls) {
      value.store = cvfast::fetch::make_callback_sharded_store(*calls, calls_folder, wanted, value.grid);
    } else {
      value.store = cvfast::fetch::make_sharded_store(value.folder, wanted, value.grid, std::move(index_cache));
    }
    spec = wanted;
  }

  // Keeps copies of chunks in a folder from now on, under their names, or in shards their numbers.  Call last.
  void use_disk_cache(std::string folder, const std::string& suffix, int level,
                      std::optional<std::uint64_t> limit_bytes) {
    value.source = value.store;
    value.copy_compression = to_compression(suffix);
    value.copy_compression_level = level;
    const auto name_of = [grid = value.grid, is_sharded = spec.has_value()](const Int3& point) {
      if (is_sharded) return std::to_string(cvfast::locate::compressed_morton_code(point, grid.grid_size()));
      char buffer[cvfast::locate::kChunkNameBytes];
      return std::string(cvfast::locate::chunk_name(grid.chunk_box(point), buffer));
    };
    value.store = cvfast::fetch::make_cached_store(value.source, std::move(folder), name_of, {limit_bytes, kept_bytes});
  }

  // Holds this scale's chunks in memory from now on, as stored or in another encoding.
  std::uint32_t use_cache(std::shared_ptr<rt::ChunkCache> held_in, const std::string& key,
                          const std::string& stored_encoding, const std::string& entry_encoding,
                          const std::string& entry_codec, const Int3& block_shape, py::object python_hooks) {
    rt::CacheSpace space{value.folder, key, value.grid, stored_encoding, value.format, entry_encoding, value.format};
    cache_use.transcode = entry_encoding != stored_encoding;
    if (cache_use.transcode) {
      space.entry.block_shape = block_shape;
      space.entry.level = 1;
      space.entry.encoding = to_encoding(entry_codec, space.entry);
    }
    cache_use.format = space.entry;
    cache_use.space = held_in->intern(space);
    cache_use.cache = held_in.get();
    entry_hooks = std::move(python_hooks);
    cache = std::move(held_in);
    return cache_use.space;
  }

  void check_channels(std::int64_t begin, std::int64_t end) const {
    if (begin < 0 || end < begin || end > value.format.num_channels) {
      throw std::invalid_argument("channels out of range");
    }
  }

  rt::ReadRequest read_request(std::pair<std::int64_t, std::int64_t> channels, bool fill_missing,
                               const std::string& background) const {
    check_channels(channels.first, channels.second);
    rt::ReadRequest request;
    request.channel_begin = channels.first;
    request.channel_end = channels.second;
    request.fill_missing = fill_missing;
    request.background = to_item(background);
    return request;
  }
};

// What a request to a layout is given, but for its bounds.  `raised` is as for with_python.
rt::RunOptions to_options(const Layout& layout, std::exception_ptr& raised) {
  const cvfast::decode::ImageFormat& format = layout.value.format;
  rt::RunOptions options;
  options.decompress = to_transform(layout.hooks, "decompress", raised);
  options.compress = to_transform(layout.hooks, "compress", raised);
  options.codec = to_codec(layout.hooks, format.item_size, format.num_channels, raised);
  options.cache = layout.cache_use;
  if (layout.cache_use.transcode && !is_encoded_here(layout.cache_use.format.encoding)) {
    options.cache.codec = to_codec(layout.entry_hooks, format.item_size, format.num_channels, raised);
  }
  return options;
}

// Runs a request without the GIL, taking it about every 50 ms for signals (Ctrl-C) and progress.
class Run {
 public:
  Run(const Layout& layout, int threads, std::uint64_t max_inflight_bytes, py::object progress)
      : options_(to_options(layout, raised_)),
        report_(std::move(progress)) {
    options_.threads = threads;
    options_.max_inflight_bytes = max_inflight_bytes;
    options_.poll = [this] { return poll(); };
  }

  std::exception_ptr& raised() noexcept { return raised_; }

  template <typename Request>
  py::object operator()(const Request& request) {
    rt::RunResult result;
    cvfast::bindings::without_gil([&] { result = request(options_, progress_); });
    if (raised_) std::rethrow_exception(raised_);
    if (!report_.is_none()) {
      cvfast::bindings::call_python(report_, py::make_tuple(progress_.chunks.load(), progress_.bytes.load()));
    }
    if (result.state == rt::RunState::kDone) return py::none();
    return describe(result);
  }

 private:
  bool poll() {
    const cvfast::bindings::HeldGil held;
    try {
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      if (!report_.is_none()) {
        cvfast::bindings::call_python(report_, py::make_tuple(progress_.chunks.load(std::memory_order_relaxed),
                                                              progress_.bytes.load(std::memory_order_relaxed)));
      }
      return true;
    } catch (const py::error_already_set&) {
      if (!raised_) raised_ = std::current_exception();
      return false;
    } catch (...) {
      cvfast::bindings::sleep_until_the_process_ends();
    }
  }

  // (kind, name, what, code, offset, expected, found, call, errno, detail)
  static py::object describe(const rt::RunResult& result) {
    static constexpr const char* kKinds[] = {"missing",  "io",    "decompress", "decode", "encode",   "memory",
                                             "compress", "index", "partial",    "server", "cancelled"};
    if (!result.error) return py::make_tuple("cancelled", "", "", 0, 0, 0, 0, "", 0, "");
    const rt::ChunkError& error = *result.error;
    return py::make_tuple(kKinds[static_cast<int>(error.kind)], error.name, cvfast::describe(error.status.code),
                          static_cast<int>(error.status.code), error.status.offset, error.status.expected,
                          error.status.found, error.io.call, error.io.error, error.detail);
  }

  std::exception_ptr raised_;  // first: the options refer to it
  rt::RunOptions options_;
  rt::Progress progress_;
  py::object report_;
};

py::object read_box(const Layout& self, const Bounds& bounds, std::pair<std::int64_t, std::int64_t> channels,
                    py::array out, bool fill_missing, const std::string& background, std::optional<std::uint64_t> label,
                    const std::optional<Labels>& keep, std::uint64_t other, int threads,
                    std::uint64_t max_inflight_bytes, py::object progress) {
  rt::ReadRequest request = self.read_request(channels, fill_missing, background);
  request.box = to_box(bounds);
  if (label) {
    request.map.op = cvfast::paint::VoxelOp::kEqualsLabel;
    request.map.label = *label;
  } else if (keep) {
    request.map.op = cvfast::paint::VoxelOp::kKeepLabels;
    request.map.keep = {keep->data(), static_cast<std::size_t>(keep->size())};
    request.map.other = other;
  }
  const auto item_size = static_cast<std::size_t>(self.value.format.item_size);
  if (request.map.op != cvfast::paint::VoxelOp::kCopy && item_size > 8) {
    throw std::invalid_argument("labels: expected items of at most 8 bytes");
  }
  check_array(out, request.box, channels.second - channels.first, request.map.output_item_size(item_size));
  auto* const dst = static_cast<std::byte*>(out.mutable_data());
  const Int4 strides = strides_of(out);
  return Run(self, threads, max_inflight_bytes,
             std::move(progress))([&](const rt::RunOptions& options, rt::Progress& counts) {
    return rt::read_image(self.value, request, dst, strides, options, counts);
  });
}

py::object read_points(const Layout& self, const py::array_t<std::int64_t, py::array::c_style>& points,
                       std::pair<std::int64_t, std::int64_t> channels, py::array out, bool fill_missing,
                       const std::string& background, int threads, std::uint64_t max_inflight_bytes,
                       py::object progress) {
  const rt::ReadRequest request = self.read_request(channels, fill_missing, background);
  if (points.ndim() != 2 || points.shape(1) != 3) throw std::invalid_argument("points: expected shape (n, 3)");
  if (out.ndim() != 2 || out.shape(0) != points.shape(0) || out.shape(1) != channels.second - channels.first ||
      out.itemsize() != self.value.format.item_size || !(out.flags() & py::array::c_style)) {
    throw std::invalid_argument("out: expected a C-contiguous array of shape (n, channels)");
  }
  const std::int64_t* const data = points.data();
  const auto n = static_cast<std::size_t>(points.shape(0));
  const Box3 volume = self.value.grid.bounds();
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const std::int64_t p = data[3 * i + axis];
      if (p < volume.min[axis] || p >= volume.max[axis]) throw std::invalid_argument("points: outside of the volume");
    }
  }
  auto* const dst = static_cast<std::byte*>(out.mutable_data());
  return Run(self, threads, max_inflight_bytes,
             std::move(progress))([&](const rt::RunOptions& options, rt::Progress& counts) {
    return rt::read_points(self.value, request, data, n, dst, options, counts);
  });
}

py::tuple unique_labels(const Layout& self, const Bounds& bounds, std::pair<std::int64_t, std::int64_t> channels,
                        bool fill_missing, const std::string& background, int threads, std::uint64_t max_inflight_bytes,
                        py::object progress) {
  if (self.value.format.item_size > 8) throw std::invalid_argument("unique: expected items of at most 8 bytes");
  rt::ReadRequest request = self.read_request(channels, fill_missing, background);
  request.box = to_box(bounds);
  std::vector<std::uint64_t> labels;
  py::object outcome = Run(self, threads, max_inflight_bytes,
                           std::move(progress))([&](const rt::RunOptions& options, rt::Progress& counts) {
    return rt::read_unique(self.value, request, labels, options, counts);
  });
  return py::make_tuple(std::move(outcome),
                        py::array_t<std::uint64_t>(static_cast<py::ssize_t>(labels.size()), labels.data()));
}

// What writing and encoding share, checked.
rt::WriteRequest write_request(const Layout& self, const Bounds& bounds, const py::array& src,
                               const std::string& compression, int level, bool delete_background,
                               const std::string& background) {
  rt::WriteRequest request;
  request.box = to_box(bounds);
  if (!contains(self.value.grid.bounds(), request.box)) throw std::invalid_argument("box: outside of the volume");
  request.compression = to_compression(compression);
  request.compression_level = level;
  request.delete_background = delete_background;
  request.background = to_item(background);
  check_array(src, request.box, self.value.format.num_channels, static_cast<std::size_t>(self.value.format.item_size));
  return request;
}

py::object write_box(const Layout& self, const Bounds& bounds, const py::array& src, const std::string& compression,
                     int level, const std::string& partial, bool merge_objects, bool fill_missing,
                     bool delete_background, bool sync, const std::string& background, int threads,
                     std::uint64_t max_inflight_bytes, py::object progress) {
  rt::WriteRequest request = write_request(self, bounds, src, compression, level, delete_background, background);
  if (partial == "merge") {
    request.partial = rt::PartialChunks::kMerge;
  } else if (partial == "overwrite") {
    request.partial = rt::PartialChunks::kOverwrite;
  } else if (partial != "refuse") {
    throw std::invalid_argument("partial: expected refuse, merge or overwrite");
  }
  request.fill_missing = fill_missing;
  request.merge_objects = merge_objects;
  request.sync = sync;
  const auto* const data = static_cast<const std::byte*>(src.data());
  const Int4 strides = strides_of(src);
  return Run(self, threads, max_inflight_bytes,
             std::move(progress))([&](const rt::RunOptions& options, rt::Progress& counts) {
    return rt::write_image(self.value, request, data, strides, options, counts);
  });
}

// Encoded chunks of a box: (outcome, codes, chunks as bytes), without those that are background and to be left out.
// Codes are compressed Morton codes.
py::tuple encode_box(const Layout& self, const Bounds& bounds, const py::array& src, const std::string& compression,
                     int level, bool delete_background, const std::string& background, int threads,
                     std::uint64_t max_inflight_bytes, py::object progress) {
  const rt::WriteRequest request = write_request(self, bounds, src, compression, level, delete_background, background);
  const auto* const data = static_cast<const std::byte*>(src.data());
  const Int4 strides = strides_of(src);
  std::vector<rt::EncodedChunk> chunks;
  py::object outcome = Run(self, threads, max_inflight_bytes,
                           std::move(progress))([&](const rt::RunOptions& options, rt::Progress& counts) {
    return rt::encode_image(self.value, request, data, strides, chunks, options, counts);
  });
  const Int3 grid_size = self.value.grid.grid_size();
  std::vector<std::uint64_t> codes;
  py::list bytes;
  for (rt::EncodedChunk& chunk : chunks) {
    if (chunk.is_background) continue;
    codes.push_back(cvfast::locate::compressed_morton_code(chunk.grid_point, grid_size));
    bytes.append(py::bytes(reinterpret_cast<const char*>(chunk.bytes.data()), chunk.bytes.size()));
    std::vector<std::byte>().swap(chunk.bytes);  // so that only one chunk is held twice
  }
  return py::make_tuple(std::move(outcome),
                        py::array_t<std::uint64_t>(static_cast<py::ssize_t>(codes.size()), codes.data()),
                        std::move(bytes));
}

py::tuple list_chunks(const Layout& self, const Bounds& bounds, bool check_exists, int threads) {
  std::vector<std::string> names;
  std::vector<std::uint8_t> exists;
  py::object outcome =
      Run(self, threads, std::uint64_t{1} << 30, py::none())([&](const rt::RunOptions& options, rt::Progress&) {
        return rt::list_chunks(self.value, to_box(bounds), check_exists, names, exists, options);
      });
  py::list flags(exists.size());
  for (std::size_t i = 0; i < exists.size(); ++i) flags[i] = py::bool_(exists[i] != 0);
  return py::make_tuple(std::move(outcome), py::cast(names), flags);
}

py::object delete_chunks(const Layout& self, const Bounds& bounds, int threads) {
  return Run(self, threads, std::uint64_t{1} << 30, py::none())([&](const rt::RunOptions& options, rt::Progress&) {
    return rt::delete_chunks(self.value, to_box(bounds), options);
  });
}

// (outcome, whether it is the destination's, not the source's)
py::tuple transfer_chunks(const Layout& self, const Layout& destination, const Bounds& bounds, bool copy_bytes,
                          const std::optional<std::string>& compression, int level, bool fill_missing, bool sync,
                          int threads, std::uint64_t max_inflight_bytes, py::object progress) {
  rt::TransferRequest request;
  request.box = to_box(bounds);
  const cvfast::locate::ChunkGrid& from = self.value.grid;
  const cvfast::locate::ChunkGrid& to = destination.value.grid;
  if (!contains(from.bounds(), request.box) || !contains(to.bounds(), request.box)) {
    throw std::invalid_argument("box: outside of the volume");
  }
  // With both ends of both grids the same inside of the box, so is every chunk between.
  const auto chunk_at = [](const cvfast::locate::ChunkGrid& grid, const Int3& at) {
    return grid.chunk_box(grid.grid_range({at, {at[0] + 1, at[1] + 1, at[2] + 1}}).min);
  };
  if (!request.box.empty()) {
    const Int3 last{request.box.max[0] - 1, request.box.max[1] - 1, request.box.max[2] - 1};
    const Box3 first_chunk = chunk_at(from, request.box.min);
    const Box3 last_chunk = chunk_at(from, last);
    if (from.chunk_size != to.chunk_size || !(first_chunk == chunk_at(to, request.box.min)) ||
        !(last_chunk == chunk_at(to, last)) || first_chunk.min != request.box.min ||
        last_chunk.max != request.box.max) {
      throw std::invalid_argument("box: expected whole chunks of two grids that agree");
    }
  }
  if (self.value.format.item_size != destination.value.format.item_size ||
      self.value.format.num_channels != destination.value.format.num_channels) {
    throw std::invalid_argument("transfer: expected layouts of the same voxels");
  }
  if (compression) {
    request.compression = to_compression(*compression);
  } else if (!copy_bytes) {
    throw std::invalid_argument("compression: expected one where chunks are encoded anew");
  }
  request.copy_bytes = copy_bytes;
  request.compression_level = level;
  request.fill_missing = fill_missing;
  request.sync = sync;
  Run run(self, threads, max_inflight_bytes, std::move(progress));
  rt::RunOptions destination_options = to_options(destination, run.raised());
  bool in_destination = false;
  py::object outcome = run([&](const rt::RunOptions& options, rt::Progress& counts) {
    destination_options.poll = options.poll;
    rt::RunResult result =
        rt::transfer_chunks(self.value, destination.value, request, options, destination_options, counts);
    in_destination = result.error && result.error->in_destination;
    return result;
  });
  return py::make_tuple(std::move(outcome), in_destination);
}

py::tuple read_files(const Layout& self, const Bounds& bounds, bool decompress, int threads,
                     std::uint64_t max_inflight_bytes, py::object progress) {
  std::vector<rt::ChunkFile> files;
  py::object outcome = Run(self, threads, max_inflight_bytes,
                           std::move(progress))([&](const rt::RunOptions& options, rt::Progress& counts) {
    return rt::read_files(self.value, to_box(bounds), decompress, files, options, counts);
  });
  py::dict found;
  for (rt::ChunkFile& file : files) {
    found[py::str(file.name)] = file.exists ? py::object(py::bytes(file.bytes)) : py::object(py::none());
    std::string().swap(file.bytes);  // so that only one chunk is held twice
  }
  return py::make_tuple(std::move(outcome), std::move(found));
}

// The box of voxels that shares a shard with the first chunk of `bounds`; None where shards are no boxes.
py::object shard_bounds(const Layout& self, const Bounds& bounds) {
  const cvfast::locate::ChunkGrid& grid = self.value.grid;
  const Box3 box = to_box(bounds);
  if (!self.spec || box.empty() || !contains(grid.bounds(), box)) return py::none();
  const Box3 range = cvfast::fetch::shard_grid_range(*self.spec, grid.grid_size(), grid.grid_point(box.min));
  if (range.empty()) return py::none();
  const Int3 last{range.max[0] - 1, range.max[1] - 1, range.max[2] - 1};
  return to_tuple({grid.chunk_box(range.min).min, grid.chunk_box(last).max});
}

std::int64_t count_chunks(const Layout& self, const Bounds& bounds) {
  const Box3 inside = intersect(to_box(bounds), self.value.grid.bounds());
  if (inside.empty()) return 0;
  const Int3 grid = self.value.grid.grid_range(inside).shape();
  return cvfast::checked_product({grid[0], grid[1], grid[2]}).value_or(std::numeric_limits<std::int64_t>::max());
}

}  // namespace

void register_image(py::module_& module) {
  using py::arg;
  py::class_<cvfast::fetch::ShardIndexCache, std::shared_ptr<cvfast::fetch::ShardIndexCache>>(module, "ShardIndexCache")
      .def(py::init<std::uint64_t>(), arg("limit_bytes") = cvfast::fetch::ShardIndexCache::kDefaultBytes)
      .def("clear", &cvfast::fetch::ShardIndexCache::clear)
      .def_property_readonly("held_bytes", &cvfast::fetch::ShardIndexCache::held_bytes);
  py::class_<Layout>(module, "ImageLayout")
      .def(py::init<std::string, const Int3&, const Int3&, const Int3&, const std::string&, std::int64_t, std::int64_t,
                    const Int3&, int, py::object>(),
           arg("folder"), arg("voxel_offset"), arg("volume_size"), arg("chunk_size"), arg("encoding"), arg("item_size"),
           arg("num_channels"), arg("block_shape"), arg("level"), arg("hooks"))
      .def("use_cache", &Layout::use_cache, arg("cache"), arg("key"), arg("stored_encoding"), arg("entry_encoding"),
           arg("entry_codec"), arg("block_shape"), arg("hooks"))
      .def("use_endpoint", &Layout::use_endpoint, arg("endpoint"), arg("folder"),
           arg("upload_headers") = std::vector<std::pair<std::string, std::string>>{}, arg("about") = py::none())
      .def("use_store", &Layout::use_store, arg("store"), arg("cloudpath"), arg("folder"), arg("content_type"),
           arg("cache_control"))
      .def("use_disk_cache", &Layout::use_disk_cache, arg("folder"), arg("suffix"), arg("level"), arg("limit_bytes"))
      .def("take_kept_bytes", [](Layout& layout) { return layout.kept_bytes->exchange(0, std::memory_order_relaxed); })
      .def("use_shards", &Layout::use_shards, arg("preshift_bits"), arg("minishard_bits"), arg("shard_bits"),
           arg("hash"), arg("minishard_index_encoding"), arg("data_encoding"), arg("index_cache"))
      .def("shard_bounds", &shard_bounds, arg("bounds"))
      .def("read", &read_box, arg("bounds"), arg("channels"), arg("out"), arg("fill_missing"), arg("background"),
           arg("label"), arg("keep"), arg("other"), arg("threads"), arg("max_inflight_bytes"), arg("progress"))
      .def("read_points", &read_points, arg("points"), arg("channels"), arg("out"), arg("fill_missing"),
           arg("background"), arg("threads"), arg("max_inflight_bytes"), arg("progress"))
      .def("unique", &unique_labels, arg("bounds"), arg("channels"), arg("fill_missing"), arg("background"),
           arg("threads"), arg("max_inflight_bytes"), arg("progress"))
      .def("write", &write_box, arg("bounds"), arg("src"), arg("compression"), arg("level"), arg("partial"),
           arg("merge_objects"), arg("fill_missing"), arg("delete_background"), arg("sync"), arg("background"),
           arg("threads"), arg("max_inflight_bytes"), arg("progress"))
      .def("encode", &encode_box, arg("bounds"), arg("src"), arg("compression"), arg("level"), arg("delete_background"),
           arg("background"), arg("threads"), arg("max_inflight_bytes"), arg("progress"))
      .def("list_chunks", &list_chunks, arg("bounds"), arg("check_exists"), arg("threads"))
      .def("transfer", &transfer_chunks, arg("destination"), arg("bounds"), arg("copy_bytes"), arg("compression"),
           arg("level"), arg("fill_missing"), arg("sync"), arg("threads"), arg("max_inflight_bytes"), arg("progress"))
      .def("read_files", &read_files, arg("bounds"), arg("decompress"), arg("threads"), arg("max_inflight_bytes"),
           arg("progress"))
      .def("delete", &delete_chunks, arg("bounds"), arg("threads"))
      .def("count_chunks", &count_chunks, arg("bounds"));
}
