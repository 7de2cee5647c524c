// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cvfast/fetch/http_client.hpp"

/// What carries requests.  Behind an interface because libcurl brings some thirty libraries, which take longer to load
/// than everything else here: a program that reads local files never loads them.
namespace cvfast::fetch {

/// Rules for callers are those of `http`.
class HttpTransport {
 public:
  HttpTransport() = default;
  HttpTransport(const HttpTransport&) = delete;
  HttpTransport& operator=(const HttpTransport&) = delete;

  virtual void submit_all(std::vector<http::Submission> submissions, const std::shared_ptr<HttpGroup>& group) = 0;
  virtual void cancel(const std::shared_ptr<HttpGroup>& group) = 0;
  /// How many forks lie between this process and the one that loaded the transport.
  [[nodiscard]] virtual std::uint64_t forks() const noexcept = 0;
  [[nodiscard]] virtual HttpSettings settings() = 0;
  virtual void configure(const HttpSettings& settings) = 0;
  [[nodiscard]] virtual HttpStats stats() = 0;
  virtual void close() = 0;

 protected:
  ~HttpTransport() = default;
};

namespace http {

/// Sends all requests from now on through `transport`, which must live as long as the process.
void use_transport(HttpTransport& transport) noexcept;
[[nodiscard]] bool has_transport() noexcept;

}  // namespace http
}  // namespace cvfast::fetch
