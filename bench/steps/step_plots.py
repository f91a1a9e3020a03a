#!/usr/bin/env python3
"""Plots of what bench/steps/step.py and activation_memory measured. Exit code 77 without matplotlib.

    bench/steps/step_plots.py depth STEP.json... [--study MEMORY.json] --out depth.svg
    bench/steps/step_plots.py budget STEP.json... --out budget.svg
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
import matplotlib.ticker  # noqa: E402

from step_tables import paired  # noqa: E402

MIB = 1 << 20


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kind", choices=["depth", "budget"])
    parser.add_argument("files", nargs="+", help="of bench/steps/step.py --json")
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
            lines[row["name"]].append((coupling_blocks(case),
                                       row["peak_activation_bytes"] / case["batch"] / MIB))
    for row in study:
        if row["network"] == "ibinn-imagenet":
            point = row["blocks"], row["peak_activation_bytes"] / row["batch"] / MIB
            known = lines[f"ours {row['policy']}"]
            if point[0] not in (blocks for blocks, _ in known):
                known.append(point)
    for name, points in sorted(lines.items()):
        points.sort()
        color = axes.plot(*zip(*points), marker="o", markersize=4)[0].get_color()
        axes.annotate(name, points[-1], textcoords="offset points", xytext=(6, -3), color=color,
                      fontsize="small")
    axes.margins(x=0.02)
    axes.set_xlim(right=1.25 * axes.get_xlim()[1])  # for the names
    axes.set_xlabel("coupling blocks")
    axes.set_ylabel("peak activations, MiB per image")
    axes.set_title("{arch}, {precision}, batch {batch}".format(**cases[0]), fontsize="medium")


def is_plan(policy):
    """Plans of the engine form a line; what every block does alike is a point beside it."""
    return policy in ("min", "auto", "max") or policy[0].isdigit()


def plot_budget(axes, cases):
    for case in cases:
        rows = [row for row in memory_rows(case) if "seconds" in row]
        reference = next(row["seconds"] for row in rows if row["name"] == "ours store")
        for engine in sorted({row["engine"] for row in rows}):
            plans, alone = [], []
            for row in rows:
                if row["engine"] != engine:
                    continue
                point = row["peak_activation_bytes"] / MIB, paired(row["seconds"], reference)["median"]
                planned = engine == "ours" and is_plan(row["policy"])
                stored = engine == "ours" and row["policy"] == "store"
                (plans if planned or stored else alone).append(point)
                below = planned and row["policy"] not in ("min", "auto")
                axes.annotate(row["policy"] if planned or stored else row["name"], point, textcoords="offset points",
                              xytext=(0, -12) if below else (6, 5), fontsize="x-small")
            label = f"{engine}, {case['arch']}, {case['precision']}, batch {case['batch']}"
            if plans:
                axes.plot(*zip(*sorted(plans)), marker="o", label=label + ", plans")
            if alone:
                axes.plot(*zip(*alone), "s", label=label)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(matplotlib.ticker.ScalarFormatter())
    axes.set_ylim(bottom=0.9)
    axes.margins(x=0.14, y=0.1)
    axes.set_xlabel("peak activations, MiB")
    axes.set_ylabel("time of a step / storing everything")


def main():
    args = parse()
    cases = [case for path in args.files for case in read(path)["cases"]]
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    if args.kind == "depth":
        plot_depth(axes, cases, read(args.study) if args.study else [])
    else:
        plot_budget(axes, cases)
    axes.grid(alpha=0.3)
    if args.kind == "depth":
        axes.set_ylim(bottom=0)
    else:
        axes.legend(fontsize="small", loc="lower left")
    # The same figures give the same file.
    plt.rcParams["svg.hashsalt"] = "palindrome"
    figure.savefig(args.out, metadata={"Date": None})
    return 0


if __name__ == "__main__":
    sys.exit(main())
