"""The plan of memory against what a run is resident in.

`pal-train --dry-run --json` plans state_bytes (parameters, gradients, optimizer), weight_copy_bytes (in layouts
of libraries) and activation_bytes. What a process needs besides (code of libraries, the data) it does not say, so it is measured: a tiny network on
the same data, in the same batches. Beyond that, and 2 MiB by which such peaks differ from run to run, a run
may peak at 5 % over its plan.

A limit below the plan is refused before the first step, with the batch that fits; within one just above it
the run works."""
import json
import re
import shutil
from dataclasses import dataclass

import trial
from measured import cost_of
from table import Row

MIB = 1 << 20
OVER = 1.05  # what a peak may be of its plan
NOISE = 2 * MIB
# Addresses that a process with one thread takes beyond what it is resident in: libraries, and what
# the C library sets apart.
ADDRESSES = 160 * MIB
LEAST_ADDRESSES = 512 * MIB  # that a program begins with
COMMON = ("--validation 16 --threads 1 --epochs 1 --max-steps 2 --recalibrate-bn 0 --checkpoint-every 1 "
          "--quiet").split()
GREY = "--dataset synthetic:4:600:16 -b 256"
LARGE = "--dataset synthetic:4:300:32 -b 128"
FEW = "--dataset synthetic:4:64:8 -b 8"


@dataclass
class Setting:
    name: str
    data: str
    network: str
    stages: str = "--blocks 1,1 --strides 1,2 --widths 32,32"

    def arguments(self):
        return [*self.data.split(), *self.stages.split(), *self.network.split(), *COMMON]

    def info(self):
        """What pal-info is told of the same network, and where its answer has the plan."""
        size, batch = re.search(r":(\d+) -b (\d+)", self.data).groups()
        resnet = "resnet" in self.network
        asked = [*self.stages.split(), "-a", "resnet-small" if resnet else "ibinn-mnist", "--image-size", size,
                 "--channels", "1", "--classes", "4", "-b", batch, "--json"]
        wanted = re.search(r"--activation-memory (\w+)", self.network)
        sgd = resnet or "--opt sgd" in self.network
        state = "sgd" if sgd else "adamw_ema" if "--ema" in self.network else "adamw"
        return asked, state, wanted[1] if wanted else "max" if resnet else "auto"

    def by(self, batch):
        """The same in batches of another size."""
        return Setting(self.name, re.sub(r"-b \d+", f"-b {batch}", self.data), self.network, self.stages)

    def tiny(self):
        """The least network on the same data."""
        return Setting("tiny", self.data, "--activation-memory min", "--blocks 1,1 --strides 1,2 --widths 1,1")


THRICE = "--blocks 3,3 --strides 1,2 --widths 32,32"
WIDE = "--blocks 1,1 --strides 1,2 --widths 256,256"
SETTINGS = [
    Setting("wide", FEW, "", WIDE),
    Setting("3x blocks, all stored", GREY, "--activation-memory max", THRICE),
    Setting("all stored", GREY, "--activation-memory max"),
    Setting("all rebuilt", GREY, "--activation-memory min"),
    Setting("3x blocks, all rebuilt", GREY, "--activation-memory min", THRICE),
    Setting("ResNet", GREY, "-a resnet-small"),
    Setting("32 x 32", LARGE, ""),
    Setting("bf16", GREY, "--activation-memory max --precision bf16"),
    Setting("average of the weights", FEW, "--ema 0.9", WIDE),
    Setting("SGD", FEW, "--opt sgd --lr 0.01", WIDE),
]


