#!/usr/bin/env python3
"""What bench/gpu_check.sh runs: tests and measures everything on a machine with an NVIDIA GPU.

parts, in steps, each under its own time limit:
  quick     540 s: the tests, steps beside PyTorch at batch 64 in bf16, a profile, own kernels beside
            a copy, races
  more      350 s: other batches and precisions, memcheck, torch.compile, hardware counters, the
            program itself
  build     the preset cuda for this GPU, with tests and benches (the others build what they need if
            nothing is there: neither an archive of bench/gpu_bundle.sh --programs nor build/cuda)
  test, sanitize, kernels, step, compile, memory
            all of each; up to ten minutes a part
  all       build, test, sanitize, kernels and step (default)
  report    no steps: the tables of what an earlier call left in the folder of results

One JSON file and one log, gpu_check.json and gpu_check.log, lie in PALINDROME_GPU_OUT (default
runs/gpu-check) and are written after every step; the figures are also merged into
bench/results/<gpu>-<date>.json. From the environment too: PALINDROME_GPU_BUILD (a build folder),
PALINDROME_PROGRAMS (default bench/bundle/programs.tar.gz), PALINDROME_BUNDLE (libraries to build
from), PALINDROME_PYTHON (one that has PyTorch), PALINDROME_COMMIT (what to write down where there is
no .git). Paths are relative to the tree, wherever this is called from. Exit codes: 1 if a step failed
or was stopped at its limit, no programs start or results cannot be written, 2 usage, 4 without a GPU
or a folder for results, 143 if it was stopped itself. What a missing tool would have done is reported
as SKIPPED.
"""

import argparse
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

import machine
import parts
import programs
import report
import results
from call import Call
from runner import Runner


def assignment(text):
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected STEP=VALUE, got '{text}'")
    return name, value


def seconds_of(text):
    name, value = assignment(text)
    return name, float(value)


