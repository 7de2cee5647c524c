// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cvfast/fetch/shard_lock.hpp"
#include "cvfast/runtime/object_batch.hpp"
#include "cvfast/runtime/read_ahead.hpp"
#include "gil.hpp"
#include "register.hpp"

namespace {

namespace rt = cvfast::runtime;
using cvfast::fetch::ContentEncoding;
using cvfast::fetch::FetchState;
using Keys = std::vector<std::string>;

// Runs a batch without the GIL, taking it about every 50 ms for signals (Ctrl-C).
template <typename Batch>
void run(int threads, const Batch& batch) {
  std::exception_ptr raised;
  rt::BatchOptions options;
  options.threads = threads;
  options.poll = [&raised] {
    const cvfast::bindings::HeldGil held;
    if (PyErr_CheckSignals() == 0) return true;
    raised = std::make_exception_ptr(py::error_already_set());
    return false;
  };
  cvfast::bindings::without_gil([&] { (void)batch(options); });
  if (raised) std::rethrow_exception(raised);
}

ContentEncoding to_encoding(const std::string& suffix) {
  for (std::size_t i = 0; i < cvfast::fetch::kSuffixes.size(); ++i) {
    if (suffix == cvfast::fetch::kSuffixes[i]) return static_cast<ContentEncoding>(i);
  }
  throw std::invalid_argument("suffix: expected a known one, found " + suffix);
}

std::vector<std::size_t> not_done(const std::vector<std::uint8_t>& done) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < done.size(); ++i) {
    if (done[i] == 0) out.push_back(i);
  }
  return out;
}

// The bytes of Python objects, for as long as it lives.
struct Views {
  explicit Views(const std::vector<py::buffer>& objects) {
    infos.reserve(objects.size());
    bytes.reserve(objects.size());
    for (const py::buffer& object : objects) {
      const py::buffer_info& view = infos.emplace_back(object.request());
      py::ssize_t contiguous = view.itemsize;
      for (auto axis = static_cast<std::size_t>(view.ndim); axis-- > 0; contiguous *= view.shape[axis]) {
        if (view.shape[axis] > 1 && view.strides[axis] != contiguous) {
          throw std::invalid_argument("objects: expected contiguous bytes");
        }
      }
      bytes.emplace_back(static_cast<const std::byte*>(view.ptr), static_cast<std::size_t>(view.size * view.itemsize));
    }
  }

  std::vector<py::buffer_info> infos;
  std::vector<std::span<const std::byte>> bytes;
};

template <typename T>
using Numbers = py::array_t<T, py::array::c_style | py::array::forcecast>;

// Ranges of wholes; one that reaches past its end is empty.
std::vector<std::span<const std::byte>> parts_of(const Views& views, const Numbers<std::int64_t>& numbers,
                                                 const Numbers<std::uint64_t>& begins,
                                                 const Numbers<std::uint64_t>& sizes) {
  const auto count = static_cast<std::size_t>(numbers.size());
  if (numbers.ndim() != 1 || begins.ndim() != 1 || sizes.ndim() != 1 || begins.size() != numbers.size() ||
      sizes.size() != numbers.size()) {
    throw std::invalid_argument("numbers, begins, sizes: expected arrays of one length");
  }
  std::vector<std::span<const std::byte>> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t number = numbers.data()[i];
    if (number < 0 || static_cast<std::size_t>(number) >= views.bytes.size()) {
      throw std::invalid_argument("numbers: expected numbers of wholes");
    }
    const std::span<const std::byte> whole = views.bytes[static_cast<std::size_t>(number)];
    const std::uint64_t begin = begins.data()[i];
    const std::uint64_t length = sizes.data()[i];
    if (begin <= whole.size() && length <= whole.size() - begin) out[i] = whole.subspan(begin, length);
  }
  return out;
}

// What cannot be inflated as expected is None, and left to the caller.
py::list inflate_ranges(const std::vector<py::buffer>& wholes, const Numbers<std::int64_t>& numbers,
                        const Numbers<std::uint64_t>& begins, const Numbers<std::uint64_t>& sizes,
                        std::uint64_t limit_bytes, int threads) {
  const Views views(wholes);
  const std::vector<std::span<const std::byte>> parts = parts_of(views, numbers, begins, sizes);
  const std::size_t count = parts.size();
  py::list out(count);
  std::vector<std::span<const std::byte>> in;
  std::vector<std::span<std::byte>> targets;
  std::vector<std::size_t> places;
  in.reserve(count);
  targets.reserve(count);
  places.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = py::none();
    const std::size_t size = rt::claimed_bytes(parts[i]);
    if (size == 0 || size > limit_bytes) continue;
    // Nobody else sees it until it is filled.
    auto bytes = py::reinterpret_steal<py::bytes>(PyBytes_FromStringAndSize(nullptr, static_cast<py::ssize_t>(size)));
    if (!bytes) throw py::error_already_set();
    targets.emplace_back(reinterpret_cast<std::byte*>(PyBytes_AS_STRING(bytes.ptr())), size);
    in.push_back(parts[i]);
    places.push_back(i);
    out[i] = std::move(bytes);
  }
  std::vector<std::uint8_t> done;
  run(threads, [&](const rt::BatchOptions& options) { return rt::inflate_objects(in, targets, done, options); });
  for (std::size_t k = 0; k < done.size(); ++k) {
    if (done[k] == 0) out[places[k]] = py::none();
  }
  return out;
}

