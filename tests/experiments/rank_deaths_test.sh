#!/usr/bin/env bash
# Ranks that are killed, stopped or fail, at any moment: the others name them within ten seconds, exit
# with 6, and leave a run that goes on. PALINDROME_DEATHS says how many (12).
#   rank_deaths_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
source "$(dirname "$0")/harness.sh" "$@"
deaths=${PALINDROME_DEATHS:-12}
RANDOM=${PALINDROME_DEATHS_SEED:-1}

program=pal-train
run_ranks 2 pal-train $tiny --max-steps 1 -o try
grep -q "this build has no Gloo" err.0 err.1 && skip_test "this build has no Gloo"

count=3
# Saves often, so that deaths meet them too.
net="${tiny/-b 16/--global-batch 12} --epochs 4000 --checkpoint-every 5 --keep-checkpoints 2 --join-timeout 4"

# begin RUN: starts the ranks, without another process around them.
begin() {
  local rank port
  port=$(free_port)
  rank_pids=()
  for ((rank = 0; rank < count; ++rank)); do
    RANK=$rank WORLD_SIZE=$count MASTER_ADDR=localhost MASTER_PORT=$port OMP_NUM_THREADS=1 \
      "$programs/pal-train" $net --resume auto -o "$1" >"out.$rank" 2>"err.$rank" &
    rank_pids+=($!)
  done
}

# milliseconds since the epoch
now() { date +%s%3N; }

# survivors VICTIM: waits for the others, whose exit codes are in $codes; $slowest is the time of the
# last in milliseconds. Who has not ended after 20 s hangs, and is killed.
survivors() {
  local began rank alive
  began=$(now)
  codes=
  while :; do
    alive=0
    for ((rank = 0; rank < count; ++rank)); do
      [ "$rank" != "$1" ] && kill -0 "${rank_pids[$rank]}" 2>/dev/null && alive=1
    done
    [ "$alive" = 0 ] && break
    if [ $(($(now) - began)) -gt 20000 ]; then
      fail "rank of $what hangs: $(tail -qn 1 err.?)"
      kill -KILL "${rank_pids[@]}" 2>/dev/null || true
      break
    fi
    sleep 0.02
  done
  slowest=$(($(now) - began))
  for ((rank = 0; rank < count; ++rank)); do
    [ "$rank" = "$1" ] && continue
    code=0
    wait "${rank_pids[$rank]}" 2>/dev/null || code=$?
    codes+="$code "
  done
}

longest=0
for ((death = 0; death < deaths; ++death)); do
  signal=$([ $((death % 3)) = 2 ] && echo STOP || echo KILL)
  victim=$((RANDOM % count))
  # At the start, and at any moment later.
  moment=$([ $((death % 4)) = 3 ] && echo 0.0$((RANDOM % 10)) || echo 0.$((3 + RANDOM % 7))$((RANDOM % 10)))
  what="death $death: SIG$signal to rank $victim after $moment s"
  begin run
  sleep "$moment"
  kill -"$signal" "${rank_pids[$victim]}"
  survivors "$victim"
  kill -KILL "${rank_pids[$victim]}" 2>/dev/null || true
  wait "${rank_pids[$victim]}" 2>/dev/null || true
  # On a busy machine a death that is meant for a step may come before the ranks have met, who then
  # wait for the time-out of that.
  early=$(grep -l "did not arrive\|was not reached\|before the run began" err.? || true)
  expect "$what: took $slowest ms" [ "$slowest" -lt $([ -n "$early" ] && echo 18000 || echo 10000) ]
  [ -n "$early" ] || [ "$slowest" -le "$longest" ] || longest=$slowest
  for ((rank = 0; rank < count; ++rank)); do
    [ "$rank" = "$victim" ] && continue
    line=$(grep "^pal-train: error: " "err.$rank" || true)
    checks=$((checks + 1))
    # Before all have met, nobody knows more than a number.
    case $line in
      "pal-train: error: rank $victim ("*", process ${rank_pids[$victim]}) lost "*) ;;
      *"did not arrive"*" $victim;"* | *"rank $victim was not reached"* | \
        *"rank $victim lost before the run began"* | *"rank $victim ("*" lost before the run began"*) ;;
      *) fail "$what: rank $rank says: $line" ;;
    esac
    expect "$what: rank $rank says it once" [ "$(grep -c error: "err.$rank")" = 1 ]
  done
  [ -z "$(ls | grep ranks-)" ] || [ "$victim" = 0 ] || fail "$what: a rendezvous file is left"
  if [ -e run/checkpoints/last ]; then
    succeeds pal-inspect run/checkpoints/last
    expect_not "$what: a temporary file is left after a resume" \
      [ -n "$(find run/checkpoints -name '*.tmp-pal*' -mmin +1)" ]
  fi
done

# What is left goes on.
ranks_succeed 2 pal-train --resume run --max-steps $(($(newest_step run) + 3))

# A rank that fails by itself: its own line and code, and its words on the others.
make_pictures pictures 2 40 16 16
find pictures/train -name '*.JPEG' | sort | sed -n 7p | while read -r file; do head -c 50 "$file" >cut; mv cut "$file"; done
run_ranks 2 pal-train pictures -a ibinn-small --image-size 16 --blocks 1,1 --strides 1,2 --widths 8,8 \
  --global-batch 8 --epochs 2 -o broken
case "${rank_codes[*]}" in
  "3 6") failed=0 other=1 ;;
  "6 3") failed=1 other=0 ;;
  *) failed=0 other=1; fail "a broken picture: exit codes ${rank_codes[*]}: $(tail -qn 1 err.?)" ;;
esac
expect_match "^pal-train: error: pictures/.*JPEG" err.$failed "who meets a broken picture"
expect_match "^pal-train: error: rank $failed (.*) lost .*JPEG" err.$other "and the other rank"

finish_test "$deaths deaths were named, the slowest after $longest ms"
