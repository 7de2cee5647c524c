// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cvfast/fetch/http_client.hpp"

namespace py = pybind11;

/// Requests that Python waits for, and what it is told about their results.
namespace cvfast::bindings {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

/// Loads what carries requests; to be called by whatever leads to the first one.
void require_transport();

/// What an endpoint needs to know of an HttpClient.
struct HttpClientPolicy {
  fetch::HttpPolicy policy;
};

/// Memory of a Python object, held for as long as this lives.
class Memory {
 public:
  Memory(const py::handle& object, bool is_written) {
    if (PyObject_GetBuffer(object.ptr(), &view_, is_written ? PyBUF_WRITABLE : PyBUF_SIMPLE) != 0) {
      throw py::error_already_set();
    }
  }
  Memory(Memory&& other) noexcept : view_(std::exchange(other.view_, Py_buffer{})) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  Memory& operator=(Memory&&) = delete;
  ~Memory() { PyBuffer_Release(&view_); }

  [[nodiscard]] std::span<std::byte> bytes() const {
    return {static_cast<std::byte*>(view_.buf), static_cast<std::size_t>(view_.len)};
  }

 private:
  Py_buffer view_{};
};

/// Runs all without the GIL, which is taken about every 50 ms for signals.  Rows of (state, status, body, headers,
/// attempts, checked, error, message), in order.
[[nodiscard]] std::vector<py::tuple> run_requests(std::vector<fetch::HttpRequest> requests);

}  // namespace cvfast::bindings
