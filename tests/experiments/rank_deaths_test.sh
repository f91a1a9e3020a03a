#!/usr/bin/env bash
# Ranks that are killed, stopped, end or fail, at any moment: the others name them within ten seconds,
# exit with 6, and leave a run that goes on. PALINDROME_DEATHS says how many (12), PALINDROME_LAUNCHER who
# starts the ranks (launchers.sh).
#   rank_deaths_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
source "$(dirname "$0")/harness.sh" "$@"
source "$source_folder/tests/experiments/launchers.sh"
deaths=${PALINDROME_DEATHS:-12}
RANDOM=${PALINDROME_DEATHS_SEED:-1}
export OMP_NUM_THREADS=1

program=pal-train
require_launcher
run_ranks 2 pal-train $tiny --max-steps 1 -o try
grep -q "this build has no Gloo" err.0 err.1 && skip_test "this build has no Gloo"

count=3
# A death is a kind at a moment; all pairs come by in fifteen. An end of its own needs a debugger.
kinds=(kill stop exit kill exception)
moments=(step save start)
command -v gdb >/dev/null || kinds[2]=kill
# Saves often, so that deaths meet them too.
often="--global-batch 12 --epochs 4000 --checkpoint-every 5 --keep-checkpoints 2 --join-timeout 4"
net="${tiny/-b 16/} $often"
make_pictures pictures 2 40 16 16
photos="pictures -a ibinn-small --image-size 16 --blocks 1,1 --strides 1,2 --widths 8,8 --recalibrate-bn 4"
picture=$(find pictures/train -name '*.JPEG' | sort | sed -n 7p)
cp -p "$picture" whole.JPEG
head -c 50 whole.JPEG >broken.JPEG

# milliseconds since the epoch
now() { date +%s%3N; }

# await_moment MOMENT RUN: the start; any time later; or as soon as a save is seen.
await_moment() {
  local until
  case $1 in
    start) sleep 0.0$((RANDOM % 10)) ;;
    step) sleep 0.$((3 + RANDOM % 7))$((RANDOM % 10)) ;;
    save)
      sleep 0.4
      until=$((SECONDS + 2))
      until [ "$SECONDS" -ge "$until" ] || compgen -G "$2/checkpoints/*.tmp-pal*" >/dev/null; do
        sleep 0.001
      done
      ;;
  esac
}

# strike KIND PID
strike() {
  case $1 in
    kill) kill -KILL "$2" ;;
    stop) kill -STOP "$2" ;;
    # Debian's gdb breaks off by itself when its process is gone.
    exit) (ulimit -c 0; gdb -p "$2" -batch -nx -ex 'call (void)_exit(9)') >gdb.txt 2>&1 || true ;;
    # By renaming, so that nobody reads half of what is written. It is met at some later step.
    exception)
      cp broken.JPEG cut && mv cut "$picture"
      for ((i = 0; i < 1200; ++i)); do
        ! grep -q "^pal-train: error: " err.? || break
        sleep 0.05
      done
      ;;
  esac
}

# survivors PID...: waits for them; $slowest is the time of the last in milliseconds. Who has not ended
# after 20 s hangs, and is killed.
survivors() {
  local began
  began=$(now)
  checks=$((checks + 1))
  if ! await_gone 20 "$@"; then
    fail "$what: a rank hangs: $(tail -qn 1 err.?)"
    kill -KILL "$@" 2>/dev/null || true
  fi
  slowest=$(($(now) - began))
}

# judge RANK: what a survivor says, given the $victims, of whom it names one.
judge() {
  local line victim
  line=$(grep "^pal-train: error: " "err.$1" || true)
  checks=$((checks + 1))
  expect_not "$what: rank $1 says it twice" [ "$(grep -c error: "err.$1")" -gt 1 ]
  if [ -z "$line" ] && ends_by_launcher; then
    wordless=$((wordless + 1))
    return 0
  fi
  for victim in $victims; do
    # Before all have met, nobody knows more than a number.
    case $line in
      "pal-train: error: rank $victim ("*", process ${rank_pids[$victim]}) lost "*) return 0 ;;
      *"did not arrive"*" $victim;"* | *"did not arrive"*" $victim,"* | *"rank $victim was not reached"* | \
        *"rank $victim lost before the run began"* | *"rank $victim ("*" lost before the run began"*)
        return 0 ;;
    esac
  done
  fail "$what: rank $1 says: $line"
}

