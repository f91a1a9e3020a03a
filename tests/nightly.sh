#!/usr/bin/env bash
# What takes too long for every submission. Each part can be run alone:
#   tests/nightly.sh [reliability|sanitizers|fuzz|machine-code|package|onnx|python|tidy|all]   (default: all)
# PAL_FUZZ_MINUTES (10): time for each parser, and for mutated files. PAL_PYTHON_VENV: a virtual environment
# for the Python package, which may have PyTorch already; else a new one, which fetches it.
set -euo pipefail
cd "$(dirname "$0")/.."
part=${1:-all}
wanted() { [ "$part" = all ] || [ "$part" = "$1" ]; }

case $part in all | reliability | sanitizers | fuzz | machine-code | package | onnx | python | tidy) ;; *)
  echo "nightly: error: unknown part '$part'; use reliability, sanitizers, fuzz, machine-code, package, onnx, python, tidy or all" >&2
  exit 2 ;;
esac

# All of RELIABILITY.md: kills, faults of calls, deaths of ranks, a million mutated inputs of each parser,
# ThreadSanitizer, hostile files.
if wanted reliability; then
  cmake/setup.sh libgtest-dev python3 strace gdb openmpi-bin faketime
  cmake --preset release -DPALINDROME_TESTS=ON >/dev/null
  cmake --build --preset release
  cmake --preset package >/dev/null
  cmake --build --preset package
  tests/reliability.sh --json build/reliability.json
  echo "nightly: reliability passed"
fi

# Everything under AddressSanitizer and UndefinedBehaviorSanitizer, CUDA kernels in the emulator.
if wanted sanitizers; then
  cmake/setup.sh libgtest-dev python3
  cmake --preset emulated -DPALINDROME_TESTS=ON
  cmake --build --preset emulated
  ctest --preset emulated -j "$(nproc)"
  echo "nightly: sanitizers passed"
fi

# libFuzzer on every parser; then mutations of the files in tests/badinput and tests/golden, to which
# pal-inspect must answer 0 or 3 under the sanitizers, each within 10 seconds.
if wanted fuzz; then
  minutes=${PAL_FUZZ_MINUTES:-10}
  tests/fuzz.sh $((60 * minutes))
  cmake/setup.sh python3
  cmake --preset asan -DPALINDROME_TESTS=OFF >/dev/null
  cmake --build --preset asan --target pal-inspect
  python3 tests/mutate.py "$PWD/build/asan/bin/pal-inspect" tests/badinput tests/golden "$minutes"
  echo "nightly: fuzz passed"
fi

# The CUDA kernels' machine code for every GPU that is built for; SKIPPED without nvcc or nvdisasm.
if wanted machine-code; then
  for arch in sm_80 sm_90; do
    bench/kernels/sass_table.py --check --arch $arch || [ $? -eq 77 ]
  done
  echo "nightly: machine-code passed"
fi

# Networks of every kind in onnxruntime, which comes from PyPI; the ImageNet network among them.
if wanted onnx; then
  cmake/setup.sh python3 python3-venv dataset-fashion-mnist
  cmake --preset release >/dev/null
  cmake --build --preset release --target pal-train pal-evaluate pal-classify pal-convert
  python3 -m venv build/onnx
  build/onnx/bin/pip install --quiet numpy onnx onnxruntime xxhash
  PALINDROME_PYTHON=$PWD/build/onnx/bin/python PAL_ONNX_LARGE=1 \
    bash tests/experiments/onnx_test.sh build/release/bin .
  echo "nightly: onnx passed"
fi

# The packages, in an empty Debian; SKIPPED without root, debootstrap or a mirror.
if wanted package; then
  cmake/setup.sh debootstrap dpkg-dev
  tests/package.sh || [ $? -eq 77 ]
  echo "nightly: package passed"
fi

# The Python package as users install it, but for this processor, as the programs are that it is compared
# with; its tests, and its examples with the tools that they are written for. Needs a package index.
if wanted python; then
  cmake/setup.sh python3-dev python3-venv libgtest-dev
  cmake --preset release -DPALINDROME_TESTS=ON >/dev/null
  cmake --build --preset release --target pal-train pal-evaluate pal-classify pal-attack pal-ood
  temporary=$(mktemp -d)
  trap 'rm -rf "$temporary"' EXIT
  venv=${PAL_PYTHON_VENV:-$temporary/venv}
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  "$venv/bin/pip" wheel --quiet --no-deps -C cmake.define.PALINDROME_NATIVE=ON -w "$temporary" ./experiments/python
  wheel=$(echo "$temporary"/palindrome-*.whl)
  "$venv/bin/pip" install --quiet --force-reinstall --no-deps "$wheel"
  "$venv/bin/pip" install --quiet numpy pytest torch pytorch-ood torchattacks captum
  echo "$(basename "$wheel"): $(stat -c %s "$wheel") bytes"
  "$venv/bin/python" experiments/python/import_time.py
  (cd / && "$venv/bin/python" -c "import palindrome; assert palindrome.native")
  PALINDROME_PROGRAMS=$PWD/build/release/bin "$venv/bin/python" -m pytest -q -p no:cacheprovider experiments/python
  if [ -d /usr/share/datasets/fashion-mnist ]; then
    for example in ood_metrics attack infidelity; do
      echo "$example.py"
      "$venv/bin/python" experiments/python/examples/$example.py
    done
    build/release/bin/pal-ood experiments/results/fashion-beta1.safetensors --dataset fashion-mnist \
      --against vflip inverted --scores one-tailed --quiet
  else
    echo "python: examples SKIPPED (no Fashion-MNIST: Debian's dataset-fashion-mnist)"
  fi
  echo "nightly: python passed"
fi

if wanted tidy; then
  cmake/setup.sh clang clang-format clang-tidy libomp-14-dev libgtest-dev libbenchmark-dev
  git ls-files '*.h' '*.cpp' '*.cu' '*.cuh' | xargs clang-format --dry-run -Werror
  # As clang would compile it: GCC's own flags are errors to clang-tidy.
  cmake --preset release -B build/tidy -DCMAKE_CXX_COMPILER=clang++ -DPALINDROME_TESTS=ON \
    -DPALINDROME_BENCH=ON >/dev/null
  git ls-files '*.cpp' | grep -v '^tests/\|^bench/libtorch/' | xargs -P "$(nproc)" -n 4 clang-tidy -p build/tidy --quiet
  echo "nightly: tidy passed"
fi
