#!/usr/bin/env bash
# How far must an attacker go, and is it noticed? Attacks on the seven networks whose weights lie in
# experiments/results/sweep, on Fashion-MNIST (the paper's Tables 7 to 9, Figures 6, 7, 19 to 32).
#   ./experiments/attacks_fashion_mnist.sh [--full] [-n IMAGES] [DIR]
#     --full       200 images, d 1000 too, and random starts
#     -n IMAGES    test images that are attacked (default: 40)
#     --bin FOLDER programs that are built already
#     DIR          where all of it goes (default: runs/attacks)
# About half an hour on two idle cores; pal-attack says about how long once it has begun. Started
# again after a kill it goes on where it was. Of beta 0, whose classes mean nothing, only what is said
# of detection counts.
set -euo pipefail

images=40 bin='' dir='' weights_of_detection=0,66 restarts=1
usage() {
  echo "attacks: error: $*; see --help" >&2
  exit 2
}
while [ $# -gt 0 ]; do
  case $1 in
    --full) images=200 weights_of_detection=0,66,1000 restarts=5 ;;
    --bin | -n)
      [ $# -gt 1 ] || usage "$1 needs a value"
      case $1 in
        --bin) bin=$(realpath "$2") ;;
        -n) images=$2 ;;
      esac
      shift
      ;;
    -h | --help)
      sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
      exit 0
      ;;
    -*) usage "no option $1" ;;
    *)
      [ -z "$dir" ] || usage "two folders, $dir and $1"
      dir=$1
      ;;
  esac
  shift
done
[[ $images =~ ^[1-9][0-9]*$ ]] || usage "-n: expected a whole number from 1, got $images"
[ -z "$dir" ] || dir=$(realpath -m "$dir")
cd "$(dirname "$(realpath "$0")")/.."
dir=${dir:-runs/attacks}
weights=experiments/results/sweep
networks=(beta_0 beta_0.25 beta_1 beta_4 beta_16 beta_inf resnet)

if [ -z "$bin" ]; then
  cmake/setup.sh dataset-fashion-mnist
  cmake --preset release -DPALINDROME_TESTS=OFF -DPALINDROME_BENCH=OFF >/dev/null
  cmake --build --preset release --target pal-attack
  bin=build/release/bin
fi
mkdir -p "$dir"
all=()
for network in "${networks[@]}"; do all+=("$weights/$network.safetensors"); done
begin=$SECONDS
attack() {
  "$bin/pal-attack" "${all[@]}" -n "$images" --activation-memory max --restarts "$restarts" "$@"
}
# The least change, targeted, and robust accuracy within balls of largest changes, among them 1, 2, 4
# and 8 of 255 levels.
attack --attack cw,ddn,square --protocol converged,paper --kappa 0.01,1,inf \
  --detection "$weights_of_detection" --trace 10 --transfer \
  --robust-curve 0,0.0005,0.001,0.002,0.00392157,0.00784314,0.0156863,0.0313725,0.1,0.5 -o "$dir" >"$dir/table.txt"
# Robust accuracy within balls of the L2 norm.
attack --attack none --norm l2 --robust-curve 0,0.01,0.03,0.1,0.3,1,3 -o "$dir/l2" \
  >"$dir/l2.txt"
took=$(((SECONDS - begin + 59) / 60))

# pivot FILE KEY PREFIX COLUMN FORMAT FACTOR: a column of a CSV file as Markdown, a line for each key
# that begins so, a column for each network.
pivot() {
  awk -F, -v key="$2" -v prefix="$3" -v column="$4" -v format="$5" -v factor="$6" '
    NR == 1 { for (i = 1; i <= NF; ++i) place[$i] = i; next }
    index($place[key], prefix) == 1 {
      row = $place[key]
      if (!($1 in model)) { model[$1] = 1; models[++m] = $1 }
      if (!(row in seen)) { seen[row] = 1; rows[++n] = row }
      value[$1, row] = $place[column] == "" ? "" : sprintf(format, factor * $place[column])
    }
    END {
      line = "| " key " |"; rule = "|---|"
      for (i = 1; i <= m; ++i) { line = line " " models[i] " |"; rule = rule "--:|" }
      print line; print rule
      for (k = 1; k <= n; ++k) {
        line = "| " rows[k] " |"
        for (i = 1; i <= m; ++i) line = line " " value[models[i], rows[k]] " |"
        print line
      }
    }' "$1"
}
table() { pivot "$dir/attacks.csv" attack "$@"; }
curve() { pivot "$1" eps "" "$2" %.1f 100; }

{
  echo "# Attacks on Fashion-MNIST"
  echo
  echo "Written by \`experiments/attacks_fashion_mnist.sh\`: the networks are those of seed 0"
  echo "of the sweep over beta (\`experiments/results/sweep\`), $images test images, targets drawn once."
  echo "What the words mean: section 19 of \`experiments/measures/README.md\`. Of beta 0 the classes mean"
  echo "nothing; only what is said of its detection counts."
  echo
  for figure in fig7-ddn fig7-cw-converged fig7-cw-paper fig23-detection-cw-converged robust_curve; do
    [ ! -e "$dir/$figure.svg" ] || echo "![$figure]($figure.svg)"
  done
  echo
  echo "Sheets of pictures are in [sheets](sheets), ways through the latent space in [traces](traces)."
  for part in "cw-converged|cw, converged" "ddn|ddn" "cw-paper|cw, the paper's protocol"; do
    prefix=${part%%|*}
    echo
    echo "## ${part#*|}"
    for what in "l2|%.3f|1|Mean L2 norm of the change, values in [0, 1]" \
      "success|%.0f|100|Reached, % of the images" \
      "success_8bit|%.0f|100|Reached by the picture of 8 bits, %" \
      "auc_two_tailed|%.1f|100|Told from training images by density, two-tailed AUC in %" \
      "flagged|%.0f|100|Flagged by density, p below 5 %, in % of the images" \
      "familiarity_flagged|%.0f|100|Flagged by familiarity, p below 5 %, in %"; do
      IFS='|' read -r column format factor title <<<"$what"
      echo
      echo "**$title**"
      echo
      table "$prefix" "$column" "$format" "$factor"
    done
  done
  for part in "$dir/robust_curve.csv|L-infinity" "$dir/l2/robust_curve.csv|L2"; do
    echo
    echo "## Robust accuracy, ${part#*|}"
    echo
    echo "**Right under the worst attack, %**"
    echo
    curve "${part%%|*}" accuracy
    echo
    echo "**The same of the pictures of 8 bits that attacks leave, %**"
    echo
    curve "${part%%|*}" accuracy_8bit
    echo
    echo "**Right, or wrong and flagged by familiarity, %**"
    echo
    curve "${part%%|*}" noticed_familiarity
  done
} >"$dir/README.md"
echo "attacks: $took min; $dir/README.md"
