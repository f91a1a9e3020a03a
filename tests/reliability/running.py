"""A program in the background, to do something to it while it runs."""
import json
import os
import signal
import subprocess
import tempfile
import time

import trial


class Running:
    """Runs a command; kills it and its children at the end of a `with`, if they are still there."""

    def __init__(self, argv, cwd, out=subprocess.DEVNULL, env=None, **more):
        self.began = time.monotonic()
        self.said = tempfile.TemporaryFile()
        self.process = subprocess.Popen([str(a) for a in argv], cwd=cwd, env=env or trial.surroundings(),
                                        stdin=subprocess.DEVNULL, stdout=out, stderr=self.said,
                                        start_new_session=True, **more)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.said.close()

    def send(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def wait_for(self, condition, limit=60.0):
        """Until condition(); whether that came while it ran."""
        stop = time.monotonic() + limit
        while self.process.poll() is None and time.monotonic() < stop:
            if condition():
                return True
            time.sleep(0.005)
        return False

    def wait_for_steps(self, folder, steps):
        """Until so many steps are in the metrics of a run folder."""
        return self.wait_for(lambda: last_step(folder) >= steps)

    def end(self, limit=60.0):
        """What became of it: its end, or none within so many seconds."""
        began = time.monotonic()
        timed_out = False
        try:
            self.process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            timed_out = True
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()
        self.said.seek(0)
        err = self.said.read().decode("utf-8", "replace")
        return trial.Outcome(self.process.returncode, time.monotonic() - began, err, timed_out)


def train_rows(folder):
    """The steps in the metrics of a run folder; a last line that is not whole counts as none."""
    try:
        lines = (folder / "metrics.jsonl").read_text().split("\n")[:-1]
    except FileNotFoundError:
        return []
    rows = [json.loads(line) for line in lines]
    return [row for row in rows if row["kind"] == "train"]


def steps_of(folder):
    return [row["step"] for row in train_rows(folder)]


def last_step(folder):
    return max(steps_of(folder), default=0)


def newest_checkpoint(folder):
    """Step of the newest checkpoint of a run folder, 0 if there is none."""
    files = (folder / "checkpoints").glob("step-*.safetensors")
    return max((int(path.stem.removeprefix("step-")) for path in files), default=0)
