// SPDX-License-Identifier: BSD-3-Clause
#include <pybind11/pybind11.h>

#include "../src/fetch/curl_transport.hpp"

namespace py = pybind11;

PYBIND11_MODULE(_http, module, py::mod_gil_not_used()) {
  module.doc() = "What carries the requests of _runtime: libcurl and its thread. Loaded with the first remote layer.";
  module.attr("transport") =
      py::capsule(static_cast<void*>(&cvfast::fetch::curl_transport()), "cvfast::fetch::HttpTransport");
}
