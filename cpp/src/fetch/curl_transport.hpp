// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "cvfast/fetch/http_transport.hpp"

namespace cvfast::fetch {

/// The transport of this process: one thread that drives libcurl.  Nothing is started before the first request.
[[nodiscard]] HttpTransport& curl_transport();

}  // namespace cvfast::fetch
