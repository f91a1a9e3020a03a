#!/usr/bin/env python3
"""Curves of training runs: bits/dim and top-1 on the validation images, and the losses of steps.
Exit code 77 without matplotlib.

    experiments/plot_curves.py RUN... --out curves.svg
"""

import argparse
import json
import os
import re
import sys

try:
    import matplotlib
except ImportError:
    print("plot_curves: SKIPPED: this Python has no matplotlib", file=sys.stderr)
    sys.exit(77)

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

# Told apart by colour-blind readers too (Okabe and Ito).
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]


def read_rows(run):
    with open(os.path.join(run, "metrics.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def learns_classes(run):
    with open(os.path.join(run, "config.toml"), encoding="utf-8") as file:
        return not re.search(r"^beta = 0(\.0)?\s", file.read(), re.MULTILINE)


def epoch_means(rows, key):
    """Means of a number of all steps of an epoch, at its end."""
    epochs = {}
    for row in rows:
        if row["kind"] == "train" and isinstance(row.get(key), float):
            epochs.setdefault(int(row["epoch"] - 1e-9) + 1, []).append(row[key])
    return sorted((epoch, sum(values) / len(values)) for epoch, values in epochs.items())


def validations(rows, weights, key):
    """The scheduled ones of the weights that train, or of their average."""
    steps = next(row["step"] / row["epoch"] for row in rows if row["kind"] == "train")
    return [(row["step"] / steps, row[key]) for row in rows
            if row["kind"] == "val" and "model" not in row and key in row
            and row.get("weights", "raw") == weights]


def draw(axes, rows, key, color, name, factor=1.0):
    lines = [("training", epoch_means(rows, key), dict(linestyle=":", linewidth=1)),
             ("validation", validations(rows, "raw", key), dict(linewidth=0.8, alpha=0.6)),
             ("validation, average of the weights", validations(rows, "ema", key), {})]
    for what, points, style in lines:
        if points:
            axes.plot([x for x, _ in points], [factor * y for _, y in points], color=color,
                      label=f"{name}: {what}", **style)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--out", required=True, help="an .svg file")
    args = parser.parse_args()
    figure, (density, accuracy) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for run, color in zip(args.runs, COLORS):
        rows = read_rows(run)
        name = os.path.basename(os.path.normpath(run))
        draw(density, rows, "bits_per_dim", color, name)
        if learns_classes(run):
            draw(accuracy, rows, "acc1", color, name, 100)
    density.set(xlabel="epochs", ylabel="bits/dim (lower is better)", title="Density")
    accuracy.set(xlabel="epochs", ylabel="top-1, %", title="Classes")
    for axes in (density, accuracy):
        axes.grid(alpha=0.3)
    # The first epochs would flatten the rest.
    later = [y for run in args.runs for _, y in epoch_means(read_rows(run), "bits_per_dim")[1:]]
    if later:
        span = max(later) - min(later)
        density.set_ylim(min(later) - 0.1 * span, max(later) + 0.1 * span)
    for axes in (density, accuracy):
        if axes.lines:
            axes.legend(fontsize="x-small")
    # The same figures give the same file.
    plt.rcParams["svg.hashsalt"] = "palindrome"
    figure.savefig(args.out, metadata={"Date": None})
    return 0


if __name__ == "__main__":
    sys.exit(main())
