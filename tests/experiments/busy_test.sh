#!/usr/bin/env bash
# Usage: busy_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# Training beside processes that want the processors: fewer threads work then, and the bits stay.
source "$(dirname "$0")/harness.sh" "$@"
# What trains takes some hundred microseconds a loop, so that threads are worth their waiting.
net="--dataset synthetic:4:512:16 -b 64 --blocks 1,1 --strides 1,2 --widths 32,32 --recalibrate-bn 4"

# Where the environment says how to wait, all threads always work.
succeeds pal-train $net --threads 2 --epochs 12 -o alone

unset OMP_WAIT_POLICY
for process in 1 2 3 4; do
  timeout 120 bash -c 'while :; do :; done' &
done
seconds=110
succeeds pal-train $net --threads 2 --epochs 12 -o beside
kill $(jobs -p) 2>/dev/null || true
expect_same {alone,beside}/checkpoints/final.safetensors
if [ "$(nproc)" = 2 ] && [ -r /proc/self/schedstat ]; then
  expect_text "loops by at most 1 of 2 threads" err "nobody noticed that processors are wanted"
else
  skip_part "that fewer threads work" "not two processors"
fi

finish_test "training beside others keeps its bits"
