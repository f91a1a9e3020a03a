#!/usr/bin/env bash
# What others need of a sweep over beta: verdicts, tables, the paper's figures with the commands that
# made them, and the weights of seed 0 without what only training needs, with their calibrations.
#   ./experiments/sweep_results.sh [--bin FOLDER] SWEEP OUT
#     --bin FOLDER   the programs (default: build/release/bin)
#     SWEEP          a folder that sweep_fashion_mnist.sh has filled
#     OUT            a folder for the results, with a page README.md that shows them
set -euo pipefail

bin=build/release/bin places=()
while [ $# -gt 0 ]; do
  case $1 in
    --bin)
      bin=${2-}
      shift $(($# > 1))
      ;;
    -h | --help)
      sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
      exit 0
      ;;
    -*)
      echo "sweep_results: error: no option $1; see --help" >&2
      exit 2
      ;;
    *) places+=("$1") ;;
  esac
  shift
done
[ ${#places[@]} = 2 ] || {
  echo "sweep_results: error: expected SWEEP and OUT; see --help" >&2
  exit 2
}
sweep=${places[0]} out=${places[1]}
[ -x "$bin/pal-convert" ] || {
  echo "sweep_results: error: --bin: $bin has no pal-convert; build it or name another folder" >&2
  exit 2
}
[ -e "$sweep/orderings.markdown" ] || {
  echo "sweep_results: error: $sweep: no sweep with results: it has no orderings.markdown" >&2
  exit 3
}
mkdir -p "$out/calibration"
page=$out/README.md.new
trap 'rm -f "$page"' EXIT

cp "$sweep"/{runs.csv,runs.json,orderings.csv,commands.txt} "$out"
[ ! -e "$sweep/report.html" ] || cp "$sweep/report.html" "$out"

{
  echo "# The sweep over beta on Fashion-MNIST"
  echo
  echo "Written by \`experiments/sweep_results.sh\` from what \`experiments/sweep_fashion_mnist.sh\` made."
  echo "The paper: Generative Classifiers as a Basis for Trustworthy Image Classification, by Mackowiak,"
  echo "Ardizzone, Köthe and Rother (2021); it trained for ImageNet at 224 x 224, so what it found may"
  echo "well not hold for small networks and small images. [report.html](report.html), to be downloaded, shows"
  echo "the same runs with their training curves, samples and evidence side by side."
  echo
  echo "## What holds"
  cat "$sweep/orderings.markdown"
  echo
  echo "[runs.csv](runs.csv) has a line for each run with its seed, machine and seconds (which other work on"
  echo "the machine may have lengthened), [runs.json](runs.json) all that was measured of it,"
  echo "[orderings.csv](orderings.csv) the verdicts, [commands.txt](commands.txt) every command. Two standard errors over three seeds are a weak test"
  echo "(two degrees of freedom): what is near them may fall either way with other seeds."
  echo
  echo "## Tables and figures, of seed 0"
} >"$page"

# product FILE NAME CAPTION READING [BESIDE]: copies a product of the sweep under the paper's name,
# with its command, if the sweep made it; BESIDE is the product whose command made it too.
product() {
  local file=$sweep/$1 name=$2 caption=$3 reading=$4 beside=${5:-} command
  [ -e "$file" ] || return 0
  cp "$file" "$out/$name"
  {
    echo
    echo "**$caption.** $reading"
    echo
    if [ -z "$beside" ]; then
      command=$(awk -v product="$file: " \
        'index($0, product) == 1 { print substr($0, length(product) + 1) }' "$sweep/commands.txt")
      [ -z "$command" ] || printf '```\n%s\n```\n\n' "$command"
    else
      printf 'By the command of %s.\n\n' "$beside"
    fi
    case $name in
      *.svg | *.png) echo "![$caption]($name)" ;;
      *) table "$file" ;;
    esac
  } >>"$page"
}

