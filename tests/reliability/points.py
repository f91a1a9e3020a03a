"""The calls of a run at which a fault can be put."""
import os
import pathlib
from dataclasses import dataclass

import tracing
import trial


@dataclass
class Point:
    """A call of a run: the one of this number among calls of its name, of one thread."""
    call: tracing.Call
    number: int
    path: str = ""             # counted among the calls on this path, below the folder of the run
    must_be_said: bool = True  # else only where its failure changes results

    def __str__(self):
        return f"{self.call.name} {self.number} ({'/'.join(pathlib.Path(self.call.paths[-1]).parts[-2:])})"

    def only_in(self, folder):
        """The path as programs may name it."""
        return (folder / self.path, self.path) if self.path else ()

    def faults(self):
        name = self.call.name
        if name not in tracing.CHANGES:
            return ("EIO",)
        reading = name == "openat" and not self.call.opens_for_writing
        if reading or name.startswith(("unlink", "rmdir")):
            return ("kill", "EIO", "EIO for ever")
        return ("kill", "EIO", "ENOSPC", "EIO for ever")

    def injection(self, fault):
        if fault == "kill":
            return f"signal=KILL:when={self.number}"
        return f"error={fault.split()[0]}:when={self.number}" + ("+" if fault.endswith("for ever") else "")


class Numbers:
    """Counts calls as strace does: by thread and name, and perhaps on one path alone."""

    def __init__(self):
        self.counted = {}
        self.firsts = {}

    def count(self, call):
        for path in {None, *call.paths}:
            key = (call.thread, call.name, path)
            self.counted[key] = self.counted.get(key, 0) + 1
        return self.firsts.setdefault((call.name, self.of(call)), call)

    def of(self, call, path=None):
        return self.counted[call.thread, call.name, path]


def of_scenario(scenario, folder):
    """The calls on files of the folder; how many of them no fault can be led to; and the names of calls
    that tracing.py does not know.

    As strace counts by thread, a fault comes to the first thread that gets to a number. A call of another
    thread is reached by counting calls on its path alone, unless a process number is in that."""
    scenario.fresh(folder)
    outcome, calls = tracing.run(scenario.command(), folder, "%file,%desc",
                                 env=scenario.environment(folder), limit=scenario.limit)
    if outcome.code != 0:
        raise RuntimeError(f"{scenario.name} under strace: {trial.last_line(outcome.err)}")
    # Programs that ours starts, such as dpkg-deb, are not ours to judge.
    others = {call.thread for call in calls if call.name == "execve"} - {calls[0].thread}
    place = os.path.join(folder, scenario.only).rstrip("/")
    last = os.path.join(folder, scenario.until) if scenario.until else None
    found, lost, strange = [], 0, set()
    numbers = Numbers()
    for i, call in enumerate(calls):
        if last and call.name == "rename" and call.paths[-1] == last:
            break
        first = numbers.count(call)
        if call.thread in others or call.name in tracing.QUIET or not call.touches(place):
            continue
        if call.name not in tracing.KNOWN:
            strange.add(call.name)
            continue
        must = must_be_said(call, next((c for c in calls[i + 1:] if c.thread == call.thread), None))
        steady = [path for path in call.paths if ".tmp-pal" not in path]
        if first is call:
            found.append(Point(call, numbers.of(call), must_be_said=must))
        elif steady:
            found.append(Point(call, numbers.of(call, steady[0]), os.path.relpath(steady[0], folder), must))
        else:
            lost += 1
    return found, lost, strange


def must_be_said(call, after):
    """Whether a failure must be said even where nothing else changes: of all that writes, with the opening
    of a folder that is then synchronised. What fails anyway is expected to."""
    if call.name not in tracing.CHANGES or call.failed:
        return False
    syncs = after is not None and after.name == "fsync" and after.paths == call.paths
    return call.name != "openat" or call.opens_for_writing or syncs
