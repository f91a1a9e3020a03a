"""One run of a program, and what became of it."""
import os
import pathlib
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass

# Exit codes that a program may end with by itself (README.md of experiments).
KNOWN_CODES = {0, 2, 3, 4, 5, 6, 130, 143}


@dataclass
class Outcome:
    code: int  # below 0: killed by that signal
    seconds: float
    err: str
    timed_out: bool

    @property
    def warned(self):
        return "warning: " in self.err

    def errors(self):
        return [line for line in self.err.splitlines() if ": error: " in line]


def surroundings(**more):
    """Environment variables without data sets, caches and settings from outside."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PALINDROME_")}
    kept |= {"OMP_WAIT_POLICY": "passive", "XDG_CACHE_HOME": "/dev/null/none"}
    return kept | {k: str(v) for k, v in more.items()}


def run(argv, cwd, env=None, limit=60.0, out=subprocess.DEVNULL, **more):
    """Runs a command to its end, or to the limit of seconds."""
    began = time.monotonic()
    process = subprocess.Popen([str(a) for a in argv], cwd=cwd, env=env or surroundings(),
                               stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE,
                               start_new_session=True, **more)
    timed_out = False
    try:
        err = process.communicate(timeout=limit)[1]
    except subprocess.TimeoutExpired:
        timed_out = True
        os.killpg(process.pid, signal.SIGKILL)
        err = process.communicate()[1]
    return Outcome(process.returncode, time.monotonic() - began,
                   err.decode("utf-8", "replace"), timed_out)


def judge_end(row, outcome, what, killed=False):
    """Counts hangs and crashes; whether the run ended as one may."""
    if outcome.timed_out:
        row.note("hangs", f"{what}: no end after {outcome.seconds:.0f} s")
        return False
    # strace passes the signal on, a shell would make it 137.
    if killed and outcome.code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return True
    if outcome.code not in KNOWN_CODES or "internal: " in outcome.err:
        row.note("crashes", f"{what}: exit code {outcome.code}: {last_line(outcome.err)}")
        return False
    if outcome.code in (2, 3, 4, 5, 6) and len(outcome.errors()) != 1:
        row.note("wrong", f"{what}: {len(outcome.errors())} error lines with exit code {outcome.code}")
    return True


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no line"


def fresh_copy(source, target):
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)


def contents(folder, names):
    """Bytes by file name of the files that there are; names may be patterns."""
    found = {}
    for name in names:
        for path in sorted(pathlib.Path(folder).glob(name)):
            if path.is_file():
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def leftovers(folder):
    """Temporary files that were left."""
    return [str(p.relative_to(folder)) for p in pathlib.Path(folder).rglob("*.tmp-pal*")]
