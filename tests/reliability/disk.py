"""Places that cannot be written to: a full disk, a limit on the size of files, a folder of others, a
folder that is a file, a run that another process works on.

The program must end with exit code 4 and a line that names the path; what was there before must stay;
and with nothing in the way the same command must then do what it would have done."""
import os
import re
import resource
import signal

import mounts
import scenarios
import trial
from asked import writers
from refusals import judge_refusal, judge_success
from running import Running, last_step
from table import Row

DISK = 64 << 20
LONG = [*scenarios.TINY, "--epochs", "2000", "--checkpoint-every", "100000", "-o", "run"]
QUICK = ("train", "resume", "evaluate")
# An answer to a question that a program asks before it begins: an old file, or no place for a new one.
SECONDS_TO_REFUSE = 2.0


def judge_failed(row, asked, what, outcome, reason):
    """A program that could not write must say where and why, and spoil nothing."""
    judge_refusal(row, outcome, what, 4, [reason])
    said = "\n".join(outcome.errors())
    if outcome.code == 4 and not re.search(r": error: [^:]*[\w/.]", said):
        row.note("wrong", f"{what}: names no path: {said}")
    if outcome.code == 4 and "/step-" in said and reason == "" and not re.search(
            r"needs \d+ bytes, \d+ are free", said):
        row.note("wrong", f"{what}: does not say what it needs and what is free: {said}")
    asked.judge_files(row, what)


def full_disk(bench, names, sizes):
    """Each program with a disk on which so many bytes are free; sizes are shares of its biggest file."""
    row = Row("disk: full", "exit code 4 naming path and bytes; the files before stay; later all is made")
    folder = bench.folder("small")
    with mounts.small_disk(folder, DISK) as there:
        if not there:
            row.skipped = "needs root and mount"
            return row
        for asked in writers(bench, names, folder / "trial"):
            for share in sizes:
                free = int(asked.biggest * share)
                what = f"{asked.name} with {free} bytes free"
                asked.fresh()
                filler = mounts.leave_free(folder, free)
                judge_failed(row, asked, what, asked.run(), "")
                filler.unlink()
                asked.judge_again(row, what)
    return row


def size_limit(programs, shares):
    """Each program with a limit on the size of files, as a share of its biggest file."""
    row = Row("disk: size limit", "RLIMIT_FSIZE ends in exit code 4, not in SIGXFSZ; the files before stay")
    for asked in programs:
        for share in shares:
            most = int(asked.biggest * share)
            what = f"{asked.name} with files of at most {most} bytes"
            asked.fresh()
            outcome = asked.run(preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY)))
            judge_failed(row, asked, what, outcome, "File too large")
            asked.judge_again(row, what)
    return row


def judge_soon(row, what, outcome):
    if outcome.code != 0 and outcome.seconds > SECONDS_TO_REFUSE:
        row.note("wrong", f"{what}: refused after {outcome.seconds:.1f} s")


def foreign_folder(bench, programs):
    """Each program as a user who may not write into the folder that it runs in."""
    row = Row("disk: read-only", "a folder of others, or a read-only one: exit code 4 naming it, at once")
    is_root = os.geteuid() == 0
    if is_root and not mounts.nobody_can_run([bench.programs / "pal-info", "--version"], bench.work):
        row.skipped = "no other user may run the programs"
        return row
    slowest = 0.0
    for asked in programs:
        asked.fresh()
        what = f"{asked.name} in a folder of another user"
        with mounts.unwritable(asked.folder):
            outcome = asked.run(preexec_fn=mounts.as_nobody if is_root else None)
        judge_failed(row, asked, what, outcome, "Permission denied")
        if asked.command[0].name == "pal-train":
            slowest = max(slowest, outcome.seconds)
            judge_soon(row, what, outcome)
        asked.judge_again(row, what)
        asked.fresh()
        with mounts.read_only(asked.folder) as there:
            if there:
                what = f"{asked.name} in a folder that is read-only"
                judge_failed(row, asked, what, asked.run(), "Read-only file system")
    row.figure = f"exit code 4 naming the folder; slowest refusal to train {slowest:.1f} s"
    return row


def taken_names(programs):
    """A file where a folder should be made, and a folder where a file should."""
    row = Row("disk: taken names", "an output folder that is a file, or the reverse: refused, and left alone")
    for asked in programs:
        if "-o" not in asked.arguments:
            continue
        name = asked.arguments[asked.arguments.index("-o") + 1]
        asked.fresh()
        place = asked.folder / name
        if place.exists():
            continue
        as_folder = name in asked.after
        if as_folder:
            place.mkdir()
        else:
            place.write_text("mine\n")
        outcome = asked.run()
        judge_refusal(row, outcome, f"{asked.name}: {name} is taken", 2 if outcome.code == 2 else 4, [name])
        kept = (place.is_dir() and not any(place.iterdir()) if as_folder
                else place.is_file() and place.read_text() == "mine\n")
        if not kept:
            row.note("lost", f"{asked.name}: {name} was there, and was changed")
    return row


def two_runs(bench):
    """A second process for a run folder, and another one after the first was killed."""
    row = Row("disk: two runs", "the second exits 4 naming the process; no lock outlives its owner")
    folder = bench.folder("busy")
    train = bench.programs / "pal-train"
    on = [train, "--resume", "run", "--max-steps"]
    outcome = trial.run([train, *LONG, "--max-steps", "5"], folder)
    with Running([*on, "1000000", "--checkpoint-every", "1"], folder) as first:
        first.wait_for_steps(folder / "run", 10)
        for arguments in ([*on, "100"], [train, *LONG, "--resume", "auto"]):
            outcome = trial.run(arguments, folder)
            judge_refusal(row, outcome, "a second run", 4, [f"in use by pid {first.pid}"])
            judge_soon(row, "a second run", outcome)
        first.send(signal.SIGKILL)
        first.end()
    outcome = trial.run([*on, str(last_step(folder / "run") + 5)], folder)
    judge_success(row, outcome, "after kill -9 of the first")
    return row


def part(bench):
    names = QUICK if bench.quick else None
    yield full_disk(bench, names, bench.few((0.5,), (0, 0.2, 0.5, 0.9)))
    programs = writers(bench, names)
    yield size_limit(programs, bench.few((0.5,), (0, 0.2, 0.5, 0.9)))
    yield foreign_folder(bench, programs)
    yield taken_names(programs)
    yield two_runs(bench)


def planted(bench):
    def stand_in(body):
        return bench.with_stand_in("pal-train", body)

    silent = stand_in('"$real" "$@" 2>/dev/null || true; exit 0')
    careless = stand_in('"$real" "$@" && exit; code=$?\n'
                        'for i in */checkpoints/step-*; do : > $i; done; exit $code')
    dies = stand_in('trap - XFSZ; "$real" "$@" && exit; kill -XFSZ $$')
    spoils = stand_in('"$real" "$@"; code=$?; rm -f new; exit $code')
    return {"a full disk in silence": full_disk(silent, ("resume",), (0.5,)),
            "a full disk that costs a checkpoint": full_disk(careless, ("resume",), (0.5,)),
            "an end by SIGXFSZ": size_limit(writers(dies, ("train",)), (0.5,)),
            "a read-only folder in silence": foreign_folder(silent, writers(silent, ("train",))),
            "a file that is removed": taken_names(writers(spoils, ("train",))),
            "a second run that nobody minds": two_runs(stand_in('"$real" "$@"; exit 0'))}
