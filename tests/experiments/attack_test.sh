#!/usr/bin/env bash
# Usage: attack_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-attack: how far attacks go on trained networks, going on after a kill, pictures, targets, what
# is refused and what is warned of.
source "$(dirname "$0")/harness.sh" "$@"

succeeds pal-train $tiny --validation 112 --threads 1 --max-steps 60 -o flow --quiet
succeeds pal-train $tiny -a resnet-small --validation 112 --threads 1 --max-steps 60 -o net --quiet
attack() { succeeds pal-attack "$@" --threads 1 -q; }

# column NAME FILE: that column of a CSV file with a header.
column() {
  awk -F, -v name="$1" 'NR == 1 { for (i = 1; i <= NF; ++i) if ($i == name) at = i
                                 if (!at) exit 1; next } { print $at }' "$2"
}

# The least change: ddn, then cw to the end, then cw as published, over the images that all reach.
attack flow net --attack cw,ddn --protocol converged,paper -n 24 --steps 400 -o least
for model in flow net; do
  images=least/images/$model
  for name in ddn-k0.01 cw-converged-k0.01-d0 cw-paper-k0.01-d0; do
    paste -d, <(column l2 $images/$name.csv) <(column answer $images/$name.csv) \
      <(column target $images/$name.csv) >$name.sizes
  done
  expect "$model: ddn <= converged <= paper" awk -F, -v model=$model '
    { if ($2 == $3 && $5 == $6 && $8 == $9) { n++; ddn += $1; cw += $4; paper += $7 } }
    END { print model ": " n " of " NR " images reached by all: " ddn / n, cw / n, paper / n
          exit !(n >= 12 && ddn <= 1.001 * cw && cw <= 1.001 * paper) }' \
    <(paste -d, ddn-k0.01.sizes cw-converged-k0.01-d0.sizes cw-paper-k0.01-d0.sizes)
  # No result lies above its start, and none is made worse by its search. The record of ddn is a
  # distance.
  for name in cw-converged-k0.01-d0 cw-paper-k0.01-d0; do
    expect "$model, $name: an objective above its start" awk -F, '$1 > $2 + 1e-9 { exit 1 }' \
      <(paste -d, <(column objective $images/$name.csv) <(column objective_start $images/$name.csv))
  done
done

# Robust accuracy: that of the images as they are at 0, never higher at a larger radius, next to
# nothing at half the range.
attack flow net --attack none --robust-curve 0.5,0,0.02,0.1 -n 48 --steps 50 -o curve
expect "robust accuracy" awk -F, '
  NR == 1 { next }
  $1 != model { model = $1; if ($3 != 0) exit 1; last = 1; models++ }
  $5 > last { print "rises: " $0; exit 1 }
  { last = $5 }
  $3 == 0.5 { if ($4 > 0.02) { print "robust at 0.5: " $0; exit 1 } ends++ }
  END { exit !(models == 2 && ends == 2) }' curve/robust_curve.csv
expect_equal 0.5 "$(grep -o '^flow,Linf,0.5' curve/robust_curve.csv | cut -d, -f3)" "the last radius"
expect_not "a ResNet's curve without a detector" grep -q '^net,.*,[0-9.]*,[0-9]' <(
  awk -F, '$1 == "net" { print $1 ",," $7 "," $8 }' curve/robust_curve.csv)
expect_not "random noise is the better attack" grep -q '"noise_better": [1-9]' least/attacks.json
clean() { sed -n "s/^$1  *\([0-9.]*\) .*/\1/p" out | head -n 1; }
at_nothing() { awk -F, -v m="$1" '$1 == m && $3 == 0 { printf "%.1f", 100 * $4 }' curve/robust_curve.csv; }
for model in flow net; do
  expect_equal "$(clean $model)" "$(at_nothing $model)" "$model: accuracy at radius 0"
done

