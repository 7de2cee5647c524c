# SPDX-License-Identifier: BSD-3-Clause
# cvfast_add_cython_module(<dotted.name>) compiles cloudvolume_fast/<dotted/name>.pyx against the static core.
# The depfile that Cython writes tracks every .pxd, so that a changed declaration rebuilds its users.
function(cvfast_add_cython_module name)
  string(REPLACE "." "/" path "${name}")
  get_filename_component(leaf "${path}" NAME)
  get_filename_component(folder "${path}" DIRECTORY)
  string(REPLACE "." "_" target "cython_${name}")
  set(pyx "${PROJECT_SOURCE_DIR}/cloudvolume_fast/${path}.pyx")
  set(cpp "${CMAKE_CURRENT_BINARY_DIR}/cython/${path}.cpp")
  get_filename_component(cpp_folder "${cpp}" DIRECTORY)
  file(MAKE_DIRECTORY "${cpp_folder}")
  add_custom_command(
    OUTPUT "${cpp}"
    COMMAND "${Python_EXECUTABLE}" -m cython --cplus -3 -M -I "${PROJECT_SOURCE_DIR}"
            --module-name "cloudvolume_fast.${name}" --output-file "${cpp}" "${pyx}"
    DEPENDS "${pyx}"
    DEPFILE "${cpp}.dep"
    COMMENT "Cythonizing cloudvolume_fast.${name}"
    VERBATIM)
  python_add_library(${target} MODULE WITH_SOABI "${cpp}")
  set_target_properties(${target} PROPERTIES OUTPUT_NAME "${leaf}" CXX_VISIBILITY_PRESET hidden
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/python/cloudvolume_fast/${folder}")
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/cpp/bindings")
  target_link_libraries(${target} PRIVATE cvfast)
  cvfast_sanitize(${target})
  install(TARGETS ${target} DESTINATION "cloudvolume_fast/${folder}" COMPONENT python)
endfunction()
