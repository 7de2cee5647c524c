# SPDX-License-Identifier: BSD-3-Clause
# Finds libdeflate with or without its own CMake files (Debian 12's 1.14 ships none) and defines libdeflate::libdeflate.
find_path(LIBDEFLATE_INCLUDE_DIR libdeflate.h)
find_library(LIBDEFLATE_LIBRARY NAMES deflate libdeflate)
if(NOT LIBDEFLATE_INCLUDE_DIR OR NOT LIBDEFLATE_LIBRARY)
  # The leading space keeps CMake from folding the line.
  message(FATAL_ERROR " libdeflate not found: install libdeflate-dev (apt), libdeflate-devel (dnf) or libdeflate (brew)")
endif()
if(NOT TARGET libdeflate::libdeflate)
  add_library(libdeflate::libdeflate UNKNOWN IMPORTED)
  set_target_properties(libdeflate::libdeflate PROPERTIES
    IMPORTED_LOCATION "${LIBDEFLATE_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${LIBDEFLATE_INCLUDE_DIR}")
endif()
set(Libdeflate_FOUND TRUE)
