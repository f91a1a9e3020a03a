#!/usr/bin/env bash
# Usage: compare_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-compare: runs beside each other; what the script of the sweep refuses.
source "$(dirname "$0")/harness.sh" "$@"

for beta in 0 4 inf; do
  succeeds pal-train $tiny --threads 1 --beta $beta --epochs 0.4 -o "beta_$beta" --quiet
done
succeeds pal-train $tiny -a resnet-small --threads 1 --epochs 0.4 -o net --quiet
for run in beta_4 net; do succeeds pal-evaluate $run --summary $run/summary.json --quiet; done
succeeds pal-explain dct beta_4 -o beta_4/dct.svg --quiet
succeeds pal-explain similarity beta_4 -o beta_4/similarity.svg --quiet
succeeds pal-explain receptive-field net -n 4 -o net/receptive-field.svg --quiet

succeeds pal-compare net beta_inf beta_4 beta_0 -o all
expect_match "^beta_4  *4  *0  *0.4 " out "the table"
expect_match "^beta_inf  .*not evaluated" out "a run without results"
expect_match "orderings do not hold, " out "orderings"
expect_match "^undecided: Fig. 12: component (0, 0)" out "of a figure, one seed"
expect_equal "product,expected,measured,verdict" "$(head -n 1 all/orderings.csv)" "orderings.csv"
expect_lines 5 all/runs.csv "runs.csv"
expect_match "^name,network,beta,seed,epochs,complete," all/runs.csv "runs.csv"
expect_text '"beta": "inf"' all/runs.json "runs.json"
expect_text '"processor": "' beta_0/run.json "the processor is recorded"
# Runs that cannot be compared, and a run of a machine that is not known.
sed -i '/"processor"/d' beta_0/run.json
cp -r beta_4 again
succeeds pal-compare beta_4 again beta_0 --processor "A 9" -o named
expect_text "not compared: again: another run of beta 4 has seed 0 too" out "twice the same"
expect_text ',A 9,' named/runs.csv "--processor"

# What attacks found beside the runs has verdicts.
succeeds pal-attack beta_0 beta_4 beta_inf net --attack cw --steps 10 -n 6 --detection 0,66 \
  --threads 1 -o attacks -q
succeeds pal-compare net beta_inf beta_4 beta_0
expect_match "Tables 7 to 9: size: the L2 norm of attacks falls with beta" out "verdicts of attacks"
expect_match "cw, converged, kappa 0.01, d 0" out "the attack that verdicts are about"
rm -r attacks

refuses 2 "RUN: none is given" pal-compare
refuses 3 "nowhere: no such run folder" pal-compare beta_4 nowhere
echo "vertical,horizontal,influence" >beta_4/dct.csv
refuses 3 "beta_4/dct.csv: not what pal-explain writes" pal-compare beta_4

# The script: options alone, for it trains on Fashion-MNIST.
program=sweep
sweep() {
  code=0
  bash "$source_folder/experiments/sweep_fashion_mnist.sh" "$@" >out 2>err || code=$?
}
sweep --help
expect_code 0 "sweep --help"
expect_text "--train-only" out "sweep --help"
for arguments in "--epochs x" "--seeds 0" "--seeds" "--fast" "a b"; do
  # shellcheck disable=SC2086
  sweep $arguments
  expect_refusal 2 "see --help" "sweep $arguments"
done
sweep --attacks nowhere
expect_refusal 2 "nowhere has no attacks.json" "sweep --attacks nowhere"
mkdir found
touch found/attacks.json
sweep --attacks found --train-only
expect_refusal 2 "no effect with --train-only" "sweep --attacks --train-only"
# Its last part: a page, figures under the paper's names and weights that programs take.
mkdir made
made=made/out
cp -r all made/sweep
succeeds pal-train $tiny --validation 112 --threads 1 --beta 1 --epochs 0.4 -o made/sweep/beta_1_seed_0 --quiet
succeeds pal-evaluate made/sweep/beta_1_seed_0 --calibrate --quiet
succeeds pal-explain dct made/sweep/beta_1_seed_0 -o made/sweep/beta_1_seed_0/dct.svg --quiet
mkdir made/sweep/attacks
echo "protocol,kappa" >made/sweep/attacks/tables7-9.csv
echo "made/sweep/beta_1_seed_0/dct.svg: pal-explain dct the-run" >made/sweep/commands.txt
results() {
  program=sweep_results
  code=0
  bash "$source_folder/experiments/sweep_results.sh" --bin "$programs" "$@" >out 2>err || code=$?
}
results made/sweep $made
expect_code 0 "sweep_results"
expect_text "Of 27 claims about beta" $made/README.md "verdicts"
expect_text "![Fig. 12: what each component tells of the classes, beta 1](fig12.svg)" \
  $made/README.md "a figure"
expect_text "pal-explain dct the-run" $made/README.md "its command"
expect_same made/sweep/beta_1_seed_0/dct.svg $made/fig12.svg
expect_text "Tables 7 to 9: attacks" $made/README.md "attacks"
expect_same made/sweep/attacks/tables7-9.csv $made/tables7-9.csv
succeeds pal-evaluate $made/beta_1.safetensors --ood inverted --quiet
expect_text "familiarity" out "the calibration of the weights is found"
results all
expect_refusal 2 "expected SWEEP and OUT" "one folder"
results net made/none
expect_refusal 3 "no orderings.markdown" "no sweep"
expect "results of no sweep" test ! -e made/none
finish_test "pal-compare"
