"""Faults and what becomes of them: see tests/reliability.sh."""
import argparse
import contextlib
import importlib
import os
import pathlib
import platform
import signal
import sys
import tempfile
import time

import scenarios
import table
from bench import Bench

# Each is a module with part(bench), its rows, and planted(bench), the row of each planted fault.
PARTS = ("io-calls", "kills", "order", "deaths", "damage", "signals", "outputs", "disk", "resumes", "changed-data",
         "surroundings", "vanishing", "not-finite", "memory", "costs", "fuzz", "threads", "hardening")


def unseen(module, bench):
    """Planted faults that the part does not see."""
    return [fault for fault, row in module.planted(bench).items() if not row.skipped and not row.broken]


def run_part(name, bench):
    began = time.monotonic()
    module = importlib.import_module(name.replace("-", "_"))
    missed = unseen(module, bench)
    if missed:
        sys.exit(f"reliability: error: part '{name}' does not see a planted fault: {', '.join(missed)}")
    rows = []
    for row in module.part(bench):
        # Rows of a generator: the time of each is that until the next.
        row.seconds = row.seconds or time.monotonic() - began
        began = time.monotonic()
        rows.append(row)
        print(table.text([row], header=False), file=sys.stderr, flush=True)
    return rows


def machine():
    """The processor and its cores, for the reader of the table."""
    name = platform.machine()
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
    return f"{name}, {os.cpu_count()} cores"


def main():
    # A shell starts what runs in its background to ignore SIGINT, and the programs would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", help="folder of the programs")
    parser.add_argument("source", help="folder of the project")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS) + " (default: all)")
    parser.add_argument("--quick", action="store_true", help="a few trials of each part")
    parser.add_argument("--command", action="append", default=[], metavar="NAME",
                        help="of io-calls, only this command, by its row's name; may be repeated")
    parser.add_argument("--json", metavar="FILE", help="write the table to it")
    o = parser.parse_intermixed_args()
    for name in o.parts:
        if name not in PARTS:
            parser.error(f"unknown part '{name}'; expected one of {', '.join(PARTS)}")
    known = [scenario.name for scenario in scenarios.all_scenarios()]
    for name in o.command:
        if name not in known:
            parser.error(f"unknown command '{name}'; expected one of {', '.join(known)}")
    missing = scenarios.uncovered(pathlib.Path(o.programs), scenarios.all_scenarios())
    if missing:
        sys.exit(f"reliability: error: no scenario runs {', '.join(missing)}")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(o.programs, o.source, o.quick, pathlib.Path(folder))
        bench.commands = o.command
        for name in o.parts or PARTS:
            rows += run_part(name, bench)
            if o.json:  # after each part: a run of an hour may be stopped
                table.write_json(rows, machine(), o.json)
    print(table.text(rows))
    sys.exit(1 if any(row.broken for row in rows) else 0)


main()
