#!/usr/bin/env python3
"""Kernels beside the machine's limits and beside PyTorch's, case by case in turns.

    bench/kernels/kernels.py [--ours build/release/bin/bench_kernels] [--python PYTHON] [--filter REGEX]
                     [--rounds 3] [--threads N] [--json FILE] [--markdown FILE] [--plot FILE.png]

Both sides are long-lived processes that answer one case at a time, A B A B; the median over the
rounds counts, of the fastest calls of each round. PYTHON is one with PyTorch (default: this one);
without it the ratios are left out. Writes a table by family in Markdown (stdout by default), all cases
as JSON and a picture (bench/kernels/roofline.py, which needs matplotlib). With --from FILE nothing is
measured: table and picture are made from an earlier JSON file, or from bench_kernels --summary.
Exit codes: 1 a side failed, 2 usage, 3 a bad file, 4 no bench_kernels.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def fail(code, text):
    print(f"kernels: error: {text}", file=sys.stderr)
    sys.exit(code)


class Side:
    """A process that answers names of cases with JSON lines."""

    def __init__(self, command):
        self.name = pathlib.Path(command[0]).name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def read(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def ask(self, name):
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        return self.read() or fail(1, f"{self.name} ended at {name}")

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


def start_torch(args):
    """The other side and its versions; None without PyTorch."""
    command = [args.python, str(HERE / "torch_kernels.py")]
    if args.threads:
        command += ["--threads", str(args.threads)]
    try:
        side = Side(command)
    except OSError as error:
        fail(2, f"--python: {error}")
    about = side.read()
    if about is not None:
        return side, about
    if side.close() != 77:
        fail(1, "torch_kernels.py failed")
    return None, {}


def output(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        fail(1, f"{command[0]} failed with exit code {done.returncode}")
    return done.stdout


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
                "an unknown processor")


def measure(args):
    ours = [args.ours]
    if not pathlib.Path(args.ours).is_file():
        fail(4, f"no {args.ours}; build the target bench_kernels")
    if args.threads:
        ours += ["--threads", str(args.threads)]
    listed = output([args.ours, "--list"]).splitlines()
    names = [name for name in listed if re.search(args.filter, name)]
    if not names:
        fail(2, f"--filter: no case matches {args.filter!r}")
    us = Side(ours + ["--serve"])
    context = us.read() or fail(1, "bench_kernels failed")
    torch, about = start_torch(args)
    context = {"model": processor(), "rounds": args.rounds} | context
    if torch:
        context["torch"] = about["torch"]
        if str(about["threads"]) != context["threads"]:
            fail(2, f"PyTorch has {about['threads']} threads, we {context['threads']}; "
                    "use --threads")
    cases = []
    for number, name in enumerate(names):
        if sys.stderr.isatty():
            print(f"\r{number + 1}/{len(names)} {name:<60}", end="", file=sys.stderr)
        mine, theirs = [], []
        for _ in range(args.rounds):
            mine.append(us.ask(name))
            if torch and (not theirs or "us" in theirs[0]):
                theirs.append(torch.ask(name))
        cases.append(merged(mine, theirs))
    if sys.stderr.isatty():
        print(file=sys.stderr)
    for side in filter(None, (us, torch)):
        side.close()
    return {"context": context, "cases": cases}


def merged(mine, theirs):
    """The medians of one case over its rounds."""
    case = dict(mine[0])
    for key, value in case.items():
        if isinstance(value, float):
            case[key] = statistics.median(one[key] for one in mine)
    times = [one["us"] for one in theirs if "us" in one]
    if times and "us" in case:
        case["torch us"] = statistics.median(times)
        case["ours/torch"] = float(f"{case['us'] / case['torch us']:.4g}")
    elif theirs and theirs[0].get("skipped", "no twin") not in ("no twin", "a case of a GPU"):
        case["torch skipped"] = theirs[0]["skipped"]
    return case


def group(name):
    """Family, where its tensors lie and in which types it computes, of a case's name."""
    words = name.split("/")
    place = next((word for word in words if word in ("cache", "dram", "memory")), "")
    kind = next((word for word in words if re.fullmatch(r"(f32|bf16|tf32)(_\w+)?", word)), "f32")
    order = "permuted" if "permuted" in words else ""
    return " ".join(filter(None, (words[0], order))), place, kind


def markdown(results):
    """A line per family, place and type: medians over its cases; the ratio's range too."""
    groups = {}
    for case in results["cases"]:
        groups.setdefault(group(case["name"]), []).append(case)
    columns = ("GB/s", "GFLOP/s", "of_copy", "of_triad", "of_peak", "of_roof", "of_best")
    lines = ["| family | tensors in | type | cases | " + " | ".join(columns)
             + " | ours/torch, median (least to most) |",
             "|---|---|---|---" + "|---:" * (len(columns) + 1) + "|"]
    for (family, place, kind), cases in groups.items():
        cells = [family, place, kind, str(len(cases))]
        for column in columns:
            values = [case[column] for case in cases if column in case]
            digits = 2 if column.startswith("of_") else 1
            cells.append(f"{statistics.median(values):.{digits}f}" if values else "")
        ratios = [case["ours/torch"] for case in cases if "ours/torch" in case]
        cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
                     if ratios else "")
        lines.append("| " + " | ".join(cells) + " |")
    ratios = [case["ours/torch"] for case in results["cases"] if "ours/torch" in case]
    if ratios:
        slower = sum(ratio > 1.0 for ratio in ratios)
        lines += ["", f"Time of ours / PyTorch {results['context']['torch']}: median "
                      f"{statistics.median(ratios):.2f} over {len(ratios)} cases, {slower} slower."]
    errors = [f"{case['name']}: {case[key]}" for case in results["cases"]
              for key in ("error", "torch skipped") if key in case]
    return "\n".join(lines + ([""] + errors if errors else [])) + "\n"


def to_json(results):
    cases = ",\n".join(json.dumps(case) for case in results["cases"])
    return f'{{"context": {json.dumps(results["context"], indent=1)},\n"cases": [\n{cases}\n]}}\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ours", default=str(HERE.parents[1] / "build/release/bin/bench_kernels"))
    parser.add_argument("--python", default=sys.executable, help="one with PyTorch")
    parser.add_argument("--filter", default="", help="regular expression of cases")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="of both; default: all processors")
    parser.add_argument("--json", help="file for all cases")
    parser.add_argument("--markdown", help="file for the table")
    parser.add_argument("--plot", help="PNG file for the picture")
    parser.add_argument("--from", dest="source", help="measure nothing, read this")
    args = parser.parse_args()
    if args.rounds < 1:
        fail(2, f"--rounds: expected at least 1, got {args.rounds}")
    try:
        results = json.loads(pathlib.Path(args.source).read_text()) if args.source else measure(args)
    except (OSError, json.JSONDecodeError) as error:
        fail(3, f"--from: {error}")
    if args.json:
        pathlib.Path(args.json).write_text(to_json(results))
    table = markdown(results)
    if args.markdown:
        pathlib.Path(args.markdown).write_text(table)
    else:
        print(table, end="")
    if args.plot:
        import roofline
        roofline.draw(results, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