class Measures:
    """Plans and costs of settings; what was run once is not run again."""

    def __init__(self, bench):
        self.bench = bench
        self.work = bench.work / f"memory-{id(self)}"
        self.work.mkdir()
        self.costs = {}

    def train(self, setting, *more, address_space=0):
        shutil.rmtree(self.work / "new", ignore_errors=True)
        command = [self.bench.programs / "pal-train", *setting.arguments(), *more, "-o", "new"]
        return cost_of(command, self.work, self.work / "report", address_space, limit=300)

    def plan(self, setting):
        """Planned bytes, and the whole plan; (0, why) where this machine cannot do it."""
        with open(self.work / "plan", "wb") as out:
            command = [self.bench.programs / "pal-train", *setting.arguments(), "--dry-run", "--json"]
            outcome = trial.run(command, self.work, limit=300, out=out)
        if outcome.code != 0:
            return 0, trial.last_line(outcome.err)
        plan = json.loads((self.work / "plan").read_text())
        return plan["state_bytes"] + plan["weight_copy_bytes"] + plan["activation_bytes"], plan

    def info(self, setting):
        """What pal-info plans, in bytes."""
        asked, state, activations = setting.info()
        with open(self.work / "plan", "wb") as out:
            # A weight's gradient has a copy for each thread.
            trial.run([self.bench.programs / "pal-info", *asked], self.work,
                      trial.surroundings(OMP_NUM_THREADS=1), out=out)
        told = json.loads((self.work / "plan").read_text())
        return told["state_bytes"][state] + told["activation_bytes"][activations]

    def cost(self, setting):
        key = " ".join(setting.arguments())
        if key not in self.costs:
            self.costs[key] = self.train(setting)
        return self.costs[key]

    def counted(self):
        """What the last run counted itself: bytes of its activations at most."""
        lines = (self.work / "new/metrics.jsonl").read_text().splitlines()
        return max(json.loads(line)["memory"]["activations"] for line in lines if '"memory"' in line)

    def trained(self):
        """Whether the last run made a step."""
        metrics = self.work / "new/metrics.jsonl"
        return metrics.exists() and '"kind":"train"' in metrics.read_text()


def peak_row(measures, settings):
    row = Row("memory: peak of a run", "resident at most 5 % over the plan, beyond what a tiny network needs")
    worst, counted, base, lacking = ("", 0.0), 0.0, 0, ""
    for setting in settings:
        planned, plan = measures.plan(setting)
        if planned == 0:
            if "AVX-512" in plan:
                lacking = f"; not on this processor: {setting.name}"
            else:
                row.note("wrong", f"{setting.name}: {plan}")
            continue
        tiny = measures.cost(setting.tiny())
        cost = measures.train(setting)
        row.trials += 1
        if not trial.judge_end(row, cost.outcome, setting.name):
            continue
        if cost.outcome.code != 0:
            row.note("wrong", f"{setting.name}: exit code {cost.outcome.code}")
            continue
        base = max(base, tiny.peak)
        ratio = max(0, cost.peak - tiny.peak - NOISE) / planned
        counted = max(counted, measures.counted() / plan["activation_bytes"])
        if ratio > worst[1]:
            worst = (setting.name, ratio)
        if ratio > OVER:
            row.note("wrong", f"{setting.name}: {cost.peak / MIB:.1f} MiB, of which a tiny network needs "
                              f"{tiny.peak / MIB:.1f}; planned {planned / MIB:.1f}: {ratio:.2f} of it")
    row.figure = (f"worst peak/plan {worst[1]:.3f} ({worst[0]}), beyond {base / MIB:.0f} MiB at most of a tiny "
                  f"network; counted/planned activations {counted:.3f}{lacking}")
    return row


def info_row(measures, settings):
    row = Row("memory: plans of pal-info", "the same bytes as pal-train --dry-run")
    for setting in settings:
        planned, plan = measures.plan(setting)
        if planned == 0 or "bf16" in setting.network:  # pal-info knows no precision
            continue
        row.trials += 1
        told = measures.info(setting)
        planned -= plan["weight_copy_bytes"]  # of which pal-info has no column
        if told != planned:
            row.note("wrong", f"{setting.name}: pal-info says {told}, pal-train {planned}")
    return row


