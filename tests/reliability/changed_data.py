"""Runs that go on after their data changed: refused, unless --allow-data-change says that it is meant.

A folder is known by the names in it: other pixels under the same name are not noticed, as no training wants to
read all pictures, or ask for the size of each, before it begins."""
import shutil

import sets
import trial
from refusals import judge_refusal, judge_success
from table import Row


def swap(one, other):
    """Each gets the content of the other: names and sizes of the whole stay."""
    one_bytes, other_bytes = one.read_bytes(), other.read_bytes()
    one.write_bytes(other_bytes)
    other.write_bytes(one_bytes)


def set_byte(path, at, change):
    data = bytearray(path.read_bytes())
    data[at] ^= change
    path.write_bytes(data)


def add_class(data):
    for part in ("train", "val"):
        shutil.copytree(data / part / "class 0", data / part / "other")


def repack(data, bench, edit):
    """Packs the pictures again after edit(folder of pictures)."""
    folder = data.parent / "again"
    shutil.copytree(bench.start / "pictures", folder)
    edit(folder)
    shutil.rmtree(data)
    trial.run([bench.programs / "pal-data", "pack", folder, "-o", data, "-q", "--shards", "3"], data.parent)


def drop_one(data):
    sets.pictures(data)[0].unlink()


# kind of set, what is done, how; whether the change may be allowed
CHANGES = [
    ("folder", "a picture removed", lambda data, bench: drop_one(data), True),
    ("folder", "a picture renamed",
     lambda data, bench: sets.pictures(data)[0].rename(sets.pictures(data)[0].with_name("zzz.JPEG")), True),
    ("folder", "a picture in another class",
     lambda data, bench: sets.pictures(data)[0].rename(data / "train/class 1/zzz.JPEG"), True),
    ("folder", "a validation picture removed",
     lambda data, bench: next(iter(sorted(data.glob("val/*/*")))).unlink(), True),
    ("folder", "a class more", lambda data, bench: add_class(data), False),
    ("shards", "a picture removed", lambda data, bench: repack(data, bench, drop_one), True),
    ("shards", "a picture altered",
     lambda data, bench: repack(data, bench, lambda folder: swap(*sets.pictures(folder)[:2])), True),
    ("shards", "a shard removed", lambda data, bench: sets.shards(data)[0].unlink(), True),
    ("idx", "a pixel altered", lambda data, bench: set_byte(data / "train-images-idx3-ubyte", 100, 1), True),
    ("idx", "a label altered", lambda data, bench: set_byte(data / "train-labels-idx1-ubyte", 10, 1), True),
]


def stopped_run(bench, kind):
    """A folder with the set and a run on it that was stopped; the run's bytes are not to be written to."""
    folder = bench.folder(f"changed_{kind}")
    sets.make(bench, kind, folder)
    command = [bench.programs / "pal-train", "data", *sets.OPTIONS[kind], "--epochs", "4", "--max-steps", "4",
               "-o", "run"]
    outcome = trial.run(command, folder)
    if outcome.code != 0:
        raise RuntimeError(f"pal-train on {kind}: {trial.last_line(outcome.err)}")
    return folder


def changed(bench, changes, kinds=sets.KINDS):
    row = Row("changed data", "data that changed since the stop: exit code 2, unless --allow-data-change")
    for kind in kinds:
        start = stopped_run(bench, kind)
        folder = bench.work / "changed"
        trial.fresh_copy(start, folder)
        # Elsewhere, by another name, it is the same set.
        (folder / "data").rename(folder / "moved")
        command = [bench.programs / "pal-train", "moved", "--resume", "run", "--max-steps", "6", "--quiet"]
        judge_success(row, trial.run(command, folder), f"{kind}: the same data elsewhere")
        command[1] = "data"
        for other_kind, what, change, may_be_allowed in changes:
            if other_kind != kind:
                continue
            trial.fresh_copy(start, folder)
            change(folder / "data", bench)
            judge_refusal(row, trial.run(command, folder), f"{kind}: {what}", 2, ["--resume: "])
            if may_be_allowed:
                outcome = trial.run([*command, "--allow-data-change"], folder)
                judge_success(row, outcome, f"{kind}: {what}, allowed")
    return row


def part(bench):
    yield changed(bench, CHANGES[::2] if bench.quick else CHANGES)


def planted(bench):
    willing = bench.with_stand_in("pal-train", '[[ "$*" == *--resume* ]] || exec "$real" "$@"\n'
                                               'exec "$real" "$@" --allow-data-change')
    return {"a run that takes other data": changed(willing, CHANGES[:1], ("folder",))}
