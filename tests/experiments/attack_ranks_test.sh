#!/usr/bin/env bash
# pal-attack as several processes: the files of one, byte by byte, also where others began them; what
# ends one of them ends all.
#   attack_ranks_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
source "$(dirname "$0")/harness.sh" "$@"

succeeds pal-train $tiny --validation 112 --threads 1 --max-steps 60 -o flow --quiet
succeeds pal-train $tiny -a resnet-small --validation 112 --threads 1 --max-steps 60 -o net --quiet
run_ranks 2 pal-attack flow --attack fgsm --eps 0.1 -n 2
grep -q "this build has no Gloo" err.0 err.1 && skip_test "this build has no Gloo"

# Detectors of density, and of familiarity for the flow; four batches of an attack, a short one last.
succeeds pal-evaluate flow --calibrate --threads 1 -q
study="flow net --attack cw,pgd --kappa 0.01 -d 0,66 --eps 0.05 --robust-curve 0,0.05 --transfer --trace 2
       --sheet 3 -n 24 -b 7 --steps 30 --restarts 2"

# expect_like_one FOLDER: the same files as those of one process, with the same bytes.
expect_like_one() {
  expect_equal "$(cd one && find . -type f | LC_ALL=C sort)" \
    "$(cd "$1" && find . -type f | LC_ALL=C sort)" "files of $1"
  expect "$1 differs from one: $(diff -rq one "$1" | head -n 3)" diff -rq one "$1"
}

succeeds pal-attack $study -o one -q --threads 2
cp out one.txt
expect "batches of the first run" [ "$(find one/cells -name 'batch-*.safetensors' | wc -l)" = 48 ]
for count in 2 3; do
  ranks_succeed $count pal-attack $study -o ranks-$count --progress always
  expect_like_one ranks-$count
  expect_same one.txt out.0
  for ((r = 1; r < count; ++r)); do
    expect_empty out.$r "what rank $r prints"
    expect_empty err.$r "rank $r while nothing is wrong"
  done
done

# await_batches RUN: until some are there.
await_batches() {
  for _ in $(seq 1000); do
    [ "$(find "$1" -name 'batch-*.safetensors' 2>/dev/null | wc -l)" -lt 5 ] || break
    sleep 0.02
  done
}
# Begun by two, one of which is killed; ended by one process.
start_ranks 2 pal-attack $study -o killed
await_batches killed
pkill -KILL -P "${rank_pids[1]}" || true
end_ranks
expect_code 6 "a rank whose other is killed"
expect_match "rank 1 (.*) lost" err.0 "the rank that was killed"
expect_not "killed too late to show anything" [ -e killed/attacks.json ]
succeeds pal-attack $study -o killed -q --threads 2
expect_like_one killed
expect_no_leftovers killed "after a kill"
# Begun by one, which is killed; ended by two. Batches that are missing in the middle, by three.
timeout 60 "$programs/pal-attack" $study -o single -q --threads 1 >/dev/null 2>&1 &
single=$!
await_batches single
pkill -KILL -P $single || true
wait $single 2>/dev/null || true
expect_not "killed too late to show anything" [ -e single/attacks.json ]
ranks_succeed 2 pal-attack $study -o single -q
expect_like_one single
expect_text "without cw-converged-k0.01-d66" err.0 "a warning"
expect_empty err.1 "a warning that rank 0 gives"
expect_no_leftovers single "after a kill"
cp -r one holes
find holes/cells -name 'batch-000[03].safetensors' -delete
find holes/cells -path '*pgd*' -name 'batch-0002.safetensors' -delete
rm -r holes/images holes/attacks.json
ranks_succeed 3 pal-attack $study -o holes -q
expect_like_one holes

# Without a folder, and with nothing left to do.
ranks_succeed 3 pal-attack $study -o one -q --json
expect_same out.0 one/attacks.json
ranks_succeed 2 pal-attack flow --attack pgd --eps 0.05 -n 24 -b 7 --steps 5 -q --json
cp out.0 two.json
succeeds pal-attack flow --attack pgd --eps 0.05 -n 24 -b 7 --steps 5 -q --json
expect_same out two.json

# What one finds wrong ends all.
run_ranks 2 pal-attack ${study/-b 7/-b 8} -o one
expect_equal "2 2" "${rank_codes[*]}" "another batch size"
for r in 0 1; do expect_text "made with batch_size 7" err.$r "another batch size"; done
echo broken >holes/cells/$(ls holes/cells | tail -n 1)/cw-converged-k0.01-d0/batch-0001.safetensors
run_ranks 2 pal-attack $study -o holes
expect_equal "3 3" "${rank_codes[*]}" "a broken batch"
for r in 0 1; do expect_text "batch-0001.safetensors" err.$r "a broken batch"; done
mkdir full
touch full/pictures
run_ranks 2 pal-attack $study -o full
expect_equal "4 4" "${rank_codes[*]}" "a folder that cannot be made"
for r in 0 1; do expect_text "cannot make the folder" err.$r "a folder that cannot be made"; done
: >empty.csv
rank_options=([1]="--targets empty.csv")
run_ranks 2 pal-attack flow -n 8 --steps 5
rank_options=()
expect_equal "6 3" "${rank_codes[*]}" "a rank that fails: $(tail -qn 1 err.?)"

# Programs whose work is not shared refuse to be ranks.
run_ranks 2 pal-sample flow
expect_equal "2 2" "${rank_codes[*]}" "ranks of pal-sample"
expect_refusal 2 "ranks: pal-sample is one process" "ranks of pal-sample"

finish_test "several ranks are one pal-attack"
