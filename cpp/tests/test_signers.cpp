// SPDX-License-Identifier: BSD-3-Clause
//
// SHA-256 by FIPS 180-4 and RFC 4231; signatures by the examples that AWS publishes for S3 ("Authenticating Requests:
// Using the Authorization Header").
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "../src/fetch/sha256.hpp"
#include "cvfast/fetch/endpoint.hpp"
#include "cvfast/fetch/signers.hpp"

namespace {

namespace fetch = cvfast::fetch;
using fetch::HttpHeader;
using fetch::HttpMethod;

std::span<const std::byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string sha256_hex(std::string_view text) { return fetch::to_hex(fetch::sha256(bytes_of(text))); }

TEST(Sha256, AgreesWithPublishedDigests) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesOfAnyLengthGiveTheSame) {
  const std::string text(200, 'x');
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    fetch::Sha256 hash;
    hash.update(bytes_of(std::string_view(text).substr(0, cut)));
    hash.update(bytes_of(std::string_view(text).substr(cut)));
    EXPECT_EQ(fetch::to_hex(hash.finish()), sha256_hex(text)) << cut;
  }
}

TEST(Sha256, HmacAgreesWithRfc4231) {
  const auto hmac = [](std::string_view key, std::string_view data) {
    return fetch::to_hex(fetch::hmac_sha256(bytes_of(key), bytes_of(data)));
  };
  EXPECT_EQ(hmac(std::string(20, '\x0b'), "Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hmac("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hmac(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

constexpr std::string_view kDate = "20130524T000000Z";
constexpr std::string_view kEmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fetch::AwsKeys example_keys() {
  return {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "", "us-east-1", false};
}

std::string authorization(HttpMethod method, std::string_view url, std::string_view hash,
                          std::vector<HttpHeader> headers) {
  headers.push_back({"Host", "examplebucket.s3.amazonaws.com"});
  headers.push_back({"x-amz-content-sha256", std::string(hash)});
  headers.push_back({"x-amz-date", std::string(kDate)});
  fetch::sign_aws_v4(example_keys(), "s3", kDate, method, url, hash, headers);
  return headers.back().value;
}

std::string signature(const std::string& value) { return value.substr(value.rfind('=') + 1); }

TEST(SigV4, SignsTheExampleOfGetObject) {
  const std::string value = authorization(HttpMethod::kGet, "https://examplebucket.s3.amazonaws.com/test.txt",
                                          kEmptyHash, {{"Range", "bytes=0-9"}});
  EXPECT_EQ(value,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SigV4, SignsTheExampleOfPutObject) {
  const std::string hash = sha256_hex("Welcome to Amazon S3.");
  EXPECT_EQ(hash, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
  std::string url = "https://examplebucket.s3.amazonaws.com/";
  fetch::append_percent_encoded("test$file.text", false, url);
  const std::string value =
      authorization(HttpMethod::kPut, url, hash,
                    {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}});
  EXPECT_EQ(signature(value), "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(SigV4, SignsTheExampleOfABucketsLifecycle) {
  const std::string value =
      authorization(HttpMethod::kGet, "https://examplebucket.s3.amazonaws.com/?lifecycle", kEmptyHash, {});
  EXPECT_EQ(signature(value), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST(SigV4, SignsTheExampleOfListingObjects) {
  for (const char* const query : {"?max-keys=2&prefix=J", "?prefix=J&max-keys=2"}) {
    const std::string value =
        authorization(HttpMethod::kGet, "https://examplebucket.s3.amazonaws.com/" + std::string(query), kEmptyHash, {});
    EXPECT_EQ(signature(value), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7") << query;
  }
}

std::string value_of(const std::vector<HttpHeader>& headers, std::string_view name) {
  for (const HttpHeader& header : headers) {
    if (header.name == name) return header.value;
  }
  return {};
}

TEST(SigV4Signer, AddsNothingWithoutKeys) {
  const fetch::SigV4Signer signer;
  std::vector<HttpHeader> headers{{"x-amz-content-sha256", "of a body"}, {"Cache-Control", "no-cache"}};
  signer.sign(HttpMethod::kGet, "https://h/b/k", {}, headers);
  ASSERT_EQ(headers.size(), 1U);
  EXPECT_EQ(headers[0].name, "Cache-Control");
}

TEST(SigV4Signer, SendsTokenAndRequesterPays) {
  fetch::SigV4Signer signer;
  EXPECT_TRUE(signer.use({"A", "S", "T", "eu-central-1", true}));
  EXPECT_FALSE(signer.use({"A", "S", "T", "eu-central-1", true}));
  std::vector<HttpHeader> headers;
  signer.sign(HttpMethod::kGet, "http://host:9000/b/k", {}, headers);
  EXPECT_EQ(value_of(headers, "x-amz-security-token"), "T");
  EXPECT_EQ(value_of(headers, "x-amz-request-payer"), "requester");
  EXPECT_EQ(value_of(headers, "x-amz-content-sha256"), kEmptyHash);
  EXPECT_EQ(value_of(headers, "host"), "");  // the transport's
  const std::string value = value_of(headers, "Authorization");
  EXPECT_NE(value.find("/eu-central-1/s3/aws4_request, "
                       "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-request-payer;x-amz-security-token,"),
            std::string::npos)
      << value;
}

TEST(SigV4Signer, HashesBodiesOnlyWhereNothingElseProtectsThem) {
  fetch::SigV4Signer signer;
  signer.use({"A", "S", "", "us-east-1", false});
  const auto hash = [&](const std::string& url, bool is_prepared) {
    fetch::HttpRequest request;
    request.method = HttpMethod::kPut;
    request.url = url;
    request.body = bytes_of("abc");
    if (is_prepared) signer.prepare(request);
    signer.sign(request.method, request.url, request.body, request.headers);
    return value_of(request.headers, "x-amz-content-sha256");
  };
  for (const bool is_prepared : {false, true}) {
    EXPECT_EQ(hash("https://h/b/k", is_prepared), "UNSIGNED-PAYLOAD");
    EXPECT_EQ(hash("http://h/b/k", is_prepared), sha256_hex("abc"));
  }
}

TEST(AuthorizationSigner, KeysMayBeReplacedWhileOthersSign) {
  fetch::AuthorizationSigner signer;
  EXPECT_TRUE(signer.is_anonymous());
  std::thread writer([&] {
    for (int i = 0; i < 1000; ++i) signer.use("Bearer " + std::string(40, static_cast<char>('a' + i % 26)));
  });
  for (int i = 0; i < 20000; ++i) {
    std::vector<HttpHeader> headers;
    signer.sign(HttpMethod::kGet, "http://h/", {}, headers);
    if (headers.empty()) continue;
    const std::string& value = headers[0].value;
    ASSERT_EQ(value.size(), 47U);
    ASSERT_EQ(value.find_first_not_of(value.back(), 7), std::string::npos) << value;
  }
  writer.join();
  EXPECT_FALSE(signer.is_anonymous());
  signer.use("");
  std::vector<HttpHeader> headers;
  signer.sign(HttpMethod::kGet, "http://h/", {}, headers);
  EXPECT_TRUE(headers.empty());
}

TEST(Endpoint, TellsAbsenceFromProhibition) {
  fetch::Endpoint endpoint;
  const auto is_absent = [&](fetch::HttpState state, int status, const char* code) {
    fetch::HttpResult result;
    result.state = state;
    result.status = status;
    result.error_code = code;
    return endpoint.is_absent(result);
  };
  using enum fetch::HttpState;
  for (const bool hides : {false, true}) {
    endpoint.is_forbidden_missing = hides;
    EXPECT_TRUE(is_absent(kMissing, 404, ""));
    EXPECT_FALSE(is_absent(kData, 200, ""));
    EXPECT_FALSE(is_absent(kFailed, 401, ""));
    EXPECT_FALSE(is_absent(kFailed, 500, "AccessDenied"));
    EXPECT_FALSE(is_absent(kFailed, 403, "InvalidAccessKeyId"));
    EXPECT_FALSE(is_absent(kFailed, 403, "SignatureDoesNotMatch"));
    EXPECT_EQ(is_absent(kFailed, 403, ""), hides);
    EXPECT_EQ(is_absent(kFailed, 403, "AccessDenied"), hides);
    EXPECT_EQ(is_absent(kFailed, 403, "forbidden"), hides);
  }
}

}  // namespace
