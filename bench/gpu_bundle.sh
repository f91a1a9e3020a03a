#!/usr/bin/env bash
# Makes archives, on a Debian machine prepared by cmake/setup.sh, for GPU machines that lack what
# Palindrome is built from and cannot install any; git ignores bench/bundle.
#   bench/gpu_bundle.sh [ARCHIVE]             headers and libraries to build from; default
#                                             bench/bundle/libraries.tar.gz, 45 MB at most
#   bench/gpu_bundle.sh --programs [ARCHIVE]  what bench/gpu_check.sh quick and more run, for Hopper, with
#                                             the libraries beside NVIDIA's own; needs nvcc and cuDNN;
#                                             default bench/bundle/programs.tar.gz, 25 MB at most
# bench/gpu_check.sh finds both where they lie by default. To build from the first by hand:
# cmake --preset cuda -DPALINDROME_BUNDLE=ARCHIVE.
set -euo pipefail
cd "$(dirname "$0")/.."
what=libraries
if [ "${1:-}" = --programs ]; then
  what=programs
  shift
fi
archive=${1:-bench/bundle/$what.tar.gz}

packages=(libdnnl-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libfmt-dev libspdlog-dev
  libxxhash-dev librandom123-dev zlib1g-dev libpng-dev libjpeg62-turbo-dev libgtest-dev
  libbenchmark-dev)
# Under the names that programs ask the loader for; libOpenCL is needed by oneDNN.
shared=(libdnnl.so.2 libOpenCL.so.1 libfmt.so.9 libspdlog.so.1.10 libxxhash.so.0 libz.so.1
  libpng16.so.16 libjpeg.so.62 libbenchmark.so.1debian)
static=(libgtest.a libgtest_main.a)
# Headers that nothing of ours includes.
unused='dnnl_(sycl|threadpool)|xxh_x86dispatch'
# What comes with any compiler, and what with any Python that has PyTorch.
compiler_has='libc.so.*|libm.so.*|libstdc++.so.*|libgcc_s.so.*|libgomp.so.*|ld-linux*|libdl.so.*|
  libpthread.so.*|librt.so.*'
nvidia_has='libcudnn.so.*|libcublasLt.so.*'
programs=(test_cuda test_cudnn_plans bench_kernels bench_train_step pal-train)
chip=90

fail() {
  echo "gpu_bundle: error: $*" >&2
  exit "${status:-4}"
}
command -v dpkg-query >/dev/null || fail "this is no Debian machine (dpkg-query not found)"
architecture=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo "$(uname -m)-linux-gnu")
libraries=/usr/lib/$architecture

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

copy_shared() {
  local library path
  mkdir -p "$1"
  for library in "${shared[@]}"; do
    path=$libraries/$library
    [ -e "$path" ] || path=/lib/$architecture/$library
    [ -e "$path" ] || fail "$library not found in $libraries"
    cp -L "$path" "$1/$library"
    strip --strip-unneeded "$1/$library"
  done
}

# check_needed FOLDER PATTERNS FILE...: what the files need lies in the folder, or is named so.
check_needed() {
  local folder=$1 patterns=${2//[[:space:]]/} needed
  shift 2
  shopt -s extglob
  while read -r needed; do
    # shellcheck disable=SC2053
    [[ $needed == @($patterns) || -e $folder/$needed ]] ||
      fail "something needs $needed, which is not bundled"
  done < <(for file; do objdump -p "$file"; done | awk '$1 == "NEEDED" {print $2}' | sort -u)
}

make_libraries() {
  local package files file to library
  mkdir -p "$1/include" "$1/lib"
  for package in "${packages[@]}"; do
    files=$(dpkg-query -L "$package" 2>/dev/null) ||
      fail "the Debian package $package is not installed; cmake/setup.sh libgtest-dev libbenchmark-dev"
    while read -r file; do
      [[ $file == /usr/include/* && -f $file && ! $file =~ $unused ]] || continue
      to=${file#/usr/include/}
      to=$1/include/${to#"$architecture"/}
      mkdir -p "$(dirname "$to")"
      cp -L "$file" "$to"
    done <<<"$files"
  done
  copy_shared "$1/lib"
  for library in "${static[@]}"; do
    cp "$libraries/$library" "$1/lib/"
    strip --strip-debug "$1/lib/$library"
  done
  check_needed "$1/lib" "$compiler_has" "$1"/lib/*.so*
}

# For any processor and one GPU: nothing of this machine may be left in them.
make_programs() {
  local build=build/programs program path commit
  # Of what is built, should the tree change meanwhile.
  commit=$(cd bench/gpu && python3 -c 'import machine; print(machine.commit())')
  command -v nvcc >/dev/null || PATH=$PATH:/usr/local/cuda/bin
  command -v nvcc >/dev/null || fail "nvcc not found"
  cmake --preset cuda -B "$build" -DPALINDROME_NATIVE=OFF -DPALINDROME_WERROR=OFF \
    -DPALINDROME_CUDA_ARCHITECTURES=$chip-real -DPALINDROME_TESTS=ON -DPALINDROME_BENCH=ON \
    -DCMAKE_SKIP_RPATH=ON
  # The build runs some of them: they must find NVIDIA's libraries.
  LD_LIBRARY_PATH=$(dirname "$(command -v nvcc)")/../lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} \
    cmake --build "$build" -j "$(nproc)" --target "${programs[@]}"
  mkdir -p "$1/bin"
  for program in "${programs[@]}"; do
    path=$build/bin/$program
    [ -e "$path" ] || path=$build/tests/$program
    strip -o "$1/bin/$program" "$path"
  done
  copy_shared "$1/lib"
  check_needed "$1/lib" "$compiler_has|$nvidia_has" "$1"/bin/* "$1"/lib/*
  cat >"$1/programs.json" <<JSON
{"commit": "$commit",
 "architecture": "sm_$chip", "nvcc": "$(nvcc --version | sed -n 's/.*, V//p')",
 "date": "$(date +%Y-%m-%d)"}
JSON
}

case $what in
  libraries) folder=bundle most_bytes=45000000 ;;
  programs) folder=programs most_bytes=25000000 ;;
esac
"make_$what" "$work/$folder"
mkdir -p "$(dirname "$archive")"
tar -C "$work" --owner=0 --group=0 --sort=name -cf - "$folder" | gzip -9 >"$archive"
bytes=$(stat -c %s "$archive")
echo "$archive: $(find "$work/$folder" -type f | wc -l) files, $((bytes / 1000)) kB"
[ "$bytes" -le "$most_bytes" ] || status=1 fail "larger than $((most_bytes / 1000000)) MB"
