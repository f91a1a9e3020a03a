"""What a hostile file may cost at most: seconds of processor time and memory, by kind of file.

Each kind has one promise, beside what the smallest good file of it costs: so many MiB, and so many times
the file's size. Files are made by hostile_pictures.py and
hostile_files.py, and read as people read them. They may be accepted or refused; never may they crash a
program, or let it run on.

`python3 costs.py FOLDER_OF_PROGRAMS` prints the measured table as Markdown."""
import functools
import os
import pathlib
import sys
import tempfile
from dataclasses import dataclass, field

import hostile_files as files
import hostile_pictures as pictures
import scenarios
import table
import trial
from measured import cost_of
from table import Row

MIB = 1 << 20
ADDRESSES = 3 << 30  # that a program may use; more than any promise
LONGEST = 60.0       # seconds by the clock
HOLE = 1 << 30       # of files that are mostly a hole


@dataclass
class Kind:
    name: str
    suffix: str
    small: object     # makes the smallest good file
    command: list     # that reads it; FILE stands for its path
    seconds: float    # promised, of processor time
    mebibytes: int    # promised, beyond the smallest file's
    times: float      # promised, of the file's bytes, beyond that
    cases: dict = field(default_factory=dict)  # what is hostile -> what makes it
    per_mebibyte: float = 0.0                  # promised seconds, of the file's MiB

    def most_bytes(self, size):
        return self.mebibytes * MIB + self.times * size

    def most_seconds(self, size):
        return self.seconds + self.per_mebibyte * size / MIB


INSPECT = ["pal-inspect", "FILE"]
PLAN = ["pal-train", *scenarios.TINY, "--dry-run"]
PICTURES = ["pal-train", *scenarios.PICTURES, "--dry-run"]
# A small file with a hole behind it is large without taking any disk.
hole = object()


def good_tensors():
    return files.safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4))


def numbered(pattern, count):
    return b"".join(pattern % i for i in range(count))


ERRORS = b"corruption,error\nclean,0.1\n"


def call(function, *arguments):
    return functools.partial(function, *arguments)


TENSORS = {"3,000 nested objects": call(files.nested, 3000),
           "a header of 200,000 tensors": call(files.many_tensors, 200_000),
           "a hole of 1 GiB behind it": hole,
           "a shape of 1,000,000 extents": call(files.long_shape, 1_000_000),
           "1,000,000 nested objects": call(files.nested, 1_000_000),
           "a header of 400,000 notes": call(files.many_notes, 400_000)}
TOML = {"a key of 500,000 parts": lambda: b"a" + b".a" * 500_000 + b" = 1\n",
        "lists nested 400,000 deep": lambda: b"epochs = " + b"[" * 400_000 + b"]" * 400_000,
        "a hole of 1 GiB behind it": hole,
        "a section of 500,000 parts": lambda: b"[a" + b".a" * 500_000 + b"]\nb = 1\n",
        "tables nested 200,000 deep": lambda: b"a = " + b"{a=" * 200_000 + b"1" + b"}" * 200_000,
        "80,000 keys": call(numbered, b"k%d = 1\n", 80_000)}

