// SPDX-License-Identifier: BSD-3-Clause
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cvfast/mesh/deduplicate.hpp"
#include "cvfast/mesh/fragment.hpp"
#include "cvfast/runtime/fragment_batch.hpp"
#include "cvfast/runtime/memory.hpp"
#include "cvfast/runtime/thread_pool.hpp"
#include "gil.hpp"
#include "register.hpp"

namespace {

namespace mesh = cvfast::mesh;
using cvfast::Code;
using cvfast::Status;
using Vertices = py::array_t<float, py::array::c_style>;
using Faces = py::array_t<std::uint32_t, py::array::c_style>;

/// Runs kernels on the pool; a signal stops them and is raised once they have ended.
class Runner {
 public:
  explicit Runner(int threads) : threads_(threads > 0 ? threads : cvfast::runtime::default_threads()) {}

  [[nodiscard]] mesh::Parallel parallel() {
    return [this](std::size_t n, const std::function<bool(std::size_t)>& task) {
      // What runs on one thread anyway needs no pool.
      if (n < 2 || threads_ < 2) return mesh::serially(n, task);
      return cvfast::runtime::parallel_for(n, threads_, guarded(task), [this] { return poll(); });
    };
  }

  [[nodiscard]] cvfast::runtime::BatchOptions batch() {
    return {.threads = threads_, .poll = [this] { return poll(); }};
  }

  void finish() const {
    if (raised_) std::rethrow_exception(raised_);
    if (out_of_memory_) throw std::bad_alloc();
  }

 private:
  /// Tasks of a pool must not throw.
  std::function<bool(std::size_t)> guarded(const std::function<bool(std::size_t)>& task) {
    return [this, &task](std::size_t i) {
      try {
        return task(i);
      } catch (...) {  // memory is all that kernels run out of
        out_of_memory_ = true;
        return false;
      }
    };
  }

  bool poll() {
    const cvfast::bindings::HeldGil held;
    try {
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      return true;
    } catch (const py::error_already_set&) {
      raised_ = std::current_exception();
      return false;
    }
  }

  int threads_;
  std::exception_ptr raised_;
  std::atomic<bool> out_of_memory_{false};
};

py::tuple describe(const Status& status, std::uint64_t fragment) {
  return py::make_tuple(static_cast<int>(status.code), status.offset, status.expected, status.found, fragment);
}

template <typename T>
py::array_t<T> hand_over(mesh::Buffer<T>&& buffer) {
  const auto rows = static_cast<py::ssize_t>(buffer.size() / 3);
  T* const data = buffer.release();
  const py::capsule owner(data, [](void* p) { std::free(p); });
  return py::array_t<T>({rows, py::ssize_t{3}}, data, owner);
}

/// Rows of three that are yet to be written, on huge pages where they fill them.
template <typename T>
class Rows {
 public:
  explicit Rows(std::uint64_t rows) : rows_(rows), size_bytes_(static_cast<std::size_t>(3 * rows) * sizeof(T)) {
    if (cvfast::runtime::is_worth_huge_pages(size_bytes_)) {
      data_ = static_cast<T*>(cvfast::runtime::allocate_huge(size_bytes_));
      if (data_ == nullptr) throw std::bad_alloc();
    } else {
      data_ = new T[3 * rows];
    }
  }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;
  ~Rows() {
    if (cvfast::runtime::is_worth_huge_pages(size_bytes_)) {
      cvfast::runtime::release_huge(data_, size_bytes_);
    } else {
      delete[] data_;
    }
  }

  [[nodiscard]] T* data() const noexcept { return data_; }
  /// An array that owns them.
  [[nodiscard]] static py::array_t<T> hand_over(std::unique_ptr<Rows> rows) {
    const auto n = static_cast<py::ssize_t>(rows->rows_);
    T* const data = rows->data_;
    const py::capsule owner(rows.get(), [](void* p) { delete static_cast<Rows*>(p); });
    (void)rows.release();
    return py::array_t<T>({n, py::ssize_t{3}}, data, owner);
  }

