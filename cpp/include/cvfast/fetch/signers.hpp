// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cvfast/fetch/http_client.hpp"

namespace cvfast::fetch {

/// A value that the reactor reads while another thread replaces it.
///
/// Reading takes no lock: a fork could leave it held in the child.  What has been replaced is kept until the end, since
/// the reactor may be reading it; credentials are replaced about once an hour.
template <typename T>
class Replaceable {
 public:
  [[nodiscard]] const T& get() const noexcept {
    // Pairs with the release in `set`, after the value was made.
    return *current_.load(std::memory_order_acquire);
  }
  /// Whether it differs from what was there.
  bool set(T value) {
    const std::lock_guard lock(mutex_);
    if (value == *kept_.back()) return false;
    kept_.push_back(std::make_unique<const T>(std::move(value)));
    current_.store(kept_.back().get(), std::memory_order_release);
    return true;
  }

 private:
  static std::vector<std::unique_ptr<const T>> first() {
    std::vector<std::unique_ptr<const T>> out;
    out.push_back(std::make_unique<const T>());
    return out;
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<const T>> kept_ = first();
  std::atomic<const T*> current_{kept_.back().get()};
};

/// One Authorization header: a bearer token, or a user with a password.
class AuthorizationSigner final : public HttpSigner {
 public:
  /// Empty for none.  Returns whether it was another one.
  bool use(std::string value) { return value_.set(std::move(value)); }
  [[nodiscard]] bool is_anonymous() const noexcept { return value_.get().empty(); }

  void sign(HttpMethod method, const std::string& url, std::span<const std::byte> body,
            std::vector<HttpHeader>& headers) const override;

 private:
  Replaceable<std::string> value_;
};

struct AwsKeys {
  std::string access_key;  ///< empty for requests without signature
  std::string secret_key;
  std::string session_token;
  std::string region;
  bool pays_as_requester = false;

  bool operator==(const AwsKeys&) const = default;
};

/// AWS Signature Version 4, in the Authorization header.
class SigV4Signer final : public HttpSigner {
 public:
  /// Returns whether they were other ones.
  bool use(AwsKeys keys) { return keys_.set(std::move(keys)); }
  [[nodiscard]] bool is_anonymous() const noexcept { return keys_.get().access_key.empty(); }

  /// A body that is not empty is hashed here only where it goes over plain http and `prepare` has not been called.
  void sign(HttpMethod method, const std::string& url, std::span<const std::byte> body,
            std::vector<HttpHeader>& headers) const override;
  void prepare(HttpRequest& request) const override;

 private:
  Replaceable<AwsKeys> keys_;
};

/// Adds Authorization to headers among which host and date already are; each of them is signed.
///
/// `amz_date` is as in x-amz-date: 20130524T000000Z.  The path in `url` is encoded as it is to be sent.
void sign_aws_v4(const AwsKeys& keys, std::string_view service, std::string_view amz_date, HttpMethod method,
                 std::string_view url, std::string_view payload_hash, std::vector<HttpHeader>& headers);

}  // namespace cvfast::fetch
