#!/usr/bin/env bash
# Usage: gpu_check_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# bench/gpu_check.sh from beginning to end without a GPU: with emulated programs in the places of those
# for a GPU, and with scripts in the places of NVIDIA's tools, of PyTorch, and of programs that fail,
# hang and do not start. Nothing is measured by it.
source "$(dirname "$0")/harness.sh" "$@"

# A copy, so that results do not land in the tree.
mkdir -p tree/bench/{bundle,steps} tools
cp -r "$source_folder"/bench/{gpu,gpu_check.sh} tree/bench
cp "$source_folder"/bench/steps/torch_*.py tree/bench/steps
unset PALINDROME_GPU_BUILD PALINDROME_PROGRAMS PALINDROME_BUNDLE PALINDROME_PYTHON
export PALINDROME_GPU_OUT=$scratch/out PALINDROME_COMMIT=rehearsal PYTHONDONTWRITEBYTECODE=1
export PATH=$scratch/tools:$PATH

# tool NAME: an executable of that name, its text from stdin.
tool() {
  { echo '#!/bin/bash'; cat; } >"$1"
  chmod +x "$1"
}

# check ARGUMENTS: runs the script with a fresh folder of results.
check() {
  rm -rf out
  code=0
  timeout 400 "$scratch/tree/bench/gpu_check.sh" "$@" >out.txt 2>err || code=$?
}

# entry PART STEP EXPRESSION: of the step's entry e in the results.
entry() {
  python3 -c '
import json, sys
part, step, expression = sys.argv[1:]
try:
    e = json.load(open("out/gpu_check.json"))["parts"][part][step]
    print(eval(expression))
except Exception as error:
    print(type(error).__name__, error)' "$@"
}

# expect_entry WANTED PART STEP EXPRESSION
expect_entry() {
  local found reason=
  found=$(entry "$2" "$3" "$4")
  [ "$1" = "$found" ] || reason=" ($(entry "$2" "$3" "e['reason']"))"
  expect_equal "$1" "$found" "$2, $3: $4$reason"
}

expect_status() { expect_entry "$1" "$2" "$3" "e['status']"; }

# expect_ended WHAT: all whose numbers are in the file pids, but for those that nobody asks how they ended.
expect_ended() {
  local pid
  expect "$1: no pids" [ -s pids ]
  for pid in $(cat pids); do
    expect_not "$1 lives on: $pid" grep -qs ') [^Z]' "/proc/$pid/stat"
  done
}

# No GPU, and mistakes on the command line.
tool tools/nvidia-smi <<<'exit 9'
check quick
expect_code 4 "no GPU"
expect_text "gpu_check: error: nvidia-smi shows no GPU" err "no GPU"
expect_not "results without a GPU" [ -e out ]
check quiet
expect_code 2 "an unknown part"
check quick --only ncu
expect_code 2 "a step of another part"
expect_text "no step 'ncu' in quick" err "a step of another part"
check report
expect_code 4 "a report of nothing"
expect_text "gpu_check: error: no results in" err "a report of nothing"

tool tools/nvidia-smi <<'TOOL'
echo 'Emulated GPU, 580.1, 1000 MiB, 9.0, 1980 MHz, 3201 MHz'
echo 'Another GPU, 580.1, 1000 MiB, 9.0, 1980 MHz, 3201 MHz'
TOOL
tool tools/compute-sanitizer <<'TOOL'
while [[ $1 == --* ]]; do shift 2; done
"$@" || exit
echo "========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)"
TOOL
tool tools/torch <<'TOOL'
[ "$1" != -c ] || exec python3 "$@"
while [ "$1" != --out ]; do shift; done
echo "torch_step: as if" >&2
echo >"$2" '{"torch": "2", "matmul_tflop_per_s": {"bf16": 700, "fp32": 50}, "rows": [
  {"batch": 2, "mode": "graph", "precision": "fp32", "images_per_s": 10, "ms_per_step_median": 400},
  {"batch": 64, "mode": "store", "precision": "bf16", "images_per_s": 2500, "ms_per_step_median": 25.6},
  {"batch": 64, "mode": "graph", "precision": "bf16", "images_per_s": NaN, "loss": Infinity},
  {"batch": 64, "mode": "compile", "precision": "bf16", "skipped": "out of time"}]}'
TOOL