 private:
  std::uint64_t rows_;
  std::size_t size_bytes_;
  T* data_ = nullptr;
};

mesh::Transform transform_of(const std::optional<std::vector<double>>& numbers) {
  mesh::Transform map;
  if (!numbers) return map;
  if (numbers->size() != 12) throw std::invalid_argument("transform: expected 12 numbers");
  std::copy(numbers->begin(), numbers->end(), std::begin(map.rows));
  return map;
}

mesh::TrianglesView view_of(const Vertices& vertices, const Faces& faces) {
  if (vertices.ndim() != 2 || vertices.shape(1) != 3 || faces.ndim() != 2 || faces.shape(1) != 3) {
    throw std::invalid_argument("expected vertices and faces of shape (n, 3)");
  }
  return {vertices.data(), static_cast<std::uint64_t>(vertices.shape(0)), faces.data(),
          static_cast<std::uint64_t>(faces.shape(0))};
}

// (status, vertices, faces, begins): begins are those of each fragment, with the total behind them.
py::tuple stitch_fragments(const std::vector<py::buffer>& buffers, const std::optional<std::vector<double>>& transform,
                           int threads) {
  const mesh::Transform map = transform_of(transform);
  std::vector<py::buffer_info> held;
  std::vector<std::span<const std::byte>> fragments;
  held.reserve(buffers.size());
  fragments.reserve(buffers.size());
  for (const py::buffer& buffer : buffers) {
    held.push_back(buffer.request());
    const py::buffer_info& info = held.back();
    fragments.emplace_back(static_cast<const std::byte*>(info.ptr),
                           static_cast<std::size_t>(info.size * info.itemsize));
  }
  mesh::StitchPlan plan;
  mesh::FragmentStatus outcome;
  std::unique_ptr<Rows<float>> vertices;
  std::unique_ptr<Rows<std::uint32_t>> faces;
  Runner runner(threads);
  cvfast::bindings::without_gil([&] {
    outcome = mesh::plan_stitch(fragments, plan);
    if (!outcome.status.ok()) return;
    vertices = std::make_unique<Rows<float>>(plan.total.num_vertices);
    faces = std::make_unique<Rows<std::uint32_t>>(plan.total.num_faces);
    outcome = mesh::stitch(fragments, plan, map, runner.parallel(), vertices->data(), faces->data());
  });
  runner.finish();
  if (!outcome.status.ok()) {
    return py::make_tuple(describe(outcome.status, outcome.fragment), py::none(), py::none(), py::none());
  }
  py::array_t<std::uint64_t> begins({static_cast<py::ssize_t>(fragments.size() + 1), py::ssize_t{2}});
  for (std::size_t i = 0; i <= fragments.size(); ++i) {
    const mesh::FragmentShape& at = i < fragments.size() ? plan.begins[i] : plan.total;
    begins.mutable_at(static_cast<py::ssize_t>(i), 0) = at.num_vertices;
    begins.mutable_at(static_cast<py::ssize_t>(i), 1) = at.num_faces;
  }
  return py::make_tuple(describe({}, 0), Rows<float>::hand_over(std::move(vertices)),
                        Rows<std::uint32_t>::hand_over(std::move(faces)), begins);
}

// (vertices, faces), or None where files are to be looked at one by one.
py::object read_fragments(const std::string& root, const std::vector<std::string>& keys, std::uint64_t limit_bytes,
                          const std::optional<std::vector<double>>& transform, int threads) {
  using cvfast::runtime::FragmentOutcome;
  const mesh::Transform map = transform_of(transform);
  std::unique_ptr<Rows<float>> vertices;
  std::unique_ptr<Rows<std::uint32_t>> faces;
  FragmentOutcome outcome{};
  Runner runner(threads);
  cvfast::bindings::without_gil([&] {
    cvfast::runtime::FragmentBatch batch;
    outcome = cvfast::runtime::open_fragments(root, keys, limit_bytes, batch, runner.batch());
    if (outcome != FragmentOutcome::kDone) return;
    vertices = std::make_unique<Rows<float>>(batch.plan.total.num_vertices);
    faces = std::make_unique<Rows<std::uint32_t>>(batch.plan.total.num_faces);
    outcome = cvfast::runtime::decode_fragments(batch, map, vertices->data(), faces->data(), runner.batch());
  });
  runner.finish();
  if (outcome != FragmentOutcome::kDone) return py::none();
  return py::make_tuple(Rows<float>::hand_over(std::move(vertices)), Rows<std::uint32_t>::hand_over(std::move(faces)));
}

py::tuple consolidate(const Vertices& vertices, const Faces& faces, int threads) {
  const mesh::TrianglesView view = view_of(vertices, faces);
  Runner runner(threads);
  mesh::Triangles out;
  Status status;
  cvfast::bindings::without_gil([&] { status = mesh::consolidate(view, runner.parallel(), out); });
  runner.finish();
  if (!status.ok()) return py::make_tuple(describe(status, 0), py::none(), py::none());
  return py::make_tuple(describe(status, 0), hand_over(std::move(out.vertices)), hand_over(std::move(out.faces)));
}

py::tuple merge_marked_pairs(const Vertices& vertices, const Faces& faces,
                             const py::array_t<std::uint8_t, py::array::c_style>& is_marked, int threads) {
  const mesh::TrianglesView view = view_of(vertices, faces);
  if (is_marked.ndim() != 1 || is_marked.shape(0) != vertices.shape(0)) {
    throw std::invalid_argument("is_marked: expected one number for each vertex");
  }
  const std::uint8_t* const marks = is_marked.data();
  Runner runner(threads);
  mesh::Triangles out;
  Status status;
  cvfast::bindings::without_gil([&] { status = mesh::merge_marked_pairs(view, marks, runner.parallel(), out); });
  runner.finish();
  if (!status.ok()) return py::make_tuple(describe(status, 0), py::none(), py::none());
  return py::make_tuple(describe(status, 0), hand_over(std::move(out.vertices)), hand_over(std::move(out.faces)));
}

}  // namespace

void register_mesh(py::module_& module) {
  module.def("stitch_fragments", &stitch_fragments, py::arg("fragments"), py::arg("transform"), py::arg("threads"));
  module.def("read_fragments", &read_fragments, py::arg("root"), py::arg("keys"), py::arg("limit_bytes"),
             py::arg("transform"), py::arg("threads"));
  module.def("consolidate", &consolidate, py::arg("vertices").noconvert(), py::arg("faces").noconvert(),
             py::arg("threads"));
  module.def("merge_marked_pairs", &merge_marked_pairs, py::arg("vertices").noconvert(), py::arg("faces").noconvert(),
             py::arg("is_marked").noconvert(), py::arg("threads"));
}