# table FILE: a CSV file of numbers as Markdown, run folders by their last part.
table() {
  awk -F, '{
    line = "|"
    for (i = 1; i <= NF; ++i) {
      cell = $i
      if (cell ~ /^-?[0-9]+\.[0-9]+(e-?[0-9]+)?$/) cell = sprintf("%.4g", cell)
      if (i == 1) { sub("/checkpoints/.*", "", cell); sub(".*/", "", cell) }
      line = line " " cell " |"
    }
    print line
    if (NR == 1) { line = "|"; for (i = 1; i <= NF; ++i) line = line "---|"; print line }
  }' "$1"
}

product figures/table2.csv table2.csv "Table 2: losses, accuracy and bits per dimension" \
  "L_X is what images cost, L_Y and CE what their names do, in nats: all are better low."
product figures/fig2.svg fig2.svg "Fig. 2: bits per dimension against accuracy" \
  "Up is more accurate, left a better density; no beta has both." "Table 2"
product figures/table6.csv table6.csv "Table 6: calibration" \
  "Errors of confidences as shares, better low; oce: overconfidence, 1 is as many errors as allowed." \
  "Table 2"
product figures/calibration.svg fig14.svg "Fig. 14: calibration" \
  "On the dashed line a confidence means what it says; above it a network is too modest." "Table 2"
product figures/beta_1/table5.csv table5.csv "Table 5: how far the network can see" \
  "The largest possible receptive field after each part, in pixels."
product beta_1_seed_0/decision.svg fig3.svg "Fig. 3: an image among its likeliest classes, beta 1" \
  "Half circles hold nine in ten images of a class."
product beta_1_seed_0/similarity.svg fig16.svg \
  "Figs. 4 and 16: the uncertainty to expect between two classes, beta 1" \
  "Dark pairs lie near each other; people would expect shirts and T-shirts there."
product beta_1_seed_0/heatmap.png fig5.png "Fig. 5: where the answer comes from, beta 1" \
  "Red places speak for a class, blue ones against it; a map sums to the logarithm of its probability."
product beta_1_seed_0/evidence.png evidence.png \
  "What speaks for the answer against the next likely class, beta 1" \
  "It should be the object that speaks."
product figures/beta_1/density_1.svg fig8.svg "Fig. 8: how likely images and foreign ones are, beta 1" \
  "Digits look likelier than clothes, so that only a test of both sides tells them."
product beta_1_seed_0/dct.png fig11.png "Fig. 11: the components of the pooling" \
  "Frequencies down and across." "Fig. 12"
product beta_1_seed_0/dct.svg fig12.svg "Fig. 12: what each component tells of the classes, beta 1" \
  "Mirrored training images make odd horizontal ones tell less."
for beta in 1 inf; do
  product "beta_${beta}_seed_0/receptive-field.svg" "fig13-beta-$beta.svg" \
    "Fig. 13: how far the features see, beta $beta" "The width at half the maximum counts."
done
product resnet_seed_0/receptive-field.svg fig13-resnet.svg \
  "Fig. 13: how far the features see, ResNet" "It sees further than any flow."
for beta in 1 inf; do
  product "beta_${beta}_seed_0/plane.svg" "fig15-beta-$beta.svg" \
    "Fig. 15: ten classes in a plane, beta $beta" \
    "Cells are where a class is the answer; points far beyond the means are surer than any mean."
done
product attacks/tables7-9.csv tables7-9.csv "Tables 7 to 9: attacks, by pal-attack" \
  "d: the weight of going unnoticed. 8bit: of pictures as they are saved; one_tailed, two_tailed: \
how well the density tells attacked images, 50 is guessing. Sizes of images that are not fooled count too."

{
  echo
  echo "## Weights of seed 0"
  echo "Without what only training needs, with their calibrations in \`calibration/\`, so that all programs"
  echo "take them as they are:"
  echo
  echo '```'
} >>"$page"
for run in "$sweep"/*_seed_0; do
  weights=$out/$(basename "${run%_seed_0}").safetensors
  "$bin/pal-convert" "$run" "$weights" --weights-only --quiet >/dev/null
  # A calibration belongs to the weights, which are the same.
  find "$run" -path '*/calibration/*.safetensors' -exec cp {} "$out/calibration" \;
  echo "pal-evaluate $(basename "$weights")" >>"$page"
done
echo '```' >>"$page"
mv "$page" "$out/README.md"
echo "results: $out"
