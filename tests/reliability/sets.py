"""Small data sets on disk, of each kind that training reads: class folders, tar shards, IDX files."""
import shutil
import struct

import scenarios
import trial

KINDS = ("folder", "shards", "idx")
# What a run on each is told, beside its name.
OPTIONS = {
    "folder": [*scenarios.PICTURES[1:]],
    "shards": [*scenarios.PICTURES[1:]],
    "idx": [option for option in scenarios.TINY[2:]],
}


def make(bench, kind, folder):
    """The set as FOLDER/data."""
    data = folder / "data"
    if kind == "folder":
        shutil.copytree(bench.start / "pictures", data)
    elif kind == "shards":
        command = [bench.programs / "pal-data", "pack", bench.start / "pictures", "-o", data, "-q",
                   "--shards", "3"]
        outcome = trial.run(command, folder)
        if outcome.code != 0:
            raise RuntimeError(f"pal-data: {trial.last_line(outcome.err)}")
    else:
        data.mkdir()
        for part, count in (("train", 256), ("t10k", 32)):
            write_idx(data, part, count, 8)
    return data


def write_idx(data, part, count, side):
    """Stripes whose direction is the class, as MNIST's files."""
    labels = bytes(i % 4 for i in range(count))
    pixels = bytearray()
    for i in range(count):
        for y in range(side):
            pixels += bytes((x * (i % 2) + y * (i // 2 % 2) + i) % 4 * 60 for x in range(side))
    images = struct.pack(">4i", 0x803, count, side, side) + pixels
    (data / f"{part}-images-idx3-ubyte").write_bytes(images)
    (data / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, count) + labels)


def pictures(data):
    """Training pictures of class folders."""
    return sorted(data.glob("train/*/*"))


def shards(data):
    return sorted(data.glob("train-*.tar"))
