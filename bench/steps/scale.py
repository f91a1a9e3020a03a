#!/usr/bin/env python3
"""How the time of a training step grows with threads, batch, image size and depth.

A worker for each point of an axis; steps in turns, so that all points see the same machine. Times are
medians of their ratios to the axis' first point. For each axis a law is fitted, and the point that is
farthest from it named:
    batch, depth   seconds = fixed + each * n                (what a step costs before the first image)
    threads        seconds = serial + parallel / threads     (Amdahl; more threads than there are by model)
    image          seconds = fixed + each * pixels
    bench/steps/scale.py --ours build/release/bin/step_worker --set act-norm-init=1 --set subnet-gain=0.1
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import time

from step import PAUSE_SECONDS, load_ours, numbers, words
from workers import Worker, WorkerError

MODELLED_THREADS = (4, 8, 16)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ours", required=True, help="the program step_worker")
    parser.add_argument("--arch", default="ibinn-imagenet")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="another field of the configuration")
    parser.add_argument("--axes", type=words, default=["threads", "batch", "image", "depth"],
                        help="threads,batch,image,depth")
    parser.add_argument("--threads", type=numbers, default=list(range(1, os.cpu_count() + 1)))
    parser.add_argument("--batches", type=numbers, default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--images", type=numbers, default=[128, 224, 448])
    parser.add_argument("--depths", type=numbers, default=[1, 2, 4, 8])
    parser.add_argument("--batch", type=int, default=4, help="of the other axes (4)")
    parser.add_argument("--policy", default="auto", help="auto, store, invert, min (auto)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


def points(args, axis):
    """The points of an axis, each (n, what `load` is asked beside the network)."""
    usual = {"batch": args.batch, "threads": max(args.threads), "set": args.set, "depth": 1}
    values = {"threads": args.threads, "batch": args.batches, "image": args.images,
              "depth": args.depths}[axis]
    for value in values:
        if axis == "image":
            yield value, usual | {"set": args.set + [f"image-size={value}"]}
        else:
            yield value, usual | {axis: value}


def measure(args, axis):
    """Seconds of a step at each point, lists with one number for each round."""
    with contextlib.ExitStack() as stack:
        workers = {}
        for value, load in points(args, axis):
            worker = stack.enter_context(Worker(f"{axis} {value}", [args.ours]))
            load_ours(worker, args.arch, load["set"], load["depth"], batch=load["batch"],
                      threads=load["threads"], precision="fp32", device="cpu", lr=1e-6)
            worker.ask("train", policy=args.policy, steps=1)
            workers[value] = worker
        seconds = {value: [] for value in workers}
        for turn in range(args.rounds):
            for value in sorted(workers, reverse=turn % 2 == 1):
                time.sleep(PAUSE_SECONDS)
                seconds[value] += workers[value].ask("train", policy=args.policy, steps=1)["seconds"]
    return seconds


def basis(axis, value):
    """What the fitted law multiplies."""
    return {"threads": 1.0 / value, "image": float(value * value)}.get(axis, float(value))


def fit(axis, seconds):
    """fixed and each of seconds = fixed + each * basis, by least squares of relative errors."""
    rows = [(1.0 / t, basis(axis, n) / t) for n, t in seconds.items()]
    aa = sum(a * a for a, _ in rows)
    ab = sum(a * b for a, b in rows)
    bb = sum(b * b for _, b in rows)
    a1 = sum(a for a, _ in rows)
    b1 = sum(b for _, b in rows)
    determinant = aa * bb - ab * ab
    return (a1 * bb - b1 * ab) / determinant, (b1 * aa - a1 * ab) / determinant


def study(axis, rounds):
    first = min(rounds)
    start = statistics.median(rounds[first])
    seconds = {n: start * statistics.median(t / f for t, f in zip(times, rounds[first]))
               for n, times in rounds.items()}
    fixed, each = fit(axis, seconds) if len(seconds) > 1 else (0.0, start / basis(axis, first))
    law = {n: fixed + each * basis(axis, n) for n in seconds}
    return {"axis": axis, "rounds": rounds, "seconds": seconds, "fixed": fixed, "each": each,
            "off": {n: seconds[n] / law[n] - 1.0 for n in seconds}}


def print_study(result):
    axis, seconds = result["axis"], result["seconds"]
    print(f"\n| {axis} | ms | ms / {'pixel, 1e-3' if axis == 'image' else 'unit'} | off the law |")
    print("|---:|---:|---:|---:|")
    for n, t in seconds.items():
        unit = {"threads": 1e3 * t * n, "image": 1e6 * t / (n * n)}.get(axis, 1e3 * t / n)
        print(f"| {n} | {1e3 * t:.0f} | {unit:.1f} | {100 * result['off'][n]:+.1f} % |")
    print(f"\n{axis}: fixed {1e3 * result['fixed']:.1f} ms, each {1e3 * result['each']:.4g} ms; "
          f"farthest: {max(result['off'], key=lambda n: abs(result['off'][n]))}")
    if axis == "threads" and len(seconds) > 1:
        one = result["fixed"] + result["each"]
        more = ", ".join(f"{n}: {one / (result['fixed'] + result['each'] / n):.1f} times"
                         for n in MODELLED_THREADS)
        print(f"by that law, not measured, against one thread: {more}")


def main():
    args = parse()
    results = []
    try:
        for axis in args.axes:
            results.append(study(axis, measure(args, axis)))
            print_study(results[-1])
    except WorkerError as error:
        sys.exit(f"scale: error: {error}")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"arch": args.arch, "set": args.set, "policy": args.policy,
                       "batch": args.batch, "rounds": args.rounds, "axes": results}, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
