// SPDX-License-Identifier: BSD-3-Clause
#include "http_rows.hpp"

#include <exception>

#include "cvfast/fetch/http_transport.hpp"
#include "gil.hpp"

namespace cvfast::bindings {
namespace {

// Headers may hold anything; Latin-1 reads every byte.
py::str to_str(const std::string& text) {
  PyObject* const made = PyUnicode_DecodeLatin1(text.data(), static_cast<py::ssize_t>(text.size()), nullptr);
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(made);
}

// (state, status, body, headers, attempts, checked, error, message)
py::tuple to_row(fetch::HttpResult& result) {
  py::object body = py::none();
  if (result.state == fetch::HttpState::kData && !result.is_in_place) {
    const auto bytes = result.body.bytes();
    body = py::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    result.body.reset();
  }
  py::dict headers;
  for (const fetch::HttpHeader& header : result.headers) {
    const py::str key = to_str(header.name);
    py::object value = to_str(header.value);
    if (headers.contains(key)) value = py::str("{}, {}").format(headers[key], value);
    headers[key] = value;
  }
  return py::make_tuple(name(result.state), result.status, body, headers, result.attempts, result.checked,
                        name(result.error), to_str(result.message));
}

}  // namespace

void require_transport() {
  if (fetch::http::has_transport()) return;
  const py::capsule carrier = py::module_::import("cloudvolume_fast._http").attr("transport");
  fetch::http::use_transport(*static_cast<fetch::HttpTransport*>(carrier.get_pointer()));
}

std::vector<py::tuple> run_requests(std::vector<fetch::HttpRequest> requests) {
  std::exception_ptr raised;
  const auto poll = [&] {
    const HeldGil held;
    try {
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      return true;
    } catch (const py::error_already_set&) {
      raised = std::current_exception();
      return false;
    } catch (...) {
      sleep_until_the_process_ends();
    }
  };
  std::vector<fetch::HttpResult> results;
  without_gil([&] { results = fetch::http::get_all(std::move(requests), poll); });
  if (raised) std::rethrow_exception(raised);
  std::vector<py::tuple> rows;
  rows.reserve(results.size());
  for (fetch::HttpResult& result : results) rows.push_back(to_row(result));
  return rows;
}

}  // namespace cvfast::bindings
