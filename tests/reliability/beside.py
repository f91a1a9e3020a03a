"""A program in odd surroundings beside the same one in common ones.

What a program is to answer is learned once, undisturbed. In odd surroundings it must end with the same
bytes and numbers, or, where the surroundings allow that it cannot work, say in one line why."""
import json
import os
import re
import shutil
import stat
from dataclasses import dataclass, field

import scenarios
import trial

# What depends on time, on where a process began, or on how files are named.
UNEQUAL = {"t", "images_per_s", "data_stall", "memory", "inversion_error", "file", "checkpoint"}
NOBODY = 65534
REFUSED = (4,)


@dataclass
class Watched:
    """A program, and the files that it writes with the same bytes each time."""
    name: str
    arguments: list
    files: list = field(default_factory=list)
    needs: tuple = ("pictures", "whole", "seen")  # of the folders of the start


TRAIN = Watched("train", ["pal-train", *scenarios.TINY, "--epochs", "1", "-o", "new"],
                ["new/checkpoints/*.safetensors", "new/metrics.jsonl"], ())
PICTURES = Watched("train on pictures",
                   ["pal-train", *scenarios.PICTURES, "--max-steps", "4", "-o", "new"],
                   ["new/checkpoints/*.safetensors", "new/metrics.jsonl"], ("pictures",))
EVALUATE = Watched("evaluate", ["pal-evaluate", "whole", "--json", "--save-outputs", "outputs.csv",
                                "--threads", "1", "-q"], ["outputs.csv"], ("whole",))
CLASSIFY = Watched("classify", ["pal-classify", "seen", "pictures/val", "--json", "--threads", "1", "-q"],
                   [], ("pictures", "seen"))
ALL = (TRAIN, EVALUATE, CLASSIFY)


@dataclass
class Odd:
    """Surroundings, and what they allow."""
    what: str
    prefix: list = field(default_factory=list)  # commands before the program, such as env -i
    env: dict = field(default_factory=dict)     # variables on top of the usual ones; None: not set
    extra: list = field(default_factory=list)   # arguments of the program
    popen: dict = field(default_factory=dict)   # of subprocess.Popen: preexec_fn, user, umask
    may_refuse: bool = False  # exit code 4 with one line is an answer
    nobody: bool = False      # as a user without rights, where this one is root
    warns: str = ""           # a warning that must come


def with_option(watched, *option):
    """The same with another value of an option."""
    arguments = list(watched.arguments)
    arguments[arguments.index(option[0]) + 1] = option[1]
    return Watched(watched.name, arguments, watched.files, watched.needs)


def comparable(value):
    if isinstance(value, dict):
        return {k: comparable(v) for k, v in value.items() if k not in UNEQUAL}
    return [comparable(v) for v in value] if isinstance(value, list) else value


def json_lines(text):
    return [comparable(json.loads(line)) for line in text.splitlines() if line]


def answers(folder, files, out):
    """All that must be the same: files by their bytes, JSON by what does not depend on time."""
    found = trial.contents(folder, files)
    for name in found:
        if name.endswith(".jsonl"):
            found[name] = json_lines(found[name].decode())
    found["standard output"] = json_lines(out) if out.startswith("{") else None
    return found


class Beside:
    """Runs programs in odd surroundings and compares. `limit`: seconds that a run may take."""

    def __init__(self, bench, limit=60.0):
        self.bench = bench
        self.limit = limit
        self.work = bench.work / "beside"
        self.known = {}

    def wanted(self, watched):
        """What it answers undisturbed; by another number of threads it may be other bits."""
        key = " ".join(watched.arguments)
        if key not in self.known:
            folder = self.fresh(watched)
            outcome, found = self.execute(watched, folder, Odd("nothing"))
            if outcome.code != 0:
                raise RuntimeError(f"{watched.name}: {trial.last_line(outcome.err)}")
            self.known[key] = found
        return self.known[key]

    def fresh(self, watched, folder=None):
        folder = folder or self.work / "folder"
        open_up(self.work)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in watched.needs:
            trial.fresh_copy(self.bench.start / name, folder / name)
        return folder

    def execute(self, watched, folder, odd):
        env = trial.surroundings() | odd.env
        popen = dict(odd.popen)
        if odd.nobody:
            give(self.bench.work, self.work)
            if os.geteuid() == 0:
                popen |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        command = [*odd.prefix, self.bench.programs / watched.arguments[0], *watched.arguments[1:], *odd.extra]
        out_file = self.work / "out"
        with open(out_file, "wb") as out:
            outcome = trial.run(command, folder, {k: str(v) for k, v in env.items() if v is not None},
                                self.limit, out, **popen)
        open_up(folder)
        out = out_file.read_text(errors="replace")
        try:
            return outcome, answers(folder, watched.files, out)
        except ValueError as error:
            return outcome, {"JSON": str(error)}

    def judge(self, row, watched, odd, same_as=None, folder=None, prepare=None):
        """One trial, which must answer as `same_as` does undisturbed; counts what went wrong in the row."""
        wanted = self.wanted(same_as or watched)
        folder = self.fresh(watched, folder)
        if prepare:
            prepare(folder)
        outcome, found = self.execute(watched, folder, odd)
        row.trials += 1
        what = f"{watched.name}, {odd.what}"
        if not trial.judge_end(row, outcome, what):
            return outcome
        if outcome.code in REFUSED and odd.may_refuse:
            return outcome
        if outcome.code != 0:
            row.note("wrong", f"{what}: exit code {outcome.code}: {trial.last_line(outcome.err)}")
        elif differing := different(wanted, found):
            row.note("wrong", f"{what}: {differing} is not the same")
        elif odd.warns and not re.search(odd.warns, outcome.err):
            row.note("silent", f"{what}: no warning of it")
        return outcome


def different(wanted, found):
    """Name of something that is not the same; empty if all is."""
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            return name
    return ""


def open_up(folder):
    """Takes back what a umask or a trial took from us."""
    if os.geteuid() == 0 or not folder.exists():
        return
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | stat.S_IRWXU)


def give(root, folder):
    """Lets the user without rights come in, and own what is in the folder."""
    if os.geteuid() != 0:
        return
    root.chmod(0o755)
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def reachable_by_nobody(bench):
    """Why a user without rights could not start the programs; empty if it can, or if we are none other."""
    if os.geteuid() != 0:
        return ""
    for path in [bench.programs, bench.work]:
        for part in [path, *path.parents]:
            if part != bench.work and not part.stat().st_mode & stat.S_IXOTH:
                return f"{part} is closed to other users"
    return ""

