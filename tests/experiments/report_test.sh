#!/usr/bin/env bash
# Usage: report_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-report: pages without a gap, of any run; what is refused.
source "$(dirname "$0")/harness.sh" "$@"
address_space=
reports() { succeeds pal-report "$@" --threads 1 -q; }
# sound FILE WHAT: a page that is whole.
sound() {
  expect "$2: $(python3 "$source_folder/tests/experiments/page_check.py" "$1" | head -n 3)" \
    python3 "$source_folder/tests/experiments/page_check.py" "$1"
}

succeeds pal-train $tiny --threads 1 --max-steps 20 -o "$PWD/run" --quiet
succeeds pal-train $tiny --validation 112 --threads 1 --max-steps 20 -o calibrated --quiet
succeeds pal-evaluate calibrated --calibrate --ood inverted --summary calibrated/summary.json -q
cp -r run half
sed -i 's/"complete": true/"complete": false/' half/summary.json
succeeds pal-train $tiny --beta 0 --threads 1 --max-steps 20 -o density --quiet
succeeds pal-train --dataset synthetic:4:512:8 -a resnet-small -b 16 --blocks 1,1 --strides 1,2 \
  --widths 8,8 --threads 1 --max-steps 20 -o resnet --quiet
succeeds pal-train --dataset synthetic:2:512:8 -b 16 --blocks 1,1 --strides 1,2 --widths 8,8 \
  --threads 1 --max-steps 20 --recalibrate-bn 4 -o two --quiet
# More classes than a matrix can show.
succeeds pal-train --dataset synthetic:40:512:16 -b 16 --blocks 1,1,1 --strides 1,2,2 \
  --widths 8,8,8 --threads 1 --max-steps 4 --recalibrate-bn 4 -o many --quiet
# As many as ImageNet has, with a test image of some of them alone.
succeeds pal-train --dataset synthetic:1000:2000:32:3 -a ibinn-small -b 50 --blocks 1,1,1,1,1 \
  --strides 1,2,2,2,2 --widths 8,8,8,8,8 --rank 0 --threads 1 --max-steps 2 --recalibrate-bn 1 \
  --validation 50 -o thousand --quiet
for run in run calibrated half density resnet two many thousand; do
  reports $run --card
  expect_match "^report in $run/report.html, model card" out "$run"
  sound $run/report.html "$run"
  expect_text "model-index:" $run/README.md "$run: card"
  for section in "Intended use" Training Evaluation Classes Use Limits Licence; do
    expect_match "^## $section$" $run/README.md "$run: card"
  done
done
mkdir own
echo "# Mine" >own/README.md
refuses 2 "is no model card of pal-report, and would be lost" pal-report run --card -o own/page.html
card_has() { expect_match "$2" "$1/README.md" "card of $1"; }
card_has run '^| command | .*pal-train .*-o \.\.\./run'
expect "run: a card names no folder of this machine" test "$(grep -c "$PWD" run/README.*)" = 0
card_has run "^No calibration was tried on these images"
card_has run "^- Foreign images: not measured"
card_has run "^- Attacks: not measured"
card_has calibrated "^Fitted to held-out images: temperature [0-9.]*\.$"
card_has calibrated "^| 95 | [0-9.]* | [0-9.]* |$"
card_has calibrated "^- Foreign images, .*: of 100 pairs with its own"
card_has density "its classes mean nothing"
has() { expect "$1: no section $2" grep -q "<section id=\"$2\">" $1/report.html; }
has_not() { expect "$1: a section $2" test "$(grep -c "<section id=\"$2\">" $1/report.html)" = 0; }
for section in summary numbers curves calibration confusion density samples evidence decision \
  similarity about glossary; do
  has run $section
done
expect_text "Late in training it was right about" run/report.html "accuracy late in training"
expect_text "Images unlike its own are told from them, " calibrated/report.html "foreign sets in short"
expect_text "pal-train" run/report.html "the command of a run"
expect_text "How well a calibration of this run keeps its promises was not recorded" run/report.html "a run without calibration"
expect_text "Learned from held-out images" calibrated/report.html "a calibrated run"
expect_text ">inverted<" calibrated/report.html "foreign sets of the summary"
expect_text "was stopped at" half/report.html "a run stopped half-way"
expect_text "its classes mean nothing" density/report.html "beta 0"
has_not density confusion
has density samples
expect_text "It only classifies" resnet/report.html "a ResNet"
has_not resnet density
has resnet calibration

# The same bytes again, and names that HTML would take for its own.
cp run/report.html first.html
reports run
expect_same run/report.html first.html
cp -r run '<b>&amp;"'
reports '<b>&amp;"' -o odd.html
sound odd.html "a run with an odd name"
reports run --ood inverted --ood noise -n 40 -o foreign.html
expect_text ">noise<" foreign.html "--ood"
sound foreign.html "--ood"
# A checkpoint alone.
reports run/checkpoints/final.safetensors -o alone.html
expect_text "No curves" alone.html "a checkpoint alone"
sound alone.html "a checkpoint alone"
# Several runs.
reports run calibrated density resnet -o several.html
expect_text "4 runs" several.html "several runs"
sound several.html "several runs"
for section in comparison curves samples evidence about glossary; do
  expect "several runs: no section $section" grep -q "<section id=\"$section\">" several.html