# judge_code RANK: where it can be known.
judge_code() {
  local code=0
  [ "$launcher" = hand ] || return 0
  wait "${rank_pids[$1]}" 2>/dev/null || code=$?
  expect "$what: rank $1: exit code $code: $(tail -n 1 "err.$1")" \
    [ "$code" = $(grep -q "did not arrive\|was not reached" "err.$1" && echo 4 || echo "$2") ]
}

longest=0
wordless=0
for ((death = 0; death < deaths; ++death)); do
  kind=${kinds[$((death % 5))]}
  moment=${moments[$((death % 3))]}
  victims=$((RANDOM % count))
  folder=$([ $kind = exception ] && echo run-of-pictures || echo run)
  before=$(newest_step $folder)
  what="death $death: $kind, $moment, rank $victims"
  launch $count "$programs/pal-train" $([ $kind = exception ] && echo $photos $often || echo $net) \
    --resume auto -o $folder
  await_moment $moment $folder
  others=()
  for ((rank = 0; rank < count; ++rank)); do
    [ $kind != exception ] && [ $rank = $victims ] || others+=("$rank")
  done
  struck=${rank_pids[$victims]}
  strike $kind "$struck"
  survivors $(for rank in "${others[@]}"; do echo "${rank_pids[$rank]}"; done)
  if [ $kind = exception ]; then
    cp -p whole.JPEG "$picture"
    # Who met the picture says so.
    victims=$({ grep -l "^pal-train: error: pictures/.*JPEG" err.? || true; } | sed 's/.*\.//' | tr '\n' ' ')
    if [ -z "$victims" ] && ends_by_launcher; then
      # Ended before it had a word; the others name it.
      victims=$(sed -n 's/^pal-train: error: rank \([0-9]*\) (.*) lost .*pictures\/.*JPEG.*/\1/p' err.? |
        sort -u | tr '\n' ' ')
      wordless=$((wordless + 1))
    fi
    what="death $death: $kind, $moment, rank $victims"
    expect "$what: nobody met it: $(tail -qn 1 err.?)" [ -n "$victims" ]
  fi
  # On a busy machine a death that is meant for a step may come before the ranks have met, who then
  # wait for the time-out of that.
  early=$(grep -l "did not arrive\|was not reached\|before the run began" err.? || true)
  expect "$what: took $slowest ms" [ "$slowest" -lt $([ -n "$early" ] && echo 18000 || echo 10000) ]
  [ -n "$early" ] || [ "$slowest" -le "$longest" ] || longest=$slowest
  for rank in "${others[@]}"; do
    if [[ " $victims " == *" $rank "* ]]; then
      judge_code "$rank" 3
    else
      judge "$rank"
      judge_code "$rank" 6
    fi
  done
  # Who wakes up finds nobody, and goes too.
  [ $kind != stop ] || kill -CONT "$struck" 2>/dev/null || true
  expect "$what: it does not end when it wakes" await_gone 15 "$struck"
  expect_nobody_left "$what"
  # Rank 0 removes the file by which ranks meet, unless it is ended before they have.
  file=$(ls | grep '\.ranks-' || true)
  if [ -n "$file" ]; then
    [ "$victims" = 0 ] || ! grep -q . err.0 || fail "$what: a rendezvous file is left"
    rm "$file"
  fi
  if [ -e $folder/checkpoints/last ]; then
    succeeds pal-inspect $folder/checkpoints/last
    expect_not "$what: a temporary file is left after a resume" \
      [ -n "$(find $folder/checkpoints -name '*.tmp-pal*' -mmin +1)" ]
    expect "$what: a checkpoint is lost" [ "$(newest_step $folder)" -ge "${before:-0}" ]
  fi
done

# What is left goes on.
for folder in run run-of-pictures; do
  [ -z "$(newest_step $folder)" ] ||
    ranks_succeed 2 pal-train --resume $folder --max-steps $(($(newest_step $folder) + 3))
done

[ $wordless = 0 ] || echo "$wordless ranks were ended by $launcher before they had a word"
finish_test "$deaths deaths under $launcher were named, the slowest survivor ended after $longest ms"
