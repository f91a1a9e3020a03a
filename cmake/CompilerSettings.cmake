# Compiler settings of all our own targets, carried by one interface target.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # The tests' precompiled header can be cached only with this sloppiness, and only by the bytes of what
  # it includes: by its preprocessed text a header whose comments alone changed would be answered with
  # an old precompiled header, which GCC no longer takes for the same file.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros
      CCACHE_DEPEND=1 ${CCACHE_PROGRAM})
endif()

add_library(pal_settings INTERFACE)
target_compile_features(pal_settings INTERFACE cxx_std_20)
target_include_directories(pal_settings INTERFACE ${CMAKE_SOURCE_DIR})
# Options of the C++ compiler alone.
function(pal_cxx_options)
  foreach(option ${ARGN})
    target_compile_options(pal_settings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${option}>)
  endforeach()
endfunction()
# Options of nvcc alone.
function(pal_cuda_options)
  foreach(options ${ARGN})
    target_compile_options(pal_settings INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:${options}>")
  endforeach()
endfunction()
if(PALINDROME_WERROR)
  pal_cxx_options(-Werror)
  # A kernel that spills registers or keeps an array in local memory does not build either.
  pal_cuda_options("-Werror all-warnings -Xcompiler=-Werror" "-Xptxas --warning-as-error")
endif()
pal_cxx_options(-pipe -Wall -Wextra -Wpedantic -Wshadow
  # errno and floating-point traps keep the compiler from vectorising exp, sqrt and rounding;
  # neither changes a value, unlike -ffast-math, which is never used.
  -fno-math-errno -fno-trapping-math)
pal_cuda_options("-Xcompiler=-Wall,-Wextra,-Wno-unused-parameter"
  "-Xptxas --warn-on-spills,--warn-on-local-memory-usage"
  --expt-relaxed-constexpr
  # fmt 9 switches constexpr off under nvcc and then does not compile.
  -DFMT_USE_CONSTEXPR=1)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 takes concatenations of std::string for overlapping copies (GCC bug 105651).
  pal_cxx_options(-Wno-restrict)
endif()
if(PALINDROME_NATIVE)
  pal_cxx_options(-march=native)
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag(-mprefer-vector-width=512 PAL_HAS_VECTOR_WIDTH)
  if(PAL_HAS_VECTOR_WIDTH)
    pal_cxx_options(-mprefer-vector-width=512)
  endif()
  # GCC 12.2 with AVX-512 turns a 256-bit constant of equal parts followed by zeros, such as
  # {1.0, 1.0, 0.0, 0.0}, into a broadcast of the part (tests/kernels/compiler_test.cpp). Moving
  # constants in halves avoids it and costs nothing: loops still use full vectors.
  check_cxx_compiler_flag("-mmove-max=128 -mstore-max=128" PAL_HAS_MOVE_MAX)
  if(PAL_HAS_MOVE_MAX)
    pal_cxx_options(-mmove-max=128 -mstore-max=128)
  endif()
endif()
if(PALINDROME_SANITIZE)
  pal_cxx_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(pal_settings INTERFACE -fsanitize=address,undefined)
endif()
