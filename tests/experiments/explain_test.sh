#!/usr/bin/env bash
# Usage: explain_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-explain: maps that sum to the answer, the check of them, and what is refused.
source "$(dirname "$0")/harness.sh" "$@"
address_space=
explains() { succeeds pal-explain "$@"; }

# Of several sizes of the last map: 4 x 4 (low-rank means) and 2 x 2 (full rank).
succeeds pal-train $tiny --threads 1 --max-steps 20 -o run --quiet
succeeds pal-train --dataset synthetic:3:256:16:3 -a ibinn-small --image-size 16 -b 16 --blocks 1,1,1 \
  --strides 1,2,2 --widths 8,8,8 --rank 4 --threads 1 --max-steps 20 --recalibrate-bn 4 -o colour --quiet

for model in run colour; do
  explains heatmap $model -n 4 -o heat.png --share proportional -q
  expect_text "4 images in heat.png, numbers in heat.csv" out "$model"
  expect_equal 89504e47 "$(head -c 4 heat.png | od -An -tx1 | tr -d ' ')" "$model: a PNG"
  expect_equal "image,name,map,row,column,nats" "$(head -n 1 heat.csv)" "$model: header"
  # Maps of three classes sum to logarithms of probabilities.
  expect "$model: maps do not sum to ln q" awk -F, '
    NR > 1 && $3 != "saliency" { sum[$1 "," $3] += $6 }
    END { for (k in sum) { n++; if (sum[k] > 1e-6 || sum[k] < -60) exit 1 } exit n != 12 }' heat.csv
  explains evidence $model -n 5 -o ev.png -q
  mv ev.csv all.csv
  cp out table
  expect "$model: evidence does not sum to the log-odds" awk '
    NR == FNR { if (FNR > 1 && NF >= 6) odds[$1] = $(NF - 1); next }
    { split($0, f, ","); if (FNR > 1) sum[f[1]] += f[6] }
    END { for (i in sum) { n++; d = sum[i] - odds[i]; if (d > 0.006 || d < -0.006) exit 1 }
          exit n != 5 }' table all.csv
  # One image alone says the same.
  image=$(awk -F, 'NR == 2 { print $1 }' all.csv)
  explains evidence $model --images "$image" -o ev.png -q
  expect "$model: an image alone has another map" awk -F, '
    NR == FNR { map[$1 "," $4 "," $5] = $6; next }
    FNR > 1 { d = map[$1 "," $4 "," $5] - $6; n++; if (d > 1e-3 || d < -1e-3) exit 1 }
    END { exit n == 0 }' all.csv ev.csv
done
rm -f ev.png
explains evidence run --for 1 --against 2 -n 2 -o ev.png -q
expect_match "stripes 1  *stripes 2" out "--for, --against"
explains evidence run --against label -n 6 -o ev.png -q
explains heatmap run --class 3 -n 1 -o heat.png --scale 2 -q
expect_text ",stripes 3,0,0," heat.csv "--class"

explains check run -n 12 -o check.svg
expect_text "most supporting first" out "check"
expect_text "class means of two other classes" out "check"
expect_match "^<svg xmlns" check.svg "check: picture"
expect_equal "order,insertion,cells,log_odds" "$(head -n 1 check.csv)" "check: curves"
explains check run -n 12 -o check.svg --json -q --fill blur
expect_text '"controls":[{"with":' out "check --json"
cp out first
explains check run -n 12 -o check.svg --json -q --fill blur
expect_same out first

# Figures about classes.
for model in run colour; do
  explains similarity $model -o s.svg --pairs 2 -q
  expect_match "^most alike  *distance" out "$model: similarity"
  expect_equal "class_a,class_b,distance,uncertainty" "$(head -n 1 s.csv)" "$model: similarity"
  explains decision $model --images 1 -o d.svg -q
  expect_match "^the image  *" out "$model: decision"
  expect_text "image," d.csv "$model: decision"
  explains dct $model -n 40 -o c.svg -q
  expect_match "^components, of" out "$model: dct"
  for file in s.svg d.svg c.svg; do expect_match "^<svg xmlns" $file "$model: picture"; done
