#!/usr/bin/env bash
# Usage: classify_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-classify: pictures by name, of folders and through pipes; with and without a calibration.
source "$(dirname "$0")/harness.sh" "$@"
address_space=

make_pictures pictures 4 60 16 16
net="-a ibinn-mnist -b 16 --image-size 16 --blocks 1,1 --strides 1,2 --widths 8,8 --recalibrate-bn 4"
succeeds pal-train pictures $net --threads 1 --validation 120 --max-steps 20 -o run --quiet
one=$(find pictures -name '*.JPEG' | LC_ALL=C sort | sed -n 1p)

classifies() { succeeds pal-classify "$@"; }
lines_of() { wc -l <out; }

# Without a calibration nothing is promised.
classifies run "$one" --json
expect_text "no calibration of this model" err "no calibration"
expect_text "pal-evaluate run/checkpoints/best --calibrate makes one" err "no calibration"
for key in '"set":null' '"familiarity":null' '"attack_p":null' '"attack_flagged":null' '"verdict":null' '"bits_per_dim":' '"probability":'; do
  expect_text "$key" out "answer without calibration"
done
expect_equal 4 "$(grep -o '"class":' out | wc -l)" "all four classes"
classifies run "$one" --top 2
expect_text "without a calibration nothing is promised." out "answer for people"
expect_not "attack_p without a calibration" grep -q "attack" out

succeeds pal-evaluate run --calibrate
expect_match "^calibrated  *held out" out "--calibrate"
classifies run "$one" "$one" --json --level 90 -q --warn-below 0.05
expect_empty err "with a calibration"
expect_equal 2 "$(lines_of)" "an answer for each name"
for key in '"level":0.9' '"density":' '"complexity":' '"verdict":"'; do
  expect_text "$key" out "answer with a calibration"
done
classifies run "$one" -q
expect_match "95 % set: .*; familiarity p .* (density .* = attack_p, complexity .*, entropy .*); .* bits/dim" out \
  "answer for people"
expect_match "^  \(Sure\|Torn\|Unfamiliar\|Unfamiliar and torn\): .*\.$" out "the sentence"
classifies run "$one" --json --warn-below 1
expect_match '"verdict":"unfamiliar' out "--warn-below 1"

# The attack detector: the density's p-value, flagged below --warn-below whatever the verdict.
# flags: for each answer in the file out its attack_p, its flag and the density of familiarity.
flags() { sed 's/.*"density":\([^,]*\),.*"attack_p":\([^,]*\),"attack_flagged":\([^,]*\),.*/\2 \3 \1/' out; }
for level in 0 0.01 0.4 1; do
  classifies run pictures --json -q --warn-below $level
  flags >flags.$level
  expect "attack_p at --warn-below $level: $(sort -u flags.$level | head -3)" awk -v level=$level '
    NF != 3 || $1 != $3 || $2 != ($1 < level ? "true" : "false") { exit 1 }' flags.$level
done
flagged=$(grep -c true flags.0.4 || true)
expect "none of the pictures is flagged at 0.4" [ "$flagged" -gt 0 ]
expect "each of the pictures is flagged at 0.4" [ "$flagged" -lt "$(wc -l <flags.0.4)" ]
classifies run pictures -q --warn-below 0.4
expect_equal "$flagged" "$(grep -c '^  [A-Z].* Its density is unusual (attack_p 0[.0-9e-]*), as an attack' out)" \
  "sentences of flagged pictures"
expect_not "a flagged picture is called familiar" grep -q "a familiar picture.*attack_p" out
run pal-classify --help
tr -s ' \n' ' ' <out >help
expect_text "attack_p is the attack detector of Mackowiak et al. 2021" help "--help"
expect_text "False alarms, of 10,000 unchanged" help "--help: false alarms"

# The same answers by name, of a folder, and through a pipe, whatever the batch.
classifies run pictures --json -q
mv out all.jsonl
find pictures -name '*.JPEG' | LC_ALL=C sort >names
expect_equal "$(wc -l <names)" "$(wc -l <all.jsonl)" "a line for each picture of a folder"
expect_same <(sed 's/.*"file":"\([^"]*\)".*/\1/' all.jsonl) names
for way in "-b 7" "-b 1000"; do
  "$programs/pal-classify" run - --json -q $way <names >piped.jsonl
  # Rounding may depend on the batch, as in every evaluation: classes and order may not.
  expect_same <(sed 's/,"probability.*//' piped.jsonl) <(sed 's/,"probability.*//' all.jsonl)
