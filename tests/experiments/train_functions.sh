# Shared by the tests of pal-train; expects $1 = folder of programs.
train=$1/pal-train
inspect=$1/pal-inspect
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
export OMP_WAIT_POLICY=passive
failures=0

# A network of 4,516 parameters: a step takes about a millisecond.
tiny="--dataset synthetic:4:512:8 -b 16 --blocks 1,1 --strides 1,2 --widths 8,8 --recalibrate-bn 4"

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# run ARGUMENTS: output in out and err, exit code in $code.
run() {
  timeout 60 "$train" "$@" >out 2>err
  code=$?
}

expect_code() {
  [ "$code" = "$1" ] || fail "$2: exit code $code, expected $1: $(tail -n 3 err)"
}

# expect_refusal CODE TEXT WHAT: the exit code and one error line that holds TEXT.
expect_refusal() {
  expect_code "$1" "$3"
  [ "$(grep -c '^pal-train: error: ' err)" = 1 ] && tail -n 1 err | grep -q '^pal-train: error: ' ||
    fail "$3: expected one error line at the end, got: $(tail -n 5 err)"
  grep '^pal-train: error: ' err | grep -qF -- "$2" || fail "$3: no '$2' in: $(tail -n 1 err)"
}

# expect_same FILE FILE...: all equal, bit for bit.
expect_same() {
  local first=$1 other
  shift
  for other; do cmp "$first" "$other" || fail "$first and $other differ"; done
}

# expect_whole RUN: every checkpoint of a run folder passes pal-inspect.
expect_whole() {
  local file
  for file in "$1"/checkpoints/*.safetensors; do
    [ -e "$file" ] || continue
    timeout 20 "$inspect" "$file" >inspected 2>&1 || fail "$2: torn: $(cat inspected)"
  done
}

newest() {
  ls "$1"/checkpoints | sed -n 's/^step-\([0-9]*\)\.safetensors$/\1/p' | sort -n | tail -n 1
}

train_steps() { sed -n 's/^{"kind":"train".*"step":\([0-9]*\),.*/\1/p' "$1/metrics.jsonl"; }

# expect_steps RUN LAST: metrics.jsonl holds the steps 1 to LAST once each.
expect_steps() {
  train_steps "$1" | cmp -s - <(seq "$2") || fail "$1/metrics.jsonl: not the steps 1 to $2 once each"
}

# Metrics without what depends on time and on where a process began.
timeless_metrics() {
  sed -E 's/,"(t|images_per_s|data_stall|inversion_error)":[^,}]*//g; s/,"memory":\{[^}]*\}//' \
    "$1/metrics.jsonl"
}

expect_no_leftovers() {
  local found
  found=$(find "$1" -name '*.tmp-pal*')
  [ -z "$found" ] || fail "$2: left over: $found"
}

# finish_test MESSAGE: the last line of a test.
finish_test() {
  [ "$failures" = 0 ] && echo "$1"
  [ "$failures" = 0 ]
}
