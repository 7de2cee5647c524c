// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cvfast/fetch/http_client.hpp"

namespace cvfast::fetch {

/// Where a layer's objects are reached over HTTP: from a key to a request.
struct Endpoint {
  std::string read_prefix;   ///< what stands before an object's key in the URL of GET and HEAD, percent encoded
  std::string read_suffix;   ///< and behind it: a query
  std::string write_prefix;  ///< the same for PUT and DELETE; without one nothing can be written
  std::string write_suffix;
  bool encodes_slashes = false;     ///< the key is one segment of the path
  std::vector<HttpHeader> headers;  ///< of every request
  std::shared_ptr<const HttpSigner> signer;
  bool is_etag_md5 = false;
  HttpPolicy policy;
  /// 403 says that an object is absent, as S3 does to those who may read objects but not list them.  Set once that is
  /// known of this layer: its info could be read, and a key that nobody uses is answered with 403.
  std::atomic<bool> is_forbidden_missing{false};

  /// A request about the object `folder` + `name`.
  [[nodiscard]] HttpRequest request(HttpMethod method, std::string_view folder, std::string_view name) const;

  /// Whether the answer to a GET or HEAD says that the object is absent: 404, or 403 where that stands for it and no
  /// other reason is named, such as a key that is no longer valid.
  [[nodiscard]] bool is_absent(const HttpResult& result) const noexcept;
};

/// Everything but letters, digits and "-._~" (and "/", unless `encodes_slashes`) as %XX, in capitals: RFC 3986, and
/// what AWS calls UriEncode.
void append_percent_encoded(std::string_view text, bool encodes_slashes, std::string& out);

}  // namespace cvfast::fetch
