#!/usr/bin/env bash
# Usage: tensorboard_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# TensorBoard's own reader finds every scalar of our event files, once, of a run that was killed at
# step 7 and went on from its checkpoint of step 4. SKIPPED without the package tensorboard.
source "$(dirname "$0")/harness.sh" "$@"
find_python tensorboard

make_events=$programs/../tests/experiments/make_events
expect "the first process" "$make_events" events 1 7
expect "the second process" "$make_events" events 5 9
expect_equal 2 "$(ls events | grep -c '^events\.out\.tfevents\.')" "a file for each process"

cat >reader <<'END'
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator("events").Reload()
for tag in sorted(events.Tags()["scalars"]):
    print(tag, *(f"{point.step}:{point.value:.3f}" for point in events.Scalars(tag)))
END
"$python" reader >out 2>err || fail "TensorBoard's reader: $(tail -n 3 err)"
expect_text "train/loss 1:1.001 2:2.001 3:3.001 4:4.001 5:5.005 6:6.005 7:7.005 8:8.005 9:9.005" \
  out "losses"
expect_match "^train/memory/peak 1:1024.000 .* 9:1024.000$" out "numbers of an object"
expect_match "^val/acc1 9:0.500$" out "the validation"
expect_lines 3 out "tags"

# A record that a kill tore leaves the others readable.
last=$(ls -d events/* | tail -n 1)
truncate -s -5 "$last"
"$python" reader >out 2>err || fail "a torn record: $(tail -n 3 err)"
expect_match "^train/loss .* 9:9.005$" out "a torn record"
expect_not "a torn record was read" grep -q "9:0.500" out

finish_test "TensorBoard reads event files"
