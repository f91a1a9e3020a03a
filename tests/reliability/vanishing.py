"""Data that vanish, shrink or turn into something else while a run trains on them.

The run must end with exit code 3 and name the file, or with --bad-images skip leave it out and list it;
what it had read before counts as read. It must never die of SIGBUS, nor wait for a pipe."""
import os
import threading

import sets
import trial
from running import Running, newest_checkpoint
from table import Row

ERROR = ["--bad-images", "error"]
SKIP = ["--bad-images", "skip", "--bad-images-max", "0.6"]
# Steps before the data change, and in all; with epochs of five steps everything is met again.
BEFORE, STEPS = 5, 40
LIMIT = 60.0


def remove(path):
    path.unlink()


def shrink(path):
    os.truncate(path, 10)


def halve(path):
    os.truncate(path, path.stat().st_size // 2)


def as_folder(path):
    path.unlink()
    path.mkdir()


def as_pipe(path):
    path.unlink()
    os.mkfifo(path)


def as_loop(path):
    path.unlink()
    path.symlink_to(path.name)


WAYS = {"vanish": remove, "shrink to 10 bytes": shrink, "lose their half": halve, "become folders": as_folder,
        "become pipes": as_pipe, "become links to themselves": as_loop}
# Which files of a set: every third picture, a shard, the file of training pixels.
CHOSEN = {"folder": lambda data: sets.pictures(data)[::3],
          "shards": lambda data: sets.shards(data)[:1],
          "idx": lambda data: [data / "train-images-idx3-ubyte"]}


def command(bench, kind, *more):
    return [bench.programs / "pal-train", "data", *sets.OPTIONS[kind], "--epochs", "100", "--validation",
            "16", "--max-steps", str(STEPS), "--checkpoint-every", "2", *more, "-o", "run"]


def undisturbed(bench, kind):
    """Bytes of the weights of a run whose data stay."""
    folder = bench.folder("vanishing")
    sets.make(bench, kind, folder)
    outcome = trial.run(command(bench, kind), folder, limit=LIMIT)
    if outcome.code != 0:
        raise RuntimeError(f"pal-train on {kind}: {trial.last_line(outcome.err)}")
    return (folder / "run/checkpoints/final.safetensors").read_bytes()


def listed(folder):
    """Lines of the list of pictures that were left out."""
    try:
        return (folder / "run/bad_images.txt").read_text().splitlines()
    except FileNotFoundError:
        return []


def disturbed(bench, row, kind, what, options, whole):
    """One run whose files are changed after a few steps."""
    row.trials += 1
    folder = bench.folder("vanishing")
    data = sets.make(bench, kind, folder)
    chosen = CHOSEN[kind](data)
    with Running(command(bench, kind, *options), folder) as run:
        if not run.wait_for_steps(folder / "run", BEFORE):
            row.note("wrong", f"{kind}: {what}: it ended before: {trial.last_line(run.end().err)}")
            return
        for path in chosen:
            WAYS[what](path)
        outcome = run.end(LIMIT)
    judge(bench, row, f"{kind}: {len(chosen)} files {what}, {' '.join(options)}", outcome, folder, chosen,
          whole, options is SKIP)


def judge(bench, row, what, outcome, folder, chosen, whole, may_skip):
    if not trial.judge_end(row, outcome, what):
        return
    names = [str(path.relative_to(folder)) for path in chosen]
    if outcome.code == 3:
        if not any(name in line for line in outcome.errors() for name in names):
            row.note("wrong", f"{what}: the file is not named: {trial.last_line(outcome.err)}")
        if may_skip and len(chosen) > 1:
            row.note("wrong", f"{what}: not left out: {trial.last_line(outcome.err)}")
    elif outcome.code == 0 and listed(folder):
        lines = listed(folder)
        if not may_skip or not all(any(name in line for name in names) for line in lines):
            row.note("wrong", f"{what}: left out: {lines[0]}")
        if f"warning: {len(lines)} picture" not in outcome.err:
            row.note("silent", f"{what}: {len(lines)} pictures left out, and no warning counts them")
    elif outcome.code == 0:
        # All was in memory before.
        if (folder / "run/checkpoints/final.safetensors").read_bytes() != whole:
            row.note("silent", f"{what}: other weights without a word")
    else:
        row.note("wrong", f"{what}: exit code {outcome.code}: {trial.last_line(outcome.err)}")
    newest = f"run/checkpoints/step-{newest_checkpoint(folder / 'run')}.safetensors"
    if trial.run([bench.programs / "pal-inspect", newest], folder).code != 0:
        row.note("lost", f"{what}: {newest} is not whole")


def flickering(bench, seconds_left=LIMIT):
    """Pictures that are cut short and whole again, all the time."""
    row = Row("vanishing: flickering", "pictures that other processes rewrite: no crash, nor a hang")
    row.trials = 1
    folder = bench.folder("vanishing")
    data = sets.make(bench, "folder", folder)
    contents = {path: path.read_bytes() for path in sets.pictures(data)}
    stop = threading.Event()

    def rewrite():
        while not stop.is_set():
            for path, content in contents.items():
                os.truncate(path, 10)
                path.write_bytes(content)

    with Running(command(bench, "folder", "--bad-images", "skip", "--bad-images-max", "1"), folder) as run:
        writer = threading.Thread(target=rewrite)
        run.wait_for_steps(folder / "run", 2)
        writer.start()
        outcome = run.end(seconds_left)
        stop.set()
        writer.join()
    if trial.judge_end(row, outcome, "flickering pictures") and outcome.code not in (0, 3):
        row.note("wrong", f"flickering pictures: exit code {outcome.code}: {trial.last_line(outcome.err)}")
    row.figure = f"{len(listed(folder))} of {len(contents)} pictures met while they were cut"
    return row


def row_of(bench, kind, ways, choices=(ERROR, SKIP)):
    row = Row(f"vanishing: {kind}", "files that vanish or shrink: exit code 3 naming them, or skipped")
    whole = undisturbed(bench, kind)
    for what in ways:
        for options in choices if kind != "idx" else choices[:1]:
            disturbed(bench, row, kind, what, options, whole)
    return row


def part(bench):
    ways = list(WAYS)
    for i, kind in enumerate(sets.KINDS):
        yield row_of(bench, kind, ways[i:i + 1] if bench.quick else ways)
    yield flickering(bench)


def planted(bench):
    def stand_in(body):
        return bench.with_stand_in("pal-train", body)

    # Dies of SIGBUS, as a reader of mapped files does; says nothing; waits for the pipe.
    dies = stand_in('"$real" "$@" || kill -BUS $$')
    silent = stand_in('"$real" "$@" 2> /dev/null || cp run/checkpoints/{step-4,final}.safetensors; exit 0')
    found = {"a run that dies of SIGBUS": row_of(dies, "folder", ["vanish"], (ERROR,)),
             "a run that says nothing": row_of(silent, "folder", ["vanish"], (ERROR,))}
    waits = stand_in('"$real" "$@"; sleep 1000')
    found["a run that waits for ever"] = flickering(waits, 2.0)
    return found
