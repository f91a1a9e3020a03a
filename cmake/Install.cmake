# What `cmake --install` brings. The component `programs`: the programs with manual pages and completion,
# and the shared libraries of PALINDROME_DISPATCH, if any. `development`: headers, static libraries, what
# find_package and pkg-config need, an example.
set(headers_to ${CMAKE_INSTALL_INCLUDEDIR}/palindrome)
set(package_to ${CMAKE_INSTALL_LIBDIR}/cmake/Palindrome)
set(documents_to ${CMAKE_INSTALL_DATADIR}/doc)
set(libraries runtime kernels autograd layers data experiments)

foreach(library ${libraries} palindrome)
  install(TARGETS pal_${library} EXPORT Palindrome
    ARCHIVE COMPONENT development
    LIBRARY COMPONENT programs NAMELINK_COMPONENT development)
endforeach()
foreach(library ${libraries})
  file(GLOB headers RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS
       ${PROJECT_SOURCE_DIR}/${library}/*.h ${PROJECT_SOURCE_DIR}/${library}/*/*.h)
  # Not those that name libraries which users need not have, nor those behind single programs.
  list(FILTER headers EXCLUDE REGEX "/library/onednn|/philox_math\\.h$|/toml_file\\.h$|/datasets/")
  foreach(header ${headers})
    get_filename_component(room ${header} DIRECTORY)
    install(FILES ${PROJECT_SOURCE_DIR}/${header} DESTINATION ${headers_to}/${room} COMPONENT development)
  endforeach()
endforeach()

# In a folder of their own: with build/bin on PATH, CMake would look for them in build itself, where
# older versions of this file put them.
file(REMOVE ${PROJECT_BINARY_DIR}/PalindromeConfig.cmake ${PROJECT_BINARY_DIR}/PalindromeConfigVersion.cmake)
include(CMakePackageConfigHelpers)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/PalindromeConfig.cmake.in
  ${PROJECT_BINARY_DIR}/package/PalindromeConfig.cmake INSTALL_DESTINATION ${package_to})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/PalindromeConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(EXPORT Palindrome NAMESPACE Palindrome:: DESTINATION ${package_to} COMPONENT development)
install(FILES ${PROJECT_BINARY_DIR}/package/PalindromeConfig.cmake
  ${PROJECT_BINARY_DIR}/package/PalindromeConfigVersion.cmake ${PROJECT_SOURCE_DIR}/cmake/Dependencies.cmake
  ${PROJECT_SOURCE_DIR}/cmake/CudaLibraries.cmake DESTINATION ${package_to} COMPONENT development)

# pkg-config: our libraries are static, so that what they need is always asked for.
file(RELATIVE_PATH PAL_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
set(PAL_EXTRA_FLAGS ${OpenMP_CXX_FLAGS})
set(PAL_EXTRA_LIBRARIES -ldnnl ${OpenMP_CXX_FLAGS})
if(PAL_HAS_GLOO)
  string(APPEND PAL_EXTRA_LIBRARIES " -lgloo")
endif()
if(PAL_HAS_CUDA)
  string(APPEND PAL_EXTRA_FLAGS " -DPAL_CUDA")
  string(APPEND PAL_EXTRA_LIBRARIES " ${CUDNN_LIBRARY} -L${CUDAToolkit_LIBRARY_DIR}"
         " -lcublasLt -lcudart_static -ldl -lrt -lpthread")
endif()
string(REPLACE ";" " " PAL_EXTRA_LIBRARIES "${PAL_EXTRA_LIBRARIES}")
configure_file(${PROJECT_SOURCE_DIR}/cmake/palindrome.pc.in ${PROJECT_BINARY_DIR}/palindrome.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/palindrome.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT development)

install(FILES ${PROJECT_SOURCE_DIR}/experiments/example.cpp
  ${PROJECT_SOURCE_DIR}/cmake/example/CMakeLists.txt
  DESTINATION ${documents_to}/palindrome/examples COMPONENT development)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${documents_to}/palindrome RENAME copyright
        COMPONENT programs)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${documents_to}/libpalindrome-dev RENAME copyright
        COMPONENT development)
