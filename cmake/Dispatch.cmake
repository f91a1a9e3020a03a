# PALINDROME_DISPATCH: packages do not know the processor that they will run on. The libraries with hot
# loops are then shared, and there three times: for any x86-64, and for the levels x86-64-v3 (AVX2, FMA)
# and x86-64-v4 (AVX-512) in folders where glibc's loader looks first on processors of that level
# (glibc-hwcaps, since glibc 2.33). No code of ours chooses, and none of one level can end up in
# another's library, as with several objects in one archive. oneDNN chooses its code by itself.
set(PAL_LEVELS x86-64-v3 x86-64-v4)
set(PAL_LEVEL_OPTIONS_x86-64-v3 -march=x86-64-v3)
set(PAL_LEVEL_OPTIONS_x86-64-v4 -march=x86-64-v4 ${PAL_VECTOR_OPTIONS})

if(PALINDROME_DISPATCH AND NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  message(STATUS "PALINDROME_DISPATCH: not used, as ${CMAKE_SYSTEM_PROCESSOR} has no such levels")
  set(PALINDROME_DISPATCH OFF)
elseif(PALINDROME_DISPATCH AND (PALINDROME_NATIVE OR PAL_HAS_CUDA))
  # Each shared library would have a CUDA runtime of its own.
  message(FATAL_ERROR "PALINDROME_DISPATCH: for builds for any processor, without the CUDA backend: "
                      "-DPALINDROME_NATIVE=OFF -DPALINDROME_CUDA=OFF")
endif()

# pal_dispatched(target folder level): what makes the target one of the shared libraries of a folder:
# that of a level, or for "" that of any processor.
function(pal_dispatched target folder level)
  set(place "")
  set(origin "$ORIGIN")
  if(level)
    set(place /glibc-hwcaps/${level})
    set(origin "$ORIGIN/../..")
    target_compile_options(${target} PRIVATE ${PAL_LEVEL_OPTIONS_${level}})
  endif()
  set_target_properties(${target} PROPERTIES OUTPUT_NAME palindrome_${folder}
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib${place} INSTALL_RPATH "${origin}"
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  # Nobody puts functions of their own in the place of ours: calls inside a library stay inside.
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-fno-semantic-interposition> $<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>)
  if(level AND PALINDROME_INSTALL)
    install(TARGETS ${target} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}${place} NAMELINK_SKIP
            COMPONENT programs)
  endif()
endfunction()