# The emulated programs, on little enough work; cases of kernels are as if. The steps' names and order
# are the script's own.
mkdir -p programs/bin programs/lib emulated/bin
tool programs/bin/bench_kernels <<'TOOL'
for word; do [[ $word != --benchmark_out=* ]] || out=${word#*=}; done
[ -n "$out" ] || exit 0
# As a bench that was stopped in the middle of its second case leaves it.
cat >"$out" <<'JSON'
{
  "context": {"peak bf16 TFLOP/s": "700"},
  "benchmarks": [
    {
      "name": "haar_forward/memory/manual_time", "real_time": 5.0, "of_copy": 0.5
    },
    {
      "name": "haar_backward/memory/manual_time", "real_time": 5.0, "of_copy": NaN
    },
    {
      "na
JSON
TOOL
cp programs/bin/bench_kernels emulated/bin
ln -s "$programs"/bench_train_step "$programs"/../tests/test_cuda emulated/bin
export PALINDROME_PYTHON=$scratch/tools/torch PALINDROME_GPU_BUILD=$scratch/emulated
export PAL_EMULATED_DEVICES=1
tiny_step="-a ibinn-mnist --set image-size=8 --set blocks=1,1 --set strides=1,2 --set widths=8,8 -b 2
  --steps 1"
check quick --arguments test_cuda='--gtest_filter=SqueezeCuda.*:HaarCuda.*:PoolCuda.*' \
  --arguments steps="$tiny_step --policy store,invert --autotune" \
  --arguments profile="$tiny_step --policy store" \
  --arguments racecheck=SqueezeCuda --limit steps=150 --limit profile=100
expect_code 0 "the emulated programs: $(cat err)"
for step in test_cuda steps torch profile kernels racecheck; do expect_status ok quick $step; done
expect_entry True quick test_cuda "e['figures']['passed'] >= 10 and e['figures']['suites'] == 3"
expect_entry "['store', 'invert']" quick steps "[row['policy'] for row in e['figures']['palindrome']]"
expect_entry True quick steps \
  "all(row['cuda_graph'] and row['autotune'] for row in e['figures']['palindrome'])"
expect_entry True quick profile "len(e['figures']['tables'][0]['kernels']) > 10"
expect_entry "{'peak bf16 TFLOP/s': '700'}" quick kernels "e['figures']['context']"
expect_entry clean quick racecheck "e['figures']['suites']['SqueezeCuda']"
expect_entry rehearsal quick steps "e['commit']"
expect "nothing was merged" cmp -s out/gpu_check.json tree/bench/results/emulated-gpu-*.json
expect_equal "gpu_check.json gpu_check.log" "$(echo $(ls out))" "files of a call"
for text in "Is it right?" "3 suites" "1 of 1 suites clean" "store graph" "PyTorch graph" "/ graph" \
  "ms/step median" "batch_norm" "families" "QUICK" ; do
  expect "the report has no '$text': $(cat out.txt)" grep -qiF -- "$text" out.txt
done
expect_text "-- tuned: ok" out/gpu_check.log "the log"

# Stand-ins from here on: suites of one test each, that pass, fail, crash, hang or race.
unset PALINDROME_GPU_BUILD
echo '{"commit": "other", "architecture": "sm_90"}' >programs/programs.json
tool programs/bin/test_cuda <<'TOOL'
case "$*" in
  *--help*) exit ;;
  *--gtest_list_tests*) printf '%sCuda.\n  Works\n  WorksToo\n' All/Good Bad Crash Hang Late; exit ;;
esac
suite=${1#--gtest_filter=}
suite=${suite%%.*}
[ "$suite" != CudaDevice ] || exit "${STAND_IN_GPU:-0}"
echo "[ RUN      ] $suite.Works"
case $suite in
  BadCuda)
    printf '[  FAILED  ] %s\n' "$suite.Works (1 ms)" "1 test, listed below:" "$suite.Works"
    exit 1 ;;
  CrashCuda) kill -SEGV $$ ;;
  HangCuda)
    trap '' TERM
    # A child in a group of its own, as deaf.
    setsid bash -c 'trap "" TERM; echo $$ >>'"$STAND_IN_PIDS"'; while :; do sleep 0.1; done' &
    while :; do sleep 0.1; done ;;
