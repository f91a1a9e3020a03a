"""The order in which files reach the disk, so that a power cut leaves the old or the new ones.

Each program is traced once. A file must be written under another name, synchronised, renamed into its
place, and then its folder synchronised; what is older may be removed only after that."""
import os
import re
import sys

import scenarios
import stand_ins
import tracing
import trial
from table import Row

NAMES = ",".join((*tracing.CHANGES, "close"))
# Files that grow line by line and are cut to whole lines by whoever goes on; locks; probes of a folder.
GROWING = re.compile(r"/(log\.txt|metrics\.jsonl|events\.out\.tfevents[^/]*|\.[^/]*)$")
WRITES = ("write", "pwrite64", "writev", "pwritev", "ftruncate", "fallocate", "copy_file_range", "sendfile")


class Order:
    """Follows the calls of one run below a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.unsynced = set()   # files with bytes that a power cut may lose
        self.made = set()       # files that were opened for writing, by the names they have
        self.entries = {}       # names that a power cut may lose, by their folder
        self.placed = 0
        self.violations = []

    def follow(self, calls):
        for call in calls:
            if call.failed or not call.touches(self.folder):
                continue
            path = call.paths[-1]
            if call.name in ("openat", "creat") and call.opens_for_writing:
                self.open(path, call)
            elif call.name in WRITES:
                self.unsynced.add(path)
            elif call.name in ("fsync", "fdatasync"):
                self.unsynced.discard(path)
                self.entries.pop(path, None)
            elif call.name == "syncfs":
                self.unsynced.clear()
                self.entries.clear()
            elif call.name.startswith("rename"):
                self.rename(*call.paths)
            elif call.name.startswith("unlink"):
                self.unlink(path)
        self.end()

    def open(self, path, call):
        self.made.add(path)
        if "O_TRUNC" in call.line:
            self.unsynced.add(path)

    def below(self, path, names):
        return [name for name in names if name == path or name.startswith(path + "/")]

    def rename(self, source, target):
        for name in self.below(source, self.unsynced):
            self.wrong(f"{name} is renamed before its bytes are synchronised")
            self.unsynced.discard(name)
        for name in self.below(source, list(self.entries)):
            self.wrong(f"{name} is renamed before its entries are synchronised")
            self.entries.pop(name)
        for name in self.below(source, list(self.made)):
            self.made.discard(name)
        self.entries.setdefault(os.path.dirname(target), []).append(target)
        self.placed += 1

    def unlink(self, path):
        self.made.discard(path)
        self.unsynced.discard(path)
        if ".tmp-pal" in path or os.path.basename(path).startswith("."):
            return
        for name in self.entries.pop(os.path.dirname(path), []):
            self.wrong(f"{path} is removed before the folder of {name} is synchronised")

    def end(self):
        for names in self.entries.values():
            for name in names:
                if not os.path.basename(name).startswith("."):
                    self.wrong(f"the folder of {name} is not synchronised")
        for name in self.made:
            if not GROWING.search(name):
                self.wrong(f"{name} is written in place")

    def wrong(self, what):
        self.violations.append(what.replace(self.folder + "/", ""))


def judge(row, name, calls, folder):
    order = Order(str(folder))
    order.follow(calls)
    row.trials += order.placed
    for violation in order.violations:
        row.note("wrong", f"{name}: {violation}")


def trace(row, scenario, folder):
    scenario.fresh(folder)
    outcome, calls = tracing.run(scenario.command(), folder, NAMES, env=scenario.environment(folder),
                                 limit=scenario.limit)
    if outcome.code != 0:
        row.note("wrong", f"{scenario.name}: exit code {outcome.code}: {trial.last_line(outcome.err)}")
    judge(row, scenario.name, calls, folder)


def part(bench):
    row = Row("order of fsync and rename", "write, fsync, rename, fsync of the folder, then remove")
    if not tracing.can_trace():
        row.skipped = "no strace, or it may not trace"
        yield row
        return
    programs = 0
    for scenario in scenarios.all_scenarios():
        scenario.programs, scenario.start = bench.programs, bench.start
        trace(row, scenario, bench.work / "ordered")
        programs += 1
    row.figure = f"{row.trials} files put into their places by {programs} commands, {row.wrong} violations"
    yield row


# Calls on /run, as strace would tell them.
OPEN = 'openat(AT_FDCWD</>, "/run/a.tmp-pal1", O_WRONLY|O_CREAT|O_TRUNC, 0644) = 3</run/a.tmp-pal1>'
WRITE = 'write(3</run/a.tmp-pal1>, "x", 1) = 1'
SYNC = "fsync(3</run/a.tmp-pal1>) = 0"
RENAME = 'rename("/run/a.tmp-pal1", "/run/a") = 0'
SYNC_FOLDER = "fsync(3</run>) = 0"
REMOVE = 'unlink("/run/b") = 0'
RIGHT = [OPEN, WRITE, SYNC, RENAME, SYNC_FOLDER, REMOVE]
PLANTED = {
    "no fsync": [OPEN, WRITE, RENAME, SYNC_FOLDER],
    "an fsync that failed": [OPEN, WRITE, SYNC.replace("= 0", "= -1 EIO"), RENAME, SYNC_FOLDER],
    "bytes after the fsync": [OPEN, WRITE, SYNC, WRITE, RENAME, SYNC_FOLDER],
    "an empty file without fsync": [OPEN, RENAME, SYNC_FOLDER],
    "no fsync of the folder": [OPEN, WRITE, SYNC, RENAME],
    "the fsync of another folder": [OPEN, WRITE, SYNC, RENAME, SYNC_FOLDER.replace("/run", "/run/c")],
    "the old one removed too early": [OPEN, WRITE, SYNC, RENAME, REMOVE, SYNC_FOLDER],
    "written in place": [line.replace(".tmp-pal1", "") for line in (OPEN, WRITE, SYNC)] + [SYNC_FOLDER],
}


def planted(bench):
    def row_of(name, lines):
        row = Row(name, "")
        judge(row, name, tracing.parsed("\n".join(f"1 {line}" for line in lines), "/"), "/run")
        return row

    seen = {name: row_of(name, lines) for name, lines in PLANTED.items()}
    # And what is right must not be counted.
    right = row_of("the right order", RIGHT)
    seen[right.part] = Row(right.part, "", wrong=int(right.trials == 1 and not right.broken))
    if tracing.can_trace():
        other = bench.with_stand_in(
            "pal-convert", f"exec {sys.executable} -ISs {stand_ins.BAD_WRITER} torn $1")
        scenario = scenarios.Scenario("a writer in place", ["pal-convert", "made.json"])
        scenario.programs, scenario.start = other.programs, other.start
        row = seen[scenario.name] = Row(scenario.name, "")
        trace(row, scenario, bench.work / "ordered")
    return seen