done
expect "several runs: samples of other than three flows" \
  test "$(grep -o 'alt="Sheet of samples of' several.html | wc -l)" = 3
# What corruptions did stands on the page of a run, and of several.
for run in run resnet; do
  succeeds pal-robustness $run --corruptions fog,snow -n 40 --threads 1 -o $run/robustness -q
  reports $run
  has $run robustness
  sound $run/report.html "$run, corrupted images"
done
reports run resnet -o worse.html
expect "several runs: no section robustness" grep -q '<section id="robustness">' worse.html
sound worse.html "several runs, corrupted images"
echo '{"models": [{"label": "run"}]}' >run/robustness/robustness.json
refuses 3 "not as pal-robustness writes it" pal-report run -o x.html
rm -r run/robustness
# JSON that nests too deep for the stack is no JSON; entries of another type than ours say nothing.
cp -r run bent
deep=$(printf '%100000s' '')
echo "{\"a\": ${deep// /[}${deep// /]}}" >deep.json
cp deep.json bent/summary.json
refuses 3 "bent/summary.json: expected a JSON object" pal-report bent -o x.html
refuses 3 "bent/summary.json: expected a JSON object" pal-compare bent
mkdir bent/robustness bent/attacks
cp run/summary.json bent/summary.json
cp deep.json bent/robustness/robustness.json
refuses 3 "not as pal-robustness writes it" pal-report bent -o x.html
rm -r bent/robustness
cp deep.json bent/attacks/attacks.json
refuses 3 "not as pal-attack writes it" pal-report bent -o x.html
rm -r bent/attacks
echo '{"kind": "val", "model": 3}' >>bent/metrics.jsonl
cp deep.json bent/run.json
reports bent
# What attacks found, in a run's own folder or beside the runs.
succeeds pal-attack run --attack ddn,cw --steps 10 -n 6 --robust-curve 0,0.05 --loss ce \
  --threads 1 -o run/attacks -q
reports run
has run attacks
expect_text "grey levels of 255" run/report.html "how far attacks go"
expect_text ">kappa<" run/report.html "words of attacks"
expect_text "flagged by density %" run/report.html "whether attacks are noticed"
sound run/report.html "run, attacked"
rm -r run/attacks
succeeds pal-attack run density resnet --attack cw --steps 10 -n 6 --threads 1 -o attacks -q
for run in density resnet; do
  reports $run
  has $run attacks
  sound $run/report.html "$run, attacked"
done
expect_text "it counts only whether attacks are noticed" density/report.html "attacks at beta 0"
expect_text "no test here can notice an attack" resnet/report.html "attacks on a ResNet"
reports calibrated
has_not calibrated attacks
reports run density resnet -o attacked.html
expect "several runs: no section attacks" grep -q '<section id="attacks">' attacked.html
sound attacked.html "several runs, attacked"
echo '{"models": [{"label": "run"}]}' >attacks/attacks.json
refuses 3 "attacks/attacks.json: not as pal-attack writes it" pal-report run -o x.html
rm -r attacks
reports run
has_not run attacks
succeeds pal-ood run --against inverted noise --images 40 --threads 1 -o run/foreign -q
reports run
has run foreign
expect "ROC curves of two sets" test "$(grep -o 'alt="ROC curves of' run/report.html | wc -l)" = 2
sound run/report.html "run, foreign images"
echo "set,score" >run/foreign/detection.csv
refuses 3 "run/foreign/detection.csv: not what pal-ood writes" pal-report run -o x.html
rm -r run/foreign
# Where the images of the runs are gone, the page says so; images that are asked for must be there.
make_pictures pictures 2 24 8 8
succeeds pal-train pictures -b 16 --blocks 1,1 --strides 1,2 --widths 8,8 --threads 1 \
  --max-steps 4 --recalibrate-bn 2 -o gone --quiet
cp -r gone gone_too
rm -r pictures
reports gone gone_too -o gone.html
expect_text "Not shown:" gone.html "images that are gone"
sound gone.html "images that are gone"
refuses 3 "pictures" pal-report gone gone_too --dataset pictures -o x.html

refuses 2 "RUN: none is given" pal-report
refuses 3 "absent: no such run folder" pal-report absent
mkdir empty
refuses 3 "empty: not a run folder" pal-report empty
refuses 2 "name the file x.html" pal-report run -o x.pdf
refuses 4 "absent" pal-report run -o absent/x.html
refuses 2 "--card: goes with one run" pal-report run density --card -o x.html
refuses 2 "-n: goes with one run" pal-report run density -n 10 -o x.html
refuses 2 "--ood: goes with one run" pal-report run density --ood noise -o x.html
echo broken >broken.safetensors
refuses 3 "broken.safetensors" pal-report broken.safetensors
succeeds pal-report --help

finish_test "pages without a gap"
