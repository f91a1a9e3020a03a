"""Programs that write wrongly, to show that faults at calls are judged rightly."""
import dataclasses
import pathlib
import sys

import io_calls
import scenarios
from table import Row

BAD_WRITER = pathlib.Path(__file__).with_name("bad_writer.py")
# How it writes, the call and the fault that show it, and the column where it must be counted.
PLANTED = (("torn", "write", "kill", "lost"), ("silent", "rename", "EIO", "silent"),
           ("careless", "rename", "EIO", "wrong"), ("crashing", "rename", "EIO", "crashes"),
           ("hanging", "fsync", "EIO", "hangs"), ("speechless", "rename", "ENOSPC", "wrong"),
           ("vague", "fsync", "ENOSPC", "wrong"), ("stuck", "rename", "kill", "lost"),
           ("littering", "rename", "kill", "wrong"))


def rows(bench):
    """Row of each planted fault; an empty one if it is not counted where it should be."""
    seen = {}
    whole = scenarios.Scenario("a writer", ["pal-convert", "made.json"], there=("made.json",), limit=2)
    for how, call, fault, column in PLANTED:
        other = bench.with_stand_in("pal-convert", f"exec {sys.executable} -ISs {BAD_WRITER} {how} $1")
        if whole.after is None:  # without a fault they all do the same
            whole.prepare(other.programs, other.start, bench.work)
        scenario = dataclasses.replace(whole, name=f"a {how} writer", programs=other.programs)
        row = io_calls.row_of(scenario, bench.work, chosen=[(call, fault)])
        seen[scenario.name] = row if getattr(row, column) else Row(scenario.name, "")

    new = bench.with_stand_in("pal-new", "exit 0")
    row = Row("a program without a scenario", "")
    for name in scenarios.uncovered(new.programs, scenarios.all_scenarios()):
        row.note("wrong", name)
    seen[row.part] = row
    return seen
