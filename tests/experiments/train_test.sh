#!/bin/bash
# Usage: train_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-train keeps its word on stops: whatever ends a run, at whatever moment, the newest checkpoint
# is whole and resumption gives the files of a run that nothing ended, bit for bit.
# PAL_KILLS: kills at random moments (default 15). PAL_KILL_POINTS: system calls of each kind, from
# the end of the run, at which it is killed or fails (default 3; "all": every one).
set -u
source "$2/tests/experiments/train_functions.sh"
kills=${PAL_KILLS:-15}
points=${PAL_KILL_POINTS:-3}

# Stops by --max-steps, between checkpoints and at an epoch's end, where a validation is due.
stopping="$tiny --epochs 8 --checkpoint-every 25 --threads 1"
run $stopping -o whole
expect_code 0 "uninterrupted run"
expect_steps whole 224
run $stopping -o twin
expect_code 0 "second run"
expect_same whole/checkpoints/final.safetensors twin/checkpoints/final.safetensors
for name in averaged best-ce best-nll step-224; do
  expect_same {whole,twin}/checkpoints/$name.safetensors
done
cmp <(timeless_metrics whole) <(timeless_metrics twin) || fail "equal runs have different metrics"

run $stopping --max-steps 200 -o direct
expect_code 0 "200 steps"
for steps in 84 100 110 200; do
  run $stopping --resume auto --max-steps $steps -o parts
  expect_code 0 "stop at step $steps"
  [ "$(newest parts)" = "$steps" ] || fail "newest checkpoint is $(newest parts), not $steps"
done
expect_same {direct,parts}/checkpoints/step-200.safetensors
run $stopping --resume auto -o parts
expect_code 0 "the rest"
for name in final averaged best-ce best-nll step-224; do
  expect_same {whole,parts}/checkpoints/$name.safetensors
done
expect_steps parts 224
cmp <(timeless_metrics whole) <(timeless_metrics parts) || fail "a resumed run has other metrics"

# A finished run, resumed, does nothing anew.
run $stopping --resume auto -o parts
expect_code 0 "resuming a finished run"
cmp <(timeless_metrics whole) <(timeless_metrics parts) || fail "a finished run grew metrics"
for name in final averaged best-ce best-nll step-224; do
  expect_same {whole,parts}/checkpoints/$name.safetensors
done

# Two threads: few steps, since a busy machine makes them wait for each other.
pair="$tiny --epochs 1 --threads 2"
run $pair -o pair
run $pair --max-steps 10 -o split
run $pair --resume auto -o split
expect_code 0 "two threads"
expect_same {pair,split}/checkpoints/final.safetensors

# Signals. The reference for the rest: some 1.5 seconds without a stop.
long="$tiny --epochs 40 --checkpoint-every 50 --validate-every 10 --threads 1 --quiet"
last=1120
run $long -o reference
expect_code 0 "reference"
final=reference/checkpoints/final.safetensors

# start_until LINES: the program in the background until metrics.jsonl has so many rows.
start_until() {
  "$train" $long --resume auto -o signalled >out 2>err &
  pid=$!
  for _ in $(seq 500); do
    [ "$(cat signalled/metrics.jsonl 2>/dev/null | wc -l)" -ge "$1" ] && return
    sleep 0.01
  done
  fail "no $1 rows of metrics in time"
}

rows=100
for signal in TERM INT HUP; do
  start_until $rows
  kill -s "$signal" "$pid"
  wait "$pid"
  code=$?
  expect_code "$([ "$signal" = INT ] && echo 130 || echo 143)" "SIG$signal"
  [ "$(newest signalled)" = "$(train_steps signalled | tail -n 1)" ] ||
    fail "SIG$signal: newest checkpoint $(newest signalled), last step $(train_steps signalled | tail -n 1)"
  expect_whole signalled "SIG$signal"
  rows=$((rows + 250))
