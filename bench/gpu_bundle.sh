#!/usr/bin/env bash
# Gathers the headers and libraries that Palindrome is built from, as installed by cmake/setup.sh on
# this Debian machine, into one archive, for GPU machines that lack them and cannot install any:
#   bench/gpu_bundle.sh [ARCHIVE]      # default: bench/bundle/libraries.tar.gz, which git ignores
# There: cmake --preset cuda -DPALINDROME_BUNDLE=ARCHIVE (bench/gpu_check.sh finds the default).
# Fails if the archive becomes larger than 45 MB.
set -euo pipefail
cd "$(dirname "$0")/.."
archive=${1:-bench/bundle/libraries.tar.gz}
most_bytes=45000000

packages=(libdnnl-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libfmt-dev libspdlog-dev
  libxxhash-dev librandom123-dev zlib1g-dev libpng-dev libjpeg62-turbo-dev libgtest-dev
  libbenchmark-dev)
# Under the names that programs ask the loader for; libOpenCL is needed by oneDNN.
shared=(libdnnl.so.2 libOpenCL.so.1 libfmt.so.9 libspdlog.so.1.10 libxxhash.so.0 libz.so.1
  libpng16.so.16 libjpeg.so.62 libbenchmark.so.1debian)
static=(libgtest.a libgtest_main.a)
# Headers that nothing of ours includes.
unused='dnnl_(sycl|threadpool)|xxh_x86dispatch'

fail() {
  echo "gpu_bundle: error: $*" >&2
  exit "${status:-4}"
}
command -v dpkg-query >/dev/null || fail "this is no Debian machine (dpkg-query not found)"
architecture=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo "$(uname -m)-linux-gnu")
libraries=/usr/lib/$architecture

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bundle=$work/bundle
mkdir -p "$bundle/include" "$bundle/lib"
for package in "${packages[@]}"; do
  files=$(dpkg-query -L "$package" 2>/dev/null) ||
    fail "the Debian package $package is not installed; cmake/setup.sh libgtest-dev libbenchmark-dev"
  while read -r file; do
    [[ $file == /usr/include/* && -f $file && ! $file =~ $unused ]] || continue
    to=${file#/usr/include/}
    to=$bundle/include/${to#"$architecture"/}
    mkdir -p "$(dirname "$to")"
    cp -L "$file" "$to"
  done <<<"$files"
done
for library in "${shared[@]}"; do
  path=$libraries/$library
  [ -e "$path" ] || path=/lib/$architecture/$library
  [ -e "$path" ] || fail "$library not found in $libraries"
  cp -L "$path" "$bundle/lib/$library"
  strip --strip-unneeded "$bundle/lib/$library"
done
for library in "${static[@]}"; do
  cp "$libraries/$library" "$bundle/lib/"
  strip --strip-debug "$bundle/lib/$library"
done

# What the bundled libraries need beside each other and what comes with any compiler.
for library in "$bundle"/lib/*.so*; do
  objdump -p "$library" | awk '$1 == "NEEDED" {print $2}'
done | sort -u | while read -r needed; do
  case $needed in
    libc.so.* | libm.so.* | libstdc++.so.* | libgcc_s.so.* | libgomp.so.* | ld-linux*) ;;
    *) [ -e "$bundle/lib/$needed" ] || fail "a library needs $needed, which is not bundled" ;;
  esac
done

mkdir -p "$(dirname "$archive")"
tar -C "$work" --owner=0 --group=0 --sort=name -cf - bundle | gzip -9 >"$archive"
bytes=$(stat -c %s "$archive")
echo "$archive: $(find "$bundle" -type f | wc -l) files, $((bytes / 1000)) kB"
[ "$bytes" -le "$most_bytes" ] || status=1 fail "larger than $((most_bytes / 1000000)) MB"
