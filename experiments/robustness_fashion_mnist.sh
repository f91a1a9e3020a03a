#!/usr/bin/env bash
# Unlike what was learned, and worse than what was learned: foreign images and corruptions on
# Fashion-MNIST, for the seven networks whose weights lie in experiments/results/sweep.
#   ./experiments/robustness_fashion_mnist.sh [--silhouettes FILE] [--frost DIR] [-n IMAGES] [DIR]
#     --silhouettes FILE   an IDX file of silhouettes, as a foreign set more
#     --frost DIR          six photographs of frozen panes (the PyPI package imagecorruptions has them);
#                          without them frost is a texture, which the results say
#     -n IMAGES            test images that are corrupted (default: 2000)
#     --bin FOLDER         programs that are built already
#     DIR                  where all of it goes (default: runs/robustness)
# About four minutes on two idle cores. Started again after a kill it goes on where it was.
set -euo pipefail

images=2000 bin='' dir='' silhouettes='' frost=()
usage() {
  echo "robustness: error: $*; see --help" >&2
  exit 2
}
while [ $# -gt 0 ]; do
  case $1 in
    --silhouettes | --frost | --bin | -n)
      [ $# -gt 1 ] || usage "$1 needs a value"
      case $1 in
        --silhouettes) silhouettes=$(realpath "$2") ;;
        --frost) frost=(--frost "$(realpath "$2")") ;;
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
[ -z "$silhouettes" ] || [ -f "$silhouettes" ] || usage "--silhouettes: $silhouettes: no such file"
[ -z "$dir" ] || dir=$(realpath -m "$dir")
cd "$(dirname "$(realpath "$0")")/.."
dir=${dir:-runs/robustness}
weights=experiments/results/sweep
networks=(beta_0 beta_0.25 beta_1 beta_4 beta_16 beta_inf)

if [ -z "$bin" ]; then
  cmake/setup.sh dataset-fashion-mnist
  cmake --preset release -DPALINDROME_TESTS=OFF -DPALINDROME_BENCH=OFF >/dev/null
  cmake --build --preset release --target pal-ood pal-robustness pal-corrupt
  bin=build/release/bin
fi
mkdir -p "$dir"
sets=(vflip inverted low-contrast noise shuffled constant)
if cmake/fetch_digits.sh 2>/dev/null; then
  sets=(digits "${sets[@]}")
else
  echo "robustness: no digits, so none are told from clothes" >&2
fi
[ -z "$silhouettes" ] || sets+=("$silhouettes")

for network in "${networks[@]}"; do
  out=$dir/foreign/$network
  # Written last: a network without it, or of other sets, is measured again.
  [ "$(cat "$out/sets.txt" 2>/dev/null)" != "${sets[*]}" ] || continue
  echo "robustness: $network: foreign images"
  mkdir -p "$out"
  "$bin/pal-ood" "$weights/$network.safetensors" --against "${sets[@]}" -o "$out" --quiet \
    >"$out/table.txt"
  echo "${sets[*]}" >"$out/sets.txt"
done

all=()
for network in "${networks[@]}" resnet; do all+=("$weights/$network.safetensors"); done
corrupt() {
  "$bin/pal-robustness" "${all[@]}" -n "$images" -o "$dir/corruptions" ${frost[@]+"${frost[@]}"} "$@"
}
echo "robustness: corruptions"
corrupt >/dev/null
# By the errors of the feed-forward net: the cells are there.
corrupt --mce-reference "$dir/corruptions/errors/resnet.csv" --quiet >"$dir/corruptions/table.txt"
[ -e "$dir/fig18.png" ] ||
  "$bin/pal-corrupt" fashion-mnist --sheet "$dir/fig18.png" ${frost[@]+"${frost[@]}"} --quiet

# columns TABLE: lines of a CSV file as Markdown, shares in percent.
columns() {
  awk -F, '{
    line = "|"
    for (i = 1; i <= NF; ++i)
      line = line " " (NR > 1 && i > 1 && $i != "" ? sprintf("%.1f", 100 * $i) : $i) " |"
    print line
    if (NR == 1) { line = "|---|"; for (i = 2; i <= NF; ++i) line = line "--:|"; print line }
  }' "$1"
}

# scores SCORE: AUC against test images by set and network.
scores() {
  local network files=()
  for network in "${networks[@]}"; do files+=("$dir/foreign/$network/detection.csv"); done
  awk -F, -v score="$1" '
    FNR == 1 { name = FILENAME; sub("/detection.csv$", "", name); sub(".*/", "", name)
               names[++networks] = name; next }
    $4 == score && $5 == "test" {
      if (!($1 in seen)) { seen[$1] = 1; sets[++count] = $1 }
      auc[$1, networks] = sprintf("%.1f", 100 * $7)
    }
    END {
      line = "| set |"; rule = "|---|"
      for (n = 1; n <= networks; ++n) { line = line " " names[n] " |"; rule = rule "--:|" }
      print line; print rule
      for (s = 1; s <= count; ++s) {
        line = "| " sets[s] " |"
        for (n = 1; n <= networks; ++n) line = line " " auc[sets[s], n] " |"
        print line
      }
    }' "${files[@]}"
}

{
  echo "# Foreign and corrupted images of Fashion-MNIST"
  echo
  echo "Written by \`experiments/robustness_fashion_mnist.sh\`; the networks are those of seed 0 of"
  echo "the sweep over beta (\`experiments/results/sweep\`), whose page has the verdicts over three seeds."
  echo
  echo "## Is this unlike what was learned?"
  echo "AUC in percent, against 10,000 test images (\`pal-ood\`): 50 is guessing, below that the foreign"
  echo "images look more familiar than the network's own."
  for score in quantile one-tailed complexity states entropy familiarity; do
    echo
    echo "**$score**"
    echo
    scores "$score"
  done
  echo
  echo "## Does the answer hold?"
  echo "$images test images under 15 corruptions at five severities (\`pal-robustness\`)."
  [ ${#frost[@]} != 0 ] || echo "Frost is a texture here, not photographs."
  echo
  echo "**Table 3: told by density, AUC %** (quantile test, all severities together, against training images)"
  echo
  columns "$dir/corruptions/table3.csv"
  echo
  echo '```'
  sed -n '/^error, %/,$p' "$dir/corruptions/table.txt"
  echo '```'
  echo
  echo "![Table 3](corruptions/table3.svg)"
  echo
  echo "**Fig. 18: one image under all of them**"
  echo
  echo "![Corruptions](fig18.png)"
  echo
  echo "**Fig. 8: how likely foreign images are, beta 1**"
  for figure in "$dir"/foreign/beta_1/fig8_*.svg; do
    echo
    echo "![$(basename "$figure" .svg)](foreign/beta_1/$(basename "$figure"))"
  done
} >"$dir/README.md.new"
mv "$dir/README.md.new" "$dir/README.md"
echo "results: $dir"
