// SPDX-License-Identifier: BSD-3-Clause
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cvfast/fetch/endpoint.hpp"
#include "cvfast/fetch/signers.hpp"
#include "http_rows.hpp"
#include "register.hpp"

namespace {

namespace fetch = cvfast::fetch;
using cvfast::bindings::HttpClientPolicy;
using cvfast::bindings::HttpHeaders;
using cvfast::bindings::Memory;
using cvfast::bindings::run_requests;
using fetch::Endpoint;
using Keys = std::vector<std::string>;
using Range = std::pair<std::uint64_t, std::uint64_t>;

void append(const HttpHeaders& from, std::vector<fetch::HttpHeader>& to) {
  for (const auto& [key, value] : from) to.push_back({key, value});
}

std::shared_ptr<Endpoint> make_endpoint(std::string read_prefix, std::string read_suffix, std::string write_prefix,
                                        std::string write_suffix, bool encodes_slashes, const HttpHeaders& headers,
                                        std::shared_ptr<fetch::HttpSigner> signer, bool is_etag_md5,
                                        const HttpClientPolicy* client) {
  cvfast::bindings::require_transport();
  auto out = std::make_shared<Endpoint>();
  out->read_prefix = std::move(read_prefix);
  out->read_suffix = std::move(read_suffix);
  out->write_prefix = std::move(write_prefix);
  out->write_suffix = std::move(write_suffix);
  out->encodes_slashes = encodes_slashes;
  append(headers, out->headers);
  out->signer = std::move(signer);
  out->is_etag_md5 = is_etag_md5;
  if (client != nullptr) out->policy = client->policy;
  return out;
}

std::vector<py::tuple> get_many(const Endpoint& self, const Keys& keys, const std::optional<std::vector<Range>>& ranges,
                                std::uint64_t max_size_bytes, bool may_end_early) {
  if (ranges && ranges->size() != keys.size()) {
    throw py::value_error("get_many: expected " + std::to_string(keys.size()) + " ranges, found " +
                          std::to_string(ranges->size()));
  }
  std::vector<fetch::HttpRequest> requests;
  requests.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    fetch::HttpRequest one = self.request(fetch::HttpMethod::kGet, "", keys[i]);
    if (ranges) one.range = fetch::ByteRange{(*ranges)[i].first, (*ranges)[i].second};
    one.max_size = max_size_bytes;
    one.may_end_early = may_end_early;
    requests.push_back(std::move(one));
  }
  return run_requests(std::move(requests));
}

std::vector<py::tuple> ask_many(const Endpoint& self, fetch::HttpMethod method, const Keys& keys) {
  std::vector<fetch::HttpRequest> requests;
  requests.reserve(keys.size());
  for (const std::string& key : keys) requests.push_back(self.request(method, "", key));
  return run_requests(std::move(requests));
}

std::vector<py::tuple> put_many(const Endpoint& self,
                                const std::vector<std::tuple<std::string, py::object, HttpHeaders>>& objects) {
  std::vector<Memory> bodies;
  bodies.reserve(objects.size());
  std::vector<fetch::HttpRequest> requests;
  requests.reserve(objects.size());
  for (const auto& [key, data, headers] : objects) {
    fetch::HttpRequest one = self.request(fetch::HttpMethod::kPut, "", key);
    one.body = bodies.emplace_back(data, false).bytes();
    append(headers, one.headers);
    if (self.signer != nullptr) self.signer->prepare(one);
    requests.push_back(std::move(one));
  }
  return run_requests(std::move(requests));
}

py::tuple get_url(const Endpoint& self, std::string url) {
  fetch::HttpRequest one = self.request(fetch::HttpMethod::kGet, "", "");
  one.url = std::move(url);
  one.is_etag_md5 = false;
  std::vector<fetch::HttpRequest> requests;
  requests.push_back(std::move(one));
  return run_requests(std::move(requests))[0];
}

}  // namespace

void register_endpoint(py::module_& module) {
  using fetch::AuthorizationSigner;
  using fetch::HttpSigner;
  using fetch::SigV4Signer;
  using py::arg;
  py::class_<HttpSigner, std::shared_ptr<HttpSigner>>(module, "HttpSigner");
  py::class_<AuthorizationSigner, HttpSigner, std::shared_ptr<AuthorizationSigner>>(module, "AuthorizationSigner")
      .def(py::init<>())
      .def("use", &AuthorizationSigner::use, arg("value"))
      .def_property_readonly("is_anonymous", &AuthorizationSigner::is_anonymous);
  py::class_<SigV4Signer, HttpSigner, std::shared_ptr<SigV4Signer>>(module, "SigV4Signer")
      .def(py::init<>())
      .def(
          "use",
          [](SigV4Signer& self, std::string access_key, std::string secret_key, std::string session_token,
             std::string region, bool pays_as_requester) {
            return self.use({std::move(access_key), std::move(secret_key), std::move(session_token), std::move(region),
                             pays_as_requester});
          },
          arg("access_key"), arg("secret_key"), py::kw_only(), arg("session_token") = "", arg("region") = "us-east-1",
          arg("pays_as_requester") = false)
      .def_property_readonly("is_anonymous", &SigV4Signer::is_anonymous);
  py::class_<Endpoint, std::shared_ptr<Endpoint>>(module, "Endpoint")
      .def(py::init(&make_endpoint), arg("read_prefix"), py::kw_only(), arg("read_suffix") = "",
           arg("write_prefix") = "", arg("write_suffix") = "", arg("encodes_slashes") = false,
           arg("headers") = HttpHeaders{}, arg("signer") = py::none(), arg("is_etag_md5") = false,
           arg("client") = py::none())
      // Relaxed: it says how to take an answer, and is set before the requests are made.
      .def_property(
          "is_forbidden_missing",
          [](const Endpoint& self) { return self.is_forbidden_missing.load(std::memory_order_relaxed); },
          [](Endpoint& self, bool value) { self.is_forbidden_missing.store(value, std::memory_order_relaxed); })
      .def_property_readonly("is_writable", [](const Endpoint& self) { return !self.write_prefix.empty(); })
      .def("get_many", &get_many, arg("keys"), py::kw_only(), arg("ranges") = py::none(),
           arg("max_size_bytes") = std::uint64_t{1} << 30, arg("may_end_early") = false)
      .def(
          "head_many",
          [](const Endpoint& self, const Keys& keys) { return ask_many(self, fetch::HttpMethod::kHead, keys); },
          arg("keys"))
      .def(
          "delete_many",
          [](const Endpoint& self, const Keys& keys) { return ask_many(self, fetch::HttpMethod::kDelete, keys); },
          arg("keys"))
      .def("put_many", &put_many, arg("objects"))
      .def("get_url", &get_url, arg("url"));
}
