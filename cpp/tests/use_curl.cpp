// SPDX-License-Identifier: BSD-3-Clause
#include "../src/fetch/curl_transport.hpp"
#include "cvfast/fetch/http_transport.hpp"

namespace {

const bool is_ready = [] {
  cvfast::fetch::http::use_transport(cvfast::fetch::curl_transport());
  return true;
}();

}  // namespace
