# What starts ranks for the tests of their deaths, sourced after harness.sh. $launcher is one of hand
# (variables in the environment), mpirun, srun and torchrun: PALINDROME_LAUNCHER. Under each a rank is
# the process itself, no shell around it, so that its number is the one that others name.

launcher=${PALINDROME_LAUNCHER:-hand}
case $launcher in
  hand) ;;
  mpirun) try_launcher=(mpirun --oversubscribe -n 1 true) ;;
  srun) try_launcher=(srun -n 1 true) ;;
  torchrun) try_launcher=(true) ;;
  *)
    echo "PALINDROME_LAUNCHER=$launcher: use hand, mpirun, srun or torchrun"
    exit 2
    ;;
esac
# Open MPI refuses root else.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

# require_launcher: skips the test where it cannot start anything.
require_launcher() {
  [ "$launcher" = hand ] ||
    { command -v "$launcher" && timeout 60 "${try_launcher[@]}"; } >/dev/null 2>&1 ||
    skip_test "no $launcher that works is installed"
}

# It writes down who it is, and becomes the program.
cat >as_rank <<'END'
#!/bin/sh
rank=${OMPI_COMM_WORLD_RANK:-${RANK:-$SLURM_PROCID}}
echo $$ >"pid.$rank.new"
mv "pid.$rank.new" "pid.$rank"
exec "$@" >"out.$rank" 2>"err.$rank"
END
chmod +x as_rank

# launch COUNT PROGRAM ARGUMENTS: starts ranks, whose numbers are in ${rank_pids[@]}, and what they write
# in out.R and err.R. What the launcher itself says is in the file launcher.
launch() {
  local count=$1 rank port until
  shift
  rm -f pid.* out.* err.*
  rank_pids=()
  launcher_pid=
  if [ "$launcher" = hand ]; then
    port=$(free_port)
    for ((rank = 0; rank < count; ++rank)); do
      RANK=$rank WORLD_SIZE=$count MASTER_ADDR=localhost MASTER_PORT=$port ./as_rank "$@" &
      rank_pids+=($!)
    done
    return
  fi
  case $launcher in
    mpirun) mpirun -n "$count" --bind-to none --oversubscribe ./as_rank "$@" ;;
    srun) srun -n "$count" ./as_rank "$@" ;;
    torchrun) torchrun --no-python --nproc-per-node "$count" ./as_rank "$@" ;;
  esac >launcher 2>&1 &
  launcher_pid=$!
  until=$((SECONDS + 120))
  for ((rank = 0; rank < count; ++rank)); do
    until [ -e "pid.$rank" ]; do
      [ "$SECONDS" -lt "$until" ] || { fail "$launcher starts nothing: $(cat launcher)"; exit 1; }
      sleep 0.01
    done
    rank_pids+=($(cat "pid.$rank"))
  done
}

# ends_by_launcher: whether a launcher ends who is left, so that these may have no time for words.
ends_by_launcher() { [ "$launcher" = mpirun ] || [ "$launcher" = torchrun ]; }

# await_gone SECONDS PID...: whether they end in time.
await_gone() {
  local until=$((SECONDS + $1)) pid
  shift
  for pid; do
    while kill -0 "$pid" 2>/dev/null; do
      [ "$SECONDS" -lt "$until" ] || return 1
      sleep 0.02
    done
  done
}

# expect_nobody_left WHAT: the launcher has ended, and no rank outlives it.
expect_nobody_left() {
  local pid
  [ -z "$launcher_pid" ] || expect "$1: $launcher goes on" await_gone 60 "$launcher_pid"
  expect "$1: an orphan is left" await_gone 1 "${rank_pids[@]}"
  kill -KILL $launcher_pid "${rank_pids[@]}" 2>/dev/null || true
  for pid in $launcher_pid "${rank_pids[@]}"; do wait "$pid" 2>/dev/null || true; done
}