KINDS = [
    Kind("PNG", ".png", call(pictures.png, 8, 8), INSPECT, 20, 700, 2, {
        "20,000 x 20,000 zeros": call(pictures.png, 20_000, 20_000, 1, 0),
        "a text that unpacks to 256 MiB": call(pictures.png_with_text, 256 * MIB),
        "a hole of 1 GiB behind it": hole,
        "10,000 x 10,000 zeros, 8 bytes each": call(pictures.png, 10_000, 10_000, 16, 6)}),
    Kind("JPEG", ".jpg", call(pictures.jpeg, 8, 8, 3), INSPECT, 20, 900, 2, {
        "800 scans of 1,000 x 1,000": call(pictures.jpeg, 1000, 1000, 800),
        "a hole of 1 GiB behind it": hole,
        "500 scans of 1,788 x 1,788": call(pictures.jpeg, 1788, 1788, 500),
        "16 scans of 10,000 x 10,000 in colour": call(pictures.jpeg, 10_000, 10_000, 16, 3),
        "800 scans of 10,000 x 10,000": call(pictures.jpeg, 10_000, 10_000, 800)}),
    Kind("JPEG, to classify", ".jpg", call(pictures.jpeg, 8, 8, 3),
         ["pal-classify", "seen", "FILE", "-q", "--threads", "1"], 20, 900, 2, {
             "500 scans of 1,788 x 1,788": call(pictures.jpeg, 1788, 1788, 500),
             "16 scans of 10,000 x 10,000 in colour": call(pictures.jpeg, 10_000, 10_000, 16, 3)}),
    Kind("IDX", "-idx3-ubyte", lambda: pictures.idx(1, 8, 8) + bytes(64), INSPECT, 2, 16, 2, {
        "promises 2^40 values": lambda: pictures.idx(1 << 20, 1024, 1024) + bytes(64),
        "a hole of 1 GiB behind it": hole}, 0.1),
    Kind("IDX, packed", "-idx3-ubyte.gz", call(pictures.idx_packed, 0), INSPECT, 2, 16, 1600, {
        "zeros that unpack to 16 MiB": call(pictures.idx_packed, 16),
        "zeros that unpack to 256 MiB": call(pictures.idx_packed, 256)}, 20),
    Kind("safetensors", ".safetensors", good_tensors, INSPECT, 2, 16, 24, TENSORS, 0.6),
    Kind("calibration", ".safetensors", good_tensors,
         ["pal-classify", "seen", "pictures/val/class 0/0.JPEG", "-q", "--threads", "1", "--calibration",
          "FILE"], 2, 16, 24, TENSORS, 0.6),
    Kind(".pt", ".pt", call(files.one_tensor, 1, [1], [1]), INSPECT, 3, 32, 64, {
        "a tensor of stride 0": call(files.one_tensor, 1, [1 << 20, 1 << 20], [0, 0]),
        "lists nested 100,000 deep": call(files.deep_lists, 100_000),
        "a hole of 1 GiB behind it": hole,
        "20,000 tensors of one storage of 4 MiB": call(files.shared_storage, 20_000, MIB),
        "lists nested 1,000,000 deep": call(files.deep_lists, 1_000_000),
        "1,000,000 objects": call(files.many_objects, 1_000_000),
        "a place in the memo beyond 2,000,000,000": files.far_memo,
        "a text that claims 2^60 bytes": files.long_text,
        "an object doubled 200 times": call(files.doubled, 200),
        "a packed storage of 256 MiB": lambda: files.torch_file(
            files.pickled(files.text_of(b"a") + files.tensor(1 << 26, [1 << 26], [1])), bytes(1 << 28), 8),
        "60,000 entries": call(files.torch_file, files.pickled(b""), bytes(4), 0, 60_000)}),
    Kind("tar", ".tar", call(files.tiny_members, 1), INSPECT, 2, 16, 2, {
        "a member of 4 EiB": files.lying_size,
        "20,000 hard links, each to the one before": call(files.link_chain, 20_000),
        "a hole of 1 GiB behind it": hole,
        "a sparse member of 8 GiB": call(files.sparse_member, (1 << 33) - 1),
        "500 headers of 64 KiB before a member": call(files.pax_chain, 500),
        "a label nested 500,000 deep": call(files.label, b'{"label":' + b"[" * 500_000),
        "50,000 samples without a byte": call(files.tiny_members, 50_000)}, 0.1),
    Kind("TOML, configuration", ".toml", lambda: b"epochs = 1\n", [*PLAN, "--config", "FILE"], 2, 32, 8, TOML),
    Kind("TOML, suite", ".toml", lambda: b"", ["pal-ood", "whole", "-q", "--threads", "1", "--suite", "FILE"],
         2, 32, 8, TOML),
    Kind("class list", ".txt", lambda: b"one\ntwo\n", [*PICTURES, "--class-names", "FILE"], 2, 32, 48, {
        "lists nested 400,000 deep": lambda: b"[" * 400_000 + b"]" * 400_000,
        "a hole of 1 GiB behind it": hole,
        "500,000 names": call(numbered, b"%d\n", 500_000),
        "an object of 300,000 names": lambda: b"{" + numbered(b'"%d":["a","b"],', 300_000) + b'"a":["a","b"]}',
        "5,000,000 empty names": lambda: b"[" + b'"",' * 5_000_000 + b'""]'}, 2),
    Kind("reference CSV", ".csv", lambda: ERRORS + b"fog,0.5\n",
         ["pal-robustness", "whole", "--corruptions", "fog", "-n", "8", "-q", "--threads", "1",
          "--mce-reference", "FILE"], 3, 32, 48, {
             "300,000 rows of one name": lambda: ERRORS + b"fog,0.5\n" * 300_000,
             "a hole of 1 GiB behind it": hole,
             "300,000 rows": lambda: ERRORS + numbered(b"fog%d,0.5\n", 300_000) + b"fog,0.5\n",
             "a row of 1,000,000 cells": lambda: ERRORS + b"fog" + b"," * 1_000_000,
             "a number of 1,000,000 digits": lambda: ERRORS + b"fog,0." + b"3" * 1_000_000}, 2),
]


@dataclass
class Measured:
    kind: Kind
    what: str
    size: int
    seconds: float
    peak: int  # beyond the smallest file's
    answer: str


