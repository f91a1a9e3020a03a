#!/usr/bin/env bash
# What `cmake --install` brings is enough for other people's programs:
#   tests/install_test.sh BUILD_FOLDER SOURCE_FOLDER
# Installs headers and libraries of a build into an empty folder; builds and runs the example against
# them by find_package and by pkg-config; compiles all installed headers; asks for what is not there;
# configures a project that takes the sources in.
set -euo pipefail
build=$1 source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() {
  echo "install_test: $*" >&2
  exit 1
}
# quietly COMMAND...: its output only if it fails.
quietly() {
  "$@" >log 2>&1 || { cat log >&2; fail "$* failed"; }
}
# refuses TEXT COMMAND...: it fails and says so.
refuses() {
  local text=$1
  shift
  if "$@" >log 2>&1; then fail "$* succeeded"; fi
  tr -s ' \n' ' ' <log | grep -qF -- "$text" || { cat log >&2; fail "expected: $text"; }
}

quietly cmake --install "$build" --prefix "$work/usr" --component development
if compgen -G "$build/lib/*.so" >/dev/null; then
  quietly cmake --install "$build" --prefix "$work/usr" --component programs
fi
[ -z "$(find usr -name '*.cu*' -o -name '*_test.*' -o -name '*.cpp' ! -name example.cpp)" ] ||
  fail "more is installed than belongs there"
example=$work/usr/share/doc/palindrome/examples
unset CXXFLAGS LDFLAGS
export CMAKE_GENERATOR=Ninja CMAKE_PREFIX_PATH=$work/usr OMP_WAIT_POLICY=passive

quietly cmake -S "$example" -B find -DCMAKE_BUILD_TYPE=Debug
quietly cmake --build find
# runs PROGRAM: the example trains, evaluates and draws.
runs() {
  rm -f samples.png
  "$1" >out
  [ "$(grep -c '^step .*: loss -\?[0-9.]*$' out)" -eq 10 ] || fail "$1: expected ten steps"
  grep -q '^accuracy [0-9.]* %, [0-9.]* bits per dimension$' out || fail "$1: no evaluation"
  [ "$(head -c 4 samples.png | tail -c 3)" = PNG ] || fail "$1: no picture"
}
runs find/example
cp out first
# With the build's programs on PATH, CMake looks beside them too.
(unset CMAKE_PREFIX_PATH && PATH=$build/bin:$PATH quietly cmake -S "$example" -B find_with_path \
  "-DCMAKE_SYSTEM_PREFIX_PATH=$work/usr;/usr/local;/usr")

config=$(dirname "$(find usr -name palindrome.pc)")
flags=$(PKG_CONFIG_PATH=$work/$config pkg-config --cflags --libs palindrome)
# shellcheck disable=SC2086
quietly g++ "$example/example.cpp" $flags -o with_pkg_config
LD_LIBRARY_PATH=$(dirname "$config") runs ./with_pkg_config
cmp first out || fail "the two examples do not agree"

every=$work/headers.cc
(cd usr/include/palindrome && find . -name '*.h' | sed 's|^\./|#include "|; s|$|"|' | sort) >"$every"
[ "$(wc -l <"$every")" -gt 200 ] || fail "few headers are installed"
# shellcheck disable=SC2086
quietly g++ -fsyntax-only $flags -Wall -Wextra -Werror "$every"

# ask FOLDER LINES [OPTIONS]: configures a project of these lines.
ask() {
  mkdir -p "$1"
  printf '%s\n' "cmake_minimum_required(VERSION 3.25)" "project(Asked LANGUAGES CXX)" "$2" >"$1/CMakeLists.txt"
  cmake -S "$1" -B "$1/build" "${@:3}"
}
quietly ask asked 'find_package(Palindrome COMPONENTS experiments)
if(NOT TARGET Palindrome::layers OR NOT DEFINED Palindrome_CUDA)
  message(FATAL_ERROR "not all is there")
endif()'
refuses 'compatible with requested version "0.2"' ask asked 'find_package(Palindrome 0.2 REQUIRED)'
refuses "Palindrome has no component pictures: expected runtime, kernels" \
  ask asked 'find_package(Palindrome REQUIRED COMPONENTS layers pictures)'
refuses "Palindrome needs libpng: install the Debian package libpng-dev" \
  ask asked 'find_package(Palindrome REQUIRED)' -DCMAKE_DISABLE_FIND_PACKAGE_PNG=ON

# A project that takes ours in keeps its own options, and gets no tests.
quietly ask taken "enable_testing()
add_subdirectory($source palindrome)
add_executable(asked $example/example.cpp)
target_link_libraries(asked PRIVATE Palindrome::palindrome)" \
  -DCMAKE_EXPORT_COMPILE_COMMANDS=ON -DPALINDROME_CUDA=OFF
(cd taken/build && ctest -N) | grep -q "^Total Tests: 0$" || fail "our tests are theirs, too"
commands=taken/build/compile_commands.json
if grep -q -e -Werror "$commands"; then fail "warnings are errors in a project of others"; fi
if grep 'examples/.*\.cpp' "$commands" | grep -q -e -Wall -e -march; then
  fail "our options are theirs, too"
fi
echo "install_test: passed"
