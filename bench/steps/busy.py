#!/usr/bin/env python3
"""Training steps beside other processes that want the processors: the engine's, and LibTorch's.

Starts 0, 2, 4 and 8 processes that compute all the time, one number after the other, and times steps
beside them. The rival takes the weights and the batch of the engine, as in step.py.
    bench/steps/busy.py --ours build/release/bin/step_worker --torch build/release/bin/torch_step
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from workers import Worker, WorkerError

# Steps of this long are not counted: programs may first notice what runs beside them.
SETTLING_SECONDS = 3.0


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ours", required=True, help="the program step_worker")
    parser.add_argument("--torch", help="the program torch_step; without it the engine alone")
    parser.add_argument("--arch", default="ibinn-mnist")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--busy", type=lambda text: [int(word) for word in text.split(",")],
                        default=[0, 2, 4, 8], help="numbers of busy processes (0,2,4,8)")
    parser.add_argument("--seconds", type=float, default=10.0,
                        help="of steps that count, for each program and number")
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


@contextlib.contextmanager
def busy(count):
    """So many processes that compute until the end of the block."""
    loop = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(loop) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def step_seconds(worker, seconds):
    """Seconds of single steps, in turns with nobody: two programs at once would be load too."""
    ends = time.monotonic() + SETTLING_SECONDS
    while time.monotonic() < ends:
        worker.ask("train", policy="store", steps=1)
    times = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends or len(times) < 3:
        times += worker.ask("train", policy="store", steps=1)["seconds"]
    return times


def measure(args):
    results = []
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(Worker("ours", [args.ours]))
        workers = [ours]
        ours.ask("load", arch=args.arch, batch=args.batch, threads=args.threads)
        if args.torch:
            rival = stack.enter_context(Worker("torch", [args.torch]))
            with tempfile.TemporaryDirectory() as folder:
                file = os.path.join(folder, "weights.safetensors")
                ours.ask("export", file=file)
                rival.ask("load", file=file, threads=args.threads)
            workers.append(rival)
        for count in args.busy:
            row = {"busy": count}
            with busy(count):
                for worker in workers:
                    row[worker.label] = step_seconds(worker, args.seconds)
            results.append(row)
            print(line_of(row, results[0]), flush=True)
    return results


def line_of(row, first):
    text = f"{row['busy']:>4} busy"
    for label in (key for key in row if key != "busy"):
        median = statistics.median(row[label])
        text += (f"   {label} {1e3 * median:7.1f} ms, {median / statistics.median(first[label]):5.2f} "
                 f"times the first (from {1e3 * min(row[label]):.0f} to {1e3 * max(row[label]):.0f})")
    return text


def main():
    args = parse()
    try:
        results = measure(args)
    except WorkerError as error:
        sys.exit(f"busy: error: {error}")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"arch": args.arch, "batch": args.batch, "threads": args.threads,
                       "rows": results}, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
