#!/usr/bin/env bash
# Usage: optimizer_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# AdamW and the average of the weights in whole runs, and steps that are not finite.
source "$(dirname "$0")/harness.sh" "$@"
tiny="$tiny --threads 1"

trains() { succeeds pal-train "$@"; }

# A stop anywhere leaves the bits of a run without one, of weights, moments and average.
adam="$tiny --epochs 4 --opt adamw --lr 0.003 --wd 0.01 --ema 0.95 --skip-outliers 5"
trains $adam -o whole
trains $adam --max-steps 37 -o parts
trains --resume parts --max-steps 84
trains --resume parts
for name in final averaged ema best-ce best-nll step-112; do
  expect_same {whole,parts}/checkpoints/$name.safetensors
done
expect_same_metrics whole parts
succeeds pal-inspect parts/checkpoints/step-112.safetensors
for name in optimizer.exp_avg.blocks.2.s1.0.weight optimizer.exp_avg_sq.blocks.2.s1.0.weight \
  ema.blocks.2.s1.0.weight ema.blocks.2.s1.3.running_var; do
  expect "no $name in a checkpoint" grep -aq "\"$name\"" parts/checkpoints/step-112.safetensors
done
expect_not "momentum beside AdamW" grep -aq '"optimizer.momentum' parts/checkpoints/step-112.safetensors

# Raw weights and their average compete; which of them won is written down.
expect_match '"weights":"ema"' whole/metrics.jsonl "validations of the average"
expect_match '"model":"ema"' whole/metrics.jsonl "the average at the end"
expect_match '"best_ce_weights": "\(raw\|ema\)"' whole/summary.json "the summary"
expect_match '"best_nll_weights": "\(raw\|ema\)"' whole/summary.json "the summary"
won=$(sed -n 's/.*"best_ce_weights": "\([a-z]*\)".*/\1/p' whole/summary.json)
expect "best-ce does not say whose weights it holds" \
  grep -aq "\"weights\":\"$won\"" whole/checkpoints/best-ce.safetensors
# A stop before the first validation: the better of the two is the best one, and the summary tells of
# the weights that train.
trains $adam --max-steps 5 -o early
losses=$(sed -n 's/.*"kind":"val".*"model":"\(averaged\|ema\)".*"ce":\([0-9.]*\).*/\2 \1/p' early/metrics.jsonl)
last=$(sed -n 's/ averaged//p' <<<"$losses")
expect_equal "$(sort -g <<<"$losses" | sed -n '1s/.* //p')" \
  "$(basename "$(readlink early/checkpoints/best)" .safetensors)" "the best of a stopped run"
expect_equal "$last" "$(sed -n '/last_validation/,/}/s/.*"ce": \([0-9.]*\).*/\1/p' early/summary.json)" \
  "the last validation"
# Best weights come back with the moments of as many updates.
stages="$tiny --epochs 6 --opt adamw --ema 0.9 --sched plateau --patience 0 --lr 0.02 --finetune-mu 1"
trains $stages -o stages
trains $stages --max-steps 60 -o stopped
trains --resume stopped
for name in final averaged ema best-ce; do expect_same {stages,stopped}/checkpoints/$name.safetensors; done
# Outliers of the gradient norm.
trains $tiny --epochs 8 --skip-outliers 1 -o outliers
expect_match '"skipped":"outlier"' outliers/metrics.jsonl "outliers"
expect_match "warning: step [0-9]* skipped: an outlier beside a mean gradient norm of" err "outliers"
expect_match '"skipped_outliers": [1-9]' outliers/summary.json "outliers"
trains $tiny --epochs 1 --skip-outliers 2 --bad-steps 0 --max-steps 1 -o idle-guard
expect_text "--skip-outliers: has an effect only with --bad-steps above 0" err "outliers without a row"
# What stands for a model works as one; a run goes on from raw weights alone.
succeeds pal-evaluate whole/checkpoints/ema.safetensors --split val --json
trains $tiny --max-steps 3 --init-from whole/checkpoints/ema.safetensors -o from-ema
refuses 2 "averaged anew for evaluation" pal-train --resume whole/checkpoints/ema.safetensors -o no
trains ${adam/--recalibrate-bn 4/--recalibrate-bn 0} -o plain
refuses 2 "its weights are the average of those that train" \
  pal-train --resume plain/checkpoints/ema.safetensors -o no

# What an optimizer is stays; a number of it may change.
refuses 2 "a run keeps these settings: opt was adamw, is sgd" pal-train --resume plain --opt sgd -o no
refuses 2 "ema was 0.95, is none" pal-train --resume plain --ema none -o no
trains --resume plain --betas 0.8,0.99 --epochs 5 -o changed
expect_text "betas was 0.9,0.999, is 0.8,0.99" err "a change of betas"
refuses 2 "--betas: expected" pal-train $tiny --opt adamw --betas 0.9 -o no
refuses 2 "--betas: expected" pal-train $tiny --opt adamw --betas 0.9,1 -o no
trains $tiny --momentum 0.8 --opt adamw --max-steps 2 -o idle
expect_text "--momentum: has an effect only with --opt sgd" err "momentum with AdamW"
# The plan counts the moments and the average: parameters, gradients, two moments, one average.
succeeds pal-train $adam --dry-run --json
bytes=$(sed -n 's/.*"state_bytes":\([0-9]*\).*/\1/p' out)
parameters=$(sed -n 's/.*"parameters_total":\([0-9]*\).*/\1/p' out)
expect_equal "$((20 * parameters))" "$bytes" "bytes of the state"

# Steps that are not finite are skipped and counted; a row of them stops the run, with its place and
# advice, and leaves the newest checkpoint as it was. Rebuilt blocks overflow before running statistics
# do, and what a plan rebuilds is not this test's matter.
wild="${tiny/--blocks 1,1/--blocks 2,2} --coupling glow --clamp 15 --opt adamw --lr 0.02 --clip-grad none --burn-in 0 --epochs 40"
wild="$wild --lr-mu lr --warmup-steps 0 --sched step --subnet bottleneck"
wild="$wild --checkpoint-every 5 --activation-memory min"
refuses 5 "4 steps in a row were not finite, and --bad-steps 3 may be skipped; " pal-train $wild -o wild
expect_match "step [0-9]*: .* not finite.*; try, in this order: --" err "place and advice"
expect_match "warning: step [0-9]* skipped: not finite (loss .*); 1 in a row, 1 so far" err "a warning"
stop=$(sed -n 's/.*error: step \([0-9]*\):.*/\1/p' err)
line=$(sed -n 's/.*\(error: step.*may be skipped\).*/\1/p' err)
expect_equal 4 "$(tail -n 4 wild/metrics.jsonl | grep -c '"skipped":"not-finite"')" "rows of skipped steps"
total=$(tail -n 1 wild/metrics.jsonl | sed 's/.*"skipped_steps":\([0-9]*\).*/\1/')
expect_match "\"skipped_not_finite\": $total," wild/summary.json "the summary"
newest=$(newest_step wild)
succeeds pal-inspect "wild/checkpoints/step-$newest.safetensors"
# A resumed run counts on within the row.
trains $wild --max-steps $((stop - 2)) -o half
refuses 5 "$line" pal-train --resume half --max-steps 1000000
expect_equal "$stop" "$(sed -n 's/.*error: step \([0-9]*\):.*/\1/p' err)" "where a resumed row ends"
refuses 5 "1 steps in a row were not finite, and --bad-steps 0" pal-train $wild --bad-steps 0 -o strict
finish_test "optimizers and bad steps: all as promised"
