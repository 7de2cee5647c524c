// SPDX-License-Identifier: BSD-3-Clause
#include "http_response.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <ctime>

namespace cvfast::fetch {
namespace {

constexpr std::array<std::string_view, 17> kKeptHeaders{"accept-ranges",
                                                        "cache-control",
                                                        "content-encoding",
                                                        "content-length",
                                                        "content-md5",
                                                        "content-range",
                                                        "content-type",
                                                        "date",
                                                        "etag",
                                                        "expires",
                                                        "last-modified",
                                                        "location",
                                                        "retry-after",
                                                        "www-authenticate",
                                                        "vary",
                                                        "x-ms-error-code",
                                                        "server"};

constexpr std::array<std::string_view, 9> kHarmlessHeaders{"accept",        "accept-encoding", "accept-language",
                                                           "cache-control", "if-match",        "if-modified-since",
                                                           "if-none-match", "if-range",        "user-agent"};

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_alphanumeric(char c) noexcept { return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z'); }

bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

int sextet(char c) noexcept {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

int nibble(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

std::optional<std::uint32_t> parse_crc32c(std::string_view text) {
  const auto bytes = parse_digest(text, 4);  // big-endian, unlike everything else here
  if (!bytes) return std::nullopt;
  std::uint32_t value = 0;
  for (const std::byte byte : *bytes) value = (value << 8) | std::to_integer<std::uint32_t>(byte);
  return value;
}

std::optional<Md5Digest> parse_md5(std::string_view text) {
  const auto bytes = parse_digest(text, std::tuple_size_v<Md5Digest>);
  if (!bytes) return std::nullopt;
  Md5Digest digest{};
  std::copy(bytes->begin(), bytes->end(), digest.begin());
  return digest;
}

std::string_view value_of(const std::vector<HttpHeader>& headers, std::string_view name) noexcept {
  const std::string* value = find_header(headers, name);
  return value == nullptr ? std::string_view{} : std::string_view(*value);
}

// Google decompresses objects on their way where the request does not accept gzip, and other servers in between may
// compress; the digest is that of the stored bytes.
bool is_as_stored(const std::vector<HttpHeader>& headers) noexcept {
  const std::string_view stored = value_of(headers, "x-goog-stored-content-encoding");
  if (stored.empty()) return true;
  const std::string_view sent = value_of(headers, "content-encoding");
  const bool is_stored_plain = is_equal_ignoring_case(stored, "identity");
  return sent.empty() || is_equal_ignoring_case(sent, "identity") ? is_stored_plain
                                                                  : is_equal_ignoring_case(stored, sent);
}

}  // namespace

std::string Origin::text() const { return scheme + "://" + host + ":" + std::to_string(port); }

std::optional<Origin> origin_of(std::string_view url) {
  if (std::any_of(url.begin(), url.end(), [](char c) { return is_control(c) || c == ' '; })) return std::nullopt;
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  Origin origin;
  origin.scheme = to_lower(url.substr(0, colon));
  if (origin.scheme != "http" && origin.scheme != "https") return std::nullopt;
  url.remove_prefix(colon + 3);
  url = url.substr(0, url.find_first_of("/?#\\"));
  const std::size_t at = url.rfind('@');
  if (at != std::string_view::npos) url.remove_prefix(at + 1);
  origin.port = origin.scheme == "https" ? 443 : 80;
  const std::size_t bracket = url.rfind(']');
  const std::size_t port = url.rfind(':');
  if (port != std::string_view::npos && (bracket == std::string_view::npos || port > bracket)) {
    const auto number = parse_number(url.substr(port + 1));
    if (!number || *number == 0 || *number > 65535) return std::nullopt;
    origin.port = static_cast<std::uint16_t>(*number);
    url = url.substr(0, port);
  }
  if (url.empty()) return std::nullopt;
  origin.host = to_lower(url);
  return origin;
}

std::string without_secrets(std::string_view url) {
  const std::size_t end = url.find_first_of("?#");
  const bool is_cut = end != std::string_view::npos && url[end] == '?';
  url = url.substr(0, end);
  std::string out;
  const std::size_t colon = url.find("://");
  if (colon != std::string_view::npos) {
    out = url.substr(0, colon + 3);
    url.remove_prefix(colon + 3);
  }
  const std::size_t at = url.substr(0, url.find('/')).rfind('@');
  if (at != std::string_view::npos) url.remove_prefix(at + 1);
  for (const char c : url) out.push_back(is_control(c) ? '?' : c);
  if (is_cut) out += "?...";
  return out;
}

std::optional<std::uint64_t> parse_number(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<ContentRange> parse_content_range(std::string_view text) noexcept {
  if (text.size() < 6 || !is_equal_ignoring_case(text.substr(0, 5), "bytes") || (text[5] != ' ' && text[5] != '=')) {
    return std::nullopt;
  }
  text = trimmed(text.substr(6));
  const std::size_t dash = text.find('-');
  const std::size_t slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) return std::nullopt;
  const auto first = parse_number(text.substr(0, dash));
  const auto last = parse_number(text.substr(dash + 1, slash - dash - 1));
  if (!first || !last || *last < *first || *last == UINT64_MAX) return std::nullopt;
  ContentRange out{*first, *last + 1, std::nullopt};
  const std::string_view total = text.substr(slash + 1);
  if (total != "*") {
    out.total = parse_number(total);
    if (!out.total || *out.total < out.end) return std::nullopt;
  }
  return out;
}

std::optional<std::vector<std::byte>> parse_digest(std::string_view text, std::size_t size) {
  std::vector<std::byte> out;
  // Four bytes have eight digits either way, but base64 fills up with '='.
  if (text.size() == 2 * size && !text.ends_with('=')) {
    for (std::size_t i = 0; i < text.size(); i += 2) {
      const int high = nibble(text[i]);
      const int low = nibble(text[i + 1]);
      if (high < 0 || low < 0) return std::nullopt;
      out.push_back(static_cast<std::byte>(high << 4 | low));
    }
    return out;
  }
  if (text.size() != (size + 2) / 3 * 4) return std::nullopt;
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  unsigned bits = 0;
  int held = 0;
  for (const char c : text) {
    const int value = sextet(c);
    if (value < 0) return std::nullopt;
    bits = (bits << 6 | static_cast<unsigned>(value)) & 0xffffU;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out.push_back(static_cast<std::byte>(bits >> held & 0xffU));
    }
  }
  if (out.size() != size) return std::nullopt;
  return out;
}

StatedDigest stated_digest(const std::vector<HttpHeader>& headers, bool is_etag_md5) {
  StatedDigest out;
  if (is_as_stored(headers)) {
    for (const HttpHeader& header : headers) {
      if (header.name != "x-goog-hash") continue;
      // One header with several values, or several headers.
      for (std::string_view rest = header.value; !rest.empty();) {
        const std::size_t comma = rest.find(',');
        const std::string_view part = trimmed(rest.substr(0, comma));
        rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
        if (part.starts_with("crc32c=")) out.crc32c = parse_crc32c(part.substr(7));
        if (part.starts_with("md5=")) out.md5 = parse_md5(part.substr(4));
      }
    }
    out.source = "x-goog-hash";
    if (out.crc32c) out.md5.reset();
    if (out.crc32c || out.md5) return out;
  }
  // A checksum of checksums, of an object that was written in parts, ends with "-parts" and so does not parse.
  out.crc32c = parse_crc32c(value_of(headers, "x-amz-checksum-crc32c"));
  out.source = "x-amz-checksum-crc32c";
  if (out.crc32c) return out;
  out.md5 = parse_md5(value_of(headers, "content-md5"));
  out.source = "Content-MD5";
  if (out.md5 || !is_etag_md5) return out;
  const std::string_view encryption = value_of(headers, "x-amz-server-side-encryption");
  if (encryption.starts_with("aws:") ||
      find_header(headers, "x-amz-server-side-encryption-customer-algorithm") != nullptr) {
    return out;
  }
  const std::string_view etag = value_of(headers, "etag");
  out.source = "ETag";
  if (etag.size() == 34 && etag.front() == '"' && etag.back() == '"') out.md5 = parse_md5(etag.substr(1, 32));
  return out;
}

bool is_kept_header(std::string_view name) noexcept {
  return name.starts_with("x-goog-") || name.starts_with("x-amz-") ||
         std::find(kKeptHeaders.begin(), kKeptHeaders.end(), name) != kKeptHeaders.end();
}

bool may_leave_origin(std::string_view name) noexcept {
  return std::any_of(kHarmlessHeaders.begin(), kHarmlessHeaders.end(),
                     [&](std::string_view harmless) { return is_equal_ignoring_case(name, harmless); });
}

bool is_sendable(const HttpHeader& header) noexcept {
  constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";
  const auto is_token = [&](char c) { return is_alphanumeric(c) || kTokenMarks.find(c) != std::string_view::npos; };
  return !header.name.empty() && std::all_of(header.name.begin(), header.name.end(), is_token) &&
         std::none_of(header.value.begin(), header.value.end(), [](char c) { return is_control(c) && c != '\t'; });
}

std::string find_error_code(std::string_view body) {
  const auto after = [&](std::string_view mark) {
    const std::size_t at = body.find(mark);
    std::string code;
    if (at == std::string_view::npos) return code;
    for (const char c : body.substr(at + mark.size())) {
      if (!is_alphanumeric(c) || code.size() == 64) break;
      code.push_back(c);
    }
    return code;
  };
  std::string code = after("<Code>");
  if (code.empty()) code = after("\"reason\": \"");
  return code;
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

bool is_equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

const std::string* find_header(const std::vector<HttpHeader>& headers, std::string_view name) noexcept {
  for (const HttpHeader& header : headers) {
    if (is_equal_ignoring_case(header.name, name)) return &header.value;
  }
  return nullptr;
}

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

}  // namespace cvfast::fetch
