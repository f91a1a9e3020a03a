#!/usr/bin/env bash
# Usage: corrupt_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-corrupt as a program: the published tree, the same bytes at any number of threads, in parts and
# after a stop, sheets, and what it refuses.
source "$(dirname "$0")/harness.sh" "$@"

make_pictures made 2 24 40 34
mv made/val photos
# tree_sums DIR: a line for each picture of a tree.
tree_sums() { (cd "$1" && find . -type f ! -name corruptions.json | sort | tr '\n' '\0' | xargs -0 sha256sum); }

succeeds pal-corrupt photos -o whole --image-size 32 -j 1
expect_text "900 pictures written" out "the whole tree"
expect_text "procedural" err "the whole tree"
expect_equal 900 "$(tree_sums whole | wc -l)" "pictures of the tree"
one=$(cd photos && find . -name '*.JPEG' | sort | head -n 1)
one=${one#./}
for folder in gaussian_noise/1 elastic_transform/5 jpeg_compression/3; do
  expect "no $folder/$one" [ -s "whole/$folder/$one" ]
done
tree_sums whole >sums
for threads in 2 7; do
  succeeds pal-corrupt photos -o whole$threads --image-size 32 -j $threads -q
  expect_same sums <(tree_sums whole$threads)
done

# From another place, in parts, and after losing some: the same pictures, only what is missing.
mkdir -p elsewhere
cp -r photos elsewhere/pictures
succeeds pal-corrupt elsewhere/pictures -o parts --image-size 32 --corruptions noise,fog -n 5
expect_text "100 pictures written" out "a part"
expect_not "a picture of another severity or corruption" [ -e parts/jpeg_compression ]
expect_equal "" "$(comm -23 <(tree_sums parts | sort) <(sort sums))" "a subset changes pictures"
find parts -name '*.JPEG' | sort | sed -n '1~7p' | tr '\n' '\0' | xargs -0 rm
succeeds pal-corrupt elsewhere/pictures -o parts --image-size 32
expect_text "pictures written, 85 were there" out "the rest"
expect_same sums <(tree_sums parts)
succeeds pal-corrupt photos -o parts --image-size 32
expect_text "0 pictures written, 900 were there" out "nothing left to do"

# Killed in the middle, then resumed.
(cd "$scratch" && exec "$programs/pal-corrupt" photos -o killed --image-size 224 -j 2 >out 2>err) &
victim=$!
for _ in $(seq 200); do
  [ "$(find killed -name '*.JPEG' 2>/dev/null | head -n 20 | wc -l)" -lt 20 ] || break
  sleep 0.02
done
kill -KILL $victim 2>/dev/null || true
wait $victim 2>/dev/null || true
succeeds pal-corrupt photos -o killed --image-size 224
expect_text "were there" out "a killed run goes on"
expect_equal "" "$(find killed -name '.unfinished*')" "left over"
succeeds pal-corrupt photos -o unbroken --image-size 224
expect "a killed run differs from an unbroken one" cmp <(tree_sums killed) <(tree_sums unbroken)

# Options.
succeeds pal-corrupt photos -o grouped --groups --as-is --format png --corruptions all \
  --severities 2,5 --seed 3 --parameters cifar -n 2
expect_equal "blur digital extra noise weather" \
  "$(find grouped -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort | xargs)" groups
succeeds pal-data check grouped/blur/zoom_blur/2
succeeds pal-data check whole/snow/4
expect_text "12 pictures" out "a cell is a set"
succeeds pal-corrupt synthetic:3:40:12:1 -o grey --format png --corruptions glass_blur,contrast
expect_text "10 images" out "a set in memory"
refuses 2 "saturate: grey images have no colours" \
  pal-corrupt synthetic:3:40:12:1 -o grey2 --corruptions saturate

# Sheets.
succeeds pal-corrupt photos --sheet sheet.png --image-size 32 --image 3
expect_text "under 15 corruptions at 5 severities" out "a sheet"
succeeds pal-corrupt photos --sheet small.png --severities 1 --corruptions frost,jpeg_compression

refuses 2 "did you mean gaussian_noise?" pal-corrupt photos -o x --corruptions gausian_noise
refuses 2 "expected 1 to 5, got 6" pal-corrupt photos -o x --severities 1,6
refuses 2 "expected 1 to 5, got 0" pal-corrupt photos -o x --severities 0
refuses 2 "named twice" pal-corrupt photos -o x --severities 1,1
refuses 2 "adds nothing" pal-corrupt photos -o x --corruptions noise,shot_noise
refuses 2 "lies in photos" pal-corrupt photos -o photos/out
refuses 2 "lies in photos" pal-corrupt photos -o photos
cp -r photos others
rm "others/$one"
refuses 2 "other settings" pal-corrupt others -o whole --image-size 32
refuses 2 "other settings" pal-corrupt photos -o whole --image-size 32 --groups
refuses 2 "other settings" pal-corrupt photos -o whole --image-size 32 --seed 1
refuses 2 "holds something else" pal-corrupt whole/fog/1 -o photos
refuses 2 "nothing to make" pal-corrupt photos
refuses 2 "SET: none is given" pal-corrupt
refuses 2 "--image: photos has 12 images, got 12" pal-corrupt photos --sheet s.png --image 12
refuses 2 "name a .png file" pal-corrupt photos --sheet s.jpg
refuses 2 "add --sheet" pal-corrupt photos -o x --image 1
refuses 2 "name its folder with --output" pal-corrupt photos --sheet s.png --format png
refuses 2 "--count: photos has 12 images, got 13" pal-corrupt photos -o x -n 13
refuses 2 "does not go with --as-is" pal-corrupt photos -o x --as-is --image-size 32
refuses 2 "a size of their own" pal-corrupt synthetic:3:40:12 -o x --image-size 32
refuses 2 "is of JPEG" pal-corrupt photos -o x --format png --quality 90
refuses 2 "glass_blur is not asked for" pal-corrupt photos -o x --corruptions fog --glass-copy no
refuses 2 "name their folder with --frost" pal-corrupt photos -o x --frost-five
refuses 3 "got 0 pictures" pal-corrupt photos -o x --frost elsewhere
refuses 3 "absent" pal-corrupt absent -o x
mkdir empty
refuses 3 "empty" pal-corrupt empty -o x
expect_not "a folder was left behind" [ -e x ]
cp -r photos broken
head -c 300 "photos/$one" >"broken/$one"
refuses 3 "$one" pal-corrupt broken -o broken-c --corruptions fog
make_pictures thin 2 8 40 5
refuses 3 "40x5 pixels; corruptions take 8 to 4096 a side" pal-corrupt thin -o thin-c --as-is
mkdir -p twice/a twice/b
for copy in a/1.png a/1.jpg b/1.jpg; do cp "photos/$one" twice/$copy; done
refuses 2 "two pictures would become a/1.jpg" pal-corrupt twice -o x
# A full disk.
if [ -w /dev/full ]; then
  code=0
  (ulimit -f 1 && exec "$programs/pal-corrupt" photos -o full --as-is --format png) >out 2>err || code=$?
  program=pal-corrupt
  expect_refusal 4 "cannot write" "files that cannot be written"
fi
succeeds pal-corrupt --help
finish_test "trees and sheets of corrupted pictures behave"
