"""Runs programs under time limits and keeps what they print in one log."""

import ctypes
import dataclasses
import os
import pathlib
import signal
import subprocess
import time

POLL_SECONDS = 0.02
# Between the request to end and the kill: torch_step.py prints the rows it has.
GRACE_SECONDS = 5.0
# Bytes of what one program prints: in the log (of more the middle is left out), and before it is stopped.
MOST_LOGGED = 500_000
MOST_PRINTED = 64_000_000
# Bytes of the log; what is printed beyond is left out.
MOST_IN_LOG = 12_000_000
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


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
    fault: str = ""  # why it could not begin

    def text(self):
        """What it printed, but for its figures."""
        if not self.output or not self.output.exists():
            return ""
        with open(self.output, "rb") as output:
            return output.read(MOST_PRINTED).decode(errors="replace")

    def printed_too_much(self):
        try:
            return any(file.stat().st_size > MOST_PRINTED for file in (self.output, self.stdout) if file)
        except OSError:
            return False

    def last_line(self):
        lines = [line.strip() for line in self.text().splitlines() if line.strip()]
        return "".join(c if c.isprintable() else "?" for c in lines[-1][:300]) if lines else ""

    def trouble(self):
        """What went wrong in one line; empty if it ended with 0."""
        if self.code is None:
            return self.stopped or self.fault or "not begun"
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


def end(processes):
    """Ends processes and all that they began: politely first, all in the same grace."""
    families = {process: {process.pid, *descendants(process.pid)} for process in processes}
    for family in families.values():
        signal_all(family, signal.SIGTERM)
    # Not all may end: one that hangs in the driver is reached by no signal.
    wait_for(processes)
    # Those whose parent is gone already were known before; the number of one that ended may have
    # become a stranger's.
    for process, family in families.items():
        family |= set(descendants(process.pid))
    signal_all(set().union(*families.values()) & set(descendants(os.getpid())), signal.SIGKILL)
    wait_for(processes)


def wait_for(processes):
    """For the grace at most."""
    until = time.monotonic() + GRACE_SECONDS
    while any(process.poll() is None for process in processes) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)


def adopt_orphans():
    """From now on what a program leaves behind is a child of this process, in whatever group."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Runner:
    """`deadline` (time.monotonic()) is the end of all work; nothing runs beyond it by more than the
    grace. `interrupted` is set by signals: then everything that runs is stopped."""

    def __init__(self, log, work, deadline):
        self.log_path = log
        self.work = work
        self.deadline = deadline
        self.interrupted = ""
        self.count = 0
        adopt_orphans()

    def left(self):
        """Seconds until the end, the grace taken off."""
        return 0.0 if self.interrupted else self.deadline - GRACE_SECONDS - time.monotonic()

    def log(self, text):
        """A log that cannot be written takes no step along."""
        written = (text if text.endswith("\n") else text + "\n").encode(errors="replace")
        try:
            with open(self.log_path, "ab") as log:
                if log.tell() + len(written) > MOST_IN_LOG:
                    written = written[:500] + b"\n[left out: the log is full]\n"
                log.write(written)
        except OSError:
            pass

    def run(self, job, limit=1e9):
        self.run_all([job], 1, limit)
        return job

    def run_all(self, jobs, at_once, limit=1e9):
        """Runs jobs, some at once, each under its own limit and all under one."""
        end_of_all = time.monotonic() + max(0.0, min(limit, self.left()))
        waiting, running = list(jobs), {}
        while waiting or running:
            now = time.monotonic()
            interrupted = self.interrupted  # which may change at any time
            why = (f"stopped by {interrupted}" if interrupted else
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
            late = []
            for job, process, began in running.values():
                passed = time.monotonic() - began
                if process.poll() is None and (why or passed >= job.limit or job.printed_too_much()):
                    job.stopped = (why if interrupted else
                                   f"stopped: printed more than {MOST_PRINTED // 1_000_000} MB"
                                   if job.printed_too_much() else f"stopped after {passed:.0f} s")
                    late.append(process)
            if late:
                end(late)
            for name, (job, process, began) in list(running.items()):
                if process.poll() is None and process not in late:
                    continue
                job.code = -signal.SIGKILL if process.returncode is None else process.returncode
                job.seconds = time.monotonic() - began
                del running[name]
                self.log_job(job)
            time.sleep(POLL_SECONDS)
        # What they left behind must not hold the GPU while the next is timed.
        signal_all(descendants(os.getpid()), signal.SIGKILL)

    def begin(self, job):
        self.count += 1
        job.output = self.work / f"output-{self.count}"
        try:
            with open(job.output, "wb") as output, open(job.stdout or os.devnull, "wb") as figures:
                # Of its own group, so that a signal to ours reaches it only through us.
                return subprocess.Popen([str(word) for word in job.command], stdin=subprocess.DEVNULL,
                                        stdout=figures if job.stdout else output, stderr=output,
                                        preexec_fn=os.setpgrp, env=os.environ | (job.env or {}))
        except OSError as error:
            job.fault = f"{error.filename or job.command[0]}: {error.strerror}"
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