esac
echo "[       OK ] $suite.Works (1 ms)"
echo "[ RUN      ] $suite.WorksToo"
echo "[  SKIPPED ] $suite.WorksToo (0 ms)"
TOOL
tool programs/bin/bench_train_step <<'TOOL'
case "$*" in
  *--help*) exit ;;
  *--profile*) echo "a line without figures"; sleep "${STAND_IN_SLEEP:-0}"; exit 3 ;;
  *--autotune*) sleep "${STAND_IN_SLEEP:-0}" ;;
esac
# What is left behind by a program that ends well.
(setsid bash -c 'echo $$ >>'"$STAND_IN_PIDS"'; exec sleep 100' &)
[ -z "$STAND_IN_FLOOD" ] || yes $'no UTF-8: \xff' >&2
echo '[{"arch": "a", "batch": 64, "precision": "bf16", "policy": "store", "cuda_graph": true,
  "images_per_s": 4000, "ms_per_step_median": 16, "tflop_per_s": 350, "finite": true}]'
TOOL
tar czf tree/bench/bundle/programs.tar.gz programs
export STAND_IN_PIDS=$scratch/pids
touch pids

# A suite that hangs takes no other along, nor does a step that fails.
check quick --limit test_cuda=20
expect_code 1 "a call with failures"
expect_status failed quick test_cuda
expect_entry "['BadCuda.Works']" quick test_cuda "e['figures']['failed']"
expect_entry "['CrashCuda.Works', 'HangCuda.Works']" quick test_cuda "sorted(e['figures']['unfinished'])"
expect_entry "(2, 2, 5)" quick test_cuda \
  "tuple(e['figures'][key] for key in ('passed', 'skipped', 'not run'))"
expect_entry True quick test_cuda "'SIGSEGV' in e['figures']['troubles']['CrashCuda']"
expect_status ok quick steps
expect_status failed quick profile
expect_status ok quick torch
expect_entry "[('haar_forward/memory', 0.5), ('haar_backward/memory', None)]" quick kernels \
  "[(row['name'], row.get('of_copy')) for row in e['figures']['cases']]"
expect_status ok quick racecheck
expect_ended "a hanging program's child"
expect_match "PyTorch graph *skipped: no figures" out.txt "a rival's rate that is no number"
expect_not "a result that is no JSON" grep -q "NaN\|Infinity" out/gpu_check.json
for text in "failed: BadCuda.Works" "unfinished: HangCuda.Works" "store graph.* 4000.0 .* 1.60" \
  "1 of 1 cases, 1 of 1 families"; do
  expect_match "$text" out.txt "the report of failures"
done
expect_match '"commit": "other"' out/gpu_check.json "the commit of the programs"

# What prints without end is stopped, and the log stays small; whoever reads may go; where nothing can be
# written nothing is begun.
STAND_IN_FLOOD=1 check quick --only steps,kernels
expect_entry True quick steps "e['reason'].startswith('tuned: stopped: printed more than 64 MB')"
expect_status ok quick kernels
expect "the log of what prints without end" [ "$(stat -c %s out/gpu_check.log)" -lt 2000000 ]
rm -rf out
"$scratch/tree/bench/gpu_check.sh" quick --only steps,kernels 2>err | head -n 1 >out.txt
expect_empty err "a reader that goes"
expect_status ok quick kernels
"$scratch/tree/bench/gpu_check.sh" report >out.txt
expect_match "programs of other" out.txt "a report"
expect_ended "what programs left behind"
PALINDROME_GPU_OUT=$scratch/err/out check quick
expect_code 4 "a folder that cannot be made"
expect_text "gpu_check: error: $scratch/err" err "a folder that cannot be made"
mkdir out && echo '{' >out/gpu_check.json
code=0
"$scratch/tree/bench/gpu_check.sh" quick >out.txt 2>err || code=$?
expect_code 4 "results that are torn"

# Libraries' choices take too long: timed without them; then the total runs out within the profile.
export STAND_IN_SLEEP=60
begin=$SECONDS
check quick --only steps,profile,kernels --limit steps=17 --total 20
expect "a total of 20 s took $((SECONDS - begin)) s" [ $((SECONDS - begin)) -lt 35 ]
expect_code 1 "a total that runs out"
expect_status stopped quick steps
expect_entry "[False]" quick steps "[row['autotune'] for row in e['figures']['palindrome']]"
expect_status stopped quick profile
expect_status skipped quick kernels
expect_entry "no time left" quick kernels "e['reason']"

