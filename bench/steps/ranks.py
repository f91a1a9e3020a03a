#!/usr/bin/env python3
"""Times two ranks of one thread against one rank of two threads, same global batch, in turns.

Usage: ranks.py PROGRAMS [--rounds N] [--steps N] [--arch ARCH] [--global-batch N] [--json FILE]

PROGRAMS is the folder of pal-train. Each round runs both, in alternating order, on generated pictures;
a run's rate is the median of its steps but the first three. Printed: images/s of both, their ratio by
round and its median. With --trace the share of the sums of gradients that the backward pass does not
hide, from a trace of rank 0: the time that it waits at their end over the time that they take.
"""
import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import tempfile


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def train(programs, folder, ranks, threads, arguments):
    """Images/s of one run, and the trace of rank 0 if there is one."""
    port = free_port()
    processes = []
    for rank in range(ranks):
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
        if ranks > 1:
            environment |= {"RANK": str(rank), "WORLD_SIZE": str(ranks),
                            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        processes.append(subprocess.Popen(
            [f"{programs}/pal-train", *arguments, "-o", f"{folder}/run", "--quiet"],
            env=environment, stdout=subprocess.DEVNULL))
    codes = [p.wait() for p in processes]
    if any(codes):
        raise SystemExit(f"ranks.py: error: pal-train ended with {codes}")
    rates = []
    for line in pathlib.Path(f"{folder}/run/metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["kind"] == "train" and row["step"] > 3:
            rates.append(row["images_per_s"])
    return statistics.median(rates)


def exposed_share(path):
    """Waited and total milliseconds of the sums of gradients in a trace."""
    events = json.loads(pathlib.Path(path).read_text())
    events = events["traceEvents"] if isinstance(events, dict) else events
    total = sum(e.get("dur", 0) for e in events if e.get("name") == "all reduce")
    waited = sum(e.get("dur", 0) for e in events if e.get("name") == "all reduce: waiting")
    return waited / 1e3, total / 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("programs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--arch", default="ibinn-small")
    parser.add_argument("--global-batch", type=int, default=64)
    parser.add_argument("--options", default="", help="more options of pal-train")
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--json")
    o = parser.parse_args()
    arguments = ["--synthetic", "-a", o.arch, "--global-batch", str(o.global_batch), "--max-steps",
                 str(o.steps), "--recalibrate-bn", "0", "--validate-every", "0",
                 "--checkpoint-every", "1000000", "--inversion-check-every", "0", *o.options.split()]
    one, two = [], []
    for i in range(o.rounds):
        for ranks in ((1, 2) if i % 2 == 0 else (2, 1)):
            with tempfile.TemporaryDirectory() as folder:
                (one if ranks == 1 else two).append(
                    train(o.programs, folder, ranks, 2 // ranks, arguments))
        print(f"round {i + 1}: 1 rank x 2 threads {one[-1]:.2f} images/s, 2 ranks x 1 thread "
              f"{two[-1]:.2f}, ratio {two[-1] / one[-1]:.3f}", flush=True)
    ratios = [b / a for a, b in zip(one, two)]
    result = {"arch": o.arch, "global_batch": o.global_batch, "one_rank": one, "two_ranks": two,
              "ratio": statistics.median(ratios)}
    print(f"{o.arch}, {o.global_batch} images a step: median ratio {result['ratio']:.3f} of {o.rounds} rounds")
    if o.trace:
        with tempfile.TemporaryDirectory() as folder:
            train(o.programs, folder, 2, 1, [*arguments, "--trace", f"{folder}/trace.json"])
            waited, total = exposed_share(f"{folder}/trace.json")
        result |= {"waited_ms": waited, "summed_ms": total, "exposed": waited / total}
        print(f"sums of gradients took {total:.1f} ms, of which {waited:.1f} ms were waited for: "
              f"{100 * waited / total:.1f} % exposed")
    if o.json:
        pathlib.Path(o.json).write_text(json.dumps(result, indent=1) + "\n")


main()
