# Packages by `cpack` in the build folder of the preset `package`: palindrome_*.deb with the programs,
# libpalindrome-dev_*.deb for those who write their own, and a .tar.gz with all of it.
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_PACKAGE_NAME palindrome)
set(CPACK_PACKAGE_VENDOR "The Palindrome authors")
set(CPACK_PACKAGE_CONTACT "The Palindrome authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
string(TOLOWER ${CMAKE_SYSTEM_NAME} system)
set(CPACK_PACKAGE_FILE_NAME palindrome-${PROJECT_VERSION}-${system}-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_STRIP_FILES ON)

set(CPACK_COMPONENTS_ALL programs development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME palindrome)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SECTION science)
set(CPACK_COMPONENT_PROGRAMS_DESCRIPTION
"Trains, evaluates and explains generative classifiers, networks that learn how
likely an image is under each class: they classify, say how sure that is, tell
images of another kind from those they know, and generate images of a class.

These are the programs pal-train, pal-evaluate, pal-classify and others.")
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/lib)
# Which package brings the shared libraries, and that the loader's cache must learn of them.
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ${PALINDROME_DISPATCH})
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY =)

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libpalindrome-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION
"A deep-learning engine in C++20, with tensors, gradients, blocks that can be
run backwards, data sets and measures.

These are headers, libraries, and an example for find_package(Palindrome) and
pkg-config.")
list(JOIN PAL_DEBIAN_PACKAGES ", " needed)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
    "palindrome (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}), ${needed}")
include(CPack)