# Ways through the latent space, with and without a target; of a ResNet those of numbers alone.
attack flow net --attack cw -n 3 --steps 30 --trace 2 --sheet 1 -o traced
for model in flow net; do
  expect_equal 2 "$(ls traced/traces/$model/*-distance.svg | wc -l)" "$model: ways"
  expect_equal 31 "$(tail -n +2 "$(ls traced/traces/$model/*.csv | head -n 1)" | wc -l)" \
    "$model: steps, and what they lead to"
done
expect_equal 2 "$(ls traced/traces/flow/*[0-9].svg | wc -l)" "ways in a plane"
expect_equal 0 "$(find traced/traces/net -name '*[0-9].svg' | wc -l)" "no plane of a ResNet"
attack flow --attack cw --untargeted -n 2 --steps 20 --trace 1 -o untargeted
expect "cw without targets has a name of its own" \
  test -e untargeted/images/flow/cw-converged-k0.01-d0-untargeted.csv

# Models of one name are told apart, by names that stay in the folder.
mkdir -p a b
weights=$(find flow/checkpoints -name "*.safetensors" | sort | head -n 1)
cp "$weights" a/x.safetensors
cp "$weights" b/x.safetensors
attack a/x.safetensors "$PWD/b/x.safetensors" --attack fgsm --eps 0.05 -n 2 --transfer -o twins
expect_equal 2 "$(ls twins/images | wc -l)" "folders of two models of one name"
expect_equal 2 "$(find twins/images -name '*.csv' | wc -l)" "results of two models of one name"

# A run that is killed goes on to the same bits, at another number of threads too.
grid="--attack cw,pgd,square --untargeted --kappa 0.01,inf -d 0,66 --eps 0.05 --loss ce,adaptive
      --robust-curve 0,0.05 -n 24 -b 7 --steps 60 --restarts 2 --sheet 4"
attack flow $grid -o whole
"$programs/pal-attack" flow $grid -o parts -q --threads 1 >/dev/null 2>&1 &
victim=$!
for _ in $(seq 600); do
  [ "$(find parts -name 'batch-*.safetensors' 2>/dev/null | wc -l)" -lt 5 ] || break
  sleep 0.02
done
kill -KILL $victim 2>/dev/null || true
wait $victim 2>/dev/null || true
expect_not "killed too late to show anything" [ -e parts/attacks.json ]
succeeds pal-attack flow $grid -o parts -q --threads 2
for file in attacks.json attacks.csv robust_curve.csv targets.csv tables7-9.csv \
  $(cd whole && find images pictures cells -type f | LC_ALL=C sort); do
  expect_same whole/$file parts/$file
done
expect_no_leftovers parts "after a kill"
cp -r whole before
attack flow $grid -o whole
expect_same {before,whole}/attacks.json
"$programs/pal-attack" flow $grid --threads 2 -q --json >printed 2>/dev/null
expect_same printed whole/attacks.json

# A folder holds one setting.
refuses 2 "made with batch_size 7" pal-attack flow ${grid/-b 7/-b 8} -o whole
refuses 2 "made with selection" pal-attack flow ${grid/-n 24/-n 23} -o whole
refuses 2 "made with details" pal-attack flow ${grid/--steps 60/--steps 61} -o whole
refuses 2 "made with details" pal-attack flow ${grid/--eps 0.05/--eps 0.050001} -o whole
succeeds pal-evaluate flow --calibrate -q
refuses 2 "made with details" pal-attack flow $grid -o whole
rm -r flow/calibration
echo broken >"$(find whole/cells -name batch-0001.safetensors | head -n 1)"
refuses 3 "batch-0001.safetensors" pal-attack flow $grid -o whole

# The pictures say what success_8bit says: pal-classify sees them as they are.
pictures=least/pictures/net/cw-paper-k0.01-d0
expect_equal 24 "$(find $pictures -name '*.png' | wc -l)" "pictures"
find $pictures -name '*.png' | LC_ALL=C sort >names
succeeds pal-classify net - --json -q <names
sed -n 's/.*"top":\[{"class":"stripes \([0-9]*\)".*/\1/p' out >answers
paste -d' ' <(column index least/images/net/cw-paper-k0.01-d0.csv) \
  <(column answer_8bit least/images/net/cw-paper-k0.01-d0.csv) | sort -n | cut -d' ' -f2 >wanted
expect_same wanted answers

# Targets go round; another seed draws others.
attack flow -n 24 --steps 20 -o drawn
attack flow -n 24 --steps 20 -o given --targets drawn/targets.csv --seed 5
expect_same {drawn,given}/targets.csv
expect_same {drawn,given}/images/flow/cw-converged-k0.01-d0.csv
attack flow -n 24 --steps 20 -o other --seed 5
expect_not "other targets by another seed" cmp -s {drawn,other}/targets.csv
expect "no target is a label" awk -F, 'NR > 1 && ($2 == $3 || $3 < 0 || $3 > 3) { exit 1 }' drawn/targets.csv
bad_targets() { refuses "$1" "$2" pal-attack flow -n 24 --steps 20 --targets "$3"; }
sed 5d drawn/targets.csv >missing.csv
bad_targets 2 "no target for image" missing.csv
awk -F, -v OFS=, 'NR == 4 { $3 = $2 } 1' drawn/targets.csv >own.csv
bad_targets 2 "is its own class" own.csv
awk -F, -v OFS=, 'NR == 4 { $3 = 4 } 1' drawn/targets.csv >large.csv
bad_targets 2 "expected a class from 0 to 3, got 4" large.csv
awk -F, -v OFS=, 'NR == 4 { $3 = -1 } 1' drawn/targets.csv >negative.csv
bad_targets 2 "expected a class from 0 to 3, got -1" negative.csv
awk -F, -v OFS=, 'NR == 4 { $3 = "cat" } 1' drawn/targets.csv >text.csv
bad_targets 3 "text.csv:4: expected a whole number for target, got \"cat\"" text.csv
sed '4{p}' drawn/targets.csv >twice.csv
bad_targets 3 "twice.csv:5: image" twice.csv
: >empty.csv
bad_targets 3 "empty.csv" empty.csv
sed 's/target/goal/' drawn/targets.csv >header.csv
bad_targets 3 "columns index and target" header.csv
head -c 3000 /dev/urandom >noise.csv
bad_targets 3 "noise.csv" noise.csv
bad_targets 3 "absent.csv" absent.csv

# What does not fit is one line.
bad() { refuses 2 "$1" pal-attack flow -n 8 "${@:2}"; }
bad "--kappa" --kappa -1
bad "--kappa" --kappa nan
bad "--kappa" --kappa 1,1
bad "--eps" --attack pgd --eps 0
bad "--eps" --attack pgd --eps nan
bad "--eps" --attack pgd --eps 0.1,0.10000001
bad "--eps: pgd, fgsm and square need a radius" --attack pgd
bad "--eps: is the radius of" --eps 0.1
bad "--robust-curve" --robust-curve 0,-1
bad "--robust-curve" --robust-curve nan
bad "--attack none" --attack none
bad "--attack: expected some of cw, ddn" --attack deepfool
bad "--attack: cw is named twice" --attack cw,cw
bad "--loss: expected some of ce" --attack pgd --eps 0.1 --loss hinge
bad "--loss: is that of" --loss dlr
bad "--protocol: expected some of" --protocol long
bad "--protocol: is of cw" --attack ddn --protocol paper
bad "--norm" --norm l1
bad "--norm: square" --attack square --norm l2 --eps 1
bad "--norm: is that of" --norm l2
bad "--detection: is of cw" --attack pgd --eps 0.1 -d 66
bad "--detection" -d -1
bad "--kappa: is of cw and ddn" --attack pgd --eps 0.1 --kappa 1
bad "--kappa: inf has no least distance" --attack ddn --kappa inf
bad "--c: is of cw" --attack ddn --c 1
bad "--c" --c 0
bad "--restarts: are of pgd" --restarts 3
bad "--steps: fgsm has one" --attack fgsm --eps 0.1 --steps 9
bad "--steps" --steps 0
bad "--trace: goes with -o" --trace 1
bad "--trace: is of cw" --attack ddn --trace 1 -o traces
bad "--transfer: needs several models" --transfer
bad "--targets: says which classes" --untargeted --targets drawn/targets.csv
bad "--targets: the robust curve has none" --attack none --robust-curve 0.1 --targets drawn/targets.csv
bad "a file; name a folder" -o names
bad "--count" -n 0
refuses 3 "absent" pal-attack absent

# A ResNet has no density to hide from.
refuses 2 "has no density" pal-attack net -d 66 -n 8
refuses 2 "has no density" pal-attack flow net -d 66 -n 8
refuses 2 "has no density" \
  pal-attack net --attack none --robust-curve 0,0.1 --loss adaptive -n 8
succeeds pal-attack net -d 0,66 -n 8 --steps 5 --threads 1
expect_text "without cw-converged-k0.01-d66" err "what is left out"
expect_not "a row of what is left out" grep -q "d66" out
succeeds pal-attack net --attack none --robust-curve 0,0.1 --loss ce,adaptive -n 8 --steps 5 --threads 1
expect_text "without pgd-linf-0.1-margin-d66" err "a loss of the curve that is left out"
succeeds pal-attack flow --attack cw,ddn --kappa 1,inf -n 8 --steps 5 --threads 1
expect_text "ddn: without kappa inf" err "a margin without bound"

# Signs of weak attacks.
succeeds pal-attack flow net --attack pgd --eps 0.1 --steps 1 --transfer -n 24 --threads 1 --json
expect_text '"transferred": {' out "--transfer"
succeeds pal-attack net --attack fgsm --eps 1 -n 24 --threads 1
expect_match "warning: net: fgsm-linf-1-ce-targeted: .* images: no step made" err "one step too far"

finish_test "pal-attack"
