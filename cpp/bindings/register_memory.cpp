// SPDX-License-Identifier: BSD-3-Clause
#include <pybind11/numpy.h>

#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

#include "cvfast/paint/labels.hpp"
#include "cvfast/runtime/memory.hpp"
#include "gil.hpp"
#include "register.hpp"

namespace {

struct HugeBlock {
  void* memory;
  std::size_t size_bytes;
  ~HugeBlock() { cvfast::runtime::release_huge(memory, size_bytes); }
};

// Uninitialised bytes on huge pages; freed with the last array that looks at them.
py::array_t<std::uint8_t> allocate(std::size_t size_bytes) {
  auto block = std::make_unique<HugeBlock>(HugeBlock{nullptr, size_bytes});
  block->memory = cvfast::runtime::allocate_huge(size_bytes);
  if (block->memory == nullptr) throw std::bad_alloc();
  auto* const data = static_cast<std::uint8_t*>(block->memory);
  py::capsule owner(block.release(), [](void* p) { delete static_cast<HugeBlock*>(p); });
  return py::array_t<std::uint8_t>(static_cast<py::ssize_t>(size_bytes), data, owner);
}

std::size_t renumber(cvfast::paint::Renumberer& self, const py::array& src, py::array& dst) {
  if (src.ndim() != 1 || dst.ndim() != 1 || src.size() != dst.size() || !(src.flags() & py::array::c_style) ||
      !(dst.flags() & py::array::c_style)) {
    throw std::invalid_argument("renumber: expected two contiguous 1-d arrays of one length");
  }
  const auto* const in = static_cast<const std::byte*>(src.data());
  auto* const out = static_cast<std::byte*>(dst.mutable_data());
  const auto n = static_cast<std::size_t>(src.size());
  const auto src_item = static_cast<std::size_t>(src.itemsize());
  const auto dst_item = static_cast<std::size_t>(dst.itemsize());
  std::size_t done = 0;
  cvfast::bindings::without_gil([&] { done = self.apply(in, src_item, n, out, dst_item); });
  return done;
}

}  // namespace

void register_memory(py::module_& module) {
  module.def("is_worth_huge_pages", &cvfast::runtime::is_worth_huge_pages, py::arg("size_bytes"));
  module.def("allocate", &allocate, py::arg("size_bytes"));
  module.def("kept_bytes", &cvfast::runtime::kept_bytes);
  py::class_<cvfast::paint::Renumberer>(module, "Renumberer")
      .def(py::init<std::uint64_t>(), py::arg("background"))
      .def("apply", &renumber, py::arg("src"), py::arg("dst"))
      .def("mapping", [](const cvfast::paint::Renumberer& self) {
        py::dict out;
        for (const auto& [label, number] : self.mapping()) out[py::int_(label)] = py::int_(number);
        return out;
      });
}
