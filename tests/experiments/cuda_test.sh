#!/usr/bin/env bash
# Usage: cuda_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# --device cuda keeps its word: a clean refusal where there is no GPU; else (in an emulated build
# too) programs train, stop, go on, evaluate and sample there as on the CPU.
source "$(dirname "$0")/harness.sh" "$@"

trains() { succeeds pal-train "$@"; }

unset PAL_EMULATED_DEVICES
run pal-train $tiny --max-steps 1 --device cuda -o probe
if [ "$code" != 0 ]; then
  expect_refusal 4 "error: device cuda" "a GPU that is not there"
  expect_not "a refused run began" [ -e probe/metrics.jsonl ]
  trains $tiny --max-steps 2 --device auto -q -o fallback
  no_backend=$(grep -c "no CUDA backend" err || true)
  expect_text '"device": "cpu"' fallback/run.json "auto without a GPU"
  export PAL_EMULATED_DEVICES=1
  [ "$no_backend" != 0 ] || run pal-train $tiny --max-steps 1 --device cuda -q -o emulated
  if [ "$no_backend" != 0 ] || [ "$code" != 0 ]; then
    skip_part "training on a GPU" "no GPU"
    finish_test "cuda: refused cleanly"
    exit
  fi
fi

refuses 4 "cuda:7" pal-train $tiny --max-steps 1 --device cuda:7 -o none
refuses 2 "--cuda-graph" \
  pal-train $tiny --max-steps 1 --device cuda --cuda-graph on --mixing householder -o none

short="--dataset synthetic:4:128:8 -b 16 --blocks 1,1 --strides 1,2 --widths 8,8 --recalibrate-bn 2
       --epochs 2 --threads 1 --inversion-check-every 4"
trains $short --device cuda --cuda-graph off -o eager
expect_text '"device": "cuda:0 (' eager/run.json "eager steps"
expect_whole eager "eager steps"
trains $short --device cuda --cuda-graph on -o graph
expect_same {eager,graph}/checkpoints/final.safetensors
expect_same {eager,graph}/checkpoints/averaged.safetensors
expect_same_metrics eager graph

# A stop in the middle, at a step that the graph would have run.
trains $short --device cuda --max-steps 9 -o parts
trains $short --device cuda --resume auto -o parts
expect_same {graph,parts}/checkpoints/final.safetensors

# The CPU tells the same story.
trains $short --device cpu -o cpu
losses() { sed -n 's/.*"kind":"train".*"loss":\([-0-9.e]*\).*/\1/p' "$1/metrics.jsonl"; }
paste <(losses cpu) <(losses eager) >losses
expect "losses on the CPU and on the GPU differ" awk '
  { d = $1 - $2; if (d < 0) d = -d; if (d > worst) worst = d; n++ }
  END { if (n != 14 || worst > 1e-3) { print n " losses, worst difference " worst; exit 1 } }' losses

for device in cpu cuda; do
  succeeds pal-evaluate graph/checkpoints/final.safetensors --device $device --json -q
  cp out evaluated.$device
  succeeds pal-sample graph/checkpoints/final.safetensors --device $device -n 2 --seed 5 \
    -o samples.$device.png
  succeeds pal-sample graph/checkpoints/final.safetensors --device $device --reconstruct 4 --json \
    -o copies.png
done
bits() { grep -o '"bits_per_dim":[^,}]*' "$1" | sed -n '1s/.*://p'; }
expect "bits/dim: $(bits evaluated.cpu) on the CPU, $(bits evaluated.cuda) on the GPU" \
  awk -v a="$(bits evaluated.cpu)" -v b="$(bits evaluated.cuda)" \
  'BEGIN { d = a - b; exit !(a != "" && d < 1e-4 && d > -1e-4) }'

# What is said of single pictures and why: the same numbers, in batches of 1, 7 and a short last one.
trains --dataset synthetic:4:512:8 -b 16 --blocks 1,1 --strides 1,2 --widths 8,8 --max-steps 4 \
  --recalibrate-bn 2 --validation 112 --threads 1 --device cpu -o trusted
make_pictures pictures 2 4 8 8
find pictures -name '*.JPEG' | LC_ALL=C sort | sed -n 1,8p >names
for device in cpu cuda; do
  succeeds pal-evaluate trusted --device $device --calibrate --calibration cal.$device.safetensors \
    --ood inverted --json -q
  for most in 1 7; do
    "$programs/pal-classify" trusted - --device $device --calibration cal.cpu.safetensors --json -q \
      -b $most <names >answers.$device.$most
    expect_lines 8 answers.$device.$most "pal-classify on $device"
  done
  for figure in heatmap evidence; do
    succeeds pal-explain $figure trusted --device $device -n 7 -o $figure.$device.png -q
  done
  succeeds pal-explain receptive-field trusted --device $device -n 3 --channels 4 -q \
    -o receptive-field.$device.svg
  succeeds pal-explain plane trusted --device $device -n 40 --epochs 0.2 -q -o plane.$device.svg
  succeeds pal-ood trusted --device $device --against inverted noise --images 30 -b 7 -q \
    --calibration cal.cpu.safetensors -o foreign.$device
  succeeds pal-robustness trusted --device $device --corruptions fog,contrast --severities 1,5 -n 40 \
    -b 7 -q -o corrupted.$device
  succeeds pal-attack trusted --device $device --attack cw,ddn,pgd --eps 0.1 --steps 15 --kappa 0.01 \
    -n 8 -b 5 -q -o attacked.$device
