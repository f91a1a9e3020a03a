"""A run of a program with what it cost: seconds of processor time and the most memory it was resident in.

The program is started by this file as a process of its own: what a process was resident in before it
became the program counts as its own, so that must be little. Imports nothing else of this folder at that
end."""
import os
import resource
import sys
from dataclasses import dataclass


def launch(report, address_space, command):
    """Runs the command under the limit (0: none); writes 'CODE SECONDS BYTES' to the report."""
    pid = os.fork()
    if pid == 0:
        if address_space:
            resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
        try:
            os.execvp(command[0], command)
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", file=sys.stderr)
            os._exit(127)
    _, status, used = os.wait4(pid, 0)
    with open(report, "w") as file:
        seconds = used.ru_utime + used.ru_stime
        file.write(f"{os.waitstatus_to_exitcode(status)} {seconds} {used.ru_maxrss * 1024}")


@dataclass
class Cost:
    outcome: object  # a trial.Outcome
    seconds: float   # of processor time
    peak: int        # bytes


def cost_of(argv, cwd, report, address_space=0, limit=60.0, **more):
    """Runs a program to its end, or to the limit of seconds."""
    import trial
    report.unlink(missing_ok=True)
    launcher = [sys.executable, "-I", "-S", __file__, report, address_space]
    outcome = trial.run([*launcher, *argv], cwd, limit=limit, **more)
    if not report.exists():
        return Cost(outcome, outcome.seconds, 0)
    code, seconds, peak = report.read_text().split()
    outcome.code = int(code)
    return Cost(outcome, float(seconds), int(peak))


if __name__ == "__main__":
    launch(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
