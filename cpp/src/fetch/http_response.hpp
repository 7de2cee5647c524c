// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cvfast/fetch/http_client.hpp"

/// Reading what URLs and headers say.  Pure; the text comes from a server and is not trusted.
namespace cvfast::fetch {

/// Scheme, host and port in lower case: what credentials and connections belong to.
struct Origin {
  std::string scheme;
  std::string host;  ///< with brackets for IPv6
  std::uint16_t port = 0;

  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool operator==(const Origin&) const = default;
};

/// Nothing when it is not an http or https URL without blanks and control characters.
[[nodiscard]] std::optional<Origin> origin_of(std::string_view url);

/// The URL for messages: without user, query and fragment, any of which may hold a secret.
[[nodiscard]] std::string without_secrets(std::string_view url);

/// A decimal number and nothing else.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text) noexcept;

struct ContentRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;                 ///< half-open
  std::optional<std::uint64_t> total{};  ///< "*" is unknown
};

/// "bytes first-last/total"; nothing where it says something else or something impossible.
[[nodiscard]] std::optional<ContentRange> parse_content_range(std::string_view text) noexcept;

/// Bytes of standard base64, or of hexadecimal digits where there are exactly twice as many as `size`; nothing unless
/// there are `size` of them.
[[nodiscard]] std::optional<std::vector<std::byte>> parse_digest(std::string_view text, std::size_t size);

/// What a body is to be compared with.
struct StatedDigest {
  std::optional<std::uint32_t> crc32c{};
  std::optional<Md5Digest> md5{};
  std::string_view source;  ///< header it is from
};

/// The digest that the headers of an answer state for its whole body; crc32c if there is one, since it costs nothing.
[[nodiscard]] StatedDigest stated_digest(const std::vector<HttpHeader>& headers, bool is_etag_md5);

/// Whether results carry this header (lower case).
[[nodiscard]] bool is_kept_header(std::string_view name) noexcept;

/// Whether a header of the request may go to another origin: those that cannot hold a credential.
[[nodiscard]] bool may_leave_origin(std::string_view name) noexcept;

/// Whether a header can be sent: a token as its name, and no control characters.
[[nodiscard]] bool is_sendable(const HttpHeader& header) noexcept;

/// The error code in an XML or JSON answer of a store (<Code>SlowDown</Code>), or ""; letters and digits only.
[[nodiscard]] std::string find_error_code(std::string_view body);

[[nodiscard]] std::string to_lower(std::string_view text);
[[nodiscard]] bool is_equal_ignoring_case(std::string_view a, std::string_view b) noexcept;
[[nodiscard]] const std::string* find_header(const std::vector<HttpHeader>& headers, std::string_view name) noexcept;
/// Without blanks at both ends.
[[nodiscard]] std::string_view trimmed(std::string_view text) noexcept;

}  // namespace cvfast::fetch
