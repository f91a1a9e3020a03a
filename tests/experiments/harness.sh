# What the tests of whole programs share. NAME_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER begins with
#   source "$(dirname "$0")/harness.sh" "$@"
# and then stands in an empty folder, $scratch, that is removed at its end. `run` leaves what a program
# wrote in the files out and err, its exit code in $code and its name in $program; the checks that
# follow look there. A check that fails prints a line "FAILED: WHAT: ..." and the test goes on, so that
# one run tells everything; a command of the test itself that fails ends it, as a failure. The last
# line of a test is finish_test. Bash, with `set -euo pipefail`.
set -euo pipefail
programs=$(realpath "$1")
source_folder=$(realpath "$2")

scratch=$(mktemp -d)
cd "$scratch"
# No data sets, caches and number of threads from outside.
unset PALINDROME_DATA
export XDG_CACHE_HOME=$scratch/cache OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive

seconds=60       # how long a program may run
address_space=   # KiB of addresses that a program may use; empty: any number
checks=0
failures=0
skipped=0
finished=

# leave: runs when the test ends, in whatever way.
leave() {
  local status=$?
  kill -KILL $(jobs -p) 2>/dev/null || true
  rm -rf "$scratch"
  [ -n "$finished" ] && return
  echo "FAILED: the test broke off after $checks checks with status $status: $1"
  exit 1
}
trap 'leave "$BASH_COMMAND"' EXIT

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# skip_part WHAT REASON: says that a part of the test does not run here.
skip_part() {
  echo "$1: SKIPPED ($2)"
  skipped=$((skipped + 1))
}

# skip_test REASON: ends a test that cannot run here.
skip_test() {
  finished=yes
  echo "$(basename "$0" .sh): SKIPPED ($1)"
  exit 77
}

# has_module MODULE: whether $python has it.
has_module() {
  "$python" -c "import importlib.util, sys; sys.exit(not importlib.util.find_spec('$1'))" 2>/dev/null
}

# find_python MODULE...: $python is one that has them, PALINDROME_PYTHON or python3; else skips the test.
find_python() {
  local module
  python=${PALINDROME_PYTHON:-python3}
  for module; do
    has_module "$module" ||
      skip_test "$python has no $module; PALINDROME_PYTHON may name another Python"
  done
}

# finish_test MESSAGE: the last line of a test.
finish_test() {
  finished=yes
  if [ "$failures" != 0 ]; then
    echo "$(basename "$0" .sh): $failures of $checks checks failed"
    exit 1
  fi
  echo "$1: $checks checks$([ "$skipped" = 0 ] || echo ", parts SKIPPED: $skipped")"
}

# Programs.

# run PROGRAM ARGUMENTS
run() {
  program=$1
  shift
  code=0
  (
    # The sanitizers reserve terabytes of addresses, so the limit is only set for plain programs.
    [ -n "${PAL_NO_MEMORY_LIMIT:-}" ] || [ -z "$address_space" ] || ulimit -v "$address_space"
    exec timeout "$seconds" "$programs/$program" "$@"
  ) >out 2>err || code=$?
}

# succeeds PROGRAM ARGUMENTS: exit code 0.
succeeds() {
  run "$@"
  expect_code 0 "$*"
}

# refuses CODE TEXT PROGRAM ARGUMENTS: as expect_refusal.
refuses() {
  local wanted=$1 text=$2
  shift 2
  run "$@"
  expect_refusal "$wanted" "$text" "$*"
}

# Checks. WHAT names the case in the line of a failure.

# expect WHAT COMMAND ARGUMENTS: the command succeeds.
expect() {
  local what=$1
  shift
  checks=$((checks + 1))
  "$@" || fail "$what"
}

# expect_not WHAT COMMAND ARGUMENTS: the command fails.
expect_not() {
  local what=$1
  shift
  checks=$((checks + 1))
  ! "$@" || fail "$what"
}

# expect_equal WANTED FOUND WHAT
expect_equal() {
  expect "$3: expected $1, got $2" [ "$1" = "$2" ]
}

# expect_code CODE WHAT
expect_code() {
  expect "$2: exit code $code, expected $1: $(tail -n 3 err)" [ "$code" = "$1" ]
}

# expect_refusal CODE TEXT WHAT: the exit code, and one error line, the last on stderr, that holds TEXT.
expect_refusal() {
  local line
  expect_code "$1" "$3"
  line=$(grep "^$program: error: " err || true)
  expect "$3: expected one error line at the end, got: $(tail -n 5 err)" \
    [ "${line:-none}" = "$(tail -n 1 err)" ]
  expect "$3: no '$2' in: $line" grep -qF -- "$2" <<<"$line"
}

# expect_lone_error CODE TEXT WHAT: the same, with nothing else on stderr and TEXT at the beginning.
expect_lone_error() {
  expect_refusal "$1" "$program: error: $2" "$3"
  expect_lines 1 err "$3"
}

# expect_text TEXT FILE WHAT: a line of the file holds the text.
expect_text() {
  expect "$3: no '$1' in: $(cat "$2")" grep -qF -- "$1" "$2"
}

