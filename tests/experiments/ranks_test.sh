#!/usr/bin/env bash
# One training as several processes: the same results whatever their number, resumed with another
# one, and refusals that name what is wrong.
#   ranks_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
source "$(dirname "$0")/harness.sh" "$@"

run pal-train --version
run_ranks 2 pal-train $tiny --max-steps 1 -o try
grep -q "this build has no Gloo" err.0 err.1 && skip_test "this build has no Gloo"

net=${tiny/-b 16/--global-batch 16}
# Without an average of statistics at the end.
plain=${net/--recalibrate-bn 4/--recalibrate-bn 0}

# last_loss RUN: of its last step.
last_loss() { sed -n 's/^{"kind":"train".*"loss":\([-0-9.e]*\),.*/\1/p' "$1/metrics.jsonl" | tail -n 1; }
# near A B MOST: whether two numbers differ by at most so much.
near() { awk -v a="$1" -v b="$2" -v most="$3" 'BEGIN { d = a - b; exit !(d <= most && -d <= most) }'; }
# expect_near RUN RUN MOST
expect_near() {
  expect "$1 and $2: losses $(last_loss "$1"), $(last_loss "$2")" \
    near "$(last_loss "$1")" "$(last_loss "$2")" "$3"
}

# Any number of ranks and parts, with synchronised norms, whatever blocks keep: one step, and fifty.
succeeds pal-train $plain --max-steps 1 -o one
succeeds pal-train $plain --max-steps 50 --epochs 2 -o fifty
for count in 2 3 4; do
  for memory in max min auto; do
    ranks_succeed $count pal-train $plain --sync-bn --activation-memory $memory --max-steps 1 \
      -o step-$count-$memory
    expect_near one step-$count-$memory 1e-5
  done
  ranks_succeed $count pal-train $plain --sync-bn --max-steps 50 --epochs 2 \
    -o fifty-$count
  expect_near fifty fifty-$count 1e-3
done

# Twice the same bits; one progress line and one log.
ranks_succeed 3 pal-train $net --epochs 1 --ema 0.9 -o first --log-ranks logs
expect_text "batch 16 (3 ranks x 6), 28 steps" err.0 "what a step is"
expect_empty err.1 "rank 1 while nothing is wrong"
expect "the logs of the other ranks" [ "$(ls logs | tr '\n' ' ')" = "rank-1.txt rank-2.txt " ]
expect_text "batch 16" logs/rank-2.txt "a log of its own"
ranks_succeed 3 pal-train $net --epochs 1 --ema 0.9 -o again
expect_same {first,again}/checkpoints/averaged.safetensors
expect_same {first,again}/checkpoints/ema.safetensors
timeless_metrics first >first.rows
timeless_metrics again >again.rows
expect_same first.rows again.rows

# Parts of a step are what ranks are.
ranks_succeed 2 pal-train $plain --epochs 1 -o ranks
succeeds pal-train $plain --epochs 1 --grad-accum 2 -o parts
expect_near ranks parts 1e-4
ranks_succeed 2 pal-train $net --epochs 1 --grad-accum 2 --bucket 1KiB --bucket-precision bf16 -o both
expect_near ranks both 0.3

# Resumed with another number: 2 -> 4 -> 1, and the run of 2 without a stop. The first step after a
# resume is that of the same state.
ranks_succeed 2 pal-train $plain --sync-bn --epochs 2 -o whole
ranks_succeed 2 pal-train $plain --sync-bn --epochs 2 --max-steps 20 -o parted
ranks_succeed 4 pal-train --resume parted --max-steps 40
succeeds pal-train --resume parted
expect_near whole parted 1e-3
expect_equal "$(train_steps whole)" "$(train_steps parted)" "steps of a run resumed twice"

# Signals: one rank gets it, all stop at one step and can go on.
for signal in TERM USR1; do
  start_ranks 2 pal-train $net --epochs 400 -o stopped-$signal
  for ((i = 0; i < 200; ++i)); do
    [ -s stopped-$signal/metrics.jsonl ] && break
    sleep 0.05
  done
  pkill -$signal -f -n "pal-train .*-o stopped-$signal\$" || true
  end_ranks
  expect_equal "143 143" "${rank_codes[*]}" "SIG$signal to one rank"
  expect_text "stopped by a signal" err.0 "SIG$signal to one rank"
done
ranks_succeed 3 pal-train --resume stopped-TERM --max-steps $(($(newest_step stopped-TERM) + 5))

# Differences between ranks are named, on all of them: options, and the data.
# differ OPTION_OF_RANK_1 TEXT
differ() {
  rank_options=([1]=$1)
  run_ranks 2 pal-train $net --max-steps 3 -o differ
  rank_options=()
  expect_equal "2 2" "${rank_codes[*]}" "ranks with another $1: $(tail -qn 1 err.?)"
  for r in 0 1; do expect_match "rank 1 (.*) differs from rank 0 in $2" err.$r "another $1"; done
}
differ "--lr 0.2" 'lr: "0.2" against "0.003"'
differ "--seed 5" 'order of images: '
make_pictures pictures 2 40 16 16
cp -r pictures others
find others -name '*.JPEG' -print -quit | xargs -d '\n' rm
rank_options=([0]="pictures" [1]="others")
run_ranks 2 pal-train -a ibinn-small --image-size 16 --blocks 1,1,1 --widths 8,8,8 -b 4 --max-steps 1 -o data
rank_options=()
expect_equal "2 2" "${rank_codes[*]}" "ranks with other data: $(tail -qn 1 err.?)"
expect_match "rank 1 (.*) differs from rank 0 in data" err.0 "other data"

# Who does not come is named, within the time that is given; what cannot be is refused at once.
program=pal-train
code=0
RANK=0 WORLD_SIZE=3 MASTER_ADDR=localhost MASTER_PORT=$(free_port) timeout 60 "$programs/pal-train" \
  $net -o missing --join-timeout 1 2>err || code=$?
expect_refusal 4 "ranks: 2 of 3 did not arrive within 1 s: 1, 2" "ranks that do not come"
code=0
RANK=1 WORLD_SIZE=2 MASTER_ADDR=no.such.name.invalid MASTER_PORT=29999 timeout 60 \
  "$programs/pal-train" $net -o nobody 2>err || code=$?
expect_refusal 4 "the name no.such.name.invalid is not known here" "a name that does not resolve"
code=0
RANK=0 WORLD_SIZE=1 OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 timeout 60 \
  "$programs/pal-train" $net -o twofold 2>err || code=$?
expect_refusal 2 "RANK and WORLD_SIZE say rank 0 of 1, but mpirun started rank 1 of 2" "left variables"
refuses 2 "--global-batch: 16 images" pal-train $net --grad-accum 17 -o parts17
refuses 2 "are 8 each, not --batch-size 16" pal-train $tiny --global-batch 8 -o unlike
expect "nothing but runs is left" [ -z "$(ls | grep ranks-)" ]

finish_test "several ranks are one run"
