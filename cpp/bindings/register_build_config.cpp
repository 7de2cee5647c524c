// SPDX-License-Identifier: BSD-3-Clause
#include <libdeflate.h>

#include <string>

#include "cvfast/runtime/thread_pool.hpp"
#include "register.hpp"

#ifndef CVFAST_BUILD_TYPE
#define CVFAST_BUILD_TYPE ""
#endif
#ifndef CVFAST_SANITIZE
#define CVFAST_SANITIZE ""
#endif
#ifndef CVFAST_CXX_FLAGS
#define CVFAST_CXX_FLAGS ""
#endif

void register_build_config(py::module_& module) {
  module.def("build_config", [] {
    py::dict out;
#if defined(__clang__)
    out["compiler"] = "clang " __clang_version__;
#elif defined(__GNUC__)
    out["compiler"] = "gcc " __VERSION__;
#else
    out["compiler"] = "unknown";
#endif
    out["build_type"] = CVFAST_BUILD_TYPE;
    out["cxx_flags"] = CVFAST_CXX_FLAGS;
    out["sanitize"] = CVFAST_SANITIZE;
    out["cxx_standard"] = static_cast<long>(__cplusplus);
    out["libdeflate"] = LIBDEFLATE_VERSION_STRING;
    out["pybind11"] = std::to_string(PYBIND11_VERSION_MAJOR) + "." + std::to_string(PYBIND11_VERSION_MINOR);
    out["threads"] = cvfast::runtime::default_threads();
    return out;
  });
  module.def("default_threads", &cvfast::runtime::default_threads);
}
