"""One step of a part: what it may use, and what it leaves behind."""

import dataclasses
import shlex
import shutil
import time
import typing

import machine
import suites
from runner import Job

# A step that has less time left than this is not begun.
LEAST_SECONDS = 5
# What the reason of an entry names.
MOST_REASONS = 4


@dataclasses.dataclass
class Step:
    name: str
    limit: int  # seconds
    run: typing.Callable  # takes a Call
    arguments: str = ""  # of the step's program, after those that it must have


class Skipped(Exception):
    """The step cannot run on this machine."""


class Failed(Exception):
    """The step broke and has nothing more to do."""


class Call:
    """`figures` is what a step found out; what went wrong in it is noted."""

    def __init__(self, step, runner, programs, capability, done, arguments=None, limit=None):
        self.step = step
        self.runner = runner
        self.programs = programs
        self.capability = capability
        self.done = done  # entries of this part's earlier steps by name
        self.arguments = shlex.split(step.arguments if arguments is None else arguments)
        self.limit = step.limit if limit is None else limit
        self.figures = None
        self.troubles = []  # (what, whether it was only stopped)
        self.begin = time.monotonic()

    def left(self):
        return min(self.limit - (time.monotonic() - self.begin), self.runner.left())

    def program(self, name):
        if not self.programs:
            raise Skipped("no programs start here")
        path = self.programs.path(name)
        if not path:
            raise Skipped(f"{name} is not among the programs")
        return path

    def need(self, tool):
        if not shutil.which(tool):
            raise Skipped(f"{tool} not found")

    def skip(self, reason):
        raise Skipped(reason)

    def share_of_processors(self):
        return max(1, machine.processors() // suites.at_once())

    def run(self, job):
        """Runs a job of our programs in what is left of the step's time."""
        job.env = (self.programs.env if self.programs else {}) | (job.env or {})
        return self.runner.run(job, self.left())

    def run_all(self, jobs):
        for job in jobs:
            job.env = self.programs.env | (job.env or {})
        self.runner.run_all(jobs, suites.at_once(), self.left())

    def run_python(self, name, script, *arguments):
        """Runs a script by the Python that has PyTorch; skips the step where there is none."""
        job = self.runner.run(Job(name, [machine.python(), script, *arguments]), self.left())
        if job.code == 77:
            raise Skipped(job.last_line() or "no PyTorch")
        return job

    def file(self, name):
        return self.runner.work / f"{self.step.name}-{name}"

    def note(self, trouble, stopped=False):
        self.troubles.append((trouble, stopped))

    def judge(self, jobs):
        """Notes what went wrong in jobs."""
        for job in jobs:
            if job.trouble():
                self.note(f"{job.name}: {job.trouble()}", bool(job.stopped))

    def expect_ok(self, job):
        self.judge([job])
        if job.trouble():
            raise Failed

    def execute(self):
        """Runs the step. Returns its entry of the results."""
        status = ""
        try:
            if self.runner.interrupted:
                raise Skipped(f"stopped by {self.runner.interrupted}")
            if self.runner.left() < LEAST_SECONDS:
                raise Skipped("no time left")
            self.step.run(self)
        except Skipped as reason:
            status = "skipped"
            self.troubles = [(str(reason), False)]
        except Failed:
            pass
        except Exception as error:  # Of the step's reader: the other steps must not suffer.
            self.note(f"internal: {type(error).__name__}: {error}")
        if not status:
            status = ("ok" if not self.troubles else
                      "stopped" if all(stopped for _, stopped in self.troubles) else "failed")
        more = len(self.troubles) - MOST_REASONS
        entry = {"status": status, "seconds": round(time.monotonic() - self.begin, 1),
                 "reason": "; ".join([trouble for trouble, _ in self.troubles[:MOST_REASONS]] +
                                     ([f"and {more} more"] if more > 0 else [])),
                 "arguments": shlex.join(self.arguments)}
        return entry if self.figures is None else entry | {"figures": self.figures}
