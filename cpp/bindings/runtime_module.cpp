// SPDX-License-Identifier: BSD-3-Clause
#include <pybind11/numpy.h>

#include "register.hpp"

PYBIND11_MODULE(_runtime, module, py::mod_gil_not_used()) {
  module.doc() = "Objects of the C++ core that have an identity: see _runtime.pyi.";
  // The first use of numpy's C functions gives up the GIL meanwhile, in a way that a daemon thread would not survive
  // while the interpreter ends.  Here it is in nobody's way.
  (void)py::dtype::of<unsigned char>();
  register_build_config(module);
  register_memory(module);
  register_chunk_cache(module);
  register_http_client(module);
  register_endpoint(module);
  register_image(module);
  register_mesh(module);
  register_objects(module);
  register_shm(module);
}
