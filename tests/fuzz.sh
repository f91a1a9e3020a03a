#!/usr/bin/env bash
# Builds the libFuzzer targets and runs each for some seconds, or a number of inputs, as many at once as
# there are cores. Seeds are the files of tests/badinput, tests/golden and tests/fuzz/seeds. A crash, a
# leak, an input that takes over 10 seconds, one block of memory over 256 MiB or 512 MiB in all fails.
#   tests/fuzz.sh [SECONDS | --runs N] [--built] [PARSER...]      (default: 10; all parsers)
# --built takes the targets of build/fuzz as they are. The limits are wider than those that hold of the
# parsers alone (1 second, 256 MiB): the sanitizers slow them down and keep freed memory for a while, and
# a busy machine stops them. The longest time and the most memory are printed. The target `planted` has a
# fault, which is found before anything else is tried.
set -euo pipefail
cd "$(dirname "$0")/.."
limit=-max_total_time=10
built=
parsers=()
usage() {
  echo "fuzz: error: $1; use tests/fuzz.sh [SECONDS | --runs N] [--built] [PARSER...]" >&2
  exit 2
}
while [ $# -gt 0 ]; do
  case $1 in
    --runs)
      [[ ${2:-} =~ ^[0-9]+$ ]] || usage "--runs: expected a number"
      limit=-runs=$2
      shift ;;
    --built) built=1 ;;
    -*) usage "unknown option $1" ;;
    *[!0-9]*) parsers+=("$1") ;;
    *) limit=-max_total_time=$1 ;;
  esac
  shift
done
if [ ${#parsers[@]} -eq 0 ]; then
  parsers=(jpeg png exif tar sidecar idx safetensors pickle calibration records csv options suite request)
fi

if [ -z "$built" ]; then
  cmake/setup.sh clang libclang-rt-14-dev libomp-14-dev
  cmake --preset fuzz >/dev/null
  cmake --build --preset fuzz
fi
for parser in "${parsers[@]}"; do
  [ -x "build/fuzz/bin/${parser}_fuzz" ] || usage "no parser $parser"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seeds_of() {  # PARSER
  local folder=$1
  [ "$1" != pickle ] || folder=pt
  find "tests/badinput/$folder" "tests/fuzz/seeds/$1" -type f 2>/dev/null || true
  [ "$1" != safetensors ] || echo tests/golden/dct_n4.safetensors
}
fuzz() {  # PARSER LIMIT
  local parser=$1 log="$work/$1.log" began=$SECONDS
  mkdir -p "$work/$parser"
  seeds_of "$parser" | while IFS= read -r file; do cp "$file" "$work/$parser/"; done
  # 16 MiB of freed memory are kept to find its use; by default 256, which would hide what a parser takes.
  if ! OMP_NUM_THREADS=1 ASAN_OPTIONS=quarantine_size_mb=16 "build/fuzz/bin/${parser}_fuzz" \
    "$work/$parser" "$2" -timeout=10 -rss_limit_mb=512 -malloc_limit_mb=256 -max_len=65536 \
    -print_final_stats=1 -artifact_prefix="$PWD/build/fuzz/$parser-" >"$log" 2>&1; then
    [ "$parser" = planted ] || tail -n 40 "$log" >&2
    local kind
    kind=$(sed -n 's|.*Test unit written to .*/[a-z]*-\([a-z]*\)-[0-9a-f]*$|\1|p' "$log" | tail -n 1)
    echo "fuzz: error: $parser: ${kind:-end}; the input lies in build/fuzz" >&2
    return 1
  fi
  stat_of() { sed -n "s/^stat::$1: *//p" "$log"; }
  echo "fuzz: $parser: $(stat_of number_of_executed_units) inputs in $((SECONDS - began)) s," \
    "slowest $(stat_of slowest_unit_time_sec) s, peak $(stat_of peak_rss_mb) MiB, no finding"
}
export -f fuzz seeds_of
export work

if [ "${parsers[*]}" != planted ]; then
  said=$(fuzz planted -runs=100000 2>&1 || true)
  if [[ $said != *"planted: crash"* ]]; then
    echo "fuzz: error: the planted fault was not found: $said" >&2
    exit 1
  fi
fi
printf '%s\n' "${parsers[@]}" |
  LIMIT=$limit xargs -P "$(nproc)" -I PARSER bash -c 'set -euo pipefail; fuzz PARSER "$LIMIT"'
