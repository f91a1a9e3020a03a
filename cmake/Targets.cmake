# pal_rooms_at_once(target sources...): one compiler run for up to eight sources of a room. Names in
# anonymous namespaces must then differ within a room; each source still compiles alone in the other
# builds.
function(pal_rooms_at_once target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  # GCC takes a source that another one includes for a header, where this would be a fault.
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>)
  foreach(source ${ARGN})
    get_filename_component(room ${source} DIRECTORY)
    get_filename_component(room ${room} NAME)
    if(NOT ${room}_size)
      set(${room}_size 0)
    endif()
    math(EXPR part "${${room}_size} / 8")
    math(EXPR ${room}_size "${${room}_size} + 1")
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${room}_${part})
  endforeach()
endfunction()

# pal_exported(target folder): the target as users of the package, or of a project that takes this one
# in, know it: Palindrome::<folder>, libpalindrome_<folder>. Our settings stay ours.
function(pal_exported target folder)
  add_library(Palindrome::${folder} ALIAS ${target})
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:pal_settings>)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/palindrome>)
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${folder} OUTPUT_NAME palindrome_${folder})
endfunction()

# pal_library(folder [SHARED] [LEVELS] [OPTIMIZE level] LINK <as target_link_libraries>): the library
# pal_<folder> of one folder. Only kernels and data need the full optimisation level; a lower one
# elsewhere halves the build. SHARED and LEVELS are for PALINDROME_DISPATCH (Dispatch.cmake).
function(pal_library folder)
  cmake_parse_arguments(ARG "SHARED;LEVELS" "OPTIMIZE" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.cpp
       ${PROJECT_SOURCE_DIR}/${folder}/*/*.cpp)
  # Convolutions and matrix products on a GPU come from NVIDIA's libraries.
  if(NOT PAL_HAS_CUDA OR PALINDROME_EMULATE)
    list(FILTER sources EXCLUDE REGEX "(cudnn|cublaslt)[^/]*\\.cpp$")
  endif()
  set(kind STATIC)
  set(targets pal_${folder})
  if(PALINDROME_DISPATCH AND ARG_SHARED)
    set(kind SHARED)
  endif()
  add_library(pal_${folder} ${kind} ${sources})
  pal_exported(pal_${folder} ${folder})
  if(kind STREQUAL "SHARED")
    pal_dispatched(pal_${folder} ${folder} "")
  endif()
  if(kind STREQUAL "SHARED" AND ARG_LEVELS)
    foreach(level ${PAL_LEVELS})
      add_library(pal_${folder}_${level} SHARED ${sources})
      target_link_libraries(pal_${folder}_${level} PRIVATE pal_settings)
      pal_dispatched(pal_${folder}_${level} ${folder} ${level})
      # Whoever builds the one builds the others.
      add_dependencies(pal_${folder} pal_${folder}_${level})
      list(APPEND targets pal_${folder}_${level})
    endforeach()
  endif()
  foreach(target ${targets})
    target_link_libraries(${target} ${ARG_LINK})
    if(PALINDROME_QUICK)
      set(ARG_OPTIMIZE -O0)
      # Without it the convolutions of tests would take forty times as long as the library's.
      set(products ${sources})
      list(FILTER products INCLUDE REGEX "(winograd|blocked)/.*\\.cpp$")
      set_source_files_properties(${products} PROPERTIES COMPILE_OPTIONS -O2)
    endif()
    if((PALINDROME_QUICK OR PALINDROME_PYTHON OR kind STREQUAL "SHARED") AND NOT folder STREQUAL "kernels")
      pal_rooms_at_once(${target} ${sources})
    endif()
    if(ARG_OPTIMIZE)
      target_compile_options(${target} PRIVATE $<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:${ARG_OPTIMIZE}>)
    endif()
    pal_cuda_sources(${target} ${folder})
  endforeach()
endfunction()

# pal_program(name sources... LINK libraries): an executable in bin/.
function(pal_program name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE pal_settings ${ARG_LINK})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endfunction()
