// SPDX-License-Identifier: BSD-3-Clause
#include "cvfast/fetch/endpoint.hpp"

namespace cvfast::fetch {
namespace {

bool is_unreserved(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

}  // namespace

void append_percent_encoded(std::string_view text, bool encodes_slashes, std::string& out) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (const char c : text) {
    if (is_unreserved(c) || (c == '/' && !encodes_slashes)) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(kDigits[byte >> 4]);
      out.push_back(kDigits[byte & 15]);
    }
  }
}

HttpRequest Endpoint::request(HttpMethod method, std::string_view folder, std::string_view name) const {
  const bool is_read = method == HttpMethod::kGet || method == HttpMethod::kHead;
  HttpRequest out;
  out.method = method;
  out.url = is_read ? read_prefix : write_prefix;
  append_percent_encoded(folder, encodes_slashes, out.url);
  append_percent_encoded(name, encodes_slashes, out.url);
  out.url += is_read ? read_suffix : write_suffix;
  out.headers = headers;
  out.signer = signer;
  out.is_etag_md5 = is_etag_md5;
  out.policy = policy;
  return out;
}

bool Endpoint::is_absent(const HttpResult& result) const noexcept {
  if (result.state == HttpState::kMissing) return true;
  // Relaxed: it says how to take an answer, and is set before the requests are made.
  return result.state == HttpState::kFailed && result.status == 403 &&
         is_forbidden_missing.load(std::memory_order_relaxed) &&
         (result.error_code.empty() || result.error_code == "AccessDenied" || result.error_code == "forbidden");
}

}  // namespace cvfast::fetch
