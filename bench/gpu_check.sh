#!/usr/bin/env bash
# Builds, tests and measures everything on a machine with an NVIDIA GPU. Each part takes less than
# nine minutes on 16 cores:
#   bench/gpu_check.sh [PART...] [-- OPTIONS]
#     build     the preset cuda for this GPU, with tests and benches
#     test      the CUDA backend against the CPU, the CPU kernels, the golden files, the programs
#     sanitize  compute-sanitizer on the kernels' tests (short)
#     kernels   every kernel family beside a copy or a large matrix product
#     memory    activation memory over depth
#     step      training steps of ibinn-imagenet, ours and PyTorch's
#     compile   PyTorch's steps by torch.compile (not part of all)
#     report    the tables again, from what is in the folder
#     all       all parts but compile (default)
# OPTIONS go to the part's own program. Figures are merged into bench/results/<gpu>-<date>.json; logs
# and each part's figures lie in PALINDROME_GPU_OUT (default build/gpu-check). Also from the
# environment: PALINDROME_GPU_BUILD (default build/cuda), PALINDROME_BUNDLE (see bench/gpu_bundle.sh),
# PALINDROME_COMMIT (what to write down where there is no .git).
# Exit codes: 1 if a test failed or a program broke, 2 usage, 4 without a GPU. What a missing tool
# would have done is reported as SKIPPED.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
source bench/gpu/gpu_functions.sh

do_build() {
  # Our warnings are for our compilers; those of nvcc stay errors.
  local options=(--preset cuda -B "$build" -DPALINDROME_WERROR=OFF
    -DPALINDROME_CUDA_ARCHITECTURES="${capability/./}-real")
  [ -z "$bundle" ] || options+=(-DPALINDROME_BUNDLE="$bundle")
  mapfile -t -O ${#options[@]} options < <(library_options)
  limited cmake "${options[@]}" "$@" || return
  limited cmake --build "$build" -j "$(nproc)"
}

do_test() {
  local failed=0 name
  for name in test_cuda test_kernels test_golden; do
    limited "$build/tests/$name" --gtest_brief=1 --gtest_output="json:$work/$name.json" "$@"
    note_exit "$name" $? || failed=1
  done
  # The programs on the GPU.
  limited ctest --test-dir "$build" -L cuda -R '^experiments\.' --output-on-failure
  note_exit programs $? || failed=1
  summary=$(python3 bench/gpu/gpu_report.py --tests "$work" "$work/figures.json")
  return "$failed"
}

do_sanitize() {
  command -v compute-sanitizer >/dev/null || skip "compute-sanitizer not found" || return
  local failed=0 tool code seconds
  # Own kernels alone: of the libraries' kernels nothing is to be learned here.
  local filter=${PALINDROME_SANITIZE_FILTER:--ConvCuda*:GemmCuda*:CudaModel*:CudaTraining*:CudaCheckpoint*}
  for tool in memcheck synccheck racecheck initcheck; do
    seconds=$(($(left) < 125 ? $(left) : 125))
    timeout -k 5 "$seconds" compute-sanitizer --tool "$tool" --error-exitcode 9 \
      "$build/tests/test_cuda" --gtest_brief=1 --gtest_filter="$filter" "$@" 2>&1 |
      tee "$work/$tool.log" | tail -n 40
    code=${PIPESTATUS[0]}
    case $code in
      124 | 137) note "$tool" "stopped after $seconds s" ;;
      0) note "$tool" clean ;;
      *) note "$tool" "failed ($code): $(grep -m 1 -E '=+ (Error|Invalid|Race|Uninit|Barrier)' "$work/$tool.log")" ;;
    esac
    grep -hE 'ERROR SUMMARY|RACECHECK SUMMARY' "$work/$tool.log"
    [ "$code" = 0 ] || [ "$code" = 124 ] || [ "$code" = 137 ] || failed=1
  done
  return "$failed"
}

do_kernels() {
  limited "$build/bin/bench_kernels" --device cuda --benchmark_out="$work/figures.json" \
    --benchmark_out_format=json "$@"
}

do_memory() {
  limited "$build/bin/activation_memory" --device cuda --json -b 16 "$@" >"$work/rows.json"
  local code=$?
  python3 bench/gpu/gpu_report.py --wrap "$work/figures.json" rows="$work/rows.json"
  return "$code"
}

do_step() {
  local precision failed=0 files=() peaks code
  for precision in bf16 tf32 fp32; do
    peaks=$(python3 bench/gpu/gpu_report.py --fact "$out" "peak ${precision/fp32/f32} TFLOP/s")
    limited "$build/bin/bench_train_step" --device cuda -a ibinn-imagenet -b 8,64,256 --steps 20 \
      --policy store,invert,auto --cuda-graph on,off --precision "$precision" \
      ${peaks:+--gemm-peak "$peaks"} --json "$@" >"$work/$precision.json"
    code=$?
    # Without a single row it is no lack of memory.
    [ "$code" != 4 ] || [ -s "$work/$precision.json" ] || code=1
    note_exit "steps in $precision" "$code" || failed=1
    files+=(palindrome="$work/$precision.json")
  done
  torch_steps --modes store,checkpoint,graph --precisions bf16,tf32,fp32
  python3 bench/gpu/gpu_report.py --wrap "$work/figures.json" "${files[@]}" torch="$work/torch.json"
  # Where the time goes.
  limited "$build/bin/bench_train_step" --device cuda -a ibinn-imagenet -b 64 --precision bf16 \
    --steps 5 --profile
  return "$failed"
}

do_compile() {
  torch_steps --modes compile,compile-graph --precisions bf16 "$@"
  local code=$?
  python3 bench/gpu/gpu_report.py --wrap "$work/figures.json" torch="$work/torch.json"
  return "$code"
}

parts=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  case $1 in
    build | test | sanitize | kernels | memory | step | compile) parts+=("$1") ;;
    all) parts+=(build test sanitize kernels memory step) ;;
    report) ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    *) echo "gpu_check: error: unknown part '$1'; see bench/gpu_check.sh --help" >&2; exit 2 ;;
  esac
  asked=yes
  shift
done
[ -n "${asked:-}" ] || parts=(build test sanitize kernels memory step)
[ $# -gt 0 ] && shift

if [ ${#parts[@]} -gt 0 ]; then
  find_gpu || exit
  for part in "${parts[@]}"; do
    run_part "$part" "$@"
    [ "$status" != failed ] || broken=yes
    # Nothing else can run without it.
    [ "$part" != build ] || [ "$status" = ok ] || break
  done
fi
python3 bench/gpu/gpu_report.py "$out"
code=$?
# Of parts that ran earlier their own calls have told.
[ ${#parts[@]} -eq 0 ] || code=$([ -z "${broken:-}" ]; echo $?)
exit "$code"
