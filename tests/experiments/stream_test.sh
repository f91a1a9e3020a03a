#!/usr/bin/env bash
# Usage: stream_test.sh FOLDER_OF_PROGRAMS SOURCE_FOLDER
# pal-classify MODEL - --json as the binding for other languages: stream_check.py asks, line by line.
source "$(dirname "$0")/harness.sh" "$@"
find_python

make_pictures pictures 4 60 16 16
net="-a ibinn-mnist -b 16 --image-size 16 --blocks 1,1 --strides 1,2 --widths 8,8 --recalibrate-bn 4"
succeeds pal-train pictures $net --threads 1 --validation 120 --max-steps 20 -o run --quiet
succeeds pal-evaluate run --calibrate -q
# The answers for files as arguments, one picture at a time, as the stream gets them.
find pictures -name '*.JPEG' | LC_ALL=C sort >names
tr '\n' '\0' <names | xargs -0 "$programs/pal-classify" run --json -q -b 1 >by_name.jsonl

checks=$((checks + 1))
timeout 300 "$python" "$source_folder/tests/experiments/stream_check.py" "$programs/pal-classify" \
  "$source_folder" >said 2>&1 || fail "stream_check.py: $(tail -n 20 said)"
grep SKIPPED said >skipped_parts || true
while IFS= read -r line; do skip_part "${line%%: *}" "$(sed 's/.*(\(.*\))/\1/' <<<"$line")"; done <skipped_parts

finish_test "streams are answered"