done
tr '\n' '\0' <names | "$programs/pal-classify" run - -0 --json -q -b 64 >piped.jsonl
expect_same piped.jsonl <("$programs/pal-classify" run - --json -q -b 64 <names)

# One name sent alone is answered at once, before the pipe closes.
coproc classify { exec "$programs/pal-classify" run - --json -q; }
answers=${classify[0]}
questions=${classify[1]}
process=$classify_PID  # unset once it has ended
for round in 1 2 3; do
  echo "$one" >&"$questions"
  answer=
  read -r -t 30 answer <&"$answers" || true
  expect "ping-pong, round $round: no answer" [ -n "$answer" ]
done
exec {questions}>&-
wait "$process" || fail "ping-pong: exit code $?"
checks=$((checks + 1))

# A last name without an end, an empty one, one that is missing, Windows' ends of lines.
printf '%s\r\n\nnowhere.png\n%s' "$one" "$one" >some
code=0
"$programs/pal-classify" run - --json -q <some >out 2>err || code=$?
expect_equal 3 "$code" "unreadable names: exit code"
expect_lines 4 out "one answer for each name"
expect_equal "top error error top" "$(sed 's/.*,"\(top\|error\)":.*/\1/' out | paste -sd' ')" "answers in order"
expect_text 'an empty name' out "an empty line"
expect_text 'nowhere.png: no such file' out "a missing file"
expect_text "pal-classify: error: 2 pictures could not be read" err "the end"
"$programs/pal-classify" run - </dev/null >out 2>err || fail "no names: exit code $?"
expect_empty out "no names"

# Names with a newline; a file that is none.
cp "$one" $'line\nbreak.png'
echo "no picture" >bad.png
printf 'line\nbreak.png\0bad.png\0' >strange
code=0
"$programs/pal-classify" run - -0 --json -q <strange >out 2>err || code=$?
expect_equal 3 "$code" "a broken picture: exit code"
expect_lines 2 out "names with a newline"
expect_text '{"file":"line\nbreak.png","top"' out "a name with a newline"
expect_text '"error":"bad.png: ' out "a broken picture"
run pal-classify run bad.png "$one"
expect_code 3 "a broken picture among others"
expect_text "warning: bad.png: " err "a broken picture for people"
expect_text "$one: " out "the picture beside it"

printf '%s\0rest' "$one" >zero
code=0
"$programs/pal-classify" run - --json -q <zero >out 2>err || code=$?
expect_equal 3 "$code" "a zero byte without -0"
expect_text "a zero byte in a name" out "a zero byte without -0"

# Nothing that is there is lost, and nothing is promised that cannot be kept.
for file in run/checkpoints/best run/config.toml; do
  refuses 2 "which would be lost; name another file" pal-evaluate run --calibrate --calibration $file
  refuses 2 "which would be lost" pal-evaluate run --save-outputs $file
done
refuses 2 "pal-convert makes an .npz" pal-evaluate run --save-outputs outputs.npz
refuses 2 "expected a name that ends in .safetensors" pal-evaluate run --save-latents latents.csv
refuses 2 "two results for one file" pal-evaluate run --save-outputs same --save-latents same
refuses 2 "is given twice" pal-evaluate run --ood noise --ood noise
refuses 2 "is made of the evaluated images" pal-evaluate run --ood noise --ood-folder .
mkfifo pipe
refuses 4 "is no regular file" pal-evaluate run --save-outputs pipe
classifies run "$one" --json
expect_text "no picture can count as unfamiliar" err "few held-out images"
expect_text "none can be flagged by attack_p, at least 0.017" err "few held-out images"
classifies run "$one" --json --warn-below 0.02
expect_text "no picture can count as unfamiliar" err "a little below"
expect_not "attack_p can be below 0.02" grep -q attack_p err

# A reader that leaves.
code=0
("$programs/pal-classify" run - --json -q -b 1 <names || echo $? >left) | head -n 1 >out
expect_lines 1 out "a closed pipe"
expect_not "a closed pipe: exit code" [ -e left ]