done
expect_lines 4 s.csv "pairs of three classes"
explains similarity run --order file --class 0 --class 2 -o s.svg -q
explains dct run -o c.svg
expect_text "test images: all of them" err "more images than there are"
refuses 2 "is given twice" pal-explain similarity run --class 1 --class 1
refuses 2 "--bad-images skip: a picture that is to be explained" pal-explain heatmap run --bad-images skip
refuses 2 "one image at a time, got 3" pal-explain decision run -n 3
refuses 2 "compares at least 2 classes" pal-explain similarity run --class 1
refuses 2 "--order: expected" pal-explain similarity run --order alphabet

# A plane: its model says the same as its picture, of all test images, by another program.
for model in run colour; do
  explains plane $model -o p.svg --epochs 0.5 -q
  expect_match "^plane alone fine-tuned, " out "$model: plane"
  expect_equal "image,name,label,along,up,predicted" "$(head -n 1 p.csv)" "$model: plane"
  expect_match "^<svg xmlns" p.svg "$model: plane"
  share=$(awk -F, 'NR > 1 && $3 == $6 { n++ } END { printf "%.10f", n / (NR - 1) }' p.csv)
  succeeds pal-evaluate p.safetensors --json
  expect_match "\"noise_free\":{\"images\":[0-9]*,\"acc1\":$(echo "$share" | sed 's/0*$//')" out "$model: cells of the plane"
done
explains plane run --finetune all --beta inf --epochs 0.5 --class 0 --class 2 --class 3 -o p.svg -q
expect_match "^network and plane fine-tuned, " out "plane --finetune all"
cp p.csv first
explains plane run --finetune all --beta inf --epochs 0.5 --class 0 --class 2 --class 3 -o p.svg -q
expect_same p.csv first
refuses 2 "needs at least 3 classes, got 2" pal-explain plane run --class 0 --class 1
refuses 2 "fill no batch of 5000" pal-explain plane run -b 5000
refuses 2 "--images, -n: give one of them" pal-explain plane run -n 3 --images 1

# What is refused.
succeeds pal-train --dataset synthetic:4:256:8 -a resnet-small -b 16 --blocks 1,1 --strides 1,2 \
  --widths 8,8 --threads 1 --max-steps 4 -o resnet --quiet
# Receptive fields, of a residual network too.
for model in run colour resnet; do
  explains receptive-field $model -n 4 --channels 3 -o f.svg -q
  expect_match "^features  *3 of" out "$model: receptive-field"
  expect_equal "row,column,sensitivity" "$(head -n 1 f.csv)" "$model: receptive-field"
  expect_equal 89504e47 "$(head -c 4 f.png | od -An -tx1 | tr -d ' ')" "$model: a PNG"
done
refuses 2 "CHECKPOINT: none is given" pal-explain receptive-field
explains receptive-field --help
for command in heatmap evidence check similarity decision dct plane; do
  refuses 2 "only classifies" pal-explain $command resnet
  refuses 2 "CHECKPOINT: none is given" pal-explain $command
  refuses 3 "no such" pal-explain $command nowhere
  [ $command = similarity ] || refuses 2 "--images: " pal-explain $command run --images 100000
  case $command in heatmap | evidence) suffix=png ;; *) suffix=svg ;; esac
  refuses 4 "absent" pal-explain $command run -o absent/x.$suffix
  explains $command --help
done
refuses 2 "expected heatmap, evidence, check," pal-explain
refuses 2 "both are" pal-explain evidence run --for 1 --against 1
refuses 2 "--against: no class is called" pal-explain evidence run --against hat
refuses 2 "--class: the model has classes 0 to 3" pal-explain heatmap run --class 9
refuses 2 "written as png; name the file x.png" pal-explain heatmap run -o x.jpg
refuses 2 "written as svg; name the file x.svg" pal-explain check run -o x.png

finish_test "maps sum to the answer"
