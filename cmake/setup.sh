#!/usr/bin/env bash
# Installs the Debian packages that Palindrome is built from, if any is missing. Needs apt, and root
# or sudo only when there is something to install. Arguments: further packages.
#   cmake/setup.sh [PACKAGE...]
set -euo pipefail

packages=(g++ cmake ninja-build ccache pkg-config
  libdnnl-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libfmt-dev libspdlog-dev
  libgloo-dev libxxhash-dev librandom123-dev zlib1g-dev libpng-dev libjpeg62-turbo-dev "$@")

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "setup: error: apt-get not found; install these yourself: ${missing[*]}" >&2
  exit 4
fi
run=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "setup: error: neither root nor sudo; install these as root: ${missing[*]}" >&2
    exit 4
  fi
  run=(sudo)
fi
echo "setup: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
quiet_apt() { "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >/dev/null; }
# Package lists may be absent or old: try without refreshing them first only if that can work.
quiet_apt update
quiet_apt install -y --no-install-recommends "${missing[@]}"
