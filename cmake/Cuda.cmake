# The CUDA backend: whether this build has it, and how. PALINDROME_CUDA is AUTO (nvcc and a GPU are
# both found), ON or OFF. PALINDROME_EMULATE is for tests: the same kernels, compiled by the C++
# compiler, run on the CPU (tests/emulator).
option(PALINDROME_EMULATE "Run the CUDA kernels in the tests' emulator" OFF)
set(PALINDROME_CUDA_ARCHITECTURES "80-real;90-real;90-virtual" CACHE STRING
    "What to compile for; the virtual one serves newer GPUs")

set(PAL_HAS_CUDA OFF)
if(PALINDROME_EMULATE)
  set(PAL_HAS_CUDA ON)
elseif(PALINDROME_CUDA STREQUAL "ON" OR PALINDROME_CUDA STREQUAL "AUTO")
  include(CheckLanguage)
  if(PALINDROME_CUDA STREQUAL "ON" OR EXISTS "/dev/nvidia0")
    check_language(CUDA)
  endif()
  if(CMAKE_CUDA_COMPILER)
    set(PAL_HAS_CUDA ON)
  elseif(PALINDROME_CUDA STREQUAL "ON")
    message(FATAL_ERROR "PALINDROME_CUDA=ON: nvcc not found; put the CUDA Toolkit's bin/ on PATH or "
                        "set CMAKE_CUDA_COMPILER")
  endif()
elseif(NOT PALINDROME_CUDA STREQUAL "OFF")
  message(FATAL_ERROR "PALINDROME_CUDA: expected AUTO, ON or OFF, got ${PALINDROME_CUDA}")
endif()

if(PALINDROME_EMULATE)
  message(STATUS "CUDA backend: emulated on the CPU, for tests")
elseif(PAL_HAS_CUDA)
  # No device code is linked across files, so the compiler check of CMake needs no GPU either.
  set(CMAKE_CUDA_ARCHITECTURES ${PALINDROME_CUDA_ARCHITECTURES})
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  enable_language(CUDA)
  if("cuda_std_20" IN_LIST CMAKE_CUDA_COMPILE_FEATURES)
    set(CMAKE_CUDA_STANDARD 20)
  else()
    # CMake 3.25 does not know that CUDA 13 can.
    string(APPEND CMAKE_CUDA_FLAGS " -std=c++20")
  endif()
  find_package(CUDAToolkit REQUIRED)
  find_path(CUDNN_INCLUDE cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
  find_library(CUDNN_LIBRARY NAMES cudnn libcudnn.so.9
    HINTS ${CUDAToolkit_LIBRARY_DIR} ${CUDNN_INCLUDE}/../lib ${CUDNN_INCLUDE}/../lib64)
  pal_require(CUDNN_INCLUDE "cudnn.h" "of NVIDIA's cuDNN 9")
  pal_require(CUDNN_LIBRARY "libcudnn" "of NVIDIA's cuDNN 9")
  add_library(pal_cuda_libraries INTERFACE)
  target_include_directories(pal_cuda_libraries SYSTEM INTERFACE
    ${CUDAToolkit_INCLUDE_DIRS} ${CUDNN_INCLUDE})
  # The runtime is linked in, so that a machine without a driver still runs everything on its CPU.
  target_link_libraries(pal_cuda_libraries INTERFACE CUDA::cudart_static CUDA::cublasLt ${CUDNN_LIBRARY})
  if(CCACHE_PROGRAM)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  endif()
  message(STATUS "CUDA backend: nvcc ${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}")
else()
  message(STATUS "CUDA backend: not built (PALINDROME_CUDA=${PALINDROME_CUDA})")
endif()

# pal_cuda_sources(target folder): adds the folder's CUDA sources to its library.
function(pal_cuda_sources target folder)
  if(NOT PAL_HAS_CUDA)
    return()
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cu
       ${CMAKE_SOURCE_DIR}/${folder}/*/*.cu)
  target_sources(${target} PRIVATE ${sources})
  target_compile_definitions(${target} PUBLIC PAL_CUDA)
  if(PALINDROME_EMULATE)
    set_source_files_properties(${sources} TARGET_DIRECTORY ${target} PROPERTIES
      LANGUAGE CXX COMPILE_OPTIONS "-x;c++;-O1;-Wno-unknown-pragmas")
    target_compile_definitions(${target} PUBLIC PAL_EMULATE_CUDA)
    target_link_libraries(${target} PUBLIC pal_emulator)
    if(folder STREQUAL "kernels")
      # What stands in for cuDNN and cuBLASLt.
      target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests/emulator/libraries.cpp)
    endif()
  else()
    target_link_libraries(${target} PUBLIC pal_cuda_libraries)
  endif()
endfunction()