done
# alike FILE FILE WHAT: the same texts, and numbers within 1e-4 (of ranks among 112 images: within one).
alike() {
  expect "$3: CPU and GPU differ" awk -v what="$3" '
    function abs(v) { return v < 0 ? -v : v }
    NR == FNR { line[FNR] = $0; next }
    { n = split($0, a, /[,:{}\[\]"]+/); m = split(line[FNR], b, /[,:{}\[\]"]+/)
      if (n != m) { print what ": " $0; exit 1 }
      for (i = 1; i <= n; ++i)
        if (a[i] != b[i] && (a[i] !~ /^-?[0-9.]+(e-?[0-9]+)?$/ ||
                             abs(a[i] - b[i]) > (what ~ /answers/ ? 0.06 : 1e-3)))
          { print what ": " a[i] " and " b[i]; exit 1 } }' "$1" "$2"
}
for most in 1 7; do alike answers.{cpu,cuda}.$most "answers in batches of $most"; done
alike foreign.{cpu,cuda}/scores.csv "scores of foreign images"
alike corrupted.{cpu,cuda}/corruptions.csv "corruptions"
alike corrupted.{cpu,cuda}/table3.csv "answers of densities to corruptions"
# Attacks reach the same images, at distances that differ by less than 1e-3.
for attack in cw-converged-k0.01-d0 ddn-k0.01 pgd-linf-0.1-ce-targeted; do
  of_attack() { echo "attacked.$1/images/trusted/$attack.csv"; }
  expect "$attack: CPU and GPU differ" awk -F, -v what=$attack '
    function abs(v) { return v < 0 ? -v : v }
    FNR == 1 { for (i = 1; i <= NF; ++i) at[$i] = i; next }
    NR == FNR { l2[FNR] = $at["l2"]; linf[FNR] = $at["linf"]; answer[FNR] = $at["answer"]; next }
    { n++
      if (answer[FNR] != $at["answer"] || abs(l2[FNR] - $at["l2"]) > 1e-3 ||
          abs(linf[FNR] - $at["linf"]) > 1e-3) { print what ": " $0; exit 1 } }
    END { exit n != 8 }' "$(of_attack cpu)" "$(of_attack cuda)"
done
for figure in heatmap evidence receptive-field plane; do alike $figure.{cpu,cuda}.csv $figure; done

# Two ranks that share a GPU, by way of the host, are two ranks on the CPU.
for device in cpu cuda; do
  ranks_succeed 2 pal-train ${tiny/-b 16/--global-batch 16} --max-steps 6 --sync-bn \
    --device $device --comm cpu -o shared-$device
done
losses_of() { sed -n 's/^{"kind":"train".*"loss":\([-0-9.e]*\),.*/\1/p' "shared-$1/metrics.jsonl"; }
expect "two ranks on the CPU and on one GPU differ" awk '
  { d = $1 - $2; if (d > 1e-4 || d < -1e-4) { print "losses " $1 " and " $2; exit 1 } }
  END { exit NR != 6 }' <(paste <(losses_of cpu) <(losses_of cuda))
# By NCCL, a GPU each: with and without a graph the same bits, and the CPU's numbers.
if [ "${PAL_EMULATED_DEVICES:-}" = 1 ]; then
  for graph in on off; do
    PAL_EMULATED_DEVICES=2 ranks_succeed 2 pal-train ${tiny/-b 16/--global-batch 16} --max-steps 6 --sync-bn \
      --device cuda --cuda-graph $graph -o shared-$graph
    expect_text "gradients travel by NCCL" err.0 "how gradients travel between GPUs"
  done
  expect_same shared-{on,off}/checkpoints/final.safetensors
  expect "two ranks on the CPU and on two GPUs differ" awk '
    { d = $1 - $2; if (d > 1e-4 || d < -1e-4) { print "losses " $1 " and " $2; exit 1 } }
    END { exit NR != 6 }' <(paste <(losses_of cpu) <(losses_of on))
fi
# A launcher may show each rank one GPU, its own (srun --gpus-per-task 1).
if [ "${PAL_EMULATED_DEVICES:-}" = 1 ]; then
  rank_variables=([0]=CUDA_VISIBLE_DEVICES=0 [1]=CUDA_VISIBLE_DEVICES=1)
  ranks_succeed 2 pal-train ${tiny/-b 16/--global-batch 16} --max-steps 6 --sync-bn --device cuda \
    -o shared-own
  rank_variables=()
  expect_same shared-{on,own}/checkpoints/final.safetensors
fi
run_ranks 2 pal-train $tiny --max-steps 1 --device cuda -o crowd
expect_equal "2 2" "${rank_codes[*]}" "two ranks for one GPU"
expect_match "has 1 GPU: start one for each, or let them share by --comm cpu" err.0 "two ranks for one GPU"

# A step that is not finite stops the run and names what broke; nothing is lost.
run pal-train $short --device cuda --lr 1e30 -o broken
expect_code 5 "a diverging run"
expect_match "^pal-train: error: .*\(not finite\|loss is\)" err "a diverging run"

finish_test "cuda: trained, stopped, resumed, evaluated and sampled"
