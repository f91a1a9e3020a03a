#!/usr/bin/env bash
# ThreadSanitizer over what runs in several threads: parallel loops, allocator, ranks, loader, and a
# training run with loader threads that is stopped and resumed. A report of a data race fails.
#   tests/threads.sh [--built] [PART...]       (default: runtime data train resume)
# --built takes the programs of build/tsan as they are. Needs clang with its OpenMP library and Archer,
# which tells the sanitizer of the barriers in that library; 77 without. GCC's has no such part, so that
# every loop after another would be reported. A loop with a race, and one without, are tried before
# anything else. tests/threads/suppressions.txt says which reports are not ours.
set -euo pipefail
cd "$(dirname "$0")/.."
built=
parts=()
for argument in "$@"; do
  case $argument in
    --built) built=1 ;;
    runtime | data | train | resume | planted) parts+=("$argument") ;;
    *)
      echo "threads: error: unknown part '$argument'; use runtime, data, train or resume" >&2
      exit 2 ;;
  esac
done
[ ${#parts[@]} -gt 0 ] || parts=(runtime data train resume)

[ -n "$built" ] || cmake/setup.sh clang libclang-rt-14-dev libomp-14-dev libgtest-dev
archer=$(clang++ -print-resource-dir 2>/dev/null || true)/../../libarcher.so
if [ ! -e "$archer" ]; then
  echo "threads: SKIPPED (no clang with libarcher.so)"
  exit 77
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_TOOL_LIBRARIES=$archer OMP_WAIT_POLICY=passive XDG_CACHE_HOME=$work/cache
export TSAN_OPTIONS="exitcode=0 ignore_noninstrumented_modules=1 suppressions=$PWD/tests/threads/suppressions.txt"

# watch PART COMMAND...: runs it, prints how many races were reported, and fails if there are any, or
# if the command fails.
watch() {
  local part=$1 code=0 began=$SECONDS log="$work/$1.log" reports
  shift
  (cd "$work" && "$@") >"$log" 2>&1 || code=$?
  reports=$(grep -c "^WARNING: ThreadSanitizer" "$log" || true)
  if [ "$reports" -gt 0 ]; then
    sed -n '/^WARNING: ThreadSanitizer/,/^SUMMARY/p' "$log" | head -n 60 >&2
    echo "threads: error: $part: $reports reports in $((SECONDS - began)) s" >&2
    return 1
  elif [ "$code" -ne 0 ]; then
    tail -n 20 "$log" >&2
    echo "threads: error: $part: ended with $code" >&2
    return 1
  fi
  echo "threads: $part: no report in $((SECONDS - began)) s"
}

planted=$work/planted_race
clang++ -std=c++20 -O1 -g1 -fopenmp -fsanitize=thread tests/threads/planted.cpp -o "$planted"
watch sound "$planted" >/dev/null
if watch planted "$planted" race 2>"$work/err"; then
  echo "threads: error: the planted race was not reported" >&2
  exit 1
fi
if [ "${parts[*]}" = planted ]; then
  tail -n 1 "$work/err" >&2
  exit 1
fi

if [ -z "$built" ]; then
  cmake --preset tsan >/dev/null
  cmake --build --preset tsan --target test_runtime test_data pal-train make_pictures
fi
build=$PWD/build/tsan
failed=0
train=("$build/bin/pal-train" pictures -b 8 --blocks "1,1" --strides "1,2" --widths "8,8" --image-size 16
  --recalibrate-bn 2 --threads 3 --workers 4 --checkpoint-every 3 -o run --quiet)
"$build/tests/experiments/make_pictures" "$work/pictures" 2 24 20 20
for part in "${parts[@]}"; do
  case $part in
    runtime)
      watch runtime "$build/tests/test_runtime" \
        --gtest_filter='Parallel*:Allocator*:Profiler*:Staging*:Waiting*:Communicator*:Ranks*' ;;
    data)
      watch data "$build/tests/test_data" --gtest_filter='*Prefetcher*:*Loader*:*EncodedShare*:Parallel*:Corrupted*:Variant*:TarShards*:ImageFolder*:OpenDataset*' ;;
    train) watch train "${train[@]}" --max-steps 5 ;;
    resume)
      rm -rf "$work/run"
      (cd "$work" && "${train[@]}" --max-steps 5 >/dev/null 2>&1) || true
      watch resume "$build/bin/pal-train" --resume run --max-steps 9 --quiet ;;
  esac || failed=1
done
exit $failed
