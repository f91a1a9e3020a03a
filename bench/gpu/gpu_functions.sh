# Functions of gpu_check.sh: what machine this is, time limits, what a part leaves behind.

out=${PALINDROME_GPU_OUT:-build/gpu-check}
build=${PALINDROME_GPU_BUILD:-build/cuda}
work=build/gpu-check/work
part_seconds=530
bundle=${PALINDROME_BUNDLE:-}
[ -n "$bundle" ] || [ ! -e bench/bundle/libraries.tar.gz ] || bundle=bench/bundle/libraries.tar.gz
[ -z "$bundle" ] || bundle=$(realpath "$bundle")
command -v nvcc >/dev/null || PATH=$PATH:/usr/local/cuda/bin
mkdir -p "$out" "$work"

# Sets `capability`, such as 9.0, and writes facts.json; exit code 4 without a GPU.
find_gpu() {
  local query=name,driver_version,memory.total,compute_cap,clocks.max.sm,clocks.max.mem
  local gpu driver memory clock memory_clock
  if ! command -v python3 >/dev/null; then
    echo "gpu_check: error: python3 not found; it merges the results" >&2
    return 4
  fi
  IFS=, read -r gpu driver memory capability clock memory_clock < <(
    nvidia-smi --query-gpu=$query --format=csv,noheader 2>/dev/null | head -n 1 | sed 's/, */,/g')
  if [ -z "${capability:-}" ]; then
    echo "gpu_check: error: nvidia-smi shows no GPU; run this where there is one of compute" \
      "capability 8.0 or newer" >&2
    return 4
  fi
  facts=("gpu=$gpu" "driver=$driver" "memory=$memory" "compute capability=$capability"
    "maximal SM clock=$clock" "maximal memory clock=$memory_clock" "date=$(date +%Y-%m-%d)"
    "commit=$(commit)" "nvcc=$(nvcc --version 2>/dev/null | sed -n 's/.*, V//p')"
    "processors=$(nproc)"
    "processor=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)")
  write_facts
}

commit() {
  if [ -n "${PALINDROME_COMMIT:-}" ]; then
    echo "$PALINDROME_COMMIT"
  elif git rev-parse --git-dir >/dev/null 2>&1; then
    echo "$(git rev-parse --short=12 HEAD)$([ -z "$(git status --porcelain -uno)" ] || echo -modified)"
  else
    echo unknown
  fi
}

# The libraries' versions and the GPU's peak rates are known once the benches are built.
write_facts() {
  local described=$work/described.json
  [ -x "$build/bin/bench_kernels" ] &&
    timeout 60 "$build/bin/bench_kernels" --device cuda --describe >"$described" 2>/dev/null ||
    echo '{}' >"$described"
  python3 bench/gpu/gpu_report.py --facts "$out/facts.json" "$described" "${facts[@]}"
}

# CMake options for those of NVIDIA's libraries that the toolkit lacks but PyTorch brings.
library_options() {
  local toolkit header folder includes='' version
  toolkit=$(dirname "$(dirname "$(readlink -f "$(command -v nvcc || echo /usr/bin/nvcc)")")")
  for header in cudnn.h cublasLt.h nvtx3/nvToolsExt.h; do
    [ -z "$(ls "$toolkit"/{,targets/*/}include/$header /usr/include/{,*-linux-gnu/}$header \
      2>/dev/null)" ] || continue
    folder=$(python3 - $header 2>/dev/null <<'PYTHON'
import glob, nvidia, sys
found = [f for p in nvidia.__path__ for f in glob.glob(f"{p}/*/include/{sys.argv[1]}")]
print(found[0][: found[0].rindex("/include/")])
PYTHON
) || continue
    includes=$includes${includes:+;}$folder/include
    case $header in
      cudnn.h) echo "-DCUDNN_LIBRARY=$folder/lib/libcudnn.so.9" ;;
      cublasLt.h)
        version=$(ls "$folder"/lib/libcublasLt.so.* | tail -n 1)
        echo "-DCUDA_cublasLt_LIBRARY=$version"
        ;;
    esac
  done
  [ -z "$includes" ] || echo "-DCUDNN_INCLUDE=$includes"
}

left() { echo $((deadline - SECONDS > 5 ? deadline - SECONDS : 5)); }
# Runs a command until the part's time is up.
limited() { timeout -k 10 "$(left)" "$@"; }

# note WHAT RESULT: a line for the log and for the part's reason.
note() {
  notes+=("$1: $2")
  echo "gpu_check: $1: $2"
}
# Succeeds for exit codes that are no failure; 77 is a skipped test, 4 a bench that lacked memory for
# a case, 124 the end of the time.
note_exit() {
  case $2 in
    0) note "$1" ok ;;
    77) note "$1" SKIPPED ;;
    4) note "$1" "some SKIPPED, see the log" ;;
    124 | 137) note "$1" "stopped: the part's time was up" && return 1 ;;
    *) note "$1" "failed ($2)" && return 1 ;;
  esac
}

skip() {
  status=skipped
  note SKIPPED "$1"
  return 1
}

# PyTorch's rows into torch.json.
torch_steps() {
  python3 -c 'import torch, sys; sys.exit(0 if torch.cuda.is_available() else 1)' 2>/dev/null ||
    skip_torch "python3 has no PyTorch with CUDA" || return
  limited python3 bench/steps/torch_step.py --device cuda --batch-sizes 8,64,256 --steps 15 \
    --budget $(($(left) - 90)) "$@" >"$work/torch.json"
  note_exit PyTorch $?
}
skip_torch() {
  if [ "$part" = compile ]; then skip "$1"; else note PyTorch "SKIPPED: $1" && return 1; fi
}

# Runs do_<part>, with its output on the terminal and in <part>.log, and writes <part>.json.
run_part() {
  part=$1
  shift
  local begin=$SECONDS summary='' notes=() code
  deadline=$((SECONDS + part_seconds))
  status=ok
  rm -f "$work"/*.json "$out/$part.json"
  echo "gpu_check: $part"
  # In this shell, so that its notes stay.
  exec 3>&1 4>&2 > >(tee "$out/$part.log") 2>&1
  local tee=$!
  if [ "$part" != build ] && [ ! -x "$build/bin/bench_kernels" ]; then
    note error "nothing is built; run bench/gpu_check.sh build"
    code=1
  else
    "do_$part" "$@"
    code=$?
  fi
  [ "$part" != build ] || [ $code != 0 ] || write_facts
  exec >&3 2>&4 3>&- 4>&-
  wait "$tee"
  [ "$status" = skipped ] || [ $code = 0 ] || status=failed
  local reason
  reason=$(printf '%s; ' ${notes[@]+"${notes[@]}"})
  python3 bench/gpu/gpu_report.py --record "$out/$part.json" "$status" $((SECONDS - begin)) \
    "${summary:+$summary; }${reason%; }" "$work/figures.json"
}