# Stopped from outside: what ran is kept, the rest says so.
rm -rf out
"$scratch/tree/bench/gpu_check.sh" quick --only steps,profile,kernels --arguments steps= >out.txt 2>err &
script=$!
for _ in $(seq 200); do
  grep -q '"not reached"' out/gpu_check.json 2>/dev/null && grep -q "STEPS: OK\|steps: OK" out.txt && break
  sleep 0.1
done
# Killed, it would leave this.
expect_status ok quick steps
expect_status "not run" quick profile
kill -TERM $script
code=0
wait $script || code=$?
expect_equal 143 "$code" "exit code of a stopped script"
expect_status stopped quick profile
expect_entry "profile: stopped by SIGTERM" quick profile "e['reason']"
expect_status skipped quick kernels
unset STAND_IN_SLEEP

# A second visit: what there is no tool for is skipped; with it, counters are read.
few="--only steps-8,torch-compile,ncu,test_cudnn_plans"
check more $few
expect_code 0 "more without ncu"
expect_status skipped more ncu
expect_entry "ncu not found" more ncu "e['reason']"
expect_entry "test_cudnn_plans is not among the programs" more test_cudnn_plans "e['reason']"
expect_status ok more steps-8
expect_text "PyTorch compile          skipped: out of time" out.txt "a rival's case that was left out"
tool tools/ncu <<'TOOL'
echo "==PROF== Connected"
echo '"ID","Kernel Name","gpu__time_duration.sum","dram__bytes.sum","launch__registers_per_thread"'
echo '"","","us","Gbyte","register/thread"'
echo '"0","forward_kernel","1,250.5","2.5","44"'
TOOL
PALINDROME_PYTHON=python3 check more $few
expect_status skipped more torch-compile
expect_entry "(1.2505, 2500000000.0, 44.0)" more ncu \
  "tuple(f[k] for k in ('ms', 'dram_bytes', 'registers')) if (f := list(e['figures'].values())[0]) else 0"
# What ran earlier on this machine stays in its results.
results=$(ls tree/bench/results/*.json)
expect_match '"quick"' "$results" "merged results"
PALINDROME_COMMIT=newer check more --only steps-8
expect_match "with figures of earlier calls, of commit rehearsal" out.txt "another commit"
expect_match "quick .* (of commit rehearsal)" out.txt "another commit"
mkdir -p kept && cp "$results" kept/gpu_check.json
expect_equal ok "$(cd kept && ln -s . out && entry more torch-compile "e['status']")" \
  "a step that was skipped in the second call"

# Programs that do not start are built: by a stand-in for CMake, which writes the same scripts.
tool tools/cmake <<TOOL
echo "cmake \$*" >>$scratch/cmake.log
[ -z "\$STAND_IN_CMAKE" ] || exit 1
mkdir -p build/cuda
cp -r $scratch/programs/bin build/cuda
TOOL
expect_built() {
  expect_text "--target test_cuda bench_train_step bench_kernels" cmake.log "$1"
  expect_match "$2" out/gpu_check.json "$1"
  expect_status ok quick steps
  rm -rf cmake.log tree/build
}
cp -r programs broken
echo 'exec not-a-program' | tool broken/bin/bench_train_step
mkdir -p wrap && rm -rf wrap/programs && cp -r broken wrap/programs
tar czf broken.tar.gz -C wrap programs
PALINDROME_PROGRAMS=$scratch/broken.tar.gz check quick --only steps
expect_built "a program that does not start" "start bench_train_step: exit code 127"
echo '{"commit": "other", "architecture": "sm_80"}' >wrap/programs/programs.json
tar czf broken.tar.gz -C wrap programs
PALINDROME_PROGRAMS=$scratch/broken.tar.gz check quick --only steps
expect_built "programs for another chip" "made for sm_80, not for compute capability 9.0"
head -c 100 tree/bench/bundle/programs.tar.gz >broken.tar.gz
PALINDROME_PROGRAMS=$scratch/broken.tar.gz check quick --only steps
expect_built "a torn archive" "does not unpack"
STAND_IN_GPU=77 STAND_IN_CMAKE=1 check quick --only steps,torch
expect_code 1 "nothing starts and nothing can be built"
expect_entry "no programs start here" quick steps "e['reason']"
expect_status ok quick torch
expect_match "start test_cuda on the GPU: exit code 77" out.txt "no programs"
expect_match "built: configure: exit code 1" out.txt "no programs"

finish_test "gpu_check: rehearsed"
