#!/usr/bin/env bash
# Usage: python_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# Our files from Python: experiments/read_checkpoint.py agrees with pal-evaluate on tiny flows of every
# kind that it knows, and the examples of experiments/README.md run as they stand there. SKIPPED without
# PyTorch, safetensors, numpy or Pillow.
source "$(dirname "$0")/harness.sh" "$@"

# example NUMBER: the Python blocks of the README, counted from 1.
example() {
  awk -v wanted="$1" '/^```/ { inside = /^```python$/; count += inside; next }
    inside && count == wanted' "$source_folder/experiments/README.md"
}

find_python torch safetensors numpy PIL
export PYTHONPATH=$source_folder/experiments PYTHONDONTWRITEBYTECODE=1
check=$source_folder/tests/experiments/python_check.py

# python_runs WHAT ARGUMENTS
python_runs() {
  local what=$1
  shift
  code=0
  timeout 120 "$python" "$@" >out 2>err || code=$?
  expect_code 0 "$what"
}
python_runs "grey pictures" "$check" pictures grey L 8
python_runs "coloured pictures" "$check" pictures colour RGB 16

# flow WHAT DATA SIZE OPTIONS: trains and evaluates a flow.
flow() {
  local what=$1 data=$2 size=$3
  shift 3
  succeeds pal-train "$data" --image-size "$size" --resize "$size" -b 12 --threads 1 --max-steps 12 \
    --epochs 2 --recalibrate-bn 2 "$@" -o "$what"
  succeeds pal-evaluate "$what/checkpoints/last" "$data" --threads 1 --save-outputs "$what.csv"
  expect_lines 19 "$what.csv" "$what: outputs"
}
flow slow grey 8 -a ibinn-mnist --blocks 2,2 --widths 8,8 --coupling slow --clamp 0.7
flow glow colour 16 -a ibinn-small --blocks 2,1,1 --widths 8,8,8 --coupling glow --clamp 1
flow entry colour 16 -a ibinn-imagenet --blocks 2,1 --strides 1,2 --widths 8,8 --entry-width 8 \
  --rank 2 --lr 0.01 --lr-mu 0.01
pairs=
for what in slow glow entry; do pairs="$pairs $what/checkpoints/last $what.csv"; done
python_runs "flows in PyTorch" "$check" compare $pairs
expect_lines 9 out "flows in PyTorch"

succeeds pal-train grey -a ibinn-mnist --image-size 8 --blocks 1,1 --widths 8,8 -b 12 --threads 1 \
  --max-steps 1 --mixing orthogonal -o orthogonal
expect_not "a mixing that is not written out" \
  "$python" "$check" compare orthogonal/checkpoints/last slow.csv 2>err
expect_text "mixing = orthogonal: only permutation is written out here" err "a refusal"

# The examples. A ResNet's outputs have no noise, so the printed probabilities are those of the file.
example 1 >curve
(cd slow && "$python" ../curve) >out 2>err || fail "the curve: $(tail -n 3 err)"
expect_match '^12 ' out "the curve"
example 2 >classify
sed -i "s|\"experiments\"|\"$source_folder/experiments\"|" classify
python_runs "a flow's classes" classify slow/checkpoints/last grey/val/*/0.png
expect_match '^grey/val/class 2/0.png: class [012] [01]\.[0-9]*$' out "a flow's classes"
expect_lines 3 out "a flow's classes"
if has_module torchvision; then
  succeeds pal-train colour -a resnet50 --blocks 1,1,1,1 --image-size 16 --resize 16 -b 12 --threads 1 \
    --max-steps 2 --recalibrate-bn 0 -o resnet
  succeeds pal-evaluate resnet/checkpoints/last colour --threads 1 --save-outputs outputs.csv
  python_runs "a ResNet's classes" classify resnet/checkpoints/last colour/val/*/*.png
  expect_lines 18 out "a ResNet's classes"
  expect "a ResNet's probabilities differ" "$python" - <<'END'
import csv

printed = dict(line.rsplit(": ", 1) for line in open("out").read().splitlines())
for row in csv.DictReader(open("outputs.csv")):
    name, probability = printed[row["name"]].rsplit(" ", 1)
    assert name == f"class {row['predicted']}", (row, name)
    assert abs(float(probability) - float(row["confidence"])) < 1e-4, (row, probability)
END
else
  skip_part "a ResNet's classes" "$python has no torchvision"
fi

if has_module matplotlib; then
  python_runs "curves of runs" "$source_folder/experiments/plot_curves.py" slow glow --out curves.svg
  expect_text "<svg" curves.svg "curves of runs"
  cp curves.svg before.svg
  python_runs "curves once more" "$source_folder/experiments/plot_curves.py" slow glow --out curves.svg
  expect_same {before,curves}.svg
else
  skip_part "curves of runs" "$python has no matplotlib"
fi

finish_test "our files from Python"
