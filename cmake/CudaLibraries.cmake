# NVIDIA's libraries behind the CUDA backend, as the target pal_cuda_libraries. The package's
# configuration file includes this one, too.
find_package(CUDAToolkit QUIET)
pal_require(CUDAToolkit_FOUND "the CUDA Toolkit" "nvidia-cuda-toolkit, or NVIDIA's own")
find_path(CUDNN_INCLUDE cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
find_library(CUDNN_LIBRARY NAMES cudnn libcudnn.so.9
  HINTS ${CUDAToolkit_LIBRARY_DIR} ${CUDNN_INCLUDE}/../lib ${CUDNN_INCLUDE}/../lib64)
pal_require(CUDNN_INCLUDE "cudnn.h" "of NVIDIA's cuDNN 9")
pal_require(CUDNN_LIBRARY "libcudnn" "of NVIDIA's cuDNN 9")
if(CUDNN_LIBRARY AND NOT TARGET pal_cuda_libraries)
  add_library(pal_cuda_libraries INTERFACE IMPORTED GLOBAL)
  target_include_directories(pal_cuda_libraries SYSTEM INTERFACE
    ${CUDAToolkit_INCLUDE_DIRS} ${CUDNN_INCLUDE})
  # The runtime is linked in, so that a machine without a driver still runs everything on its CPU.
  target_link_libraries(pal_cuda_libraries INTERFACE CUDA::cudart_static CUDA::cublasLt ${CUDNN_LIBRARY})
endif()
