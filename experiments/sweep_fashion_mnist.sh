#!/usr/bin/env bash
# The paper's sweep over beta on Fashion-MNIST: flows of beta 0, 0.25, 1, 4, 16 and inf and a
# feed-forward net to compare with, of several seeds; then what they are worth, figures of why they
# answer as they do, and which orderings of the paper hold.
#   ./experiments/sweep_fashion_mnist.sh [--full] [--epochs E] [--seeds N] [--train-only]
#       [--attacks FOLDER] [DIR]
#     --full         40 epochs, the recipe of the preset (default: 4)
#     --epochs E     as many as that
#     --seeds N      seeds 0 to N - 1 (default: 3)
#     --train-only   nothing but the runs
#     --attacks FOLDER
#                    what pal-attack -o wrote of these networks (called as their runs, or of seed 0 as
#                    the weights in DIR/results), for verdicts and the page; copied into DIR/attacks,
#                    where it may lie already. Nothing is attacked here.
#     --bin FOLDER   programs that are built already
#     DIR            where all of it goes (default: runs/sweep)
# 21 runs of 4 epochs and their figures take about an hour and a half on two idle cores. Started again
# after a kill it goes on where it was: what is complete stays. Every product with the command that
# made it is in DIR/commands.txt; DIR/results has a page of tables, figures and verdicts, and weights.
set -euo pipefail

epochs=4 seeds=3 train_only='' attacks='' bin='' dir=''
usage() {
  echo "sweep: error: $*; see --help" >&2
  exit 2
}
while [ $# -gt 0 ]; do
  case $1 in
    --full) epochs=40 ;;
    --train-only) train_only=yes ;;
    --epochs | --seeds | --attacks | --bin)
      [ $# -gt 1 ] || usage "$1 needs a value"
      case $1 in
        --epochs) epochs=$2 ;;
        --seeds) seeds=$2 ;;
        --attacks) attacks=$(realpath -m "$2") ;;
        --bin) bin=$(realpath "$2") ;;
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
[[ $epochs =~ ^[0-9]+(\.[0-9]+)?$|^\.[0-9]+$ ]] || usage "--epochs: expected a number, got $epochs"
[[ $seeds =~ ^[1-9][0-9]*$ ]] || usage "--seeds: expected a whole number from 1, got $seeds"
[ -z "$attacks" ] || [ -f "$attacks/attacks.json" ] ||
  usage "--attacks: $attacks has no attacks.json, which pal-attack -o writes"
[ -z "$attacks" ] || [ -z "$train_only" ] || usage "--attacks has no effect with --train-only"
dir=${dir:-runs/sweep}
here=$(dirname "$(realpath "$0")")

if [ -z "$bin" ]; then
  cd "$here/.."
  cmake/setup.sh dataset-fashion-mnist
  cmake --preset release -DPALINDROME_TESTS=OFF -DPALINDROME_BENCH=OFF >/dev/null
  cmake --build --preset release \
    --target pal-train pal-evaluate pal-explain pal-info pal-convert pal-robustness pal-compare \
    pal-report
  bin=build/release/bin
  fetch=cmake/fetch_digits.sh
else
  fetch=$here/../cmake/fetch_digits.sh
fi
mkdir -p "$dir"
touch "$dir/commands.txt"

# One program at a time, which gets the signals that this script gets, and may end in its own way.
child=''
stop() {
  trap '' INT TERM
  if [ -n "$child" ]; then
    kill -TERM "$child" 2>/dev/null || true
    wait "$child" || true
  fi
  echo "sweep: stopped; the same command goes on" >&2
  exit "$1"
}
trap 'stop 130' INT
trap 'stop 143' TERM

# run PROGRAM ARGUMENTS
run() {
  local status=0
  "$bin/$1" "${@:2}" &
  child=$!
  wait "$child" || status=$?
  child=''
  return "$status"
}

failures=0
# failed WHAT STATUS: notes it, and goes on with the rest.
failed() {
  echo "sweep: $1: exit code $2" >&2
  failures=$((failures + 1))
}