// Objects, None where one is absent or unclear; which are still compressed, and how; which are unclear.
py::tuple to_python(std::vector<rt::StoredObject>& objects) {
  py::list out(objects.size());
  py::list encoded;
  std::vector<std::size_t> failed;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    rt::StoredObject& object = objects[i];
    out[i] = py::none();
    if (object.state == FetchState::kError) failed.push_back(i);
    if (object.state != FetchState::kData) continue;
    out[i] = py::bytes(reinterpret_cast<const char*>(object.bytes.data()), object.bytes.size());
    if (object.encoding != ContentEncoding::kNone) {
      encoded.append(py::make_tuple(i, cvfast::fetch::suffix(object.encoding)));
    }
    std::vector<std::byte>().swap(object.bytes);  // so that only one object is held twice
  }
  return py::make_tuple(std::move(out), std::move(encoded), py::cast(failed));
}

// What is read or inflated ahead; one thread at a time may use it.
class ObjectsAhead {
 public:
  explicit ObjectsAhead(std::unique_ptr<rt::ReadAhead> made, std::unique_ptr<const Views> views = nullptr)
      : views_(std::move(views)),
        ahead_(std::move(made)) {}

  // The next batch as `to_python` has it, or None behind the last.
  py::object next() {
    const Use use(*this);
    std::exception_ptr raised;
    const auto poll = [&raised] {
      const cvfast::bindings::HeldGil held;
      if (PyErr_CheckSignals() == 0) return true;
      raised = std::make_exception_ptr(py::error_already_set());
      return false;
    };
    std::vector<rt::StoredObject> batch;
    auto outcome = rt::ReadAhead::Outcome::kEnd;
    cvfast::bindings::without_gil([&] { outcome = ahead_->next(batch, poll); });
    if (raised) std::rethrow_exception(raised);
    if (outcome != rt::ReadAhead::Outcome::kBatch) return py::none();
    return to_python(batch);
  }

  void close() {
    const Use use(*this);
    // With the GIL, which the threads never ask for: a generator may be closed by the interpreter that shuts down,
    // where nobody who gives it up gets it back.
    ahead_->close();
  }

 private:
  // The flag is read and written with the GIL held.
  class Use {
   public:
    explicit Use(ObjectsAhead& used) : used_(used) {
      if (used.is_used_) throw std::runtime_error("objects read ahead: another thread is using them");
      used.is_used_ = true;
    }
    ~Use() { used_.is_used_ = false; }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    ObjectsAhead& used_;
  };

  std::unique_ptr<const Views> views_;  // of what the threads inflate, hence let go of after them
  std::unique_ptr<rt::ReadAhead> ahead_;
  bool is_used_ = false;
};

py::tuple read_batch(const std::string& root, const Keys& keys, std::uint64_t limit_bytes, int threads) {
  std::vector<rt::StoredObject> objects;
  run(threads,
      [&](const rt::BatchOptions& options) { return rt::read_objects(root, keys, limit_bytes, objects, options); });
  return to_python(objects);
}

std::size_t require_batch(std::size_t count) {
  if (count == 0) throw std::invalid_argument("batch: expected at least 1, found 0");
  return count;
}

std::unique_ptr<ObjectsAhead> read_ahead(const std::string& root, Keys keys, std::size_t batch_keys,
                                         std::uint64_t limit_bytes, int threads) {
  rt::ReadAheadOptions options;
  options.threads = threads;
  std::unique_ptr<rt::ReadAhead> ahead;
  cvfast::bindings::without_gil(
      [&] { ahead = rt::read_objects_ahead(root, std::move(keys), require_batch(batch_keys), limit_bytes, options); });
  return std::make_unique<ObjectsAhead>(std::move(ahead));
}

