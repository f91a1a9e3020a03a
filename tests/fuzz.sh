#!/usr/bin/env bash
# Builds the libFuzzer targets and runs each for some seconds, as many at once as there are cores, with
# the files of tests/badinput and tests/golden as seeds. A crash, a leak, an input that takes over 10
# seconds or 512 MiB fails.
#   tests/fuzz.sh [SECONDS [PARSER...]]       (default: 10; all of jpeg png tar idx safetensors pickle)
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-10}
[ $# -gt 0 ] && shift
parsers=("$@")
[ ${#parsers[@]} -gt 0 ] || parsers=(jpeg png tar idx safetensors pickle)

cmake/setup.sh clang libclang-rt-14-dev libomp-14-dev
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seeds_of() {
  case $1 in
    pickle) echo tests/badinput/pt/* ;;
    *) echo "tests/badinput/$1"/* ;;
  esac
}
fuzz() {  # PARSER
  local parser=$1 file runs
  mkdir "$work/$parser"
  for file in $(seeds_of "$parser"); do cp "$file" "$work/$parser/"; done
  if [ "$parser" = safetensors ]; then cp tests/golden/dct_n4.safetensors "$work/$parser/"; fi
  if ! OMP_NUM_THREADS=1 "build/fuzz/bin/${parser}_fuzz" "$work/$parser" -max_total_time="$seconds" \
    -timeout=10 -rss_limit_mb=512 -malloc_limit_mb=256 -max_len=65536 -print_final_stats=1 \
    -artifact_prefix="$PWD/build/fuzz/" >"$work/$parser.log" 2>&1; then
    tail -n 40 "$work/$parser.log" >&2
    echo "fuzz: error: $parser: a finding; the input lies in build/fuzz" >&2
    return 1
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$parser.log")
  echo "fuzz: $parser: $runs inputs in $seconds s, no finding"
}
export -f fuzz seeds_of
export work seconds
printf '%s\n' "${parsers[@]}" | xargs -P "$(nproc)" -I PARSER bash -c 'set -euo pipefail; fuzz PARSER'
