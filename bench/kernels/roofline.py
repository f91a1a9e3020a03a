#!/usr/bin/env python3
"""Draws a roofline of the kernels that bench/kernels/kernels.py or bench_kernels --summary measured.

Left: operations per byte against GFLOP/s, with the measured bandwidths and the peaks of large matrix
products as roofs. Right: bytes of one call against GB/s, also for kernels that only move values. A
family's cases share colour and marker; a cross says where PyTorch stands, if it was measured. Needs
matplotlib (exit code 77 without).
    bench/kernels/roofline.py RESULTS.json PICTURE.png
"""

import json
import pathlib
import sys

try:
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
except ImportError:
    print("roofline: SKIPPED: this Python has no matplotlib", file=sys.stderr)
    sys.exit(77)

# {group: (colour, marker, families that begin so)}; the first that fits counts.
GROUPS = {
    "convolution f32": ("#1f77b4", "o", ("conv",)),
    "convolution bf16": ("#17becf", "o", ("conv",)),
    "matrix product": ("#9467bd", "s", ("gemm",)),
    "latent mixture": ("#8c564b", "D", ("mixture",)),
    "batch norm": ("#d62728", "^", ("batch_",)),
    "act norm": ("#ff9896", "v", ("act_norm",)),
    "coupling": ("#2ca02c", "P", ("coupling",)),
    "coupling, permuted": ("#98df8a", "P", ("coupling",)),
    "DCT": ("#e377c2", "<", ("dct",)),
    "Haar, squeeze": ("#ff7f0e", ">", ("haar", "squeeze", "unsqueeze")),
    "permutation": ("#7f7f7f", "X", ("permute",)),
    "pooling": ("#bcbd22", "h", ("average", "max")),
    "softmax, losses": ("#393b79", "*", ("softmax", "cross")),
    "elementwise, sums, SGD": ("#000000", "p", ("",)),
}
LEVELS = ("L2", "L3", "memory")
BOX = dict(boxstyle="square,pad=0.1", facecolor="white", edgecolor="none", alpha=0.85)
LEVEL_STYLES = {"L2": "-", "L3": "--", "memory": "-."}


def group_of(name):
    words = name.split("/")
    for group, (_, _, starts) in GROUPS.items():
        if not words[0].startswith(starts):
            continue
        if words[0].startswith("conv") and group.split()[-1] != words[-1]:
            continue
        if group == "coupling" and "permuted" in words:
            continue
        return group
    return "elementwise, sums, SGD"


def bandwidths(context):
    """{level: GB/s}, of the copy or the triad, whichever is faster."""
    found = {}
    for level in LEVELS:
        rates = [float(context[f"roof {level} {work} GB/s"]) for work in ("copy", "triad")
                 if f"roof {level} {work} GB/s" in context]
        if rates:
            found[level] = max(rates)
    return found


def peaks(context):
    """{arithmetic: GFLOP/s}."""
    found = {kind: float(context[f"roof {kind} GFLOP/s"]) for kind in ("f32", "bf16")
             if f"roof {kind} GFLOP/s" in context}
    for kind in ("f32", "tf32", "bf16"):
        if f"peak {kind} TFLOP/s" in context:
            found[kind] = 1e3 * float(context[f"peak {kind} TFLOP/s"])
    return found


def draw_roofs(axes, context, limits):
    low, high = limits
    tops, rates = peaks(context), bandwidths(context)
    highest = max(tops.values(), default=0.0)
    for level, rate in rates.items():
        end = min(high, highest / rate) if highest else high
        axes.plot([low, end], [low * rate, end * rate], LEVEL_STYLES[level], color="0.35", lw=1.3)
    # Where their labels stand: on the lines, but apart from each other.
    for number, (level, rate) in enumerate(rates.items()):
        at = low * 1.25 * 1.7 ** number
        axes.annotate(f"{level} {rate:.0f} GB/s", (at, at * rate), xytext=(-2, 5),
                      textcoords="offset points", rotation=SLOPE, rotation_mode="anchor",
                      transform_rotates_text=True, fontsize=9, color="0.25", bbox=BOX, zorder=5)
    for kind, top in tops.items():
        start = top / max(rates.values()) if rates else low
        axes.plot([start, high], [top, top], "-", color="0.35", lw=1.3)
        beside(axes, top, f"{kind} product\n{top:.0f} GFLOP/s")


