#!/usr/bin/env bash
# Usage: resume_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# What a resumed run knows by itself, what it may change, how runs end, and that nothing is lost.
# That the bits are those of a run without a stop: train_test.sh.
source "$(dirname "$0")/harness.sh" "$@"
tiny="$tiny --threads 1"

trains() { succeeds pal-train "$@"; }

# A run's own options hold, those about one process do not.
trains $tiny --epochs 4 --opt sgd --lr 0.05 --max-steps 20 --quiet --json -o run
expect_text '"stop_reason":"max-steps"' out "--json"
trains --resume auto -o run --max-steps 30
expect_match "^results: run/summary.json (stopped by --max-steps at step 30 of 112)$" out "last line"
# Times add up over the stop.
expect "t goes on where the run stopped" awk -F'"t":' \
  '{ t = $2 + 0; if (t < before) exit 1; before = t }' run/metrics.jsonl
expect "train_seconds: not those of all steps" awk '
  /"images_per_s"/ { sub(/.*"images_per_s":/, ""); sum += 16 / ($0 + 0) }
  /"train_seconds"/ { sub(/.*: /, ""); told = $0 + 0 }
  END { exit !(told > 0.99 * sum && told < 1.01 * sum) }' run/metrics.jsonl run/summary.json
for way in "--resume run" "--resume auto -o run" "--resume run/checkpoints" \
  "--config run/config.toml --resume auto" "--resume run/checkpoints/last -o run"; do
  rm -rf again
  cp -r run again
  trains ${way//run/again}
  expect_steps again 112
  expect_text "complete at step 112 of 112" again/log.txt "$way"
done
trains --config run/config.toml -o twin
expect_text "stopped by --max-steps at step 30 of 112" twin/log.txt "config.toml runs the run again"
expect_same {run,twin}/checkpoints/step-30.safetensors
for line in 'lr = 0.05' 'max-steps = 30' 'blocks = \[1, 1\]' 'dataset = "synthetic:4:512:8"'; do
  expect_match "^$line  *# " run/config.toml "config.toml"
done
# In another folder it is a run of its own, with all that came before.
trains --resume run -o elsewhere
expect_steps elsewhere 112
for name in final averaged best-ce best-nll; do
  expect_same {again,elsewhere}/checkpoints/$name.safetensors
done
expect_equal 30 "$(newest_step run)" "the run that was left"
refuses 2 "--epochs: 1 epochs are 28 steps, and the run is at step 30 already" \
  pal-train --resume run --epochs 1
trains --resume run --max-steps 12
expect_text "beyond --max-steps 12: nothing to do" run/log.txt "--max-steps below the step reached"
expect_equal 30 "$(newest_step run)" "--max-steps below the step reached"
# A run that was killed between a checkpoint and its link, with little or nothing left to do.
cp -r run linked
for most in 12 30; do
  ln -sfn step-20.safetensors linked/checkpoints/last
  trains --resume linked --max-steps $most
  expect_equal step-30.safetensors "$(readlink linked/checkpoints/last)" "last, --max-steps $most"
done
ln -sfn final.safetensors linked/checkpoints/best
trains --resume linked --max-steps 12
expect_equal best-ce.safetensors "$(readlink linked/checkpoints/best)" best
refuses 2 "averaged anew for evaluation" pal-train --resume run/checkpoints/averaged.safetensors
refuses 3 "no such run or checkpoint" pal-train --resume nowhere
(cd run/checkpoints && exec timeout 60 "$programs/pal-train" --resume last --max-steps 5) >out 2>err ||
  fail "--resume from within checkpoints: $(tail -n 1 err)"
trains $tiny --epochs 1 --sched cosine --milestones 0.5 --max-steps 4 -o idle
trains --resume idle
expect_not "options without effect, said again" grep -q "warning: --resume" err
refuses 2 "--output: expected RUN, got ''" pal-train $tiny -o ""

# A log that cannot be written is no reason not to train, and is said once.
mkdir -p lost/log.txt
trains $tiny --epochs 1 --max-steps 4 -o lost
expect_equal 1 "$(grep -c 'warning: lost/log.txt: not all lines are logged' err)" "no log"
if [ -w /dev/full ]; then
  mkdir fuller && ln -s /dev/full fuller/log.txt
  trains $tiny --epochs 1 --max-steps 4 -o fuller
  expect_equal 1 "$(grep -c 'warning: fuller/log.txt: not all lines are logged' err)" "a full log"
fi

# What may change does so with a warning, the rest is refused with a way out.
cp -r run changed
trains --resume changed --epochs 6 --lr 0.01 --validate-every 2 --smoothing 0 --max-steps 40
expect_text "epochs was 4, is 6; lr was 0.05, is 0.01; smoothing was 0.05, is 0; validate-every was 1, is 2" \
  err "changes"
trains --resume changed --checkpoint-every 7 --keep-checkpoints 3 --max-steps 50
expect_not "warned of what decides no number" grep -q "warning: --resume" err
trains --resume changed --validation 0.3 --max-steps 60
expect_text "other images choose the checkpoints from here on" err "--validation"
for other in "--beta 2" "-b 8" "--seed 3" "--noise false" "--widths 8,16" "--mean 0.4" \
  "--dataset synthetic:4:256:8"; do
  refuses 2 "--init-from" pal-train --resume run $other
done
refuses 2 "nothing to go on with" pal-train --resume auto -o absent
expect_not "a refused resume made a folder" [ -e absent ]

refuses 2 "beta was 1, is 2" pal-train --resume run --beta 2 --dry-run
trains --resume run --dry-run
expect_text "112 steps, 30 of them done" out "--dry-run of a resumed run"
expect_equal 2 "$(grep -c '"pal-train\|/pal-train' <(sed -n '/"commands"/,/]/p' run/run.json))" "run.json: commands"
succeeds pal-evaluate run/checkpoints/final --threads 1

