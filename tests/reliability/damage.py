"""Files of ours that lost their end, or one bit: checkpoints above all.

Such a file must never be taken for whole: pal-inspect, pal-evaluate and pal-train refuse it when it is
named, and a run that goes on by itself takes the checkpoint before, says so, and ends in the same bytes.
Places are spread over the whole file, one at random in each of equal steps."""
import random
import shutil
import time

import scenarios
import trial
from refusals import judge_refusal, judge_success
from table import Row

NEWEST = "run/checkpoints/step-50.safetensors"
FINAL = "checkpoints/final.safetensors"
# Seconds after which a folder of pictures counts as one that nobody writes to.
SETTLED = 3.0
ROBUST = "pal-robustness run --corruptions fog --severities 1 -n 16 --threads 1 -q -o robust".split()
ATTACK = "pal-attack run --attack ddn --steps 2 -n 4 -b 2 --threads 1 -q -o attacked".split()
# Files that one call keeps for another: what makes them, where they are, what reads them.
KEPT = {
    "calibration": ("pal-evaluate run --calibrate -q".split(), "run/calibration/*.safetensors",
                    "pal-classify run pictures/val -q".split()),
    "cell": (ROBUST, "robust/cells/*/fog-1.safetensors", ROBUST),
    "clean cell": (ROBUST, "robust/cells/*/clean.safetensors", ROBUST),
    "attacked batch": (ATTACK, "attacked/cells/*/*/batch-0000.safetensors", ATTACK),
}


