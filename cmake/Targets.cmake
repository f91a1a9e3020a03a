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

# pal_library(folder [OPTIMIZE level] LINK <as target_link_libraries>): the static library
# pal_<folder> of one folder. Only kernels and data need the full optimisation level; a lower one
# elsewhere halves the build.
function(pal_library folder)
  cmake_parse_arguments(ARG "" "OPTIMIZE" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cpp
       ${CMAKE_SOURCE_DIR}/${folder}/*/*.cpp)
  # Convolutions and matrix products on a GPU come from NVIDIA's libraries.
  if(NOT PAL_HAS_CUDA OR PALINDROME_EMULATE)
    list(FILTER sources EXCLUDE REGEX "(cudnn|cublaslt)[^/]*\\.cpp$")
  endif()
  add_library(pal_${folder} STATIC ${sources})
  target_link_libraries(pal_${folder} PUBLIC pal_settings ${ARG_LINK})
  if(PALINDROME_QUICK)
    set(ARG_OPTIMIZE -O0)
  endif()
  if((PALINDROME_QUICK OR PALINDROME_PYTHON) AND NOT folder STREQUAL "kernels")
    pal_rooms_at_once(pal_${folder} ${sources})
  endif()
  if(ARG_OPTIMIZE)
    target_compile_options(pal_${folder} PRIVATE $<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:${ARG_OPTIMIZE}>)
  endif()
  pal_cuda_sources(pal_${folder} ${folder})
endfunction()

# pal_program(name sources... LINK libraries): an executable in bin/, installed.
function(pal_program name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  install(TARGETS ${name} RUNTIME DESTINATION bin)
endfunction()