# A longer run, twice; the best of both parts stays.
trains $tiny --epochs 1 -o grown
# A record of other types than ours is one that says nothing.
echo '{"commands": "none"}' >grown/run.json
trains --resume grown --epochs 2
trains --resume grown --epochs 3
expect_steps grown 84
expect_equal 3 "$(grep -c '"kind":"val"' grown/metrics.jsonl)" "validations at the three ends"
lowest=$(sed -n 's/^{"kind":"val".*"ce":\([0-9.]*\),.*/\1/p' grown/metrics.jsonl | sort -g | head -n 1)
succeeds pal-inspect --json grown/checkpoints/best-ce.safetensors
trains --resume grown
expect_text "$(printf '"validation_ce": %s' "$lowest")" grown/summary.json "the lowest of all validations"

# Without a checkpoint a run begins anew, says so and keeps what there was.
mkdir -p begun/checkpoints
printf '{"kind":"train","step":1}\n' >begun/metrics.jsonl
trains $tiny --resume auto --max-steps 3 -o begun
expect_text "warning: --resume: no checkpoint in begun; starting anew" err "no checkpoint"
expect_lines 1 begun/metrics.jsonl.1 "metrics of the earlier run"
expect_steps begun 3

# A signal in the validation: it is made up for, and the bits are the same.
slow="--dataset synthetic:4:6000:8 -b 2 --blocks 1,1 --strides 1,2 --widths 8,8 --recalibrate-bn 2"
slow="$slow --threads 1 --validation 0.5 --epochs 1 --validate-every 0.04 --max-steps 70 --quiet"
trains $slow -o unstopped
"$programs/pal-train" $slow -o stopped >out 2>err &
pid=$!
for _ in $(seq 1000); do
  [ "$(train_steps stopped 2>/dev/null | wc -l)" -lt 60 ] || break
  sleep 0.01
done
kill -TERM $pid || true
code=0
wait $pid || code=$?
expect_code 143 "a signal in the validation"
expect_text '"stop_reason": "signal"' stopped/summary.json "a signal"
expect_text "go on with: pal-train --resume stopped" stopped/log.txt "a signal"
trains --resume stopped --max-steps 70
expect_steps stopped 70
for name in final averaged best-ce step-70; do
  expect_same {unstopped,stopped}/checkpoints/$name.safetensors
done
expect_same_metrics unstopped stopped

# --max-time is the time of the whole run, validated and saved.
start=$SECONDS
trains $tiny --epochs 100000 --max-time 3s -o timed
expect "--max-time 3s took $((SECONDS - start)) s" [ $((SECONDS - start)) -le 12 ]
expect_text "stopped by --max-time at step" timed/log.txt "--max-time"
expect "--max-time leaves best" [ -e timed/checkpoints/best ]
# A validation that the time left is too short for is made up for: nothing of the run is lost.
due="$tiny --epochs 4 --ema 0.9 --validate-every 0.1"
trains $due -o in-time
trains $due --max-time 0.5s -o short
trains --resume short
for name in final averaged ema best-ce best-nll; do
  expect_same {in-time,short}/checkpoints/$name.safetensors
done
expect_same_metrics in-time short

# A configuration of version 0.1 knew no other optimizer than SGD.
trains $tiny --epochs 2 --opt sgd --max-steps 4 -o before
sed -i '/^opt = /d' before/config.toml
trains --resume before --max-steps 6
expect_match '^opt = "sgd" ' before/config.toml "a run of version 0.1"

# Errors are in the log too, with what to do; the summary says where the run stopped.
refuses 5 "try, in this order: --lr 1e+05 (now 1e+06), " pal-train $tiny --lr 1e6 --clip-grad 0 --burn-in 0 -o exploding
expect_match "error: step [0-9]*: .*try, in this order: --lr " exploding/log.txt "the log"
expect_text '"stop_reason": "error"' exploding/summary.json "the summary"

# Another run is not gone on from here, nor written over.
cp -r run kept
refuses 2 "kept already holds a run" pal-train --resume run -o kept
expect_same {run,kept}/metrics.jsonl

# The weights at the end are those of the last step, also where the plateau rule has just dropped.
trains ${tiny/--recalibrate-bn 4/--recalibrate-bn 0} --epochs 3 --sched plateau --patience 0 --lr 0.5 -o plateau
succeeds pal-inspect diff plateau/checkpoints/{final,step-84}.safetensors
expect_text "all tensors are equal" out "final after a plateau"

# What a run began from is kept: it begins there again if it left no checkpoint, and config.toml
# runs it again after a stop.
trains $tiny --epochs 1 --init-from run --max-steps 3 -o moved
trains --resume moved --max-steps 5
expect_match '^init-from = "'"$scratch"'/run' moved/config.toml "config.toml after a stop"
rm moved/checkpoints/*
trains --resume moved --max-steps 2
expect_text "no checkpoint in moved; starting anew" err "a run without a checkpoint"
expect_equal 2 "$(grep -c 'loaded .* tensors' moved/log.txt)" "the network that it began from"

# TensorBoard's files: one for each process, and none unless asked for.
trains $tiny --epochs 1 --max-steps 5 --tensorboard -o board
trains --resume board --max-steps 9
expect_equal 2 "$(ls board/tensorboard | wc -l)" "files of events"
expect_not "unasked files of events" [ -e run/tensorboard ]

finish_test "runs go on"
