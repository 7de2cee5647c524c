// SPDX-License-Identifier: BSD-3-Clause
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cmath>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cvfast/fetch/http_client.hpp"
#include "gil.hpp"
#include "http_rows.hpp"
#include "register.hpp"

namespace {

namespace fetch = cvfast::fetch;
using cvfast::bindings::HttpHeaders;
using cvfast::bindings::Memory;
using cvfast::bindings::run_requests;
using Range = std::pair<std::uint64_t, std::uint64_t>;

class HttpClient : public cvfast::bindings::HttpClientPolicy {
 public:
  explicit HttpClient(const fetch::HttpPolicy& bounds) : HttpClientPolicy{bounds} {
    cvfast::bindings::require_transport();
  }

  [[nodiscard]] fetch::HttpRequest request(fetch::HttpMethod method, std::string url,
                                           const HttpHeaders& headers) const {
    fetch::HttpRequest out;
    out.method = method;
    out.url = std::move(url);
    for (const auto& [key, value] : headers) out.headers.push_back({key, value});
    out.policy = policy;
    return out;
  }

  [[nodiscard]] std::vector<py::tuple> get_many(std::vector<std::string> urls, const HttpHeaders& headers,
                                                const std::optional<std::vector<std::optional<Range>>>& ranges,
                                                const std::optional<std::vector<std::optional<std::uint64_t>>>& sizes,
                                                const std::optional<std::vector<py::object>>& into,
                                                std::uint64_t max_size_bytes, bool may_end_early,
                                                bool checks_stated_digest, bool is_etag_md5) const {
    const auto check = [&](std::size_t found, const char* what) {
      if (found != urls.size()) {
        throw py::value_error("get_many: expected " + std::to_string(urls.size()) + " " + what + ", found " +
                              std::to_string(found));
      }
    };
    if (ranges) check(ranges->size(), "ranges");
    if (sizes) check(sizes->size(), "expected_sizes");
    if (into) check(into->size(), "destinations");
    std::vector<Memory> destinations;
    std::vector<fetch::HttpRequest> requests;
    requests.reserve(urls.size());
    for (std::size_t i = 0; i < urls.size(); ++i) {
      fetch::HttpRequest one = request(fetch::HttpMethod::kGet, std::move(urls[i]), headers);
      if (ranges && (*ranges)[i]) one.range = fetch::ByteRange{(*ranges)[i]->first, (*ranges)[i]->second};
      if (sizes) one.expected_size = (*sizes)[i];
      if (into && !(*into)[i].is_none()) one.into = destinations.emplace_back((*into)[i], true).bytes();
      one.max_size = max_size_bytes;
      one.may_end_early = may_end_early;
      one.checks_stated_digest = checks_stated_digest;
      one.is_etag_md5 = is_etag_md5;
      requests.push_back(std::move(one));
    }
    return run_requests(std::move(requests));
  }

  [[nodiscard]] py::tuple send(fetch::HttpMethod method, std::string url, const py::object& data,
                               const HttpHeaders& headers, bool is_repeatable) const {
    std::vector<fetch::HttpRequest> one;
    one.push_back(request(method, std::move(url), headers));
    one[0].is_repeatable = is_repeatable;
    std::optional<Memory> body;
    if (!data.is_none()) one[0].body = body.emplace(data, false).bytes();
    return run_requests(std::move(one))[0];
  }
};

double checked_seconds(double seconds, const char* what) {
  if (!(seconds >= 0) || std::isinf(seconds)) {
    throw py::value_error(std::string("HttpClient: expected a finite ") + what + " of 0 or more, found " +
                          std::to_string(seconds));
  }
  return seconds;
}

}  // namespace

