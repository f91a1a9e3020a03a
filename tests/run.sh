#!/usr/bin/env bash
# Installs what is missing, builds everything, runs all tests. Safe to run again.
#   ./tests/run.sh [ctest options]
set -euo pipefail
cd "$(dirname "$0")/.."

cmake/setup.sh libgtest-dev libbenchmark-dev python3
cmake --preset release -DPALINDROME_TESTS=ON -DPALINDROME_BENCH=ON
cmake --build --preset release
ctest --preset release -j "$(nproc)" "$@"
