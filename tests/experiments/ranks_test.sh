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
# differ OPTIONS_OF_RANK_0 OPTIONS_OF_RANK_1 TEXT
differ() {
  rank_options=([0]=$1 [1]=$2)
  run_ranks 2 pal-train $net
  rank_options=()
  expect_equal "2 2" "${rank_codes[*]}" "ranks with $1 and $2: $(tail -qn 1 err.?)"
  for r in 0 1; do expect_match "rank 1 (.*) differs from rank 0 in $3" err.$r "$1 and $2"; done
}
same="--max-steps 3 -o differ"
differ "$same" "$same --lr 0.2" 'lr: it has "0.2", rank 0 "0.003"'
differ "$same" "$same --seed 5" 'seed: it has "5", rank 0 "0"'
differ "$same --bucket 1KiB" "$same" 'bucket: it has '
differ "$same" "--max-steps 4 -o differ" 'max-steps: it has "4", rank 0 "3"'
differ "$same" "--max-steps 3 -o elsewhere" 'output: it has "elsewhere", rank 0 "differ"'
expect_not "a run that did not begin is left" [ -e differ ]
make_pictures pictures 2 40 16 16
cp -r pictures others
find others -name '*.JPEG' -print -quit | xargs -d '\n' rm
rank_options=([0]="pictures" [1]="others")
run_ranks 2 pal-train -a ibinn-small --image-size 16 --blocks 1,1,1 --widths 8,8,8 -b 4 --max-steps 1 -o data
rank_options=()
expect_equal "2 2" "${rank_codes[*]}" "ranks with other data: $(tail -qn 1 err.?)"
expect_match "rank 1 (.*) differs from rank 0 in data" err.0 "other data"

# A rank keeps as much of its activations as one process with its share of the images, and no more for
# more blocks.
# activation_bytes RUN
activation_bytes() { sed -n 's/.*"peak_activation_bytes": *\([0-9]*\).*/\1/p' "$1/summary.json" | head -n 1; }
for blocks in 2,2 6,6; do
  sized="${net/--blocks 1,1/--blocks $blocks} --activation-memory min --no-data-init --max-steps 2 --threads 1"
  succeeds pal-train ${sized/--global-batch 16/-b 8} -o alone-$blocks
  ranks_succeed 2 pal-train $sized -o shared-$blocks
done
expect "activations of a rank, $(activation_bytes shared-2,2), and of one process, $(activation_bytes alone-2,2)" \
  near "$(activation_bytes shared-2,2)" "$(activation_bytes alone-2,2)" "$(($(activation_bytes alone-2,2) / 100))"
expect "activations of three times the blocks, $(activation_bytes shared-6,6), and of those" \
  near "$(activation_bytes shared-6,6)" "$(activation_bytes shared-2,2)" "$(($(activation_bytes shared-2,2) / 100))"

# Pictures that any rank left out stand in the list, as those of one process.
cp -r pictures holes
find holes/train -name '*.JPEG' | sort | sed -n '3p;30p;55p;60p' |
  while read -r file; do head -c 50 "$file" >cut; mv cut "$file"; done
holes="holes -a ibinn-small --image-size 16 --blocks 1,1 --strides 1,2 --widths 8,8 --global-batch 8 --epochs 2
  --bad-images skip --bad-images-max 0.1"
succeeds pal-train $holes -o holes-1
ranks_succeed 3 pal-train $holes -o holes-3
expect_lines 4 holes-3/bad_images.txt "pictures left out by three ranks"
expect_same holes-{1,3}/bad_images.txt

# A rank that lives but does not arrive, as nobody reads what it wants to tell, is lost after a while; it
# ends too.
rm -f err.0
mkfifo err.0
cat err.0 >told &
reader=$!
disown $reader
start_ranks 2 pal-train $net --epochs 40000 --rank-timeout 2 --progress always -o hung
for ((i = 0; i < 200; ++i)); do
  [ -s hung/metrics.jsonl ] && break
  sleep 0.05
done
kill -STOP $reader
head -c 1000000 /dev/zero >err.0 &
filler=$!
disown $filler
wait_ranks
kill -KILL $reader $filler 2>/dev/null || true
rm err.0
expect_equal "6 6" "${rank_codes[*]}" "a rank that hangs: $(cat err.1)"
expect_match "rank 0 (.*) lost at step .*: alive, but the others have waited for it for [2-5] s" err.1 \
  "a rank that hangs"

# What one process was asked in vain is said.
succeeds pal-train $net --max-steps 1 --bucket 1MiB --log-ranks logs --rank-timeout 5 -o idle
expect_text "one process alone, so without effect: --bucket --rank-timeout --log-ranks" err "idle options"

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
