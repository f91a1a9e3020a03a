#!/usr/bin/env bash
# Plants faults and prints what became of them, as the table of tests/RELIABILITY.md:
#   tests/reliability.sh [PART...] [--quick] [--json FILE]
#   tests/reliability.sh io-calls --command sample       one command's calls alone
# --quick takes a few trials of each part, in under three minutes. The programs are those of
# build/release/bin (PAL_PROGRAMS: another folder); they are not built. Parts that need what this machine
# lacks (strace, a mount, locales, ...) are SKIPPED, and say so.
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 tests/reliability/main.py "${PAL_PROGRAMS:-build/release/bin}" . "$@"
