"""The long-lived programs that bench/steps/step.py times in turns: step_worker and torch_step.

Each reads a JSON object per line from stdin and answers with one on stdout (bench/README.md).
"""

import json
import os
import subprocess


class WorkerError(RuntimeError):
    """A worker refused a command or ended."""


class Worker:
    """One process. `label` names it in tables and messages."""

    def __init__(self, label, command):
        self.label = label
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            text=True)
        except OSError as error:
            raise WorkerError(f"{label}: {command[0]} does not start: {error.strerror}") from error

    def ask(self, cmd, **fields):
        """The answer to a command, a dict. Raises WorkerError for a refusal."""
        try:
            self.process.stdin.write(json.dumps({"cmd": cmd} | fields) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"{self.label}: ended during {cmd} "
                              f"(exit code {self.process.wait(10)})")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.label}: {cmd}: {answer['error']}")
        return answer

    def close(self):
        try:
            self.process.stdin.write('{"cmd":"quit"}\n')
            self.process.stdin.close()
        except (BrokenPipeError, ValueError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def is_program(path):
    return os.path.isfile(path) and os.access(path, os.X_OK)


def relative(a, b):
    """Difference of two numbers in terms of the larger."""
    return abs(a - b) / max(abs(a), abs(b), 1e-30)