def places(length, count):
    """A random place in each of `count` equal steps, the same ones each time."""
    chosen = random.Random(1)
    return [chosen.randrange(i * length // count, (i + 1) * length // count) for i in range(count)]


def damages(whole, count):
    """For each place the two kinds of damage, as (what was done, the bytes after it)."""
    bits = random.Random(2)
    for place in places(len(whole), count):
        bit = bits.randrange(8)
        flipped = bytearray(whole)
        flipped[place] ^= 1 << bit
        yield ((f"cut to {place} of {len(whole)} bytes", whole[:place]),
               (f"bit {bit} of byte {place} flipped", bytes(flipped)))


def whole_bytes(bench):
    return (bench.start / NEWEST).read_bytes()


def inspected(bench, count):
    row = Row("damage: seen", "one bit or the end of a checkpoint lost: pal-inspect says so with exit code 3")
    folder = bench.folder("damaged")
    for what, damaged in (one for both in damages(whole_bytes(bench), count) for one in both):
        (folder / "damaged.safetensors").write_bytes(damaged)
        outcome = trial.run([bench.programs / "pal-inspect", "damaged.safetensors"], folder)
        judge_refusal(row, outcome, f"pal-inspect: {what}", 3, ["damaged.safetensors"])
    row.figure = f"undetected {row.silent} of {row.trials}"
    return row


def judge_resumed(bench, row, what, folder):
    """After a run went on by itself beside a damaged checkpoint."""
    outcome = trial.run([bench.programs / "pal-train", "--resume", "auto", "-o", "run", "--quiet"], folder)
    if not judge_success(row, outcome, what):
        return
    warnings = [line for line in outcome.err.splitlines() if "warning: " in line and NEWEST in line]
    if not warnings:
        row.note("silent", f"{what}: no warning names {NEWEST}")
    if (folder / "run" / FINAL).read_bytes() != (bench.start / "whole" / FINAL).read_bytes():
        row.note("lost", f"{what}: the run ends in other weights")


def used(bench, count):
    """Programs that are given such a checkpoint."""
    row = Row("damage: refused", "train and evaluate refuse it; a resumed run takes the one before")
    folder = bench.work / "trial"
    for i, both in enumerate(damages(whole_bytes(bench), count)):
        what, damaged = both[i % 2]
        trial.fresh_copy(bench.start, folder)
        (folder / NEWEST).write_bytes(damaged)
        for program in (["pal-train", "--resume"], ["pal-evaluate", "-q"]):
            outcome = trial.run([bench.programs / program[0], *program[1:], NEWEST], folder)
            judge_refusal(row, outcome, f"{program[0]}: {what}", 3, [NEWEST])
        judge_resumed(bench, row, f"--resume auto: {what}", folder)
    return row


def other_files(bench, names, count):
    """What studies and calibrations leave for the next call."""
    row = Row("damage: other files", "calibrations, cells of studies: exit code 3 naming the file")
    start = bench.folder("kept")
    train = ["pal-train", *scenarios.TINY, "--validation", "112", "--epochs", "1", "-o", "run"]
    made = [train, *(KEPT[name][0] for name in names)]
    for program, *arguments in made:
        outcome = trial.run([bench.programs / program, *arguments], start)
        if outcome.code != 0:
            raise RuntimeError(f"{program}: {trial.last_line(outcome.err)}")
    shutil.copytree(bench.start / "pictures", start / "pictures")
    folder = bench.work / "trial"
    for name in names:
        _, pattern, (program, *arguments) = KEPT[name]
        kept = sorted(start.glob(pattern))[0].relative_to(start)
        for i, both in enumerate(damages((start / kept).read_bytes(), count)):
            what, damaged = both[i % 2]
            trial.fresh_copy(start, folder)
            (folder / kept).write_bytes(damaged)
            outcome = trial.run([bench.programs / program, *arguments], folder)
            judge_refusal(row, outcome, f"{name}: {what}", 3, [kept.name])
    row.figure = f"undetected {row.silent} of {row.trials}"
    return row


def index_cache(bench, count):
    """The index of a folder of pictures in the cache is made anew; nobody is to be troubled by it."""
    row = Row("damage: cache", "an index in the cache that is damaged is made anew, with the same result")
    folder = bench.folder("cached")
    (folder / "cache").mkdir()
    # Pictures that were made a moment ago are not kept yet.
    pictures = bench.start / "pictures"
    time.sleep(max(0.0, pictures.stat().st_ctime + SETTLED - time.time()))
    command = [bench.programs / "pal-train", pictures, *scenarios.PICTURES[1:], "--max-steps", "1",
               "--validate-every", "0", "--recalibrate-bn", "0", "-o", "run"]
    surroundings = trial.surroundings(XDG_CACHE_HOME=folder / "cache")

    def weights():
        shutil.rmtree(folder / "run", ignore_errors=True)
        outcome = trial.run(command, folder, surroundings)
        return (folder / "run" / FINAL).read_bytes() if judge_success(row, outcome, "train") else b""

    whole = weights()
    index = next(iter(sorted((folder / "cache").rglob("folder*"))), None)
    if index is None:
        row.skipped = "no index is kept in the cache"
        return row
    before = index.read_bytes()
    for i, both in enumerate(damages(before, count)):
        what, damaged = both[i % 2]
        index.write_bytes(damaged)
        if weights() != whole:
            row.note("silent", f"index in the cache: {what}: other weights")
        if index.read_bytes() != before:
            row.note("wrong", f"index in the cache: {what}: it stays as it is")
    return row


def part(bench):
    yield inspected(bench, bench.few(12, 500))
    yield used(bench, bench.few(3, 50))
    yield other_files(bench, bench.few(("cell",), KEPT), bench.few(2, 50))
    yield index_cache(bench, bench.few(2, 50))


def planted(bench):
    blind = bench.with_stand_in("pal-inspect", "exit 0")
    # Forgets the damaged checkpoint, as if it had never been.
    quiet = bench.with_stand_in("pal-train", f'[[ "$*" == *auto* ]] || exec "$real" "$@"\n'
                                             f'rm {NEWEST}; exec "$real" "$@" 2> /dev/null')
    # Trains on, with weights that are not those of the run.
    other = bench.with_stand_in("pal-train", '[[ "$*" == *auto* ]] || exec "$real" "$@"\n'
                                             '"$real" "$@" && cp run/checkpoints/{averaged,final}.safetensors')
    uncached = bench.with_stand_in("pal-train", '[ ! -e began ] || export XDG_CACHE_HOME=/nonexistent\n'
                                                'touch began; exec "$real" "$@"')
    any_number = bench.with_stand_in("pal-robustness", '"$real" "$@" 2> /dev/null || true; exit 0')
    return {"a pal-inspect that sees nothing": inspected(blind, 1),
            "a resume that does not warn": used(quiet, 1),
            "an index that stays damaged": index_cache(uncached, 1),
            "a study that takes any number": other_files(any_number, ("cell",), 1),
            "a resume that ends in other weights": used(other, 1)}
