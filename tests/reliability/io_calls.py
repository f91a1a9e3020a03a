"""Kills and errors at every call that touches a file.

A program is traced once as it is. Then it runs again for each call on a file of its folder, and at that
call it is killed, or the call fails: once, or from there on for ever. What it leaves must be the old
files or the new ones, each of them whole; it must say what failed; and the same command must then do
what it would have done."""
import concurrent.futures
import itertools
import pathlib
import tempfile

import points
import scenarios
import stand_ins
import tracing
import trial
import whole
from table import Row

WORKERS = 2
TEXTS = {"EIO": "Input/output error", "ENOSPC": "No space left on device"}


def overcome(calls):
    """Whether what failed was tried again, and then done."""
    failed = [i for i, call in enumerate(calls) if call.injected]
    return bool(failed) and all(
        any(later.arguments == calls[i].arguments and not later.failed for later in calls[i + 1:])
        for i in failed)


class Judge:
    """Counts, in a row, what one scenario does under faults."""

    def __init__(self, row, scenario):
        self.row, self.scenario = row, scenario
        self.inspector = whole.Inspector(scenario.programs)

    def torn(self, folder, name, content, may_end_torn):
        if content.startswith(b"-> "):
            return "" if (folder / name).exists() else "points to nothing"
        if name.endswith((".safetensors", ".tar")):
            return self.inspector.problem(folder / name, content)
        return whole.problem(name, content, may_end_torn)

    def left(self, folder, what, killed):
        """Files after a fault: the old ones, the new ones, or at least whole."""
        scenario = self.scenario
        there = scenarios.files(folder)
        for name in scenario.before.keys() & scenario.after.keys() - there.keys():
            self.row.note("lost", f"{what}: {name} is gone")
        for path in folder.glob("*/metrics.jsonl.1"):
            if str(path.relative_to(folder))[:-2] in scenario.before:
                self.row.note("lost", f"{what}: a run that has checkpoints is begun anew")
        for name, content in there.items():
            old_or_new = (scenario.before.get(name), scenario.after.get(name))
            if content in old_or_new:
                continue
            # A file that is made once may be made in between too, if it is whole: checkpoints, metrics.
            if problem := self.torn(folder, name, content, killed):
                self.row.note("lost", f"{what}: {name}: {problem}")

    def differences(self, folder):
        """Files that are not what they are without a fault."""
        scenario = self.scenario
        there = scenarios.files(folder)
        wrong = sorted(scenario.after.keys() - there.keys())
        for name, content in there.items():
            if name not in scenario.after or name in scenario.varying:
                if problem := self.torn(folder, name, content, False):
                    wrong.append(f"{name}: {problem}")
            elif content != scenario.after[name]:
                wrong.append(name)
        return wrong

    def fault(self, folder, point, fault, outcome, calls):
        what = f"{self.scenario.name}: {fault} at {point}"
        killed = fault == "kill"
        hit = [call for call in calls if call.injected]
        # Where the message itself could not be written, the trace has it.
        outcome.err += "".join(call.line for call in hit if "write(2<" in call.line)
        self.row.trials += 1
        if not (hit or killed and outcome.code in (-9, 137) or outcome.timed_out):
            return False
        if trial.judge_end(self.row, outcome, what, killed=killed):
            if not killed:
                self.said(folder, point, fault, outcome, what, again=overcome(calls))
            self.left(folder, what, killed)
        return True

    def said(self, folder, point, fault, outcome, what, again):
        news = scenarios.said(outcome) - self.scenario.usual
        told = [line for line in news if ": error: " in line or "warning: " in line]
        must = point.must_be_said and not again
        if outcome.code == 0:
            wrong = self.differences(folder)
            if wrong or must and not told:
                self.row.note("wrong" if told else "silent", f"{what}: exit code 0" + (
                    f", but {wrong[0]} is not as it should be" if wrong else " without a word"))
        elif must and not any(TEXTS[fault.split()[0]] in line for line in told):
            self.row.note("wrong", f"{what}: no errno in: {trial.last_line(outcome.err)}")

    def again(self, folder, what):
        """The same command without a fault does what it would have done."""
        outcome = self.scenario.run(folder)
        or_else = self.scenario.or_else
        if outcome.code == 2 and or_else and " ".join(or_else[1:3]) in outcome.err:
            outcome = self.scenario.run(folder, or_else)
        if outcome.code != 0:
            self.row.note("lost", f"{what}, then again: exit code {outcome.code}: "
                                  f"{trial.last_line(outcome.err)}")
            return
        wrong = [name for name in self.differences(folder) if name.split(":")[0] not in self.scenario.once]
        for name in wrong[:1]:
            self.row.note("lost", f"{what}, then again: not as it would have been: {name}")
        if left := trial.leftovers(folder):
            self.row.note("wrong", f"{what}, then again: {left[0]} is left")


def thinned(found, most):
    """At most so many of them, spread evenly, with the last one."""
    if most is None or len(found) <= most:
        return found
    return [found[len(found) * (i + 1) // most - 1] for i in range(most)]


def row_of(scenario, work, most=None, chosen=None):
    """Row of one scenario that is prepared: `most` faults at most, or the chosen pairs of a call's name
    and a fault."""
    row = Row(f"I/O calls: {scenario.name}",
              "a kill or an error at every call: old or new, said, and made again")
    judge = Judge(row, scenario)
    with tempfile.TemporaryDirectory(dir=work) as trials:
        folders = [pathlib.Path(trials) / f"trial{i}" for i in range(WORKERS)]
        found, lost, strange = points.of_scenario(scenario, folders[0])
        if chosen:
            todo = [(point, fault) for name, fault in chosen
                    for point in [p for p in found if p.call.name == name][-1:]]
        elif most:
            # A fault for each point in turn.
            todo = [(point, point.faults()[i % len(point.faults())])
                    for i, point in enumerate(thinned(found, most))]
        else:
            todo = [(point, fault) for point in found for fault in point.faults()]

        def attempt(folder, point, fault):
            scenario.fresh(folder)
            outcome, calls = tracing.run(
                scenario.command(), folder, point.call.name, point.injection(fault), point.only_in(folder),
                scenario.environment(folder), scenario.limit)
            hit = judge.fault(folder, point, fault, outcome, calls)
            judge.again(folder, f"{scenario.name}: {fault} at {point}")
            return hit

        def worker(number):
            return [attempt(folders[number], *one) for one in todo[number::WORKERS]]

        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            hits = list(itertools.chain(*pool.map(worker, range(WORKERS))))
    for name in strange:
        row.note("wrong", f"{scenario.name}: calls of {name} are not tried; tell tracing.py what they do")
    row.figure = f"{len(found)} calls, {hits.count(True)} faults" + (
        f", {hits.count(False)} not met" if False in hits else "") + (
        f", {lost} calls out of reach" if lost else "")
    return row


def part(bench):
    if not tracing.can_trace():
        yield Row("I/O calls", "", skipped="no strace, or it may not trace")
        return
    for scenario in scenarios.all_scenarios():
        if bench.commands and scenario.name not in bench.commands:
            continue
        scenario.prepare(bench.programs, bench.start, bench.work)
        yield row_of(scenario, bench.work, bench.few(2, None))


def planted(bench):
    return stand_ins.rows(bench) if tracing.can_trace() else {}