# Maps of each picture.
classifies run "$one" "$one" --json -q --heatmap maps
expect_lines 2 out "--heatmap"
expect_equal 2 "$(ls maps/*.png | wc -l)" "--heatmap: a sheet for each picture"
for file in maps/*.safetensors; do succeeds pal-inspect "$file"; done
expect_equal 2 "$(ls maps/*.safetensors | wc -l)" "--heatmap: numbers for each picture"

# Other weights, other files, another view.
succeeds pal-train pictures $net --threads 1 --validation 120 --max-steps 10 -o other --quiet
refuses 3 "belongs to other weights" pal-classify other "$one" --calibration run/calibration/*
refuses 3 "no such file" pal-classify run "$one" --calibration nowhere.safetensors
refuses 3 "expected a calibration" pal-classify run "$one" --calibration run/checkpoints/best
run pal-classify run "$one" --resize 40 --json
expect_code 0 "--resize"
expect_text "is of pictures read with --resize 18" err "another --resize"
expect_text '"set":null' out "another --resize"
expect_text '"attack_p":null,"attack_flagged":null' out "another --resize"
mkdir empty
refuses 2 "no .png, .jpg or .jpeg file in it" pal-classify run empty
refuses 2 "IMAGE: none is given" pal-classify run
refuses 2 "CHECKPOINT: none is given" pal-classify
refuses 2 "stdin or the command line, not both" pal-classify run - "$one"
refuses 2 "--null: goes with -" pal-classify run "$one" -0
refuses 2 "--calibration: goes with --calibrate, or with --ood" pal-evaluate run --calibration file.safetensors
refuses 2 "without --recalibrate-bn" pal-evaluate run --calibrate --recalibrate-bn 4
if [ "$(id -u)" != 0 ]; then
  chmod -w run/calibration
  refuses 4 "run/calibration" pal-evaluate run --calibrate
  chmod +w run/calibration
fi

# Foreign images are told by familiarity where there is a calibration.
succeeds pal-evaluate run --ood inverted --ood noise
expect_match "^outliers.*familiarity" out "--ood with a calibration"
expect_text "familiarity by the calibration run/calibration/" err "--ood with a calibration"
# The densities are the same whichever pass they come from.
succeeds pal-evaluate run --ood inverted --ood noise --json
grep -o '"tests":[^]]*' out >told
expect_text '"auc_familiarity"' out "--ood with a calibration"
mv run/calibration aside
succeeds pal-evaluate run --ood inverted --ood noise --json
mv aside run/calibration
expect_not "familiarity without a calibration" grep -q '"auc_familiarity"' out
expect_same told <(grep -o '"tests":[^]]*' out)

# A part that chose the checkpoint and is evaluated: every second image is for either.
make_pictures few 2 300 8 8
succeeds pal-train few ${net/size 16/size 8} --threads 1 --max-steps 4 -o chosen --quiet
held_out=$(find few/val -name '*.JPEG' | wc -l)
run pal-evaluate chosen --calibrate --json
if [ "$held_out" -ge 200 ]; then
  expect_text "$((held_out / 2)) of the images fit it, the other $((held_out / 2)) are evaluated" err "a shared part"
  expect_text "\"images\":$((held_out / 2))" out "a shared part"
else
  expect_refusal 2 "$((held_out / 2)) held-out images; expected at least 100" "a small shared part"
fi

# A ResNet has no density: classes, set and entropy alone.
succeeds pal-train pictures -a resnet-small -b 16 --image-size 16 --blocks 1,1 --strides 1,2 \
  --widths 8,8 --threads 1 --validation 120 --max-steps 10 -o resnet --quiet
succeeds pal-evaluate resnet --calibrate --json
expect_not "a ResNet has no familiarity" grep -q '"unfamiliar"' out
classifies resnet "$one" --json
refuses 2 "only classifies; maps need a flow" pal-classify resnet "$one" --heatmap maps
classifies resnet "$one" --json
for key in '"bits_per_dim":null' '"familiarity":null' '"set":{"level":0.95' '"attack_p":null,"attack_flagged":null'; do
  expect_text "$key" out "a ResNet"
done

finish_test "pictures are classified"
