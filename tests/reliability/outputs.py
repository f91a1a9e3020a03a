"""Standard input, output and error that are closed, or full.

What a program says is lost with a full stdout, so it must not end as if all were well; the files that it
makes are none the worse. A closed descriptor is given to the next file that is opened: what is said must
not end up in it."""
import json
import os
import re

import scenarios
import trial
from asked import Asked, files, writers
from table import Row

# Programs, or ways of them, whose only product is text.
TEXTS = [
    ("inspect", ["pal-inspect", "run"]),
    ("info", ["pal-info", "-a", "ibinn-mnist"]),
    ("inspect --json", ["pal-inspect", "--json", "run/checkpoints/step-50.safetensors"]),
    ("print-config", ["pal-train", "--print-config"]),
    ("dry-run", ["pal-train", *scenarios.TINY, "--dry-run"]),
    ("stats", ["pal-data", "stats", "pictures"]),
    ("help", ["pal-train", "--help"]),
    # Says more than other runs do.
    ("aloud", ["pal-train", *(option for option in scenarios.TINY if option != "--quiet"), "--epochs", "1",
               "--progress", "always", "-o", "new"]),
]
QUICK = ("train", "evaluate", "inspect", "info")
CLOSED = ((0,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
NAMES = {0: "stdin", 1: "stdout", 2: "stderr"}


def without(descriptors):
    """For subprocess: closes them in the program before it starts."""
    def close():
        for descriptor in descriptors:
            os.close(descriptor)
    return close


def judge(row, asked, what, outcome, stdout_lost, stderr_lost):
    """What is lost must be told by the exit code, and files are as they would have been."""
    row.trials += 1
    what = f"{asked.name}: {what}"
    wanted = 4 if stdout_lost and asked.says else 0
    if outcome.timed_out:
        row.note("hangs", what)
    elif outcome.code == 0 and wanted:
        row.note("silent", f"{what}: exit code 0, and what it said is nowhere")
    elif outcome.code != wanted:
        row.note("wrong" if outcome.code in trial.KNOWN_CODES else "crashes",
                 f"{what}: exit code {outcome.code}: {trial.last_line(outcome.err)}")
    elif wanted and not stderr_lost and len(outcome.errors()) != 1:
        row.note("silent", f"{what}: {len(outcome.errors())} error lines")
    there = files(asked.folder)
    if any(there.get(name) != content for name, content in asked.after.items()):
        row.note("lost", f"{what}: its files are not as they would have been")
    for found in strange_lines(asked.folder):
        row.note("wrong", f"{what}: {found}")


def strange_lines(folder):
    """Lines in the files of a new run that do not belong there."""
    run = folder / "new"
    if not run.is_dir():
        return []
    found = []
    for line in (run / "metrics.jsonl").read_text(errors="replace").splitlines():
        try:
            json.loads(line)
        except ValueError:
            found.append(f"metrics.jsonl has the line: {line[:60]}")
    for line in (run / "log.txt").read_text(errors="replace").splitlines():
        if not re.match(r"\d{4}-\d\d-\d\d ", line):
            found.append(f"log.txt has the line: {line[:60]}")
    if not re.fullmatch(r"\d*\n?", (run / ".lock").read_text(errors="replace")):
        found.append(".lock has what the program said")
    return found[:1]


def all_asked(bench, names=None):
    """Every program that writes, and those that only speak."""
    texts = [Asked(bench, *one) for one in TEXTS if names is None or one[0] in names]
    return writers(bench, names) + texts


def started(asked, **more):
    asked.fresh()
    return asked.run(**more)


def lost_text(programs):
    row = Row("outputs: text lost", "a stdout that is full or closed: exit code 4 and a line, files are made")
    for asked in programs:
        with open("/dev/full", "w") as full:
            judge(row, asked, "stdout is /dev/full", started(asked, out=full), True, False)
        judge(row, asked, "stdout closed", started(asked, preexec_fn=without((1,))), True, False)
    return row


def closed(programs, ways):
    row = Row("outputs: closed", "what is said with closed descriptors goes into no file, nor unnoticed")
    for asked in programs:
        for way in ways:
            what = " and ".join(NAMES[d] for d in way) + " closed"
            judge(row, asked, what, started(asked, preexec_fn=without(way)), 1 in way, 2 in way)
        with open("/dev/full", "w") as full:
            outcome = started(asked, preexec_fn=lambda: os.dup2(full.fileno(), 2))
        judge(row, asked, "stderr is /dev/full", outcome, False, True)
    return row


def reader_left(programs):
    row = Row("outputs: reader left", "a pipe that nobody reads any more: no SIGPIPE, files are made")
    for asked in programs:
        readable, writable = os.pipe()
        os.close(readable)
        judge(row, asked, "a closed pipe as stdout", started(asked, out=writable), False, False)
        os.close(writable)
    return row


def part(bench):
    if not os.access("/dev/full", os.W_OK):
        yield Row("outputs", "", skipped="no /dev/full")
        return
    programs = all_asked(bench, QUICK if bench.quick else None)
    yield lost_text(programs)
    yield reader_left(programs)
    yield closed(programs, bench.few(((2,), (0, 1)), CLOSED))


def planted(bench):
    if not os.access("/dev/full", os.W_OK):
        return {}
    silent = bench.with_stand_in("pal-info", '"$real" "$@" || true; exit 0')
    writer = bench.with_stand_in("pal-train", '"$real" "$@"; code=$?; echo said >> new/log.txt; exit $code')
    dies = bench.with_stand_in("pal-info", '"$real" "$@" && echo one; echo two')
    info = all_asked(silent, ["info"])
    return {"text that is lost in silence": lost_text(info),
            "an end by SIGPIPE": reader_left(all_asked(dies, ["info"])),
            "closed descriptors in silence": closed(info, [(0, 1)]),
            "text in a file of the run": closed(all_asked(writer, ["train"]), [(2,)])}
