#!/usr/bin/env bash
# Usage: train_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-train keeps its word on stops: whatever ends a run, at whatever moment, the newest checkpoint
# is whole and resumption gives the files of a run that nothing ended, bit for bit.
# Kills, and errors at system calls: tests/reliability.sh.
source "$(dirname "$0")/harness.sh" "$@"
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

finish_test "stopped runs go on, bit for bit"
