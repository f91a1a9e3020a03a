#!/usr/bin/env python3
"""Times two ranks of one thread against one rank of two threads, same global batch, in turns.

Usage: ranks.py PROGRAMS [--rounds N] [--steps N] [--arch ARCH] [--global-batch N] [--json FILE]
       ranks.py PROGRAMS --forecast 2,4 --bandwidth 800MB --latency 75e-6 [--local-batch N] [...]

PROGRAMS is the folder of pal-train. Each round runs both, in alternating order, on generated pictures;
a run's rate is the median of its steps but the first three. Printed: images/s of both, their ratio by
round and its median. With --trace the share of the sums of gradients that the backward pass does not
hide, from a trace of rank 0: the time that it waits at their end over the time that they take.

With --forecast: the step that `pal-info --ranks` expects of so many ranks of one thread, beside the one
that is measured. It is told the time of a step of one rank while as many others run that do not talk to
it, so that what they take from each other (processors, memory) is not taken for communication.
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


def start(programs, folder, rank, ranks, threads, port, arguments):
    """A process of pal-train, one rank of so many."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    if ranks > 1:
        environment |= {"RANK": str(rank), "WORLD_SIZE": str(ranks),
                        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return subprocess.Popen([f"{programs}/pal-train", *arguments, "-o", folder, "--quiet"],
                            env=environment, stdout=subprocess.DEVNULL)


def wait(processes):
    codes = [p.wait() for p in processes]
    if any(codes):
        raise SystemExit(f"ranks.py: error: pal-train ended with {codes}")


def rate(folder):
    """Images/s of a run: the median of its steps but the first three."""
    rates = []
    for line in pathlib.Path(f"{folder}/metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["kind"] == "train" and row["step"] > 3:
            rates.append(row["images_per_s"])
    return statistics.median(rates)


def train(programs, folder, ranks, threads, arguments):
    """Images/s of one run, and the trace of rank 0 if there is one."""
    port = free_port()
    wait([start(programs, f"{folder}/run", rank, ranks, threads, port, arguments)
          for rank in range(ranks)])
    return rate(f"{folder}/run")


def train_apart(programs, folder, count, arguments):
    """Images/s of each of so many runs beside each other, one thread each, which do not talk."""
    wait([start(programs, f"{folder}/run-{i}", 0, 1, 1, 0, arguments) for i in range(count)])
    return statistics.median(rate(f"{folder}/run-{i}") for i in range(count))


def forecast(o, arguments):
    """Seconds of a step as pal-info --ranks says beforehand, and as they are."""
    results = []
    for ranks in [int(n) for n in o.forecast.split(",")]:
        apart, together = [], []
        for _ in range(o.rounds):
            with tempfile.TemporaryDirectory() as folder:
                apart.append(o.local_batch / train_apart(
                    o.programs, folder, ranks, [*arguments, "--batch-size", str(o.local_batch)]))
                together.append(ranks * o.local_batch / train(
                    o.programs, folder, ranks, 1, [*arguments, "--batch-size", str(o.local_batch)]))
        alone, measured = statistics.median(apart), statistics.median(together)
        said = json.loads(subprocess.run(
            [f"{o.programs}/pal-info", "-a", o.arch, "-b", str(o.local_batch), "--ranks", str(ranks),
             "--step-seconds", str(alone), "--bandwidth", o.bandwidth, "--latency", o.latency, "--json"],
            check=True, capture_output=True, text=True).stdout)
        planned = said["rank_plan"]["plans"][0]["step_seconds"]
        print(f"{o.arch}, {ranks} ranks of {o.local_batch} images: a step of one beside others that do not "
              f"talk {1e3 * alone:.1f} ms, of all together {1e3 * measured:.1f} ms, forecast "
              f"{1e3 * planned:.1f} ms: {100 * (planned / measured - 1):+.1f} %", flush=True)
        results.append({"arch": o.arch, "ranks": ranks, "local_batch": o.local_batch, "apart": apart,
                        "together": together, "forecast": planned, "bandwidth": o.bandwidth,
                        "latency": o.latency})
    return results


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
    parser.add_argument("--forecast", help="numbers of ranks, such as 2,4")
    parser.add_argument("--local-batch", type=int, default=4)
    parser.add_argument("--bandwidth", help="bytes/s between two ranks, for --forecast")
    parser.add_argument("--latency", help="seconds, for --forecast")
    parser.add_argument("--json")
    o = parser.parse_args()
    arguments = ["--synthetic", "-a", o.arch, "--max-steps", str(o.steps), "--recalibrate-bn", "0",
                 "--validate-every", "0", "--checkpoint-every", "1000000",
                 "--inversion-check-every", "0", *o.options.split()]
    if o.forecast:
        results = forecast(o, arguments)
        if o.json:
            pathlib.Path(o.json).write_text(json.dumps(results, indent=1) + "\n")
        return
    arguments += ["--global-batch", str(o.global_batch)]
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
