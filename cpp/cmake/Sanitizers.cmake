# SPDX-License-Identifier: BSD-3-Clause
# CVFAST_SANITIZE is a comma separated list as -fsanitize= takes it: "address,undefined" or "thread".
set(CVFAST_SANITIZE "" CACHE STRING "Sanitizers to build with, as -fsanitize= takes them")

function(cvfast_sanitize target)
  if(CVFAST_SANITIZE)
    # Not vptr: to look at a virtual table it opens a pipe for each object it has not met, so that it reports an error of
    # its own where a test uses up all file descriptors.  No class here has a virtual function.
    target_compile_options(${target} PRIVATE -fsanitize=${CVFAST_SANITIZE} -fno-sanitize=vptr -fno-omit-frame-pointer
                                             -fno-sanitize-recover=undefined)
    target_link_options(${target} PRIVATE -fsanitize=${CVFAST_SANITIZE})
  endif()
endfunction()
