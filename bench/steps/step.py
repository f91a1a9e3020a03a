#!/usr/bin/env python3
"""Training steps of the engine and of LibTorch in turns, on the same weights and images.

For each case (network, batch, threads, precision) step_worker writes its weights and its batch, and
torch_step reads them; nothing is timed unless the losses of both agree. Then rounds alternate: each
policy of the engine and each variant of the rival runs once per round, so that all see the same
machine, and ratios are taken within rounds. Exit code 77 without the rival.
    bench/steps/step.py --ours build/release/bin/step_worker --torch build/release/bin/torch_step \\
        --arch ibinn-imagenet --batches 8 --threads 2 --policies store,invert
    bench/steps/step.py --ours ... --torch ... --check
"""

import argparse
import contextlib
import itertools
import json
import os
import platform
import sys
import tempfile
import time

from step_check import TOLERANCES, check
from step_tables import case_table, summary_of
from workers import Worker, WorkerError, is_program, relative

# The rate at which steps are timed: the workers' own.
TIMED_RATE = 1e-6
PARITY_STEPS = 2
# For the threads of the program that has just answered to stop spinning: libgomp's spin for some
# milliseconds after a step before they sleep.
PAUSE_SECONDS = 0.05


def words(text):
    return text.split(",")


def numbers(text):
    return [int(word) for word in words(text)]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ours", required=True, help="the program step_worker")
    parser.add_argument("--torch", required=True, help="the program torch_step")
    parser.add_argument("--check", action="store_true",
                        help="compare the engines on small networks of every kind; time nothing")
    parser.add_argument("--arch", type=words, default=["ibinn-imagenet"])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="another field of the configuration")
    parser.add_argument("--depths", type=numbers, default=[1],
                        help="multiples of the blocks of every stage")
    parser.add_argument("--batches", type=numbers, default=[8])
    parser.add_argument("--threads", type=numbers, default=[os.cpu_count()])
    parser.add_argument("--precisions", type=words, default=["fp32"])
    parser.add_argument("--policies", type=words, default=["store", "invert"],
                        help="of the engine: whatever step_worker takes")
    parser.add_argument("--rival-policies", type=words, default=["store", "checkpoint"],
                        help="store, checkpoint")
    parser.add_argument("--untuned", action="store_true",
                        help="also the rival as the published code runs")
    parser.add_argument("--compiled", type=words, default=[], metavar="MODE,...",
                        help="of ibinn-imagenet also what torch.compile makes of it: default, "
                             "max-autotune, freezing (forward passes alone), eager (not compiled)")
    parser.add_argument("--python", default=sys.executable, help="for --compiled: one with PyTorch")
    parser.add_argument("--infer", action="store_true", help="also forward passes alone")
    parser.add_argument("--rounds", type=int, default=7, help="0: memory alone")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--markdown", metavar="FILE")
    args = parser.parse_args()
    for name in ("batches", "threads", "depths"):
        if min(getattr(args, name)) < 1:
            parser.error(f"--{name}: expected at least 1")
    if args.rounds < 0:
        parser.error("--rounds: expected at least 0")
    for precision in args.precisions:
        if precision not in TOLERANCES:
            parser.error(f"--precisions: expected {' or '.join(TOLERANCES)}, got '{precision}'")
    return args


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


class Variant:
    """What is timed once per round: a worker's command with its arguments."""

    def __init__(self, worker, command, policy=None):
        self.worker, self.command, self.policy = worker, command, policy
        self.fields = {"policy": policy} if policy else {}
        self.name = f"{worker.label} {policy or command}"  # a row's name in tables
        self.seconds = []

    def run(self):
        # Of forward passes the second: the first comes after a training step, and makes what is kept of
        # weights for as long as they stay, as where a model is used.
        steps = 2 if self.command == "infer" else 1
        return self.worker.ask(self.command, steps=steps, **self.fields)["seconds"][-1]

    def time(self):
        time.sleep(PAUSE_SECONDS)
        self.seconds.append(self.run())

    def memory(self):
        if self.command != "train":
            return {}
        time.sleep(PAUSE_SECONDS)
        return self.worker.ask("memory", **self.fields)


