#!/usr/bin/env bash
# Usage: evaluation_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-evaluate on the pictures of a folder: run folders and the data of their runs, classes that are
# matched by name, the table of images, latent vectors, images that chose the checkpoint.
source "$(dirname "$0")/harness.sh" "$@"

evaluates() { succeeds pal-evaluate "$@" --threads 1 -q; }

make_pictures set 3 12 40 32
for part in train val; do
  mv "set/$part/class 1" "set/$part/red, round"
  mv "set/$part/class 2" "set/$part/Würfel"
done
pictures="-b 8 --threads 1 --progress never -q --validate-every 1 --recalibrate-bn 0"
small="$pictures -a ibinn-small --image-size 16 --blocks 1,1,1 --widths 8,8,8 --lr 0.02 --epochs 2"
succeeds pal-train set $small -o run

# A run folder is its best checkpoint; its config.toml names the data.
evaluates run/checkpoints/best set --json
grep -o '"acc1":[^}]*"entropy":[^,]*' out >wanted
for checkpoint in run run/ run/checkpoints; do
  evaluates "$checkpoint" set --json
  expect_same wanted <(grep -o '"acc1":[^}]*"entropy":[^,]*' out)
done
evaluates run run --split train --json set
expect_equal 2 "$(grep -c '"split":"train"' out)" "two run folders, then the data"
succeeds pal-evaluate run set
expect_text "run: taking run/checkpoints/best, which is best-ce.safetensors" err "a run folder"
refuses 2 "set: a folder without checkpoints" pal-evaluate set
grep -v '^dataset' run/config.toml >config || true
{ echo "dataset = \"$PWD/set\""; cat config; } >run/config.toml
succeeds pal-evaluate run --json
expect_same wanted <(grep -o '"acc1":[^}]*"entropy":[^,]*' out)
expect_text "data: $PWD/set, as $PWD/run/config.toml says" err "the run's data"
mv set gone
refuses 2 "name the folder" pal-evaluate run
mv gone set

# The images that chose the checkpoint: val, where there is no test part.
evaluates run set
expect_text "val images of set/val (chose the checkpoint)" out "--split test without a test part"
cp run/checkpoints/best alone.safetensors
evaluates alone.safetensors set
expect_text "(perhaps chose the checkpoint)" out "a checkpoint outside its run"
cp -r set tested
cp -r set/val tested/test
evaluates run tested
expect_not "a test part chose nothing" grep -q "chose" out

# Classes go by their names, whatever their order and however many.
evaluates run set --save-outputs plain.csv
expect_lines "$(($(find set/val -type f | wc -l) + 1))" plain.csv --save-outputs
expect_match '^index,name,label,label_name,predicted,predicted_name,top1_name,.*,p_2$' plain.csv header
expect_match '^0,set/val/Würfel/.*,0,Würfel,' plain.csv "names of classes"
expect_match ',"red, round",' plain.csv "names with a comma"
cp -r set less
rm -r less/*/Würfel
evaluates run less --save-outputs less.csv
expect_match '^0,less/val/class 0/.*,1,class 0,' less.csv "a part of the classes"
expect_match '^[0-9]*,"less/val/red, round/.*,2,"red, round",' less.csv "a part of the classes"
expect_not "a part of the classes: an answer beyond it" grep -q ',0,Würfel,' less.csv
evaluates run less --json
expect_text '"classes_among":2,' out "a part of the classes"
# On the run's own images of these classes, which these are: the same.
expect_equal "$(sed 's/.*"noise_free":{[^}]*"acc1":\([0-9.]*\),.*/\1/' out)" \
  "$(sed 's/.*"acc1_own_among":\([0-9.]*\),.*/\1/' out)" "accuracy of the same classes on the run's images"
evaluates run less
expect_match "answers among the 2 classes of .*; on the run's own test images" out "both accuracies"
evaluates run less --json --no-restrict-classes
expect_not "--no-restrict-classes" grep -q classes_among out
# Folders that are numbers, as ImageNetV2 has them: class numbers, not their order as text.
cp -r less/val numbered && mv "numbered/class 0" numbered/1 && mv "numbered/red, round" numbered/02
evaluates run numbered --save-outputs numbered.csv
expect_match '^[0-9]*,numbered/02/.*,2,"red, round",' numbered.csv "numbered folders"
cp -r set renamed
for part in train val; do mv "renamed/$part/class 0" renamed/$part/zebra; done
refuses 2 "made for 3 classes (Würfel, class 0, red, round), but renamed/val has 3 classes (Würfel, red, round, zebra): 'zebra' is none of its classes" \
  pal-evaluate run renamed
evaluates run renamed --allow-other-classes --save-outputs other.csv
expect_match ',2,zebra,[0-2],' other.csv "--allow-other-classes"
cp -r set more
for part in train val; do cp -r "more/$part/class 0" more/$part/zebra; done
refuses 2 "has 4 classes" pal-evaluate run more --allow-other-classes

# Latent vectors.
evaluates run set --save-latents z.safetensors
run pal-inspect --json z.safetensors
expect_code 0 "the file of latent vectors"
for text in '"names":["latents","labels","indices","scores","log_det"]' \
  '"checkpoint":"best-ce.safetensors"' '"class_names":"[\"Würfel\",\"class 0\",\"red, round\"]"'; do
  expect_text "$text" out --save-latents
done
expect_equal z.safetensors "$(ls -d z.*)" "what --save-latents leaves"
refuses 2 "--save-latents: a vector for each image" pal-evaluate run set --crops 10 --save-latents y
refuses 4 "absent/z" pal-evaluate run set --save-latents absent/z
succeeds pal-train set $pictures -a resnet-small --image-size 16 --blocks 1,1,1 --widths 8,8,8 \
  --epochs 1 -o resnet
refuses 2 "resnet-small only classifies" pal-evaluate resnet set --save-latents y.safetensors
evaluates resnet set --save-outputs resnet.csv
expect_match '^0,.*,,,,' resnet.csv "the table of a ResNet"

finish_test "runs are evaluated"