void register_http_client(py::module_& module) {
  using py::arg;
  const fetch::HttpPolicy usual;
  py::class_<cvfast::bindings::HttpClientPolicy>(module, "_HttpPolicy");
  py::class_<HttpClient, cvfast::bindings::HttpClientPolicy>(module, "HttpClient")
      .def(py::init([](double connect, double stall, std::uint64_t stall_bytes, double total, int attempts,
                       double backoff, double max_backoff, int redirects, std::uint64_t ignored) {
             if (attempts < 1 || redirects < 0) {
               throw py::value_error("HttpClient: expected max_attempts >= 1 and max_redirects >= 0, found " +
                                     std::to_string(attempts) + " and " + std::to_string(redirects));
             }
             fetch::HttpPolicy policy;
             policy.connect_seconds = checked_seconds(connect, "connect_seconds");
             policy.stall_seconds = checked_seconds(stall, "stall_seconds");
             policy.stall_bytes = stall_bytes;
             policy.total_seconds = checked_seconds(total, "total_seconds");
             policy.max_attempts = attempts;
             policy.backoff_seconds = checked_seconds(backoff, "backoff_seconds");
             policy.max_backoff_seconds = checked_seconds(max_backoff, "max_backoff_seconds");
             policy.max_redirects = redirects;
             policy.max_ignored_range_bytes = ignored;
             return HttpClient(policy);
           }),
           py::kw_only(), arg("connect_seconds") = usual.connect_seconds, arg("stall_seconds") = usual.stall_seconds,
           arg("stall_bytes") = usual.stall_bytes, arg("total_seconds") = usual.total_seconds,
           arg("max_attempts") = usual.max_attempts, arg("backoff_seconds") = usual.backoff_seconds,
           arg("max_backoff_seconds") = usual.max_backoff_seconds, arg("max_redirects") = usual.max_redirects,
           arg("max_ignored_range_bytes") = usual.max_ignored_range_bytes)
      .def("get_many", &HttpClient::get_many, arg("urls"), arg("headers") = HttpHeaders{}, py::kw_only(),
           arg("ranges") = py::none(), arg("expected_sizes") = py::none(), arg("into") = py::none(),
           arg("max_size_bytes") = std::uint64_t{1} << 30, arg("may_end_early") = false,
           arg("checks_stated_digest") = true, arg("is_etag_md5") = false)
      .def(
          "head",
          [](const HttpClient& self, std::string url, const HttpHeaders& headers) {
            return self.send(fetch::HttpMethod::kHead, std::move(url), py::none(), headers, true);
          },
          arg("url"), arg("headers") = HttpHeaders{})
      .def(
          "put",
          [](const HttpClient& self, std::string url, const py::object& data, const HttpHeaders& headers) {
            return self.send(fetch::HttpMethod::kPut, std::move(url), data, headers, true);
          },
          arg("url"), arg("data"), arg("headers") = HttpHeaders{})
      .def(
          "post",
          [](const HttpClient& self, std::string url, const py::object& data, const HttpHeaders& headers,
             bool is_repeatable) {
            return self.send(fetch::HttpMethod::kPost, std::move(url), data, headers, is_repeatable);
          },
          arg("url"), arg("data"), arg("headers") = HttpHeaders{}, py::kw_only(), arg("is_repeatable") = false)
      .def(
          "delete",
          [](const HttpClient& self, std::string url, const HttpHeaders& headers) {
            return self.send(fetch::HttpMethod::kDelete, std::move(url), py::none(), headers, true);
          },
          arg("url"), arg("headers") = HttpHeaders{})
      .def_static(
          "configure",
          [](std::optional<int> total, std::optional<int> per_host, std::optional<std::uint64_t> inflight,
             std::optional<double> idle) {
            cvfast::bindings::require_transport();
            fetch::HttpSettings settings = fetch::http::settings();
            if ((total && *total < 1) || (per_host && *per_host < 1)) {
              throw py::value_error("configure: expected at least one transfer");
            }
            settings.max_transfers = total.value_or(settings.max_transfers);
            settings.max_transfers_per_host = per_host.value_or(settings.max_transfers_per_host);
            settings.max_inflight_bytes = inflight.value_or(settings.max_inflight_bytes);
            settings.idle_seconds = checked_seconds(idle.value_or(settings.idle_seconds), "idle_seconds");
            fetch::http::configure(settings);
          },
          py::kw_only(), arg("max_transfers") = py::none(), arg("max_transfers_per_host") = py::none(),
          arg("max_inflight_bytes") = py::none(), arg("idle_seconds") = py::none())
      .def_static("stats",
                  [] {
                    cvfast::bindings::require_transport();
                    const fetch::HttpStats stats = fetch::http::stats();
                    py::dict out;
                    out["requests"] = stats.requests;
                    out["attempts"] = stats.attempts;
                    out["retries"] = stats.retries;
                    out["redirects"] = stats.redirects;
                    out["connections"] = stats.connections;
                    out["pauses"] = stats.pauses;
                    out["bytes"] = stats.bytes;
                    out["inflight_bytes"] = stats.inflight_bytes;
                    out["peak_inflight_bytes"] = stats.peak_inflight_bytes;
                    out["is_running"] = stats.is_running;
                    return out;
                  })
      .def_static("close", [] {
        cvfast::bindings::require_transport();
        cvfast::bindings::without_gil([] { fetch::http::close(); });
      });
}