# record PRODUCT PROGRAM ARGUMENTS: the product's line of commands.txt.
record() {
  local words='' word
  for word in "${@:2}"; do
    [[ $word =~ ^[A-Za-z0-9_./,=-]+$ ]] || word=${word@Q}
    words+=" $word"
  done
  awk -v product="$1:" 'index($0, product) != 1' "$dir/commands.txt" >"$dir/commands.txt.new"
  echo "$1:$words" >>"$dir/commands.txt.new"
  mv "$dir/commands.txt.new" "$dir/commands.txt"
}

# make PRODUCT PROGRAM ARGUMENTS: makes it with what is printed beside it as .txt, unless it is there.
make() {
  local product=$1 status=0
  shift
  [ ! -e "$product" ] || return 0
  echo "sweep: $product"
  mkdir -p "$(dirname "$product")"
  run "$@" >"${product%.*}.txt.new" || status=$?
  if [ "$status" != 0 ]; then
    rm -f "${product%.*}.txt.new"
    failed "$product" "$status"
    return 0
  fi
  mv "${product%.*}.txt.new" "${product%.*}.txt"
  record "$product" "$@"
}

# The runs: all networks of a seed before the next seed, so that a sweep that is stopped early can
# be compared.
networks=(beta_1 beta_0 beta_inf beta_0.25 beta_4 beta_16 resnet)
is_complete() { grep -q '"complete": true' "$1/summary.json" 2>/dev/null; }

train() {
  local network=$1 seed=$2 run=$dir/$1_seed_$2 what resume=() status=0 own
  what=(--beta "${network#beta_}")
  [ "$network" != resnet ] ||
    what=(-a resnet-small --blocks "4,4" --strides "1,2" --widths "16,32")
  if [ -e "$run/config.toml" ]; then
    own=$(sed -n 's/^epochs = \([^ ]*\).*/\1/p' "$run/config.toml")
    awk -v a="$own" -v b="$epochs" 'BEGIN { exit a + 0 != b + 0 }' ||
      usage "$run was begun with $own epochs, not $epochs; name another DIR"
    resume=(--resume auto)
  fi
  set -- pal-train --dataset fashion-mnist "${what[@]}" --epochs "$epochs" --seed "$seed" \
    --activation-memory max --checkpoint-every 200 --keep-checkpoints 1 --progress never --quiet \
    -o "$run"
  if is_complete "$run"; then
    record "$run" "$@"
    return 0
  fi
  echo "sweep: $run${resume[*]:+, going on}"
  run "$@" ${resume[@]+"${resume[@]}"} >/dev/null || status=$?
  if [ "$status" = 0 ]; then record "$run" "$@"; else failed "$run" "$status"; fi
}

for ((seed = 0; seed < seeds; ++seed)); do
  for network in "${networks[@]}"; do train "$network" "$seed"; done
done
[ -z "$train_only" ] || exit $((failures > 0))

# Handwritten digits, to be told from clothes: done without if not to be had.
sets=(vflip inverted low-contrast noise shuffled constant)
if "$fetch" 2>/dev/null; then
  sets=(digits "${sets[@]}")
else
  echo "sweep: no digits, so none are told from clothes" >&2
fi

# evaluate RUN FLOW: puts the results into its summary.json, unless they are there.
evaluate() {
  local run=$1 set ood=() known=yes status=0
  if [ -n "$2" ]; then
    for set in "${sets[@]}"; do
      ood+=(--ood "$set")
      grep -q "\"set\": \"$set\"" "$run/summary.json" || known=''
    done
  fi
  if [ -n "$known" ] && grep -q '"calibrated"' "$run/summary.json"; then return 0; fi
  echo "sweep: $run: evaluation"
  set -- pal-evaluate "$run" --calibrate ${ood[@]+"${ood[@]}"} --summary "$run/summary.json" --quiet
  run "$@" >"$run/evaluation.txt" || status=$?
  if [ "$status" = 0 ]; then record "$run/summary.json" "$@"; else failed "$run" "$status"; fi
}

