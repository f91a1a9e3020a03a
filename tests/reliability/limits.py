"""Limits of a process: processors, threads, descriptors, addresses, stack, control groups.

Within a limit a program works, with the same bytes where the number of threads is the same, or ends with
exit code 4 and one line. It never dies by it."""
import os
import resource

import trial
from beside import (ALL, CLASSIFY, EVALUATE, PICTURES, TRAIN, Beside, Odd, Watched, reachable_by_nobody,
                    with_option)
from table import Row

MIB = 1 << 20


def capped(kind, value):
    """A limit that the program starts under."""
    return {"preexec_fn": lambda: resource.setrlimit(kind, (value, value))}


def by_itself(watched):
    """The same, which chooses its number of threads by itself."""
    at = watched.arguments.index("--threads")
    arguments = watched.arguments[:at] + watched.arguments[at + 2:]
    return Watched(watched.name, arguments, watched.files, watched.needs)


def one_core_row(beside):
    row = Row("surroundings: one core", "chooses one thread; same bytes as with --threads 1")
    core = min(os.sched_getaffinity(0))
    odd = Odd("one core", popen={"preexec_fn": lambda: os.sched_setaffinity(0, {core})})
    for watched in ALL:
        beside.judge(row, by_itself(watched), odd, same_as=watched)
    return row


def many_threads_row(beside):
    """Asked for ten thousand, it takes four for each processor and says so."""
    row = Row("surroundings: 10,000 threads",
              "capped with a warning; answers as with one, training as at the cap")
    most = 4 * len(os.sched_getaffinity(0))
    many = Odd("--threads 10000", warns=f"10000 capped at {most}")
    # Few steps: so many threads wait for each other.
    short = Watched(TRAIN.name, [*TRAIN.arguments, "--max-steps", "2"], TRAIN.files, TRAIN.needs)
    beside.judge(row, with_option(short, "--threads", "10000"), many,
                 same_as=with_option(short, "--threads", str(most)))
    for watched in (EVALUATE, CLASSIFY)[beside.bench.few(1, 0):]:
        beside.judge(row, with_option(watched, "--threads", "10000"), many, same_as=watched)
    return row


def processes_row(beside):
    """A user who may start no more processes; threads count as such."""
    row = Row("surroundings: RLIMIT_NPROC", "works, or exit 4 with one line")
    if os.geteuid() != 0:
        row.skipped = "no root, and processes of this user are counted too"
        return row
    if why := reachable_by_nobody(beside.bench):
        row.skipped = why
        return row
    four = with_option(PICTURES, "--threads", "4")
    four.arguments[four.arguments.index("--workers") + 1] = "4"
    for most in (1, 2, 4, 6, 8, 20)[:beside.bench.few(2, None)]:
        odd = Odd(f"{most} processes", popen=capped(resource.RLIMIT_NPROC, most), nobody=True, may_refuse=True)
        beside.judge(row, four, odd)
        beside.judge(row, by_itself(CLASSIFY), odd, same_as=CLASSIFY)
    return row


def descriptors_row(beside):
    row = Row("surroundings: few descriptors", "works with 32; below, works or exit 4 with one line")
    workers = with_option(PICTURES, "--workers", "4")
    for most in (32, 16, 10, 8, 7, 6, 5, 4)[:beside.bench.few(2, None)]:
        odd = Odd(f"{most} descriptors", popen=capped(resource.RLIMIT_NOFILE, most), may_refuse=most < 32)
        beside.judge(row, workers, odd)
        beside.judge(row, CLASSIFY, odd)
    return row


def starts_under(beside, watched, popen):
    """Whether the system's loader can start the program at all; what it says is not ours."""
    program = beside.bench.programs / watched.arguments[0]
    return trial.run([program, "--version"], "/", **popen).code in (0, 4)


def limited_row(beside, part, kind, sizes, unit, choices):
    """Rows of a limit that may be too low: the least size with which each program works is the figure."""
    row = Row(part, "works, or exit 4 with one line, wherever the program starts at all")
    least = {}
    for size in sizes:
        popen = capped(kind, size)
        for watched in choices:
            if not starts_under(beside, watched, popen):
                continue
            odd = Odd(f"{size // unit[0]} {unit[1]}", popen=popen, may_refuse=True)
            broken = row.broken
            outcome = beside.judge(row, watched, odd)
            if outcome.code == 0 and row.broken == broken:
                least.setdefault(watched.name, odd.what)
    row.figure = "works from " + ", ".join(f"{size} ({name})" for name, size in least.items())
    return row


def addresses_row(beside):
    sizes = (40, 64, 96, 128, 256, 384, 511, 512, 576, 640, 768, 1024)
    few = (128, 512)
    threads = with_option(TRAIN, "--threads", "4")
    threads.name = "train with 4 threads"
    workers = with_option(PICTURES, "--workers", "4")
    choices = (TRAIN,) if beside.bench.quick else (TRAIN, threads, workers, EVALUATE, CLASSIFY)
    return limited_row(beside, "surroundings: RLIMIT_AS", resource.RLIMIT_AS,
                       [size * MIB for size in beside.bench.few(few, sizes)], (MIB, "MiB"), choices)


def stack_row(beside):
    sizes = (32, 512, 64, 128, 256, 1024, 8192)
    four = with_option(TRAIN, "--threads", "4")
    four.name = "train with 4 threads"
    return limited_row(beside, "surroundings: RLIMIT_STACK", resource.RLIMIT_STACK,
                       [size << 10 for size in sizes[:beside.bench.few(2, None)]], (1 << 10, "KiB"),
                       (TRAIN,) if beside.bench.quick else (TRAIN, four, EVALUATE, CLASSIFY))


def rows(beside: Beside):
    yield one_core_row(beside)
    yield many_threads_row(beside)
    yield processes_row(beside)
    yield descriptors_row(beside)
    yield addresses_row(beside)
    yield stack_row(beside)
