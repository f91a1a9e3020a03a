#!/usr/bin/env bash
# The packages in other people's hands: builds them from a copy of the sources, removes copy and build,
# and tries them in an empty Debian, where nothing of this machine is seen. A line for each check.
#   tests/package.sh [--built FOLDER]
# --built takes the packages that lie in a folder. Needs root, debootstrap and a mirror of Debian
# (PAL_DEBIAN_MIRROR); 77 without. The empty system and the packages from the mirror are kept in the
# cache folder, so that a second run is short.
# shellcheck disable=SC2016  # variables in commands for the empty system are its own
set -euo pipefail
cd "$(dirname "$0")/.."
built=
case ${1:-} in
  "") ;;
  --built) built=$(readlink -f "${2:?a folder}") ;;
  *)
    echo "package: error: unknown argument '$1'; use --built FOLDER" >&2
    exit 2 ;;
esac
mirror=${PAL_DEBIAN_MIRROR:-http://deb.debian.org/debian}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/palindrome
suite=bookworm

skip() {
  echo "package: SKIPPED ($*)"
  exit 77
}
[ "$(id -u)" = 0 ] || skip "needs root"
command -v debootstrap >/dev/null || skip "no debootstrap"
command -v dpkg-shlibdeps >/dev/null || skip "no dpkg-dev"
# What is mounted here vanishes with the script.
if [ -z "${PAL_OWN_MOUNTS:-}" ]; then
  unshare --mount true 2>/dev/null || skip "mounts are not allowed here"
  PAL_OWN_MOUNTS=1 exec unshare --mount "$PWD/tests/package.sh" ${built:+--built "$built"}
fi

work=$(mktemp -d)
root=$work/root
leave() {
  umount "$root/proc" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap leave EXIT

failed=0 passed=0
# check WHAT COMMAND...
check() {
  local what=$1
  shift
  if "$@" >"$work/log" 2>&1; then
    echo "package: $what: ok"
    passed=$((passed + 1))
  else
    echo "package: $what: FAILED"
    tail -n 20 "$work/log" >&2
    failed=$((failed + 1))
  fi
}
# inside COMMAND: by the empty system's shell, with none of this machine's variables.
inside() {
  chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive bash -euo pipefail -c "$1"
}

if [ -z "$built" ]; then
  mkdir "$work/source"
  git ls-files -z --cached --others --exclude-standard | tar --null -T - -c | tar -x -C "$work/source"
  (
    cd "$work/source"
    export CCACHE_BASEDIR=$work/source
    cmake --preset package
    cmake --build --preset package
    cd build/package
    cpack
  ) >"$work/log" 2>&1 || {
    tail -n 30 "$work/log" >&2
    echo "package: FAILED: the packages are not built" >&2
    exit 1
  }
  mkdir "$work/packages"
  mv "$work"/source/build/package/packages/*.{deb,tar.gz} "$work/packages/"
  rm -rf "$work/source"
  built=$work/packages
fi
for package in "$built"/*.{deb,tar.gz}; do
  [ -e "$package" ] || { echo "package: error: $built holds no ${package##*.}" >&2; exit 4; }
  echo "package: $(basename "$package"): $(($(stat -c %s "$package") / 1000)) kB"
done

# The empty system.
base=$cache/$suite-minbase.tar
if [ ! -s "$base" ]; then
  mkdir -p "$cache"
  debootstrap --variant=minbase "$suite" "$work/base" "$mirror" >"$work/log" 2>&1 || {
    tail -n 5 "$work/log" >&2
    skip "debootstrap failed: no mirror of Debian?"
  }
  tar -C "$work/base" -cf "$base.new" .
  mv "$base.new" "$base"
  rm -rf --one-file-system "$work/base"
fi
mkdir "$root"
tar -C "$root" -xf "$base"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
echo 'Binary::apt::APT::Keep-Downloaded-Packages "true";' >"$root/etc/apt/apt.conf.d/keep"
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"  # nobody keeps this system
mount -t proc proc "$root/proc"
mkdir -p "$cache/archives" "$root/packages"
cp "$built"/*.{deb,tar.gz} "$root/packages/"
cp "$cache"/archives/*.deb "$root/var/cache/apt/archives/" 2>/dev/null || true
inside "apt-get -qq update" >"$work/log" 2>&1 || skip "apt-get update failed: no mirror of Debian?"

# The highest level that the loader would take here.
level=$(inside '/lib64/ld-linux-x86-64.so.2 --help' |
  awk '/x86-64-v[34] \(supported, searched\)/ && !level { level = $1 } END { print level }')
lowest=x86-64
# says_level LEVEL PREFIX [VARIABLE=VALUE]
says_level() { inside "${3:-} $2/bin/pal-train --version | grep -q 'loops for $1, hardened\$'"; }
# tries PREFIX: the programs of an installation.
tries() {
  local kind=$1 bin=$2/bin
  check "$kind: pal-train --version: loops for ${level:-$lowest}" says_level "${level:-$lowest}" "$2"
  if [ -n "$level" ]; then
    check "$kind: pal-train --version: loops for $lowest where the processor has no AVX2" \
      says_level $lowest "$2" GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-AVX512F
  fi
  check "$kind: pal-train" inside "rm -rf /tmp/run; $bin/pal-train --dataset synthetic:4:512:8 -b 16 \
    --strides 1,2 --blocks 1,1 --widths 8,8 --epochs 1 -o /tmp/run"
  check "$kind: pal-inspect" inside "$bin/pal-inspect /tmp/run"
  check "$kind: pal-sample" inside "$bin/pal-sample /tmp/run --class 1 -n 1 --around means -o /tmp/sample.png"
  check "$kind: pal-classify" inside "$bin/pal-classify /tmp/run /tmp/sample.png --json | grep -q probabilit"
}
says_everything() {
  inside 'for program in /usr/bin/pal-*; do
    name=$(basename $program)
    $program --help >/dev/null
    gzip -dc /usr/share/man/man1/$name.1.gz | grep -q "^.TH"
    test -s /usr/share/bash-completion/completions/$name
  done
  test -s /usr/share/doc/palindrome/copyright
  test ! -e /usr/include/palindrome'
}
# The example, built in an empty folder by the given commands, as program `example`.
builds() {
  inside "rm -rf /tmp/example; mkdir /tmp/example; cd /tmp/example
    $1
    ./example | tee out
    test \$(grep -c '^step' out) = 10
    grep -q 'bits per dimension\$' out
    head -c 4 samples.png | grep -qa PNG"
}
headers() {
  inside 'cd /usr/include/palindrome
    find . -name "*.h" | sed "s|^\./|#include \"|; s|$|\"|" | sort >/tmp/headers.cc
    test $(wc -l </tmp/headers.cc) -gt 200
    g++ -fsyntax-only /tmp/headers.cc $(pkg-config --cflags palindrome)'
}

check "deb: apt-get install palindrome" inside \
  "apt-get -qq install -y --no-install-recommends /packages/palindrome_*.deb"
check "deb: help, manual pages, completion, licence; no headers" says_everything
tries deb /usr
check "deb: apt-get install libpalindrome-dev" inside \
  "apt-get -qq install -y --no-install-recommends /packages/libpalindrome-dev_*.deb cmake make pkg-config"
check "deb: the example by find_package" builds \
  "cmake /usr/share/doc/palindrome/examples -B build && cmake --build build && cp build/example ."
check "deb: the example by pkg-config" builds \
  'g++ /usr/share/doc/palindrome/examples/example.cpp $(pkg-config --cflags --libs palindrome) -o example'
check "deb: all headers" headers
cp "$root"/var/cache/apt/archives/*.deb "$cache/archives/" 2>/dev/null || true
check "deb: apt-get purge leaves nothing" inside \
  'dpkg -L palindrome libpalindrome-dev | grep -i palindrome >/tmp/files
  apt-get -qq purge -y palindrome libpalindrome-dev
  while read -r file; do test ! -e "$file" || { echo "$file"; exit 1; }; done </tmp/files'
check "tar.gz: unpack" inside "mkdir /opt/there && tar -C /opt/there --strip-components=1 -xf /packages/*.tar.gz"
tries tar.gz /opt/there

echo "package: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
