#!/usr/bin/env bash
# Usage: train_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-train keeps its word on stops: whatever ends a run, at whatever moment, the newest checkpoint
# is whole and resumption gives the files of a run that nothing ended, bit for bit.
# PAL_KILLS: kills at random moments (default 15). PAL_KILL_POINTS: system calls of each kind, from
# the end of the run, at which it is killed or fails (default 3; "all": every one).
source "$(dirname "$0")/harness.sh" "$@"
kills=${PAL_KILLS:-15}
points=${PAL_KILL_POINTS:-3}
train=$programs/pal-train

trains() { succeeds pal-train "$@"; }

# Stops by --max-steps, between checkpoints and at an epoch's end, where a validation is due.
stopping="$tiny --epochs 8 --checkpoint-every 25 --threads 1"
trains $stopping -o whole
expect_steps whole 224
trains $stopping -o twin
for name in final averaged best-ce best-nll step-224; do
  expect_same {whole,twin}/checkpoints/$name.safetensors
done
expect_same_metrics whole twin

trains $stopping --max-steps 200 -o direct
for steps in 84 100 110 200; do
  trains $stopping --resume auto --max-steps $steps -o parts
  expect_equal "$steps" "$(newest_step parts)" "newest checkpoint"
done
expect_same {direct,parts}/checkpoints/step-200.safetensors
trains $stopping --resume auto -o parts
for name in final averaged best-ce best-nll step-224; do
  expect_same {whole,parts}/checkpoints/$name.safetensors
done
expect_steps parts 224
expect_same_metrics whole parts

# A finished run, resumed, does nothing anew.
trains $stopping --resume auto -o parts
expect_same_metrics whole parts
for name in final averaged best-ce best-nll step-224; do
  expect_same {whole,parts}/checkpoints/$name.safetensors
done

# Two threads: few steps, since a busy machine makes them wait for each other.
pair="$tiny --epochs 1 --threads 2"
trains $pair -o pair
trains $pair --max-steps 10 -o split
trains $pair --resume auto -o split
expect_same {pair,split}/checkpoints/final.safetensors

# Signals. The reference for the rest: some 1.5 seconds without a stop.
long="$tiny --epochs 40 --checkpoint-every 50 --validate-every 10 --threads 1 --quiet --opt adamw --lr 0.003 --ema 0.99"
last=1120
trains $long -o reference
final=reference/checkpoints/final.safetensors

rows_of() { cat "$1/metrics.jsonl" 2>/dev/null | wc -l; }

# start_until ROWS: the program in the background until metrics.jsonl has so many rows.
start_until() {
  "$train" $long --resume auto -o signalled >out 2>err &
  pid=$!
  checks=$((checks + 1))
  for _ in $(seq 500); do
    [ "$(rows_of signalled)" -lt "$1" ] || return 0
    sleep 0.01
  done
  fail "no $1 rows of metrics in time"
}

# stop_by SIGNAL: sends it and waits; exit code in $code.
stop_by() {
  kill -s "$1" "$pid" || true # it may have ended already
  code=0
  wait "$pid" || code=$?
}

rows=100
for signal in TERM INT HUP; do
  start_until $rows
  stop_by $signal
  expect_code "$([ "$signal" = INT ] && echo 130 || echo 143)" "SIG$signal"
  expect_equal "$(train_steps signalled | tail -n 1)" "$(newest_step signalled)" \
    "SIG$signal: last step and newest checkpoint"
  expect_whole signalled "SIG$signal"
  rows=$((rows + 250))
done
start_until $rows
kill -s TERM "$pid"
stop_by TERM 2>/dev/null
expect_code 143 "two signals"
expect_whole signalled "two signals"
trains $long --resume auto -o signalled
expect_same $final signalled/checkpoints/final.safetensors
expect_steps signalled $last
expect_no_leftovers signalled "resumption after signals"

# A run folder in use.
"$train" $tiny --epochs 4000 --threads 1 -o busy >out2 2>err2 &
pid=$!
until [ -s busy/metrics.jsonl ]; do sleep 0.01; done
refuses 4 "in use by pid $pid" pal-train $long --resume auto -o busy
stop_by KILL 2>/dev/null

# kill -9 at random moments, also while it resumes.
torn=0
for trial in $(seq "$kills"); do
  [ ! -e killed/checkpoints/final.safetensors ] || rm -rf killed
  "$train" $long --resume auto -o killed >out 2>err &
  pid=$!
  sleep "0.$(printf %03d $((RANDOM % 500 + 10)))"
  stop_by KILL 2>/dev/null
  before=$failures
  expect_whole killed "kill $trial"
  [ "$failures" = "$before" ] || torn=$((torn + 1))
done
trains $long --resume auto -o killed
expect_same $final killed/checkpoints/final.safetensors
expect_steps killed $last
expect_no_leftovers killed "resumption after kills"
echo "random kills: $kills, torn: $torn"

# Kills and errors at system calls: the run goes from step 50 to the end, 6 steps and 3 saves later.
short="$tiny --epochs 2 --checkpoint-every 50 --threads 1 --quiet"
trains $short -o base
final=base/checkpoints/final.safetensors
cp -a base start
rm start/checkpoints/{final,averaged,step-56}.safetensors start/summary.json

# traced CALL INJECTION: resumes a copy of start under strace.
traced() {
  rm -rf traced
  cp -a start traced
  code=0
  # The group keeps the shell from telling of each kill.
  {
    timeout 60 strace -f -qqq -o strace.log -e "trace=$1" -e signal=none ${2:+-e "inject=$1:$2"} \
      "$train" $short --resume auto -o traced >out 2>err || code=$?
  } 2>/dev/null
}

covered=0
if strace -o strace.log true 2>/dev/null; then
  # write: also metrics and logs, whose errors need not stop the run; the others belong to saves.
  for call in openat write fsync rename symlink unlink; do
    traced $call ""
    expect_code 0 strace
    count=$(wc -l <strace.log)
    first=1
    [ "$points" = all ] || [ "$count" -le "$points" ] || first=$((count - points + 1))
    for n in $(seq $first "$count"); do
      traced $call "signal=KILL:when=$n"
      expect_code 137 "a kill at $call $n of $count"
      expect_whole traced "kill at $call $n"
      trains $short --resume auto -o traced
      expect_same $final traced/checkpoints/final.safetensors
      expect_steps traced 56
      expect_no_leftovers traced "kill at $call $n"
      covered=$((covered + 1))
      case $call in fsync | rename | symlink) ;; *) continue ;; esac
      for error in EIO ENOSPC; do
        traced $call "error=$error:when=$n"
        expect_refusal 4 "error: traced" "$error at $call $n"
        expect_whole traced "$error at $call $n"
        expect_no_leftovers traced "$error at $call $n"
        covered=$((covered + 1))
      done
    done
  done
  echo "kills and errors at system calls: $covered"
else
  skip_part "kills and errors at system calls" "no strace, or it may not trace"
fi

finish_test "stopped runs go on, bit for bit"