# expect_match PATTERN FILE WHAT: a line of the file matches the basic regular expression.
expect_match() {
  expect "$3: nothing like '$1' in: $(cat "$2")" grep -q -- "$1" "$2"
}

# expect_lines COUNT FILE WHAT
expect_lines() {
  expect "$3: expected $1 lines, got: $(cat "$2")" [ "$(wc -l <"$2")" = "$1" ]
}

# expect_empty FILE WHAT
expect_empty() {
  expect_not "$2: expected nothing, got: $(cat "$1")" [ -s "$1" ]
}

# expect_same FILE FILE...: all equal, bit for bit.
expect_same() {
  local first=$1 other
  shift
  for other; do expect "$first and $other differ" cmp "$first" "$other"; done
}

# Ranks: processes of one run, as a launcher would start them.

# free_port: a port of this machine that nobody listens at.
free_port() {
  "${PALINDROME_PYTHON:-python3}" -c '
import socket
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])'
}

# start_ranks COUNT PROGRAM ARGUMENTS: starts them, which find each other at a free port; their numbers
# are in ${rank_pids[@]}. What rank R writes is in out.R and err.R. ${rank_options[R]} and the variables
# ${rank_variables[R]} are for it alone.
declare -A rank_options=() rank_variables=()
start_ranks() {
  local count=$1 rank port
  program=$2
  shift 2
  port=$(free_port)
  rank_pids=()
  for ((rank = 0; rank < count; ++rank)); do
    RANK=$rank WORLD_SIZE=$count MASTER_ADDR=localhost MASTER_PORT=$port \
      OMP_NUM_THREADS=1 env ${rank_variables[$rank]:-} timeout "$seconds" "$programs/$program" "$@" \
      ${rank_options[$rank]:-} \
      >"out.$rank" 2>"err.$rank" &
    rank_pids+=($!)
  done
}

# wait_ranks: waits for them; their exit codes are in ${rank_codes[@]}.
wait_ranks() {
  local pid code
  rank_codes=()
  for pid in "${rank_pids[@]}"; do
    code=0
    wait "$pid" || code=$?
    rank_codes+=("$code")
  done
}

# end_ranks: the same, and what rank 0 did is what `run` leaves.
end_ranks() {
  wait_ranks
  code=${rank_codes[0]}
  cp out.0 out
  cp err.0 err
}

# run_ranks COUNT PROGRAM ARGUMENTS
run_ranks() {
  start_ranks "$@"
  end_ranks
}

# ranks_succeed COUNT PROGRAM ARGUMENTS: exit code 0 of all.
ranks_succeed() {
  run_ranks "$@"
  expect "$*: exit codes ${rank_codes[*]}: $(tail -qn 2 err.*)" \
    [ "$(printf '%s\n' "${rank_codes[@]}" | sort -u)" = 0 ]
}

# Pictures and networks.

# make_pictures FOLDER CLASSES COUNT WIDTH HEIGHT: an image folder to train on (make_pictures.cpp).
make_pictures() { "$programs/../tests/experiments/make_pictures" "$@"; }

# Options of a network of 4,516 parameters: a step takes about a millisecond.
tiny="--dataset synthetic:4:512:8 -b 16 --blocks 1,1 --strides 1,2 --widths 8,8 --recalibrate-bn 4"

# Run folders of pal-train.

# newest_step RUN: the number of the newest checkpoint; nothing if there is none.
newest_step() {
  [ ! -d "$1/checkpoints" ] || ls "$1/checkpoints" |
    sed -n 's/^step-\([0-9]*\)\.safetensors$/\1/p' | sort -n | tail -n 1
}

train_steps() { sed -n 's/^{"kind":"train".*"step":\([0-9]*\),.*/\1/p' "$1/metrics.jsonl"; }

# timeless_metrics RUN: the metrics without what depends on time and on where a process began.
timeless_metrics() {
  sed -E 's/,"(t|images_per_s|data_stall|inversion_error)":[^,}]*//g; s/,"memory":\{[^}]*\}//' \
    "$1/metrics.jsonl"
}

# expect_steps RUN LAST: metrics.jsonl holds the steps 1 to LAST once each.
expect_steps() {
  expect "$1/metrics.jsonl: not the steps 1 to $2 once each" \
    cmp -s <(train_steps "$1") <(seq "$2")
}

# expect_same_metrics RUN RUN
expect_same_metrics() {
  expect "$1 and $2 have different metrics" cmp <(timeless_metrics "$1") <(timeless_metrics "$2")
}

# expect_whole RUN WHAT: every checkpoint of a run folder passes pal-inspect.
expect_whole() {
  local file
  for file in "$1"/checkpoints/*.safetensors; do
    [ -e "$file" ] || continue
    checks=$((checks + 1))
    timeout 20 "$programs/pal-inspect" "$file" >inspected 2>&1 || fail "$2: torn: $(cat inspected)"
  done
}

# expect_no_leftovers RUN WHAT
expect_no_leftovers() {
  local found
  found=$(find "$1" -name '*.tmp-pal*')
  expect_equal "" "$found" "$2: left over"
}
