#!/bin/bash
# Usage: data_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-data as a program: check against the corpus of bad files, stats, pack and their way back, exit
# codes and error lines, prepare without network.
set -u
data=$1/pal-data
corpus=$2/tests/badinput
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export OMP_NUM_THREADS=2 XDG_CACHE_HOME=$scratch/cache
unset PALINDROME_DATA
failures=0

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# run ARGUMENTS: output in $scratch/out and $scratch/err, exit code in $code.
run() {
  timeout 120 "$data" "$@" >"$scratch/out" 2>"$scratch/err"
  code=$?
}

expect_output() { # TEXT out|err WHAT
  grep -qF -- "$1" "$scratch/$2" || fail "$3: no '$1' in: $(cat "$scratch/$2")"
}

succeeds() {
  run "$@"
  [ "$code" = 0 ] || fail "$*: exit code $code: $(cat "$scratch/err")"
}

# refuses CODE TEXT ARGUMENTS: exit code and one error line that holds the text.
refuses() {
  wanted=$1
  text=$2
  shift 2
  run "$@"
  [ "$code" = "$wanted" ] || fail "$*: exit code $code, expected $wanted: $(cat "$scratch/err")"
  [ "$(grep -c "^pal-data: error: " "$scratch/err")" = 1 ] || fail "$*: $(cat "$scratch/err")"
  expect_output "$text" err "$*"
}

# A set of the corpus' whole pictures, 8 copies of each, and one of its broken ones.
whole=$(awk -F'\t' '$3 ~ /^accept/ && $1 ~ /^(jpeg|png)\// {print $1}' "$corpus/manifest.tsv")
bad=$(awk -F'\t' '$3 == "error" && $1 ~ /^(jpeg|png)\// {print $1}' "$corpus/manifest.tsv")
for part in train val; do
  for kind in jpeg png; do mkdir -p "$scratch/set/$part/$kind"; done
done
pictures=0
for file in $whole; do
  for copy in 1 2 3 4 5 6 7 8; do
    part=train
    [ $copy -gt 6 ] && part=val
    cp "$corpus/$file" "$scratch/set/$part/${file%%/*}/$copy-${file##*/}"
    pictures=$((pictures + 1))
  done
done

succeeds check "$scratch/set" -j 3
expect_output "$pictures pictures" out check
expect_output " 0 bad" out check
succeeds check --json "$scratch/set"
expect_output "\"pictures\":$pictures," out "check --json"

# Broken ones are found by name, and only they.
planted=0
for file in $bad; do
  cp "$corpus/$file" "$scratch/set/train/${file%%/*}/"
  planted=$((planted + 1))
done
[ $planted -ge 4 ] || fail "only $planted broken pictures in the corpus"
refuses 3 "$planted of $((pictures + planted)) pictures are bad" check "$scratch/set" \
  --list "$scratch/bad.txt"
[ "$(wc -l <"$scratch/bad.txt")" = $planted ] || fail "list: $(cat "$scratch/bad.txt")"
for file in $bad; do
  grep -q "^$scratch/set/train/$file: ." "$scratch/out" || fail "check: no line for $file"
done
sort -c "$scratch/bad.txt" || fail "the list is not sorted"
refuses 3 "bad" check --json "$scratch/set"
expect_output '"reason":"' out "check --json"
xargs rm <"$scratch/bad.txt"

succeeds stats "$scratch/set" --image-size 16
expect_output "--mean " out stats
expect_output "a class, min/median/max" out stats
succeeds stats --json "$scratch/set" --image-size 16 -j 1
cp "$scratch/out" "$scratch/one"
succeeds stats --json "$scratch/set" --image-size 16 -j 3
cmp -s "$scratch/out" "$scratch/one" || fail "stats depend on the number of workers"

succeeds pack "$scratch/set" -o "$scratch/shards" --shards 3 --seed 4
[ "$(cat "$scratch/shards/classes.txt")" = "jpeg
png" ] || fail "classes.txt: $(cat "$scratch/shards/classes.txt")"
for shard in train-000000 train-000001 train-000002 val-000000; do
  [ -s "$scratch/shards/$shard.tar" ] || fail "no $shard.tar"
done
members=$(cat "$scratch"/shards/*.tar | tar -t -i -f - | wc -l)
[ "$members" = $((2 * pictures)) ] || fail "$members members in the shards"
succeeds pack "$scratch/set" -o "$scratch/again" --shards 3 --seed 4 -j 1
for file in "$scratch"/shards/*; do
  cmp "$file" "$scratch/again/${file##*/}" || fail "${file##*/} differs"
done
succeeds check "$scratch/shards"
expect_output "$pictures pictures" out "check of shards"
succeeds check "$scratch/shards/train-{000000..000002}.tar"
refuses 2 "holds something else" pack "$scratch/set" -o "$scratch/shards" --shards 2
head -c 3000 "$scratch/shards/train-000000.tar" >"$scratch/cut.tar"
refuses 3 "$scratch/cut.tar:" check "$scratch/cut.tar"

refuses 2 "did you mean stamps?" prepare stanps
refuses 2 "--size" prepare stamps --size 0 -o "$scratch/x"
refuses 2 "--count" prepare stamps --count -5 -o "$scratch/x"
refuses 2 "--shards" pack "$scratch/set" -o "$scratch/x" --shards 0
refuses 2 "did you mean --workers?" check "$scratch/set" --worker 3
refuses 2 "--workers" check "$scratch/set" -j 0
refuses 2 "--progress" check "$scratch/set" --progress sometimes
refuses 2 "" nonsense
refuses 2 ""
mkdir "$scratch/empty"
refuses 3 "no pictures" check "$scratch/empty"
refuses 3 "$scratch/absent" check "$scratch/absent"
refuses 3 "$scratch/absent" pack "$scratch/absent" -o "$scratch/x" --shards 1
echo text >"$scratch/text.deb"
if command -v dpkg-deb >/dev/null; then
  refuses 3 "not a Debian package" prepare clipart --package "$scratch/text.deb" -o "$scratch/x"
fi
# Without dpkg-deb and apt-get it says so.
(PATH=/nonexistent exec "$data" prepare clipart -o "$scratch/x") >"$scratch/out" 2>"$scratch/err"
code=$?
if [ -e /usr/share/openclipart/png ]; then
  echo "openclipart-png is installed: skipped prepare without programs"
else
  [ $code = 4 ] || fail "prepare without programs: exit code $code: $(cat "$scratch/err")"
  expect_output "no such program in PATH" err "prepare without programs"
fi
rm -rf "$scratch/x"
{ [ -e "$scratch/x" ] || [ -e "$scratch/x.partial" ]; } && fail "something was left behind"
succeeds --help
succeeds prepare --help
succeeds --version

[ "$failures" = 0 ] && echo "$pictures whole and $planted broken pictures behave"
[ "$failures" = 0 ]