runs=() first=()
for ((seed = 0; seed < seeds; ++seed)); do
  for network in beta_0 beta_0.25 beta_1 beta_4 beta_16 beta_inf resnet; do
    run=$dir/${network}_seed_$seed
    is_complete "$run" || continue
    runs+=("$run")
    [ "$seed" != 0 ] || first+=("$run")
    flow=yes
    [ "$network" != resnet ] || flow=''
    evaluate "$run" "$flow"
    make "$run/receptive-field.svg" pal-explain receptive-field "$run" \
      -o "$run/receptive-field.svg" --quiet
    [ -n "$flow" ] || continue
    make "$run/dct.svg" pal-explain dct "$run" -o "$run/dct.svg" --quiet
    # Class means of beta 0 say little: nothing told it the classes.
    [ "$network" != beta_0 ] || continue
    make "$run/similarity.svg" pal-explain similarity "$run" -o "$run/similarity.svg" --quiet
    [ "$seed" = 0 ] || continue
    make "$run/decision.svg" pal-explain decision "$run" -o "$run/decision.svg" --quiet
    make "$run/heatmap.png" pal-explain heatmap "$run" -o "$run/heatmap.png" --quiet
    make "$run/evidence.png" pal-explain evidence "$run" -o "$run/evidence.png" --quiet
    make "$run/plane.svg" pal-explain plane "$run" --finetune all -o "$run/plane.svg" --quiet
  done
done
if [ ${#runs[@]} = 0 ]; then
  echo "sweep: no complete run" >&2
  exit 1
fi

# Tables and figures of all networks, of seed 0.
if [ ${#first[@]} != 0 ]; then
  make "$dir/figures/table2.csv" pal-evaluate "${first[@]}" --figures "$dir/figures" --quiet
  for run in "$dir/beta_1_seed_0" "$dir/resnet_seed_0"; do
    is_complete "$run" || continue
    tables=$dir/figures/$(basename "${run%_seed_0}")
    make "$tables/table5.csv" pal-info "$run" --tables "$tables"
  done
  if is_complete "$dir/beta_1_seed_0"; then
    foreign=()
    [ "${sets[0]}" != digits ] || foreign=(--ood digits)
    make "$dir/figures/beta_1/density_1.svg" pal-evaluate "$dir/beta_1_seed_0" \
      ${foreign[@]+"${foreign[@]}"} --ood inverted --figures "$dir/figures/beta_1" --quiet
  fi
fi

# What corruptions do to all of them, measured by the feed-forward net of seed 0 where it is there;
# made anew, as what was computed stays.
corrupted=$dir/robustness
rm -f "$corrupted"/{corruptions,means}.csv
make "$corrupted/corruptions.csv" pal-robustness "${runs[@]}" -n 2000 -o "$corrupted" --quiet
if [ -e "$corrupted/errors/resnet_seed_0.csv" ]; then
  rm -f "$corrupted/means.csv"
  make "$corrupted/means.csv" pal-robustness "${runs[@]}" -n 2000 -o "$corrupted" \
    --mce-reference "$corrupted/errors/resnet_seed_0.csv" --quiet
fi

# What attacks found, if somebody made some: the programs below look there.
if [ -n "$attacks" ] && [ "$attacks" != "$(realpath -m "$dir/attacks")" ]; then
  mkdir -p "$dir/attacks"
  find "$attacks" -maxdepth 1 -type f -exec cp {} "$dir/attacks" \;
fi

# What follows is made anew: it takes no time, and runs may have been added.
rm -f "$dir/runs.csv"
make "$dir/runs.csv" pal-compare "${runs[@]}" -o "$dir"
rm -f "$dir/report.html"
make "$dir/report.html" pal-report "${runs[@]}" -o "$dir/report.html" --quiet
[ ${#first[@]} = 0 ] || "$here/sweep_results.sh" --bin "$bin" "$dir" "$dir/results"
[ ! -e "$dir/runs.txt" ] || cat "$dir/runs.txt"
echo "results: $dir"
exit $((failures > 0))