def parse():
    parser = argparse.ArgumentParser(prog="bench/gpu_check.sh", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", default=["all"])
    parser.add_argument("--total", type=float, metavar="SECONDS", help="for each part")
    parser.add_argument("--only", type=lambda text: text.split(","), metavar="STEP,...",
                        help="these steps of the parts")
    parser.add_argument("--limit", type=seconds_of, action="append", default=[],
                        metavar="STEP=SECONDS", help="another limit of a step")
    parser.add_argument("--arguments", type=assignment, action="append", default=[],
                        metavar="STEP=TEXT", help="other arguments for a step's program")
    args = parser.parse_args()
    args.limit, args.arguments = dict(args.limit), dict(args.arguments)
    named = [part for each in args.parts for part in (parts.ALL if each == "all" else [each])]
    for part in named:
        if part not in parts.PARTS and part != "report":
            parser.error(f"unknown part '{part}'")
    known = {step.name for part in named if part != "report" for step in parts.PARTS[part]}
    for step in [*(args.only or []), *args.limit, *args.arguments]:
        if step not in known:
            parser.error(f"no step '{step}' in {' '.join(named)}; there are "
                         f"{', '.join(sorted(known)) or 'none'}")
    args.parts = [part for part in named if part != "report"]
    return args


def say(text):
    """Whoever reads may go: the results are in files."""
    try:
        print(f"gpu_check: {text}", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def refuse(text):
    print(f"gpu_check: error: {text}", file=sys.stderr)
    return 4


class Check:
    def __init__(self, args, facts, out, work, begin):
        self.args = args
        self.begin = begin  # of the first part, on the clock of time.monotonic()
        self.json = out / "gpu_check.json"
        self.log = out / "gpu_check.log"
        self.work = work
        self.capability = facts["compute capability"]
        self.old = results.read(self.json)
        self.unsaved = False
        self.new = {"facts": facts, "parts": {}}
        self.interrupted = ""
        self.runner = None
        self.programs = None
        self.searched = False
        self.broken = False
        for which in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(which, self.interrupt)

    def interrupt(self, number, _):
        self.interrupted = signal.Signals(number).name
        if self.runner:
            self.runner.interrupted = self.interrupted

    def save(self):
        """What cannot be written, to a disk that is full say, is still printed at the end."""
        self.results = results.merge(self.old, self.new)
        try:
            results.write(self.json, self.results)
        except OSError as error:
            if not self.unsaved:
                say(f"error: cannot write {self.json}: {error.strerror}")
            self.unsaved = self.broken = True

    def steps_of(self, part):
        return [step for step in parts.PARTS[part]
                if not self.args.only or step.name in self.args.only]

    def run_part(self, part):
        total = self.args.total or parts.TOTALS.get(part, parts.OTHER_TOTAL)
        begin, self.begin = self.begin or time.monotonic(), None
        self.runner = Runner(self.log, self.work, begin + total)
        self.runner.interrupted = self.interrupted
        commit = self.new["facts"]["commit"]
        entries = self.new["parts"][part] = {
            step.name: {"status": "not run", "reason": "not reached", "commit": commit}
            for step in self.steps_of(part)}
        self.runner.log(f"== {part}, {time.strftime('%Y-%m-%d %H:%M:%S')}, commit {commit}\n")
        say(f"{part}: at most {total:.0f} s")
        self.save()
        if part != "build" and not self.searched:
            self.find_programs()
        for step in self.steps_of(part):
            call = Call(step, self.runner, self.programs, self.capability, entries,
                        self.args.arguments.get(step.name), self.args.limit.get(step.name))
            self.runner.log(f"==== {part}: {step.name}\n")
            entry = call.execute()
            entries[step.name] = entry | {"commit": commit}
            self.save()
            say(f"{step.name}: {entry['status'].upper()}, {entry['seconds']:.0f} s"
                f"{': ' + entry['reason'] if entry['reason'] else ''}")
            self.broken |= entry["status"] in ("failed", "stopped")
        if part == "build" and all(entry["status"] == "ok" for entry in entries.values()):
            self.programs = programs.built()
            self.searched = True
            self.new["facts"]["programs"] = self.programs.origin

    def find_programs(self):
        """Programs that start; without them what remains is the rival's side."""
        self.searched = True
        self.programs, reasons = programs.find(self.runner, self.work, self.capability)
        for reason in reasons:
            say(reason)
        self.new["facts"]["programs"] = (self.programs.origin if self.programs else {}) | {
            "others tried": reasons}
        if not self.programs:
            say("error: no programs start here")
            self.broken = True


def main():
    begin = time.monotonic()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")
    args = parse()
    out = pathlib.Path(os.environ.get("PALINDROME_GPU_OUT") or "runs/gpu-check")
    if not args.parts:
        try:
            called = results.read(out / "gpu_check.json")
        except (OSError, ValueError) as error:
            return refuse(f"{out / 'gpu_check.json'}: {error}")
        if not called:
            return refuse(f"no results in {out / 'gpu_check.json'}")
        report.publish(called)
        return 0
    machine.add_nvcc_to_path()
    facts = machine.facts()
    if facts is None:
        return refuse("nvidia-smi shows no GPU; run this where there is one of compute capability 8.0 "
                      "or newer")
    try:
        out.mkdir(parents=True, exist_ok=True)
        open(out / "gpu_check.log", "ab").close()
        work = pathlib.Path(tempfile.mkdtemp(prefix="gpu_check-"))
    except OSError as error:
        return refuse(f"{error.filename}: {error.strerror}")
    try:
        try:
            check = Check(args, facts, out, work, begin)
        except (OSError, ValueError) as error:
            return refuse(f"{out / 'gpu_check.json'}: {error}")
        for part in args.parts:
            check.run_part(part)
        report.publish(check.results)
        say(f"results: {check.json}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if check.interrupted:
        return 143
    return 1 if check.broken else 0


if __name__ == "__main__":
    sys.exit(main())
