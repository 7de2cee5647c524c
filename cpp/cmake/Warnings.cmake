# SPDX-License-Identifier: BSD-3-Clause
option(CVFAST_WERROR "Treat warnings as errors (off for packagers, on in the presets)" OFF)

function(cvfast_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion)
  if(CVFAST_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()
