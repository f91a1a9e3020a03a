# Shared by tests of one program; expects $program (its path) and $seconds (how long it may run).
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# run ARGUMENTS: output in $scratch/out and $scratch/err, exit code in $code.
run() {
  # The sanitizers reserve terabytes of addresses, so the limit is only set for plain programs.
  (
    [ -n "${PAL_NO_MEMORY_LIMIT:-}" ] || ulimit -v 1500000
    OMP_NUM_THREADS=2 timeout "$seconds" "$program" "$@"
  ) >"$scratch/out" 2>"$scratch/err"
  code=$?
}

expect_code() {
  [ "$code" = "$1" ] || fail "$2: exit code $code, expected $1: $(cat "$scratch/err")"
}

# expect_error_line TEXT WHAT: one line on stderr, the program's error, that holds TEXT.
expect_error_line() {
  [ "$(wc -l <"$scratch/err")" = 1 ] && grep -qF "$(basename "$program"): error: $1" "$scratch/err" ||
    fail "$2: expected one line with $1 on stderr, got: $(cat "$scratch/err")"
}

# expect_output TEXT out|err WHAT
expect_output() {
  grep -qF -- "$1" "$scratch/$2" || fail "$3: no $1 in: $(cat "$scratch/$2")"
}
