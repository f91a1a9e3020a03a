"""Data races in the loader, in parallel loops and in a resumed run, by ThreadSanitizer: see
tests/threads.sh."""
import re
import shutil
import subprocess

from table import Row

PROMISE = "no data race"
DONE = re.compile(r"threads: (\w+): no report in (\d+) s")
RACES = re.compile(r"threads: error: (\w+): (\d+) reports in (\d+) s")
ENDED = re.compile(r"threads: error: (\w+): ended with (\d+)")


def rows_of(log):
    """The rows of what tests/threads.sh printed."""
    for line in log.splitlines():
        if match := DONE.fullmatch(line):
            yield Row(f"threads: {match[1]}", PROMISE, trials=1, seconds=float(match[2]))
        elif match := RACES.fullmatch(line):
            yield Row(f"threads: {match[1]}", PROMISE, trials=1, wrong=int(match[2]),
                      seconds=float(match[3]), examples=[f"wrong: {match[2]} reports"])
        elif match := ENDED.fullmatch(line):
            row = Row(f"threads: {match[1]}", PROMISE, trials=1)
            row.note("crashes", f"ended with {match[2]}")
            yield row


def is_built(bench):
    return (bench.source / "build/tsan/bin/pal-train").exists()


def run(bench, *parts):
    command = ["bash", str(bench.source / "tests/threads.sh"), *parts]
    done = subprocess.run(command, cwd=bench.source, stdin=subprocess.DEVNULL, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def skipped(bench):
    if shutil.which("clang++") is None:
        return "no clang"
    if bench.quick:
        return "run by tests/nightly.sh threads"
    return ""


def part(bench):
    if why := skipped(bench):
        yield Row("threads", "", skipped=why)
        return
    code, log = run(bench, *(["--built"] if is_built(bench) else []))
    if code == 77:
        yield Row("threads", "", skipped="no libarcher.so beside clang")
        return
    rows = list(rows_of(log))
    yield from rows
    if not rows or code != 0 and not any(row.broken for row in rows):
        failed = Row("threads", PROMISE, trials=1)
        failed.note("wrong", f"tests/threads.sh ended with {code}: {log.strip().splitlines()[-1:]}")
        yield failed


def planted(bench):
    if why := skipped(bench):
        return {"a race": Row("threads", "", skipped=why)}
    code, log = run(bench, "--built", "planted")
    if code == 77:
        return {"a race": Row("threads", "", skipped="no libarcher.so beside clang")}
    return {"a race": next(rows_of(log), Row("threads", PROMISE))}
