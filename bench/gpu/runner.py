"""Runs programs under time limits and keeps what they print in one log."""

import dataclasses
import os
import pathlib
import signal
import subprocess
import time

POLL_SECONDS = 0.02
# Between the request to end and the kill: torch_step.py prints the rows it has.
GRACE_SECONDS = 5.0
# What one program may add to the log; of more the middle is left out.
MOST_LOGGED = 1_000_000


@dataclasses.dataclass
class Job:
    """A program to run, and afterwards how it went."""

    name: str
    command: list
    limit: float = 1e9  # seconds
    env: dict = None  # on top of this process's
    stdout: pathlib.Path = None  # where figures go; None: with everything else
    output: pathlib.Path = None  # of everything else; chosen by the runner
    code: int = None  # exit code, negative for a signal; None: not begun
    seconds: float = 0.0
    stopped: str = ""  # why it was stopped, if it was

    def text(self):
        """What it printed, but for its figures."""
        return self.output.read_text(errors="replace") if self.output else ""

    def last_line(self):
        lines = [line.strip() for line in self.text().splitlines() if line.strip()]
        return lines[-1][:300] if lines else ""

    def trouble(self):
        """What went wrong in one line; empty if it ended with 0."""
        if self.code is None:
            return self.stopped or "not begun"
        if self.stopped:
            return self.stopped
        if self.code == 0:
            return ""
        how = (f"exit code {self.code}" if self.code > 0 else
               f"ended by {signal.Signals(-self.code).name}")
        return f"{how}: {self.last_line()}" if self.last_line() else how


def descendants(pid):
    """Processes begun by a process and by those, in whatever group."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in parentheses may hold anything.
            parent = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        more = children.get(todo.pop(), [])
        found += more
        todo += more
    return found


def signal_all(pids, which):
    for pid in pids:
        try:
            os.kill(pid, which)
        except ProcessLookupError:
            pass


def end(process):
    """Ends a process and all that it began: politely first."""
    family = {process.pid, *descendants(process.pid)}
    signal_all(family, signal.SIGTERM)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        family |= set(descendants(process.pid))
    # Those whose parent is gone already were known before.
    signal_all(family - {process.pid} if process.poll() is not None else family, signal.SIGKILL)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        pass  # It hangs in the driver, where no signal reaches it.


class Runner:
    """`deadline` (time.monotonic()) is the end of all work; nothing runs beyond it by more than the
    grace. `interrupted` is set by signals: then everything that runs is stopped."""

    def __init__(self, log, work, deadline):
        self.log_path = log
        self.work = work
        self.deadline = deadline
        self.interrupted = ""
        self.count = 0

    def left(self):
        """Seconds until the end, the grace taken off."""
        return 0.0 if self.interrupted else self.deadline - GRACE_SECONDS - time.monotonic()

    def log(self, text):
        with open(self.log_path, "a") as log:
            log.write(text if text.endswith("\n") else text + "\n")

    def run(self, job, limit=1e9):
        self.run_all([job], 1, limit)
        return job

    def run_all(self, jobs, at_once, limit=1e9):
        """Runs jobs, some at once, each under its own limit and all under one."""
        end_of_all = time.monotonic() + max(0.0, min(limit, self.left()))
        waiting, running = list(jobs), {}
        while waiting or running:
            now = time.monotonic()
            why = (f"stopped by {self.interrupted}" if self.interrupted else
                   "no time left" if now >= end_of_all else "")
            if why:
                for job in waiting:
                    job.stopped = why
                waiting = []
            while waiting and len(running) < at_once:
                job = waiting.pop(0)
                process = self.begin(job)
                if process:
                    running[job.name] = (job, process, time.monotonic())
            for name, (job, process, began) in list(running.items()):
                passed = time.monotonic() - began
                if process.poll() is None:
                    if not why and passed < job.limit:
                        continue
                    job.stopped = (why if self.interrupted else
                                   f"stopped after {passed:.0f} s")
                    end(process)
                job.code = -signal.SIGKILL if process.returncode is None else process.returncode
                job.seconds = time.monotonic() - began
                del running[name]
                self.log_job(job)
            time.sleep(POLL_SECONDS)

    def begin(self, job):
        self.count += 1
        job.output = self.work / f"output-{self.count}"
        with open(job.output, "wb") as output:
            stdout = open(job.stdout, "wb") if job.stdout else output
            try:
                # Of its own group, so that a signal to ours reaches it only through us.
                return subprocess.Popen([str(word) for word in job.command], stdin=subprocess.DEVNULL,
                                        stdout=stdout, stderr=output, preexec_fn=os.setpgrp,
                                        env=os.environ | (job.env or {}))
            except OSError as error:
                output.write(f"{job.command[0]}: {error.strerror}\n".encode())
                job.code = 127
            finally:
                if job.stdout:
                    stdout.close()
        self.log_job(job)
        return None

    def log_job(self, job):
        text = job.text()
        if len(text) > MOST_LOGGED:
            half = MOST_LOGGED // 2
            text = f"{text[:half]}\n[{len(text) - MOST_LOGGED} characters left out]\n{text[-half:]}"
        command = " ".join(str(word) for word in job.command)
        self.log(f"-- {job.name}: {command}\n{text}")
        self.log(f"-- {job.name}: {job.trouble() or 'ok'}, {job.seconds:.1f} s\n")
