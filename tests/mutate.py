#!/usr/bin/env python3
"""Feeds mutated files to pal-inspect for some minutes; fails at the first bad answer.

Usage: mutate.py PAL_INSPECT FOLDER... MINUTES

Good answers: exit status 0 or 3 within 10 seconds. Any other is a crash, a sanitizer report or a
hang: the file is kept and named. The mutations follow a fixed seed.
"""

import pathlib
import random
import subprocess
import sys
import tempfile
import time

MOST_BYTES = 200_000


def mutate(data, rng):
    """A few flipped, overwritten, inserted or cut bytes."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if not data:
            break
        at = rng.randrange(min(len(data), rng.choice([64, 1024, MOST_BYTES])))
        kind = rng.randrange(5)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.randint(1, 16))
        elif kind == 3:
            del data[at:at + rng.randint(1, 16)]
        else:
            del data[at:]
    return bytes(data)


def main():
    program, *folders, minutes = sys.argv[1:]
    seeds = [path for folder in folders for path in sorted(pathlib.Path(folder).rglob("*"))
             if path.is_file() and path.stat().st_size <= MOST_BYTES]
    rng = random.Random(1)
    end = time.monotonic() + 60 * float(minutes)
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            seed = rng.choice(seeds)
            file = pathlib.Path(folder) / seed.name
            file.write_bytes(mutate(seed.read_bytes(), rng))
            try:
                status = subprocess.run([program, str(file)], capture_output=True, timeout=10,
                                        check=False).returncode
            except subprocess.TimeoutExpired:
                status = "no answer in 10 s"
            count += 1
            if status not in (0, 3):
                kept = pathlib.Path("mutated-" + seed.name)
                kept.write_bytes(file.read_bytes())
                sys.exit(f"mutate: {seed} mutated: {status}; kept as {kept}")
    print(f"mutate: {count} files, no bad answer")


if __name__ == "__main__":
    main()