def works(measures, setting, line, *limit):
    """Whether a setting runs within a limit, with what the line advises."""
    if "--activation-memory min" in line:
        limit += ("--activation-memory", "min")
    return measures.train(setting, *limit).outcome.code == 0


def below_row(measures, settings):
    """Refused before anything is trained; what the line advises then works."""
    row = Row("memory: a limit below the plan", "exit 4 before the first step, naming the batch that fits")
    for setting in settings:
        planned, plan = measures.plan(setting)
        if planned == 0:
            continue
        limit = planned - plan["activation_bytes"] // 2
        for option in ("--memory-limit", "--activation-memory"):
            bytes_ = limit if option == "--memory-limit" else plan["activation_bytes"] // 20
            what = f"{setting.name}, {option} {bytes_ >> 10} KiB of {planned >> 10} KiB"
            cost = measures.train(setting, option, f"{bytes_}B")
            row.trials += 1
            if not trial.judge_end(row, cost.outcome, what):
                continue
            if cost.outcome.code != 4 or measures.trained():
                row.note("silent", f"{what}: exit code {cost.outcome.code}, "
                                   f"{'after steps' if measures.trained() else 'before the first step'}")
                continue
            line = trial.last_line(cost.outcome.err)
            named = re.search(r"batches of (\d+) fit|not even one image|smaller network", line)
            if not named:
                row.note("wrong", f"{what}: names no batch that fits: {line}")
            elif named[1] and not works(measures, setting.by(named[1]), line, option, f"{bytes_}B"):
                row.note("wrong", f"{what}: does not work with batches of {named[1]} either")
    return row


def above_row(measures, settings):
    """What the plan promises suffices, counted by the program or by the system."""
    row = Row("memory: a limit just above the plan", "works within --memory-limit and RLIMIT_AS")
    for setting in settings:
        planned, plan = measures.plan(setting)
        if planned == 0:
            continue
        limit = int(planned * OVER) + MIB  # and the data
        addresses = max(limit + ADDRESSES, LEAST_ADDRESSES)
        costs = {f"--memory-limit {limit >> 20} MiB": measures.train(setting, "--memory-limit", f"{limit}B"),
                 f"RLIMIT_AS {addresses >> 20} MiB": measures.train(setting, address_space=addresses)}
        for what, cost in costs.items():
            row.trials += 1
            what = f"{setting.name}, {what} for {planned >> 20} MiB"
            if trial.judge_end(row, cost.outcome, what) and cost.outcome.code != 0:
                line = trial.last_line(cost.outcome.err)[:160]
                row.note("wrong", f"{what}: exit code {cost.outcome.code}: {line}")
    return row


def part(bench):
    measures = Measures(bench)
    settings = SETTINGS[:bench.few(1, None)]
    yield peak_row(measures, settings)
    yield info_row(measures, settings)
    yield below_row(measures, [s for s in settings if "--activation-memory" not in s.network])
    yield above_row(measures, settings)


def planted(bench):
    """A program that takes 200 MiB more than it planned; one that trains within any limit."""
    greedy = bench.with_stand_in("pal-train", 'case "$*" in\n'
                                 '*--dry-run*|*"widths 1,1"*) exec "$real" "$@"\nesac\n'
                                 "python3 -c 'b = bytearray(2**28); b[::4096] = b\"x\" * len(b[::4096])'\n"
                                 'exec "$real" "$@"')
    deaf = bench.with_stand_in("pal-train", 'for ((i = 1; i <= $#; ++i)); do case ${!i} in --memory-limit|'
                               '--activation-memory) set -- "${@:1:i-1}" "${@:i+2}"; break;; esac; done\n'
                               'exec "$real" "$@"')
    rebuilt = Setting("all rebuilt", FEW, "")
    return {"more memory than planned": peak_row(Measures(greedy), [rebuilt]),
            "a limit that is not kept": below_row(Measures(deaf), [rebuilt])}
