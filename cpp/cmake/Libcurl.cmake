# SPDX-License-Identifier: BSD-3-Clause
# 7.61 is the oldest that the code is written for: that of the manylinux_2_28 images.
find_package(CURL 7.61 QUIET)
if(NOT CURL_FOUND)
  # The leading space keeps CMake from folding the line.
  message(FATAL_ERROR " libcurl not found: install libcurl4-openssl-dev (apt), libcurl-devel (dnf) or curl (brew)")
endif()
