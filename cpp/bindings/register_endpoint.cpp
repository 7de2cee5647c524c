// SPDX-License-Identifier: BSD-3-Clause
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cvfast/fetch/endpoint.hpp"
#include "register.hpp"

void register_endpoint(py::module_& module) {
  using cvfast::fetch::Endpoint;
  using cvfast::fetch::HttpSigner;
  using py::arg;
  using Headers = std::vector<std::pair<std::string, std::string>>;
  py::class_<HttpSigner, std::shared_ptr<HttpSigner>>(module, "HttpSigner");
  py::class_<Endpoint, std::shared_ptr<Endpoint>>(module, "Endpoint")
      .def(py::init([](std::string read_prefix, std::string read_suffix, std::string write_prefix,
                       std::string write_suffix, bool encodes_slashes, const Headers& headers,
                       std::shared_ptr<HttpSigner> signer, bool is_etag_md5) {
             auto out = std::make_shared<Endpoint>();
             out->read_prefix = std::move(read_prefix);
             out->read_suffix = std::move(read_suffix);
             out->write_prefix = std::move(write_prefix);
             out->write_suffix = std::move(write_suffix);
             out->encodes_slashes = encodes_slashes;
             for (const auto& [key, value] : headers) out->headers.push_back({key, value});
             out->signer = std::move(signer);
             out->is_etag_md5 = is_etag_md5;
             return out;
           }),
           arg("read_prefix"), py::kw_only(), arg("read_suffix") = "", arg("write_prefix") = "",
           arg("write_suffix") = "", arg("encodes_slashes") = false, arg("headers") = Headers{},
           arg("signer") = py::none(), arg("is_etag_md5") = false);
}
