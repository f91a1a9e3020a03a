#!/usr/bin/env bash
# Tests and measures everything on a machine with an NVIDIA GPU: bench/gpu_check.sh quick in nine minutes
# what matters most; all in an hour. bench/gpu_check.sh --help says more; so does bench/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v python3 >/dev/null; then
  echo "gpu_check: error: python3 not found; it runs the steps and writes the results" >&2
  exit 4
fi
# In its place, so that signals reach it.
exec python3 bench/gpu/check.py "$@"
