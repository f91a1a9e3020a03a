#!/usr/bin/env python3
"""Plots of what bench/step.py and activation_memory measured. Exit code 77 without matplotlib.

    bench/step_plots.py depth STEP.json... [--study MEMORY.json] --out depth.svg
    bench/step_plots.py budget STEP.json... --out budget.svg
`depth`: peak activations per image against the number of coupling blocks, from cases of one network
at several --depths, and from ibinn-imagenet's rows of `activation_memory --json`. `budget`: the time
of a step against the peak activations it needed, a point per policy, byte budgets among them.
"""

import argparse
import collections
import json
import sys

try:
    import matplotlib
except ImportError:
    print("step_plots: SKIPPED: this Python has no matplotlib", file=sys.stderr)
    sys.exit(77)

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

MIB = 1 << 20


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kind", choices=["depth", "budget"])
    parser.add_argument("files", nargs="+", help="of bench/step.py --json")
    parser.add_argument("--study", help="of activation_memory --json")
    parser.add_argument("--out", required=True, help="an .svg file")
    return parser.parse_args()


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def coupling_blocks(case):
    """Those of the stages and, in an entry flow, two before them."""
    configuration = case["engines"]["ours"]["configuration"]
    return sum(configuration["blocks"]) + 2 * (configuration["entry"] == "entry")


def memory_rows(case):
    return [row for row in case["rows"] if "peak_activation_bytes" in row]


def plot_depth(axes, cases, study):
    lines = collections.defaultdict(list)
    for case in cases:
        for row in memory_rows(case):
            name = f"{case['arch']}, {row['name']}, {case['precision']}"
            lines[name].append((coupling_blocks(case),
                                row["peak_activation_bytes"] / case["batch"] / MIB))
    for row in study:
        if row["network"] == "ibinn-imagenet":
            lines[f"activation_memory {row['policy']}, {row['precision']}"].append(
                (row["blocks"], row["peak_activation_bytes"] / row["batch"] / MIB))
    for name, points in lines.items():
        axes.plot(*zip(*sorted(points)), marker="o", label=name)
    axes.set_xlabel("coupling blocks")
    axes.set_ylabel("peak activations, MiB per image")


def plot_budget(axes, cases):
    for case in cases:
        by_engine = collections.defaultdict(list)
        for row in memory_rows(case):
            if "seconds" in row:
                by_engine[row["engine"]].append(
                    (row["peak_activation_bytes"] / MIB, 1e3 * row["seconds_median"],
                     row["policy"]))
        for engine, points in by_engine.items():
            points.sort()
            label = f"{case['arch']}, {engine}, {case['precision']}, batch {case['batch']}"
            axes.plot([p[0] for p in points], [p[1] for p in points], marker="o", label=label)
            for memory, time, policy in points:
                axes.annotate(policy, (memory, time), textcoords="offset points", xytext=(4, 4),
                              fontsize="x-small")
    axes.set_xlabel("peak activations, MiB")
    axes.set_ylabel("time of a step, ms")


def main():
    args = parse()
    cases = [case for path in args.files for case in read(path)["cases"]]
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    if args.kind == "depth":
        plot_depth(axes, cases, read(args.study) if args.study else [])
    else:
        plot_budget(axes, cases)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    # The same figures give the same file.
    plt.rcParams["svg.hashsalt"] = "palindrome"
    figure.savefig(args.out, metadata={"Date": None})
    return 0


if __name__ == "__main__":
    sys.exit(main())
