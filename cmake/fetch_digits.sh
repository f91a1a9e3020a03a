#!/usr/bin/env bash
# Puts OpenCV's sheet of 5,000 handwritten digits, one file of Debian's opencv-doc, into the cache
# folder where the data set `digits` is looked for. Does nothing if it is there.
#   cmake/fetch_digits.sh
set -euo pipefail
cache=${XDG_CACHE_HOME:-$HOME/.cache}/palindrome
[ -s "$cache/digits.png" ] && exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download opencv-doc >/dev/null
dpkg-deb --fsys-tarfile opencv-doc_*.deb |
  tar -x -O ./usr/share/doc/opencv-doc/examples/data/digits.png >digits.png
mkdir -p "$cache"
mv digits.png "$cache/digits.png"