def read(bench, kind, made, with_hole=False):
    """Writes the file and reads it by the kind's program; returns its size and what that cost."""
    folder = bench.folder(f"hostile-{len(list(bench.work.glob('hostile-*')))}")
    path = folder / f"file{kind.suffix}"
    path.write_bytes(made)
    if with_hole:
        os.truncate(path, HOLE)
    command = [bench.programs / kind.command[0], *(str(path) if a == "FILE" else a for a in kind.command[1:])]
    size = path.stat().st_size
    cost = cost_of(command, bench.start, folder / "report", ADDRESSES, LONGEST)
    path.unlink()
    return size, cost


def answer_of(code):
    return f"exit {code}" if code >= 0 else f"dies by signal {-code}"


def measure(bench, kind, row, most=None):
    """Reads the hostile files of a kind; counts broken promises in the row, and yields what each cost."""
    small = read(bench, kind, kind.small())[1]
    for what, make in list(kind.cases.items())[:most]:
        size, cost = read(bench, kind, kind.small() if make is hole else make(), make is hole)
        row.trials += 1
        name = f"{kind.name}, {what}"
        found = Measured(kind, what, size, cost.seconds, max(0, cost.peak - small.peak),
                         answer_of(cost.outcome.code))
        if trial.judge_end(row, cost.outcome, name):
            if cost.outcome.code not in (0, 2, 3):
                row.note("wrong", f"{name}: exit code {cost.outcome.code}: {trial.last_line(cost.outcome.err)}")
            if found.peak > kind.most_bytes(size):
                promised = kind.most_bytes(size) / MIB
                row.note("wrong", f"{name}: {found.peak / MIB:.0f} MiB, promised {promised:.0f}")
            if found.seconds > kind.most_seconds(size):
                row.note("wrong", f"{name}: {found.seconds:.1f} s, promised {kind.most_seconds(size):.1f}")
        yield found


def row_of(bench, kind, most=None):
    row = Row(f"costs: {kind.name}", promise(kind))
    found = list(measure(bench, kind, row, most))
    seconds, peak = max(f.seconds for f in found), max(f.peak for f in found)
    row.figure = (f"at most {seconds:.1f} s, {peak / MIB:.0f} MiB; "
                  f"promised {promise(kind)}")
    return row, found


def promise(kind):
    seconds = f"{kind.seconds:g} s" + (f" and {kind.per_mebibyte:g} s a MiB" if kind.per_mebibyte else "")
    return f"{seconds}; {kind.mebibytes} MiB and {kind.times:g} times the file"


def markdown(found):
    """Tables for people: what a kind may cost and the most that it did; then each hostile file."""
    lines = ["| kind | at most | MiB at most | hostile files | most seconds, by | most MiB, by |",
             "|---|---|---|---:|---|---|"]
    for kind in KINDS:
        mine = [f for f in found if f.kind is kind]
        if mine:
            slow, large = max(mine, key=lambda f: f.seconds), max(mine, key=lambda f: f.peak)
            seconds, mebibytes = promise(kind).split("; ")
            lines.append(f"| {kind.name} | {seconds} | {mebibytes} | {len(mine)} | "
                         f"{slow.seconds:.2f}, {slow.what} | {large.peak / MIB:.1f}, {large.what} |")
    lines += ["", "| kind | hostile file | bytes | seconds | MiB | answer |",
              "|---|---|---:|---:|---:|---|"]
    for f in found:
        lines.append(f"| {f.kind.name} | {f.what} | {f.size:,} | {f.seconds:.2f} | {f.peak / MIB:.1f} | "
                     f"{f.answer} |")
    return "\n".join(lines)


def part(bench):
    for kind in KINDS:
        yield row_of(bench, kind, bench.few(1, None))[0]


def planted(bench):
    """Inspectors that take much memory, much time, or die."""
    def seen(body):
        other = bench.with_stand_in("pal-inspect",
                                    f'[ $(stat -c %b "$1") -lt 16 ] || {body}\nexec "$real" "$@"')
        kind = Kind("planted", ".safetensors", good_tensors, INSPECT, 0.4, 16, 1,
                    {"many tensors": call(files.many_tensors, 1000)})
        return row_of(other, kind)[0]
    return {"much memory": seen("python3 -c 'b = bytearray(2**27); b[::4096] = b\"x\" * len(b[::4096])'"),
            "much time": seen("python3 -c 'for i in range(2 * 10**7): pass'"),
            "a crash": seen("kill -SEGV $$")}


def main():
    from bench import Bench
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(sys.argv[1], pathlib.Path(__file__).parents[2], False, pathlib.Path(folder))
        made = [row_of(bench, kind) for kind in KINDS]
    print(table.text([row for row, _ in made]), file=sys.stderr)
    print(markdown([f for _, found in made for f in found]))


if __name__ == "__main__":
    main()
