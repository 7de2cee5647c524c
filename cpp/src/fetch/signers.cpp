// SPDX-License-Identifier: BSD-3-Clause
//
// Signature Version 4 as AWS documents it for S3: the path is encoded once, and every header that is given is signed.
// What the transport adds later (Range, Accept-Encoding, User-Agent) is not, which AWS allows.
#include "cvfast/fetch/signers.hpp"

#include <algorithm>
#include <array>
#include <ctime>

#include "http_response.hpp"
#include "sha256.hpp"

namespace cvfast::fetch {
namespace {

constexpr std::string_view kEmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::span<const std::byte> bytes_of(std::string_view text) noexcept {
  return std::as_bytes(std::span(text.data(), text.size()));
}

struct UrlParts {
  std::string_view host;  // with a port that is not the scheme's own, as curl sends it
  std::string_view path;
  std::string_view query;
  bool is_secure = false;
};

UrlParts parts_of(std::string_view url) noexcept {
  UrlParts out;
  out.is_secure = url.starts_with("https://");
  url.remove_prefix(std::min(url.size(), url.find("://") + 3));
  url = url.substr(0, url.find('#'));
  const std::size_t begin = url.find_first_of("/?");
  out.host = url.substr(0, begin);
  if (begin != std::string_view::npos) {
    const std::size_t mark = url.find('?', begin);
    out.path = url.substr(begin, mark == std::string_view::npos ? mark : mark - begin);
    if (mark != std::string_view::npos) out.query = url.substr(mark + 1);
  }
  const std::size_t at = out.host.rfind('@');
  if (at != std::string_view::npos) out.host.remove_prefix(at + 1);
  const std::string_view usual = out.is_secure ? ":443" : ":80";
  if (out.host.ends_with(usual)) out.host.remove_suffix(usual.size());
  return out;
}

std::string canonical_query(std::string_view query) {
  std::vector<std::pair<std::string_view, std::string_view>> parts;
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), one.size() + 1));
    if (one.empty()) continue;
    const std::size_t equals = one.find('=');
    parts.emplace_back(one.substr(0, equals),
                       equals == std::string_view::npos ? std::string_view{} : one.substr(equals + 1));
  }
  std::sort(parts.begin(), parts.end());
  std::string out;
  for (const auto& [key, value] : parts) {
    if (!out.empty()) out.push_back('&');
    out.append(key).append("=").append(value);
  }
  return out;
}

// Blanks at the ends go, and several in a row count as one.
std::string canonical_value(std::string_view value) {
  std::string out;
  for (const char c : trimmed(value)) {
    if (c != ' ' || out.back() != ' ') out.push_back(c);
  }
  return out;
}

std::string now_as_amz_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &parts);
  return {text.data(), size};
}

}  // namespace

void AuthorizationSigner::sign(HttpMethod /*method*/, const std::string& /*url*/, std::span<const std::byte> /*body*/,
                               std::vector<HttpHeader>& headers) const {
  const std::string& value = value_.get();
  if (!value.empty()) headers.push_back({"Authorization", value});
}

void sign_aws_v4(const AwsKeys& keys, std::string_view service, std::string_view amz_date, HttpMethod method,
                 std::string_view url, std::string_view payload_hash, std::vector<HttpHeader>& headers) {
  const UrlParts parts = parts_of(url);
  std::vector<std::pair<std::string, std::string>> sorted;
  sorted.reserve(headers.size());
  for (const HttpHeader& header : headers) sorted.emplace_back(to_lower(header.name), canonical_value(header.value));
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string names;
  std::string canonical(name(method));
  canonical.append("\n").append(parts.path.empty() ? std::string_view("/") : parts.path).append("\n");
  canonical.append(canonical_query(parts.query)).append("\n");
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (i != 0 && sorted[i].first == sorted[i - 1].first) {
      canonical.back() = ',';
    } else {
      canonical.append(sorted[i].first).append(":");
      if (!names.empty()) names.push_back(';');
      names.append(sorted[i].first);
    }
    canonical.append(sorted[i].second).append("\n");
  }
  canonical.append("\n").append(names).append("\n").append(payload_hash);

  const std::string_view day = amz_date.substr(0, 8);
  std::string scope(day);
  scope.append("/").append(keys.region).append("/").append(service).append("/aws4_request");
  std::string to_sign = "AWS4-HMAC-SHA256\n";
  to_sign.append(amz_date).append("\n").append(scope).append("\n").append(to_hex(sha256(bytes_of(canonical))));

  Sha256Digest key = hmac_sha256(bytes_of("AWS4" + keys.secret_key), bytes_of(day));
  key = hmac_sha256(key, bytes_of(keys.region));
  key = hmac_sha256(key, bytes_of(service));
  key = hmac_sha256(key, bytes_of("aws4_request"));
  headers.push_back({"Authorization", "AWS4-HMAC-SHA256 Credential=" + keys.access_key + "/" + scope +
                                          ", SignedHeaders=" + names +
                                          ", Signature=" + to_hex(hmac_sha256(key, bytes_of(to_sign)))});
}

void SigV4Signer::sign(HttpMethod method, const std::string& url, std::span<const std::byte> body,
                       std::vector<HttpHeader>& headers) const {
  const AwsKeys& keys = keys_.get();
  if (keys.access_key.empty()) {
    // What `prepare` added says nothing without a signature.
    std::erase_if(headers,
                  [](const HttpHeader& header) { return is_equal_ignoring_case(header.name, "x-amz-content-sha256"); });
    return;
  }
  const UrlParts parts = parts_of(url);
  std::string hash;
  if (const std::string* const known = find_header(headers, "x-amz-content-sha256"); known != nullptr) {
    hash = *known;
  } else {
    hash = body.empty() ? std::string(kEmptyHash) : parts.is_secure ? "UNSIGNED-PAYLOAD" : to_hex(sha256(body));
    headers.push_back({"x-amz-content-sha256", hash});
  }
  const std::string date = now_as_amz_date();
  headers.push_back({"x-amz-date", date});
  if (!keys.session_token.empty()) headers.push_back({"x-amz-security-token", keys.session_token});
  if (keys.pays_as_requester) headers.push_back({"x-amz-request-payer", "requester"});
  // Signed, but sent by the transport.
  headers.push_back({"host", std::string(parts.host)});
  sign_aws_v4(keys, "s3", date, method, url, hash, headers);
  std::erase_if(headers, [](const HttpHeader& header) { return is_equal_ignoring_case(header.name, "host"); });
}

void SigV4Signer::prepare(HttpRequest& request) const {
  if (request.body.empty() || is_anonymous() || parts_of(request.url).is_secure ||
      find_header(request.headers, "x-amz-content-sha256") != nullptr) {
    return;
  }
  request.headers.push_back({"x-amz-content-sha256", to_hex(sha256(request.body))});
}

}  // namespace cvfast::fetch