done
start_until "$rows"
kill -s TERM "$pid"
kill -s TERM "$pid" 2>/dev/null
wait "$pid"
code=$?
expect_code 143 "two signals"
expect_whole signalled "two signals"
run $long --resume auto -o signalled
expect_code 0 "resumption after signals"
expect_same $final signalled/checkpoints/final.safetensors
expect_steps signalled $last
expect_no_leftovers signalled "resumption after signals"

# A run folder in use.
"$train" $tiny --epochs 4000 --threads 1 -o busy >out2 2>err2 &
pid=$!
until [ -s busy/metrics.jsonl ]; do sleep 0.01; done
run $long --resume auto -o busy
expect_refusal 4 "in use by pid $pid" "folder in use"
kill -KILL "$pid"
wait "$pid" 2>/dev/null

# kill -9 at random moments, also while it resumes.
torn=0
for trial in $(seq "$kills"); do
  [ -e killed/checkpoints/final.safetensors ] && rm -rf killed
  "$train" $long --resume auto -o killed >out 2>err &
  pid=$!
  sleep "0.$(printf %03d $((RANDOM % 500 + 10)))"
  {
    kill -KILL "$pid"
    wait "$pid"
  } 2>/dev/null
  before=$failures
  expect_whole killed "kill $trial"
  [ "$failures" = "$before" ] || torn=$((torn + 1))
done
run $long --resume auto -o killed
expect_code 0 "resumption after kills"
expect_same $final killed/checkpoints/final.safetensors
expect_steps killed $last
expect_no_leftovers killed "resumption after kills"
echo "random kills: $kills, torn: $torn"

# Kills and errors at system calls: the run goes from step 50 to the end, 6 steps and 3 saves later.
short="$tiny --epochs 2 --checkpoint-every 50 --threads 1 --quiet"
run $short -o base
expect_code 0 "run to be killed"
final=base/checkpoints/final.safetensors
cp -a base start
rm start/checkpoints/{final,averaged,step-56}.safetensors start/summary.json

# traced CALL INJECTION: resumes a copy of start under strace.
traced() {
  rm -rf traced
  cp -a start traced
  # The group keeps the shell from telling of each kill.
  {
    timeout 60 strace -f -qqq -o strace.log -e "trace=$1" -e signal=none ${2:+-e "inject=$1:$2"} \
      "$train" $short --resume auto -o traced >out 2>err
    code=$?
  } 2>/dev/null
}

covered=0
if strace -o strace.log true 2>/dev/null; then
  # write: also metrics and logs, whose errors need not stop the run; the others belong to saves.
  for call in openat write fsync rename symlink unlink; do
    traced "$call" ""
    expect_code 0 "strace"
    count=$(wc -l <strace.log)
    [ "$points" = all ] && first=1 || first=$((count > points ? count - points + 1 : 1))
    for n in $(seq "$first" "$count"); do
      traced "$call" "signal=KILL:when=$n"
      [ "$code" = 137 ] || fail "$call $n of $count: exit code $code, expected a kill"
      expect_whole traced "kill at $call $n"
      run $short --resume auto -o traced
      expect_code 0 "resumption after a kill at $call $n"
      expect_same $final traced/checkpoints/final.safetensors
      expect_steps traced 56
      expect_no_leftovers traced "kill at $call $n"
      covered=$((covered + 1))
      case $call in fsync | rename | symlink) ;; *) continue ;; esac
      for error in EIO ENOSPC; do
        traced "$call" "error=$error:when=$n"
        expect_refusal 4 "error: traced" "$error at $call $n"
        expect_whole traced "$error at $call $n"
        expect_no_leftovers traced "$error at $call $n"
        covered=$((covered + 1))
      done
    done
  done
  echo "kills and errors at system calls: $covered"
else
  echo "kills and errors at system calls: SKIPPED (no strace, or it may not trace)"
fi

finish_test "stopped runs go on, bit for bit"
