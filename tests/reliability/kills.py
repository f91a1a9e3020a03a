"""kill -9 at random moments, also while a run goes on after a kill.

A tiny run that saves often is killed again and again, at moments between its start and a little after its
end. After each kill every checkpoint must be whole, and the newest no older than before; after some kills
in a row `--resume auto` must end in the files of a run that nothing stopped."""
import concurrent.futures
import random
import re
import shutil
import signal

import scenarios
import trial
import whole
from table import Row

RUN = [*scenarios.TINY, "--epochs", "4", "--checkpoint-every", "5", "--validate-every", "2", "--opt", "adamw",
       "--ema", "0.99", "--resume", "auto", "-o", "run"]
WORKERS = 2
MOST_IN_A_ROW = 5


class Reference:
    """The run without a kill: its files, and how long it took."""

    def __init__(self, programs, work):
        shutil.rmtree(work / "reference", ignore_errors=True)
        (work / "reference").mkdir()
        outcome = trial.run([programs / "pal-train", *RUN], work / "reference")
        if outcome.code != 0:
            raise RuntimeError(f"kills: {trial.last_line(outcome.err)}")
        self.seconds = outcome.seconds
        self.files = scenarios.files(work / "reference")


def newest_step(files):
    steps = [int(found[1]) for name in files if (found := re.fullmatch(r".*/step-(\d+)\.safetensors", name))]
    return max(steps, default=0)


def read_if_there(path):
    return path.read_bytes() if path.exists() else b""


class Killer:
    """One folder of a run that is killed; what it finds goes into a row."""

    def __init__(self, programs, reference, folder, row, limit=60.0):
        self.programs, self.reference, self.folder, self.row, self.limit = (
            programs, reference, folder, row, limit)
        self.inspector = whole.Inspector(programs)
        self.newest = 0
        self.seconds = reference.seconds  # of a whole run, as far as known
        self.half_lines = 0

    def run(self, limit):
        return trial.run([self.programs / "pal-train", *RUN], self.folder, limit=limit)

    def moment(self, choice):
        """A random moment of what is left of the run, or a little after its end."""
        left = 1 - self.newest / newest_step(self.reference.files)
        return choice.uniform(0, 1.05 * self.seconds * (0.2 + 0.8 * left))

    def kill(self, moment, what):
        """Whether there was something to kill."""
        outcome = self.run(moment)
        killed = outcome.code == -signal.SIGKILL
        if not killed and outcome.code != 0:
            self.row.note("lost", f"{what}: exit code {outcome.code}: {trial.last_line(outcome.err)}")
            return False
        self.look(what)
        # Where others use the machine too, the length of a run changes.
        self.seconds *= 1.05 if killed else 0.8
        self.row.trials += killed
        return killed

    def look(self, what):
        """What a kill left."""
        files = scenarios.files(self.folder)
        for name, content in files.items():
            if content.startswith(b"-> "):
                if not (self.folder / name).exists():
                    self.row.note("wrong", f"{what}: {name} points to nothing")
            elif name.endswith(".safetensors"):
                if problem := self.inspector.problem(self.folder / name, content):
                    self.row.note("lost", f"{what}: {problem}")
            elif problem := whole.problem(name, content, torn_end=True):
                self.row.note("wrong", f"{what}: {name}: {problem}")
        newest = newest_step(files)
        if newest < self.newest:
            self.row.note("lost", f"{what}: step {self.newest} is gone, the newest is {newest}")
        self.newest = newest
        self.half_lines += bool(whole.problem("metrics.jsonl", read_if_there(self.folder / "run/metrics.jsonl")))

    def finish(self, what):
        """Without a kill: the files of the reference."""
        outcome = self.run(self.limit)
        if not trial.judge_end(self.row, outcome, what):
            return
        if outcome.code != 0:
            self.row.note("lost", f"{what}: exit code {outcome.code}: {trial.last_line(outcome.err)}")
            return
        there = scenarios.files(self.folder)
        for name, content in self.reference.files.items():
            if there.get(name) != content and not scenarios.HISTORY.search(name):
                kind = "lost" if name.endswith(".safetensors") else "wrong"
                self.row.note(kind, f"{what}: {name} is not that of a run without a kill")
        for name in sorted(there.keys() - self.reference.files.keys()):
            self.row.note("wrong", f"{what}: {name} is left")
        if left := trial.leftovers(self.folder):
            self.row.note("wrong", f"{what}: {left[0]} is left")


def killed_runs(killer, count, seed):
    """So many kills, a few in a row; returns the number of runs that were finished."""
    choice = random.Random(seed)
    rounds = attempts = 0
    while killer.row.trials < count and attempts < 10 * count:
        shutil.rmtree(killer.folder, ignore_errors=True)
        killer.folder.mkdir()
        killer.newest = 0
        rounds += 1
        for i in range(min(choice.randint(1, MOST_IN_A_ROW), count - killer.row.trials)):
            attempts += 1
            moment = killer.moment(choice)
            if not killer.kill(moment, f"kill {i + 1} in a row, at {moment:.3f} s"):
                break
        killer.finish(f"run {rounds}, after {i + 1} kills")
    return rounds


def part(bench):
    row = Row("random kills", "kill -9 at any moment: nothing lost, the same files in the end")
    reference = Reference(bench.programs, bench.work)
    killers = [Killer(bench.programs, reference, bench.work / f"killed{i}", Row("", ""))
               for i in range(WORKERS)]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        rounds = list(pool.map(killed_runs, killers, [bench.few(4, 500)] * WORKERS, range(WORKERS)))
    for killer in killers:
        row.add(killer.row)
    row.figure = (f"lost 0 of {row.trials}; " if not row.lost else "") + (
        f"{sum(rounds)} runs finished after 1 to {MOST_IN_A_ROW} kills, "
        f"{sum(k.half_lines for k in killers)} half lines cut")
    yield row


# What a stand-in does before it is killed, and the column that must count it.
PLANTED = {
    "a torn checkpoint": ("truncate -s -1 run/checkpoints/final.safetensors", "lost"),
    "a checkpoint that is gone": ("rm run/checkpoints/step-*", "lost"),
    "a link to nothing": ("ln -sfn step-999.safetensors run/checkpoints/last", "wrong"),
    "a torn row of metrics": ("sed -i '3s/.$//' run/metrics.jsonl", "wrong"),
    "metrics twice": ('row=$(tail -n 1 run/metrics.jsonl); echo "$row" >>run/metrics.jsonl', "wrong"),
    "other weights": ("cp run/checkpoints/{best-nll,final}.safetensors", "lost"),
    "a run that hangs": ("echo sleep 60 >$PWD.then", "hangs"),
    "a run that cannot go on": ("echo exit 3 >$PWD.then", "lost"),
}


def planted(bench):
    reference = Reference(bench.programs, bench.work)
    seen = {}
    for fault, (body, column) in PLANTED.items():
        # The second time, where it is asked to finish, it is the real one, if it was not told otherwise.
        other = bench.with_stand_in("pal-train", f"""
            if [ -e $PWD.then ]; then . $PWD.then; exec $real "$@"; fi
            touch $PWD.then
            {body}
            kill -9 $$""")
        folder = bench.work / "planted"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(bench.work / "reference", folder, symlinks=True)
        (bench.work / "planted.then").unlink(missing_ok=True)
        row = Row(fault, "")
        killer = Killer(other.programs, reference, folder, row, limit=1 if column == "hangs" else 60)
        killer.newest = newest_step(reference.files)
        killer.kill(60, fault)
        killer.finish(fault)
        seen[fault] = row if getattr(row, column) else Row(fault, "")
    return seen
