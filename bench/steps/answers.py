#!/usr/bin/env python3
"""How much of the network's own rate the programs that answer with it reach, and their memory.

Beside forward passes of step_worker: pal-evaluate (its noise-free pass), pal-classify on PNG files,
and pal-explain evidence. Rates of whole programs are those of the images beyond the first ones, so
that their start counts for nothing. No rival: the network's rate beside LibTorch's is in step.py.
    bench/steps/answers.py --programs build/release/bin --arch ibinn-imagenet --batch 8
"""

import argparse
import json
import os
import random
import statistics
import struct
import subprocess
import tempfile
import time
import zlib

from workers import Worker


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--programs", required=True, metavar="DIR",
                        help="step_worker, pal-evaluate, pal-classify and pal-explain")
    parser.add_argument("--arch", default="ibinn-mnist")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--images", type=int, default=0, help="of each program (12 batches)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


def png(size, channels, seed):
    """A picture of a few soft waves."""
    draw = random.Random(seed)
    waves = [[draw.randint(0, 255) for _ in range(size)] for _ in range(channels)]
    rows = b"".join(b"\0" + bytes((waves[c][x] + waves[c][y]) // 2
                                  for x in range(size) for c in range(channels))
                    for y in range(size))

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", size, size, 8, 2 if channels == 3 else 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1))
            + chunk(b"IEND", b""))


def run(command, text=None):
    """Seconds, output and peak of resident memory of a program."""
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as given:
        given.write(text or "")
        given.seek(0)
        process = subprocess.Popen(command, stdin=given, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            raise SystemExit(f"{' '.join(command)}: exit status {status}")
        out.seek(0)
        return time.monotonic() - start, out.read(), usage.ru_maxrss * 1024


def beyond_first(command_of, few, many):
    """Images per second of a program beyond its first ones, and its peak memory."""
    first = run(*command_of(few))
    all_of_them = run(*command_of(many))
    return (many - few) / (all_of_them[0] - first[0]), all_of_them[2]


def shape_of(programs, arch):
    """Size and channels of a network's images, and its classes."""
    _, out, _ = run([os.path.join(programs, "pal-info"), "-a", arch, "--json"])
    config = json.loads(out)["configuration"]
    return config["image-size"], config["channels"], config["classes"]


def measure(args, folder):
    size, channels, classes = shape_of(args.programs, args.arch)
    few, many = 2 * args.batch, args.images or 12 * args.batch
    names = []
    for i in range(many):
        names.append(os.path.join(folder, f"{i}.png"))
        with open(names[-1], "wb") as file:
            file.write(png(size, channels, i))
    model = os.path.join(folder, "model.safetensors")
    program = {name: os.path.join(args.programs, name)
               for name in ("step_worker", "pal-evaluate", "pal-classify", "pal-explain")}
    common = ["--threads", str(args.threads)]
    data = ["--dataset", f"synthetic:{classes}:{8 * many}:{size}:{channels}"]

    def classify(count):
        return ([program["pal-classify"], model, "-", "-b", str(args.batch), "--json", *common],
                "\n".join(names[:count]) + "\n")

    def explain(count):
        return ([program["pal-explain"], "evidence", model, *data, "-n", str(count), "-q", "-o",
                 os.path.join(folder, "e.png"), "--scale", "1", *common],)

    rounds = []
    with Worker("ours", [program["step_worker"]]) as worker:
        worker.ask("load", arch=args.arch, batch=args.batch, threads=args.threads)
        worker.ask("export", file=model)
        worker.ask("infer", steps=2)
        for _ in range(args.rounds):
            row = {}
            steps = max(3, many // args.batch)
            row["forward"] = args.batch / statistics.median(
                worker.ask("infer", steps=steps)["seconds"])
            _, out, row["evaluate_bytes"] = run([program["pal-evaluate"], model, *data, "-b",
                                                 str(args.batch), "--json", *common])
            row["evaluate"] = json.loads(out)["noise_free"]["images_per_s"]
            row["classify"], row["classify_bytes"] = beyond_first(classify, few, many)
            row["explain"], row["explain_bytes"] = beyond_first(explain, min(few, 100),
                                                                min(many, 1000))
            rounds.append(row)
            print(line_of(row), flush=True)
    return rounds


def line_of(row):
    rates = "  ".join(f"{what} {row[what]:,.1f}/s ({row[what] / row['forward']:.2f})"
                      for what in ("evaluate", "classify", "explain"))
    peaks = "  ".join(f"{what} {row[what + '_bytes'] / 2**20:,.0f}"
                      for what in ("evaluate", "classify", "explain"))
    return f"forward {row['forward']:,.1f}/s  {rates}  MiB at most: {peaks}"


def main():
    args = parse()
    with tempfile.TemporaryDirectory() as folder:
        rounds = measure(args, folder)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"arch": args.arch, "batch": args.batch, "threads": args.threads,
                       "rounds": rounds}, file, indent=1)


if __name__ == "__main__":
    main()