def parity(ours, policies, rivals, precision):
    """Differences of the first losses and gradient norms: the rivals' and, as a network that cannot be
    inverted in its precision would be timed for nothing, those under the engine's other policies.
    Raises if they are too large."""
    allowed = TOLERANCES[precision]
    found = {}

    def compare(name, wanted, answer):
        if None in answer["loss"] + answer["grad_norm"]:
            raise WorkerError(f"{name}: gradients are not finite; nothing was timed")
        loss, norm = (max(map(relative, wanted[key], answer[key])) for key in ("loss", "grad_norm"))
        if loss > allowed[0] or norm > allowed[1]:
            raise WorkerError(f"{name}: losses {answer['loss']} and gradient norms "
                              f"{answer['grad_norm']} where the engine, storing everything, has "
                              f"{wanted['loss']} and {wanted['grad_norm']}; nothing was timed")
        found[name] = {"loss": loss, "grad_norm": norm, "allowed": allowed}

    wanted = ours.ask("train", policy="store", steps=PARITY_STEPS)
    for rival in rivals:
        if rival.label != "torch freezing":
            compare(rival.label, wanted, rival.ask("train", policy="store", steps=PARITY_STEPS))
    # A rate of zero leaves the weights where they are for the next policy.
    wanted = ours.ask("train", policy="store", steps=1, lr=0.0)
    for policy in policies:
        compare(f"{ours.label} {policy}", wanted, ours.ask("train", policy=policy, steps=1, lr=0.0))
    ours.ask("train", policy="store", steps=1, lr=TIMED_RATE)
    return found


def policies_for(args, arch):
    if not arch.startswith("resnet"):
        return args.policies
    return [p for p in args.policies if not p.startswith(("invert", "tapes", "last-tape"))]


def variants_of(args, arch, ours, rivals):
    variants = [Variant(ours, "train", policy) for policy in policies_for(args, arch)]
    for rival in rivals:
        # The published code keeps everything, and so do compilers, what they rather compute again apart.
        kept = args.rival_policies if rival.label == "torch" else ["store"]
        if rival.label != "torch freezing":
            variants += [Variant(rival, "train", policy) for policy in kept]
    if args.infer:
        variants += [Variant(worker, "infer") for worker in (ours, *rivals)]
    return variants


def load_ours(ours, arch, fields, depth, **load):
    """The engine's answer to load, with every stage `depth` times as long."""
    answer = ours.ask("load", arch=arch, set=fields, **load)
    if depth == 1:
        return answer
    blocks = ",".join(str(depth * count) for count in answer["configuration"]["blocks"])
    return ours.ask("load", arch=arch, set=[*fields, f"blocks={blocks}"], **load)


def compiled(python, mode):
    """The network in Python, by torch.compile."""
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_worker.py")
    return Worker(f"torch {mode}", [python, program, "--mode", mode])


def measure(args, arch, depth, batch, threads, precision):
    """One case: a dict for the JSON file."""
    load = {"precision": precision, "threads": threads, "device": args.device}
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(Worker("ours", [args.ours]))
        rivals = [stack.enter_context(Worker("torch", [args.torch]))]
        if args.untuned:
            rivals.append(stack.enter_context(Worker("torch-untuned", [args.torch, "--untuned"])))
        if arch == "ibinn-imagenet":
            rivals += [stack.enter_context(compiled(args.python, mode)) for mode in args.compiled]
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "weights.safetensors")
            engines = {"ours": load_ours(ours, arch, args.set, depth, batch=batch, **load)}
            ours.ask("export", file=file)
            for rival in rivals:
                engines[rival.label] = rival.ask("load", file=file, **load)
        agreement = parity(ours, policies_for(args, arch), rivals, precision)
        variants = variants_of(args, arch, ours, rivals)
        if args.rounds:
            for variant in variants:
                variant.run()
        for index in range(args.rounds):
            # Every other round backwards, so that a drift of the machine's speed favours nobody.
            for variant in variants if index % 2 == 0 else reversed(variants):
                variant.time()
        rows = [summary_of(v, variants, batch) | v.memory() for v in variants]
    return {"arch": arch, "set": args.set, "depth": depth, "batch": batch, "threads": threads,
            "precision": precision, "device": args.device, "engines": engines,
            "agreement": agreement, "rows": rows}


def write(args, report, tables):
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
            file.write("\n")
    if args.markdown:
        with open(args.markdown, "w", encoding="utf-8") as file:
            file.write(f"{report['processor']}, {report['processors']} processors, load average "
                       f"{report['load_average_at_start'][0]:.1f} at the start.\n\n"
                       + "\n".join(tables))


def run(args):
    report = {"processor": processor(), "processors": os.cpu_count(),
              "load_average_at_start": os.getloadavg(), "rounds": args.rounds, "cases": []}
    tables = []
    for case in itertools.product(args.arch, args.depths, args.batches, args.threads,
                                  args.precisions):
        report["cases"].append(measure(args, *case))
        tables.append(case_table(report["cases"][-1]))
        print(tables[-1], flush=True)
        report["load_average_at_end"] = os.getloadavg()
        # After every case, so that a run that is cut off leaves what it has.
        write(args, report, tables)


def main():
    args = parse()
    if not is_program(args.torch):
        print(f"step: SKIPPED: no program {args.torch} (build torch_step: bench/README.md)",
              file=sys.stderr)
        return 77
    if not is_program(args.ours):
        print(f"step: error: no program {args.ours}", file=sys.stderr)
        return 2
    try:
        if args.check:
            return 0 if check(args.ours, args.torch) else 1
        run(args)
    except WorkerError as error:
        print(f"step: error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"step: error: {error}", file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
