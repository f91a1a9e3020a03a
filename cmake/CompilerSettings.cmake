# Compiler settings of all our own targets, carried by one interface target.
if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # The tests' precompiled header can be cached only with this sloppiness, and only by the bytes of what
  # it includes: by its preprocessed text a header whose comments alone changed would be answered with
  # an old precompiled header, which GCC no longer takes for the same file.
  # Another clone or worktree of the project finds what this one has compiled: paths below it count from
  # its root.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros
      CCACHE_DEPEND=1 CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE_PROGRAM})
endif()

include(CheckCXXCompilerFlag)
add_library(pal_settings INTERFACE)
target_compile_features(pal_settings INTERFACE cxx_std_20)
target_include_directories(pal_settings INTERFACE ${PROJECT_SOURCE_DIR})
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
# Options for processors with wide vectors.
set(PAL_VECTOR_OPTIONS)
check_cxx_compiler_flag(-mprefer-vector-width=512 PAL_HAS_VECTOR_WIDTH)
if(PAL_HAS_VECTOR_WIDTH)
  list(APPEND PAL_VECTOR_OPTIONS -mprefer-vector-width=512)
endif()
# GCC 12.2 with AVX-512 turns a 256-bit constant of equal parts followed by zeros, such as
# {1.0, 1.0, 0.0, 0.0}, into a broadcast of the part (tests/kernels/compiler_test.cpp). Moving
# constants in halves avoids it and costs nothing: loops still use full vectors.
check_cxx_compiler_flag("-mmove-max=128 -mstore-max=128" PAL_HAS_MOVE_MAX)
if(PAL_HAS_MOVE_MAX)
  list(APPEND PAL_VECTOR_OPTIONS -mmove-max=128 -mstore-max=128)
endif()
if(PALINDROME_NATIVE)
  pal_cxx_options(-march=native ${PAL_VECTOR_OPTIONS})
endif()
if(PALINDROME_SANITIZE)
  pal_cxx_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(pal_settings INTERFACE -fsanitize=address,undefined)
endif()
if(PALINDROME_TSAN)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "PALINDROME_TSAN: only clang's OpenMP library tells ThreadSanitizer of its "
                        "barriers; use the preset tsan")
  endif()
  pal_cxx_options(-fsanitize=thread -fno-omit-frame-pointer -Wno-pass-failed)
  target_link_options(pal_settings INTERFACE -fsanitize=thread)
endif()
# The level of code whose speed does not matter.
set(PAL_UNOPTIMISED -O0)

# For programs that read files of strangers: a fault that a check sees ends the program instead of being
# used. Containers check their indices, copies the size of where they go; the stack is guarded; code and
# tables of functions lie at random places that nobody can write to.
if(PALINDROME_HARDENED)
  if(PALINDROME_SANITIZE OR PALINDROME_QUICK)
    message(FATAL_ERROR "PALINDROME_HARDENED: the sanitizers check the same, and nothing is checked in "
                        "code that is not optimised; choose one")
  endif()
  pal_cxx_options(-D_GLIBCXX_ASSERTIONS -U_FORTIFY_SOURCE
    $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=3>
    -fstack-protector-strong $<$<NOT:$<STREQUAL:$<TARGET_PROPERTY:TYPE>,SHARED_LIBRARY>>:-fPIE>)
  foreach(option -fstack-clash-protection -fcf-protection)
    string(MAKE_C_IDENTIFIER "PAL_HAS${option}" known)
    check_cxx_compiler_flag(${option} ${known})
    if(${known})
      pal_cxx_options(${option})
    endif()
  endforeach()
  # The C library checks nothing in code that is not optimised, and warns of it.
  set(PAL_UNOPTIMISED -O1)
  target_link_options(pal_settings INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack
    $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-pie>)
endif()
