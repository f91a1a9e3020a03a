# Compiler settings of all our own targets, carried by one interface target.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(pal_settings INTERFACE)
target_compile_features(pal_settings INTERFACE cxx_std_20)
target_include_directories(pal_settings INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(pal_settings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Werror
  # errno and floating-point traps keep the compiler from vectorising exp, sqrt and rounding;
  # neither changes a value, unlike -ffast-math, which is never used.
  -fno-math-errno -fno-trapping-math)
if(PALINDROME_NATIVE)
  target_compile_options(pal_settings INTERFACE -march=native)
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag(-mprefer-vector-width=512 PAL_HAS_VECTOR_WIDTH)
  if(PAL_HAS_VECTOR_WIDTH)
    target_compile_options(pal_settings INTERFACE -mprefer-vector-width=512)
  endif()
endif()
if(PALINDROME_SANITIZE)
  target_compile_options(pal_settings INTERFACE -fsanitize=address,undefined
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(pal_settings INTERFACE -fsanitize=address,undefined)
endif()
