# Every header must compile alone. Compiling X.cpp shows it for X.h, as include_check.py sees to it
# that X.cpp includes X.h first; here are the others: one generated source per header, in an object
# library.
find_package(Python3 QUIET COMPONENTS Interpreter)
if(Python3_FOUND)
  add_test(NAME tests.include_check
           COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/include_check.py ${PROJECT_SOURCE_DIR})
  add_test(NAME tests.citation_check
           COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/citation_check.py ${PROJECT_SOURCE_DIR})
  add_test(NAME tests.machine_code
           COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/machine_code_test.py)
endif()

set(patterns runtime/*.h kernels/*/*.h autograd/*.h layers/*.h layers/*/*.h data/*/*.h experiments/*/*.h)
list(TRANSFORM patterns PREPEND ${PROJECT_SOURCE_DIR}/)
file(GLOB headers RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS ${patterns})
set(sources)
foreach(header ${headers})
  string(REGEX REPLACE "\\.h$" ".cpp" twin ${header})
  if(NOT EXISTS ${PROJECT_SOURCE_DIR}/${twin})
    string(REGEX REPLACE "[/.]" "_" name ${header})
    set(source ${CMAKE_CURRENT_BINARY_DIR}/headers/${name}.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${header}\"\n" @ONLY)
    list(APPEND sources ${source})
  endif()
endforeach()
add_library(test_headers OBJECT ${sources})
target_link_libraries(test_headers PRIVATE pal_settings pal_experiments oneDNN::oneDNN CLI11::CLI11)
# Nothing of it runs, so it need not be optimised.
target_compile_options(test_headers PRIVATE $<$<CONFIG:Release>:-O0 -g0>)