def beside(axes, at, text):
    """Right of the axes: inside, points would lie under it."""
    axes.annotate(text, (1.0, at), xycoords=("axes fraction", "data"), xytext=(5, 0),
                  textcoords="offset points", va="center", fontsize=9, color="0.25",
                  annotation_clip=False)


SLOPE = 45.0  # of a bandwidth in these axes before they are scaled


def points(results):
    """{group: [(intensity or None, GFLOP/s or None, bytes, GB/s, PyTorch's time / ours or None)]}."""
    found = {}
    for case in results["cases"]:
        if "GB/s" not in case:
            continue
        flops = case.get("flops", 0)
        ratio = 1.0 / case["ours/torch"] if "ours/torch" in case else None
        found.setdefault(group_of(case["name"]), []).append(
            (flops / case["bytes"] if flops else None, case.get("GFLOP/s"), case["bytes"],
             case["GB/s"], ratio))
    return found


def draw(results, path):
    context = results["context"]
    found = points(results)
    figure, (left, right) = plt.subplots(1, 2, figsize=(15, 8))
    intensities = [x for rows in found.values() for x, *_ in rows if x]
    rates = [y for rows in found.values() for x, y, *_ in rows if x]
    if not intensities:
        print("roofline: error: no case with operations", file=sys.stderr)
        sys.exit(1)
    low, high = min(intensities) / 2, max(intensities) * 2
    theirs = False
    for group, (colour, marker, _) in GROUPS.items():
        rows = found.get(group)
        if not rows:
            continue
        style = dict(s=34, color=colour, marker=marker, alpha=0.75, linewidths=0, label=group)
        computing = [row for row in rows if row[0]]
        if computing:
            left.scatter([row[0] for row in computing], [row[1] for row in computing], **style)
            compared = [row for row in computing if row[4]]
            left.scatter([row[0] for row in compared], [row[1] / row[4] for row in compared], s=16,
                         color=colour, marker="x", alpha=0.45, linewidths=0.9)
            theirs = theirs or bool(compared)
        if group.startswith(("convolution", "matrix")):
            continue
        right.scatter([row[2] for row in rows], [row[3] for row in rows], **style)
        compared = [row for row in rows if row[4]]
        right.scatter([row[2] for row in compared], [row[3] / row[4] for row in compared], s=16,
                      color=colour, marker="x", alpha=0.45, linewidths=0.9)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.grid(True, which="major", color="0.9")
        axes.set_axisbelow(True)
    left.set_xlim(low, high)
    tops = list(peaks(context).values())
    left.set_ylim(min(rates) / 2, 2.5 * max(tops + rates))
    draw_roofs(left, context, (low, high))
    left.set_xlabel("operations per byte moved at least (FLOP/B)")
    left.set_ylabel("GFLOP/s")
    left.set_title("Roofline")
    for level, rate in bandwidths(context).items():
        right.axhline(rate, ls=LEVEL_STYLES[level], color="0.35", lw=1.3)
        beside(right, rate, f"{level} {rate:.0f} GB/s")
    right.set_xlabel("bytes that one call moves at least")
    right.set_ylabel("GB/s")
    right.set_title("Kernels that are bound by memory")
    handles = {}
    for axes in (left, right):
        for handle, label in zip(*axes.get_legend_handles_labels()):
            handles.setdefault(label, handle)
    if theirs:
        handles["PyTorch, same colour"] = plt.Line2D([], [], color="0.3", marker="x", ls="")
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncol=8, fontsize=9,
                  frameon=False)
    count = context.get("threads")
    threads = "" if count is None else f", {count} thread{'' if count == '1' else 's'}"
    figure.suptitle(f"Kernels on {context.get('model', context.get('device', '?'))}{threads}")
    figure.subplots_adjust(left=0.05, right=0.94, top=0.91, bottom=0.16, wspace=0.27)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main():
    if len(sys.argv) != 3 or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr if len(sys.argv) != 2 else sys.stdout)
        return 2
    try:
        results = json.loads(pathlib.Path(sys.argv[1]).read_text())
    except (OSError, json.JSONDecodeError) as error:
        print(f"roofline: error: {sys.argv[1]}: {error}", file=sys.stderr)
        return 3
    draw(results, sys.argv[2])
    return 0


if __name__ == "__main__":
    sys.exit(main())