std::unique_ptr<ObjectsAhead> inflate_ranges_ahead(const std::vector<py::buffer>& wholes,
                                                   const Numbers<std::int64_t>& numbers,
                                                   const Numbers<std::uint64_t>& begins,
                                                   const Numbers<std::uint64_t>& sizes, std::size_t batch_ranges,
                                                   std::uint64_t limit_bytes, int threads) {
  auto views = std::make_unique<const Views>(wholes);
  std::vector<std::span<const std::byte>> parts = parts_of(*views, numbers, begins, sizes);
  rt::ReadAheadOptions options;
  options.threads = threads;
  std::unique_ptr<rt::ReadAhead> ahead;
  cvfast::bindings::without_gil(
      [&] { ahead = rt::inflate_ahead(std::move(parts), require_batch(batch_ranges), limit_bytes, options); });
  return std::make_unique<ObjectsAhead>(std::move(ahead), std::move(views));
}

std::vector<std::size_t> write_batch(const std::string& root, const Keys& keys, const std::vector<py::buffer>& objects,
                                     const std::string& suffix, int level, bool sync, int threads) {
  if (keys.size() != objects.size()) throw std::invalid_argument("objects: expected as many as keys");
  const ContentEncoding encoding = to_encoding(suffix);
  const Views views(objects);
  std::vector<std::uint8_t> done;
  run(threads, [&](const rt::BatchOptions& options) {
    return rt::write_objects(root, keys, views.bytes, encoding, level, sync, done, options);
  });
  return not_done(done);
}

py::tuple find_batch(const std::string& root, const Keys& keys, int threads) {
  std::vector<FetchState> states;
  run(threads, [&](const rt::BatchOptions& options) { return rt::find_objects(root, keys, states, options); });
  py::list out(states.size());
  std::vector<std::size_t> failed;
  for (std::size_t i = 0; i < states.size(); ++i) {
    out[i] = py::bool_(states[i] == FetchState::kData);
    if (states[i] == FetchState::kError) failed.push_back(i);
  }
  return py::make_tuple(std::move(out), py::cast(failed));
}

std::vector<std::size_t> remove_batch(const std::string& root, const Keys& keys, int threads) {
  std::vector<std::uint8_t> done;
  run(threads, [&](const rt::BatchOptions& options) { return rt::remove_objects(root, keys, done, options); });
  return not_done(done);
}

// fetch::ShardLock, waited for without the GIL.  A failure is the call's name and errno.
py::object acquire_shard(cvfast::fetch::ShardLock& lock, const std::string& folder, std::uint64_t shard) {
  std::exception_ptr raised;
  cvfast::fetch::IoError error;
  bool is_held = false;
  const auto poll = [&raised] {
    const cvfast::bindings::HeldGil held;
    if (PyErr_CheckSignals() == 0) return true;
    raised = std::make_exception_ptr(py::error_already_set());
    return false;
  };
  cvfast::bindings::without_gil([&] {
    const cvfast::fetch::UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) {
      error = {"open folder", errno};
    } else {
      is_held = lock.acquire(fd.get(), shard, poll, error);
    }
  });
  if (raised) std::rethrow_exception(raised);
  if (is_held) return py::none();
  return py::make_tuple(error.call, error.error);
}

}  // namespace

void register_objects(py::module_& module) {
  using py::arg;
  py::class_<ObjectsAhead>(module, "ObjectsAhead").def("next", &ObjectsAhead::next).def("close", &ObjectsAhead::close);
  module.def("read_objects_ahead", &read_ahead, arg("root"), arg("keys"), arg("batch_keys"), arg("limit_bytes"),
             arg("threads"));
  module.def("inflate_ranges_ahead", &inflate_ranges_ahead, arg("wholes"), arg("numbers"), arg("begins"), arg("sizes"),
             arg("batch_ranges"), arg("limit_bytes"), arg("threads"));
  module.def("read_objects", &read_batch, arg("root"), arg("keys"), arg("limit_bytes"), arg("threads"));
  module.def("write_objects", &write_batch, arg("root"), arg("keys"), arg("objects"), arg("suffix"), arg("level"),
             arg("sync"), arg("threads"));
  module.def("inflate_ranges", &inflate_ranges, arg("wholes"), arg("numbers"), arg("begins"), arg("sizes"),
             arg("limit_bytes"), arg("threads"));
  py::class_<cvfast::fetch::ShardLock>(module, "ShardLock")
      .def(py::init<>())
      .def("acquire", &acquire_shard, arg("folder"), arg("shard"))
      .def("release", &cvfast::fetch::ShardLock::release);
  module.def("find_objects", &find_batch, arg("root"), arg("keys"), arg("threads"));
  module.def("remove_objects", &remove_batch, arg("root"), arg("keys"), arg("threads"));
}
