#!/usr/bin/env bash
# Usage: data_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-data as a program: check against the corpus of bad files, stats, pack and their way back, exit
# codes and error lines, prepare without network.
source "$(dirname "$0")/harness.sh" "$@"
seconds=120
corpus=$source_folder/tests/badinput

# A set of the corpus' whole pictures, 8 copies of each, and one of its broken ones.
whole=$(awk -F'\t' '$3 ~ /^accept/ && $1 ~ /^(jpeg|png)\// {print $1}' "$corpus/manifest.tsv")
bad=$(awk -F'\t' '$3 == "error" && $1 ~ /^(jpeg|png)\// {print $1}' "$corpus/manifest.tsv")
mkdir -p set/{train,val}/{jpeg,png}
pictures=0
for file in $whole; do
  for copy in 1 2 3 4 5 6 7 8; do
    part=train
    [ $copy -le 6 ] || part=val
    cp "$corpus/$file" "set/$part/${file%%/*}/$copy-${file##*/}"
    pictures=$((pictures + 1))
  done
done

succeeds pal-data check set -j 3
expect_text "$pictures pictures" out check
expect_text " 0 bad" out check
succeeds pal-data check --json set
expect_text "\"pictures\":$pictures," out "check --json"

# Broken ones are found by name, and only they.
planted=0
for file in $bad; do
  cp "$corpus/$file" "set/train/${file%%/*}/"
  planted=$((planted + 1))
done
expect "only $planted broken pictures in the corpus" [ $planted -ge 4 ]
refuses 3 "$planted of $((pictures + planted)) pictures are bad" pal-data check set --list bad.txt
expect_lines $planted bad.txt "check --list"
for file in $bad; do
  expect_match "^set/train/$file: ." out check
done
expect "the list is not sorted" sort -c bad.txt
refuses 3 "bad" pal-data check --json set
expect_text '"reason":"' out "check --json"
xargs rm <bad.txt

succeeds pal-data stats set --image-size 16
expect_text "--mean " out stats
expect_text "a class, min/median/max" out stats
succeeds pal-data stats --json set --image-size 16 -j 1
cp out one_worker
succeeds pal-data stats --json set --image-size 16 -j 3
expect_same one_worker out

succeeds pal-data pack set -o shards --shards 3 --seed 4
expect_equal $'jpeg\npng' "$(cat shards/classes.txt)" classes.txt
for shard in train-000000 train-000001 train-000002 val-000000; do
  expect "no $shard.tar" [ -s shards/$shard.tar ]
done
expect_equal $((2 * pictures)) "$(cat shards/*.tar | tar -t -i -f - | wc -l)" "members of the shards"
succeeds pal-data pack set -o again --shards 3 --seed 4 -j 1
for file in shards/*; do
  expect_same "$file" "again/${file##*/}"
done
succeeds pal-data check shards
expect_text "$pictures pictures" out "check of shards"
succeeds pal-data check "shards/train-{000000..000002}.tar"
refuses 2 "holds something else" pal-data pack set -o shards --shards 2
mv again/val-000000.tar aside.tar
refuses 3 "again/val-000000.tar: was packed there and is gone" pal-data pack set -o again --shards 3 --seed 4
mv aside.tar again/val-000000.tar

# What cannot become the set's folder is refused before any work, and left as it was.
echo kept >file_in_the_way
refuses 4 "file_in_the_way: cannot become the set's folder" pal-data pack set -o file_in_the_way
expect_text kept file_in_the_way "a file in the way"
mkdir vacant
ln -s vacant link_to_vacant
refuses 4 "link_to_vacant: cannot become the set's folder" pal-data pack set -o link_to_vacant
expect_equal "" "$(ls -A vacant)" "the folder behind a link"
expect "left unfinished work" [ ! -e link_to_vacant.partial ]
succeeds pal-data pack set -o vacant --quality 30
expect_text "--quality: has an effect only with --resize" err "--quality alone"

refuses 2 "--output: set/train/new lies in set/train" pal-data pack set -o set/train/new

# A test part beside the others.
cp -r set three
cp -r set/val three/test
succeeds pal-data pack three -o three_shards
expect "no shard of test/" [ -s three_shards/test-000000.tar ]

# Reduced pictures are the same bytes again; small ones stay as they are.
succeeds pal-data pack set -o small --shards 3 --seed 4 --resize 8
succeeds pal-data check small
expect_text "$pictures pictures" out "check of reduced shards"
succeeds pal-data pack set -o small_again --shards 3 --seed 4 --resize 8 -j 1
for file in small/*; do
  expect_same "$file" "small_again/${file##*/}"
done
succeeds pal-data pack set -o unchanged --shards 3 --seed 4 --resize 4000
for file in shards/*.tar; do
  expect_same "$file" "unchanged/${file##*/}"
done
refuses 2 "holds something else" pal-data pack set -o small --shards 3 --seed 4
refuses 2 "--resize" pal-data pack set -o x --resize 0
refuses 2 "--quality" pal-data pack set -o x --resize 8 --quality 101
head -c 3000 shards/train-000000.tar >cut.tar
refuses 3 "error: cut.tar:" pal-data check cut.tar


# Parts by their other names; a part of classes that the training part lacks.
mkdir -p other
ln -s ../set/train other/Training
ln -s ../set/val other/valid
succeeds pal-data check other
expect_text "$pictures pictures" out "check of parts by other names"
succeeds pal-data pack other -o other_shards --shards 3 --seed 4
for file in shards/*.tar; do
  expect_same "$file" "other_shards/${file##*/}"
done
cp -r set extra
cp -r extra/val/png extra/val/webp
refuses 2 "class 'webp' is in val/ but not in train/" pal-data pack extra -o x --shards 1
refuses 2 "expected class folders in train/" pal-data pack set/train -o x --shards 1

refuses 2 "did you mean stamps?" pal-data prepare stanps
refuses 2 "--size" pal-data prepare stamps --size 0 -o x
refuses 2 "--count" pal-data prepare stamps --count -5 -o x
refuses 2 "--shards" pal-data pack set -o x --shards 0
refuses 2 "did you mean --workers?" pal-data check set --worker 3
refuses 2 "--workers" pal-data check set -j 0
refuses 2 "--progress" pal-data check set --progress sometimes
refuses 2 "" pal-data nonsense
refuses 2 "" pal-data
mkdir empty
refuses 3 "no pictures" pal-data check empty
refuses 3 "error: absent" pal-data check absent
refuses 3 "error: absent" pal-data pack absent -o x --shards 1
echo text >text.deb
if command -v dpkg-deb >/dev/null; then
  refuses 3 "not a Debian package" pal-data prepare clipart --package text.deb -o x
else
  skip_part "a package that is none" "no dpkg-deb"
fi
# Without dpkg-deb and apt-get it says so.
if [ -e /usr/share/openclipart/png ]; then
  skip_part "prepare without programs" "openclipart-png is installed"
else
  code=0
  (PATH=/nonexistent exec "$programs/pal-data" prepare clipart -o x) >out 2>err || code=$?
  expect_code 4 "prepare without programs"
  expect_text "no such program in PATH" err "prepare without programs"
fi
expect_not "a folder was left behind" [ -e x ]
expect_not "a part of a folder was left behind" [ -e x.partial ]
succeeds pal-data --help
succeeds pal-data prepare --help
succeeds pal-data --version

finish_test "$pictures whole and $planted broken pictures behave"
