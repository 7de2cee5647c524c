// SPDX-License-Identifier: BSD-3-Clause
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cvfast/runtime/chunk_cache.hpp"
#include "gil.hpp"
#include "register.hpp"

namespace {

namespace rt = cvfast::runtime;

py::bytes to_bytes(const rt::CacheBlock& block) {
  const auto bytes = block.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// (space, encoding, chunk shape, bytes)
py::object describe(const rt::ChunkCache& cache, const rt::CacheKey& key, const rt::CacheBlock& block) {
  if (!block) return py::none();
  const rt::CacheSpace space = cache.space(key.space);
  const cvfast::Box3 chunk = space.grid.chunk_box(key.chunk);
  return py::make_tuple(key.space, space.entry_encoding, chunk.shape(), to_bytes(block));
}

py::object get(rt::ChunkCache& self, const std::string& path, bool is_use) {
  const auto key = self.find(path);
  return key ? describe(self, *key, is_use ? self.lookup(*key).block : self.peek(*key)) : py::none();
}

py::object take(rt::ChunkCache& self, const std::string& path) {
  const auto key = self.find(path);
  return key ? describe(self, *key, self.take(*key)) : py::none();
}

std::vector<std::string> paths(const rt::ChunkCache& self) {
  std::vector<std::string> out;
  for (rt::ChunkCache::Listed& entry : self.list()) out.push_back(std::move(entry.path));
  return out;
}

}  // namespace

void register_chunk_cache(py::module_& module) {
  using py::arg;
  py::class_<rt::ChunkCache, std::shared_ptr<rt::ChunkCache>>(module, "ChunkCache")
      .def(py::init<std::uint64_t>(), arg("limit_bytes"))
      .def_property_readonly("limit_bytes", &rt::ChunkCache::limit_bytes)
      .def_property_readonly("held_bytes", &rt::ChunkCache::held_bytes)
      .def("__len__", &rt::ChunkCache::size)
      .def("__contains__",
           [](const rt::ChunkCache& self, const std::string& path) { return self.find(path).has_value(); })
      .def("paths", &paths)
      .def("get", &get, arg("path"), arg("is_use"))
      .def("take", &take, arg("path"))
      .def("resize", &rt::ChunkCache::resize, arg("limit_bytes"), py::call_guard<cvfast::bindings::ReleasedGil>())
      .def("clear", &rt::ChunkCache::clear, py::call_guard<cvfast::bindings::ReleasedGil>());
}
