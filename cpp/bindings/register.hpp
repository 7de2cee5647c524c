// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <pybind11/pybind11.h>

namespace py = pybind11;

void register_build_config(py::module_& module);
void register_memory(py::module_& module);
void register_chunk_cache(py::module_& module);
void register_endpoint(py::module_& module);
void register_http_client(py::module_& module);
void register_image(py::module_& module);
void register_mesh(py::module_& module);
void register_objects(py::module_& module);
void register_shm(py::module_& module);
