#!/usr/bin/env python3
"""Reads the #include lines of the tree and fails on those that the design forbids.

Usage: include_check.py SOURCE_FOLDER

Allowed: experiments -> layers -> autograd -> kernels -> runtime, and experiments -> data -> kernels,
each also all that lies below; layers and data do not see each other; tests and bench see everything,
and nothing sees them.
Within a folder its rooms stand in one line (ROOMS): a room sees itself and those named before it.
Library headers of oneDNN and CUDA stay out of headers but kernels/library/onednn.h (headers of
device code are .cuh). The launch header alone may see the tests: their kernel emulator. No cycles.

X.cpp includes its own X.h first and a header begins with #pragma once, so that compiling X.cpp
shows that X.h compiles alone, and twice; headers.cmake compiles the headers that have no such
source. After the tree itself, faults planted in a copy must all be found.
"""

import pathlib
import re
import shutil
import sys
import tempfile

RUNTIME = {"runtime"}
KERNELS = RUNTIME | {"kernels"}
AUTOGRAD = KERNELS | {"autograd"}
EXPERIMENTS = AUTOGRAD | {"layers", "data", "experiments"}
MAY_SEE = {
    "runtime": RUNTIME,
    "kernels": KERNELS,
    "autograd": AUTOGRAD,
    "layers": AUTOGRAD | {"layers"},
    "data": KERNELS | {"data"},
    "experiments": EXPERIMENTS,
    "tests": EXPERIMENTS | {"tests", "bench"},
    "bench": EXPERIMENTS | {"bench"},
}
# The rooms of each folder, lowest first; "" is the folder itself.
ROOMS = {
    "runtime": ["", "communicator"],
    "kernels": ["common", "arrays", "blocked", "winograd", "library", "norm", "product", "coupling", "resample", "mixing",
                "pool", "image", "optimizer", "loss"],
    "layers": ["", "checkpoint", "models", "training"],
    "data": ["pictures", "archives", "sources", "batches", "sets", "variants", "corruptions"],
    "experiments": ["command_line", "measures", "trust", "planning", "report", "inspect", "recipe",
                    "training", "evaluation", "sampling", "explain", "classify", "attacks",
                    "robustness", "attack_study", "comparison", "pages", "datasets", "library", "python",
                    "programs", ""],
    "bench": ["support", "kernels", "steps", "memory", "loader", "libtorch"],
}
SUFFIXES = {".h", ".cpp", ".cu", ".cuh"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)
DEVICE_LIBRARY = re.compile(r"(oneapi/)?dnnl|cuda|cudnn|cublas|nccl|cub/|mma\.h")
MAY_NAME_LIBRARIES = {"kernels/library/onednn.h"}
EXEMPT = {("runtime/launch.cuh", "tests/emulator/cuda_emulator.h")}


def read_tree(root):
    """The includes of every source file, {path: [(is_quoted, target)]}, and the headers that do
    not begin with #pragma once."""
    tree, unguarded = {}, []
    for folder in MAY_SEE:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SUFFIXES:
                name, text = path.relative_to(root).as_posix(), path.read_text()
                tree[name] = [(q == '"', t) for q, t in INCLUDE.findall(text)]
                if path.suffix in {".h", ".cuh"} and not text.startswith("#pragma once\n"):
                    unguarded.append(name)
    return tree, unguarded


def room_of(path):
    """(folder, room) of a file: ("kernels", "loss"); ("autograd", "") where there are no rooms."""
    parts = path.split("/")
    return parts[0], "/".join(parts[1:-1])


def room_complaint(path, target):
    """What is wrong with an include between rooms of one folder, or None."""
    folder, room = room_of(path)
    other_folder, other = room_of(target)
    if folder != other_folder or folder not in ROOMS or room == other:
        return None
    line = ROOMS[folder]
    if other in line and room in line and line.index(other) < line.index(room):
        return None
    return f'{path}: includes "{target}", but {folder}/{room} may not see {folder}/{other}'


def find_cycle(tree):
    """The files of one circular inclusion, or an empty list."""
    done, trail = set(), []

    def visit(path):
        if path in trail:
            return trail[trail.index(path):] + [path]
        if path in done or path not in tree:
            return []
        trail.append(path)
        for quoted, target in tree[path]:
            cycle = visit(target) if quoted else []
            if cycle:
                return cycle
        done.add(trail.pop())
        return []

    for path in tree:
        cycle = visit(path)
        if cycle:
            return cycle
    return []


def complaints(root):
    tree, unguarded = read_tree(root)
    found = [f"{path}: does not begin with #pragma once" for path in unguarded]
    for path, includes in tree.items():
        folder, room = room_of(path)
        if room not in ROOMS.get(folder, [room]):
            found.append(f"{path}: {folder}/{room} is no room that include_check.py knows")
        own = path.removesuffix(".cpp") + ".h"
        if path.endswith(".cpp") and own in tree and (True, own) not in includes[:1]:
            found.append(f'{path}: does not include "{own}" first')
        for quoted, target in includes:
            other = target.split("/")[0]
            if quoted and target not in tree:
                found.append(f'{path}: "{target}" is no file of the tree; write FOLDER/FILE.h')
            elif quoted and other not in MAY_SEE[folder] and (path, target) not in EXEMPT:
                found.append(f'{path}: includes "{target}", but {folder} may not see {other}')
            elif quoted and room_complaint(path, target):
                found.append(room_complaint(path, target))
            is_library = not quoted and DEVICE_LIBRARY.match(target)
            if is_library and path.endswith(".h") and path not in MAY_NAME_LIBRARIES:
                found.append(f"{path}: includes <{target}> in a header")
    cycle = find_cycle(tree)
    if cycle:
        found.append("circular: " + " -> ".join(cycle))
    return tree, found


# (file, line to add, complaint that must follow); a line for the top is marked so.
TOP = "top: "
PLANTS = [
    ("runtime/tensor.h", '#include "kernels/library/gemm.h"', "runtime may not see kernels"),
    ("data/archives/idx.h", '#include "layers/training/optimizer.h"', "data may not see layers"),
    ("layers/training/optimizer.cpp", '#include "data/archives/idx.h"', "layers may not see data"),
    ("layers/training/optimizer.cpp", '#include "experiments/measures/metrics.h"', "layers may not see experiments"),
    ("experiments/measures/metrics.cpp", '#include "tests/support/numeric.h"', "may not see tests"),
    ("kernels/library/gemm.h", "#include <dnnl.hpp>", "<dnnl.hpp> in a header"),
    ("kernels/library/gemm.h", "  #  include <cuda_runtime.h>", "<cuda_runtime.h> in a header"),
    ("layers/training/optimizer.cpp", '#include "optimizer.h"', "no file of the tree"),
    ("runtime/memory.cu", '#include "tests/emulator/cuda_emulator.h"', "may not see tests"),
    ("runtime/shape.h", '#include "runtime/tensor.h"', "circular: "),
    ("kernels/common/packed_rows.h", '#include "kernels/arrays/reduce.h"', "may not see kernels/arrays"),
    ("kernels/library/conv.h", '#include "kernels/loss/softmax.h"', "may not see kernels/loss"),
    ("layers/subnet.h", '#include "layers/models/config.h"', "layers/ may not see layers/models"),
    ("layers/models/model.h", '#include "layers/training/optimizer.h"', "may not see layers/training"),
    ("data/sources/places.h", '#include "data/sets/digits.h"', "may not see data/sets"),
    ("experiments/report/text_table.cpp", '#include "experiments/training/train_loop.h"',
     "may not see experiments/training"),
    ("bench/support/stopwatch.h", '#include "bench/kernels/kernel_case.h"',
     "may not see bench/kernels"),
    ("data/attic/idle.h", "#pragma once", "data/attic is no room"),
    ("data/archives/idx.cpp", TOP + '#include "runtime/error.h"', "idx.h\" first"),
    ("runtime/shape.h", TOP + "int early();", "does not begin with #pragma once"),
]


def missed_plants(root):
    """Plants one fault at a time in a copy; those that go unnoticed."""
    missed = []
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(scratch)
        for folder in MAY_SEE:
            shutil.copytree(root / folder, copy / folder)
        for name, line, expected in PLANTS:
            path = copy / name
            before = path.read_text() if path.exists() else None
            path.parent.mkdir(exist_ok=True)
            if line.startswith(TOP):
                path.write_text(line.removeprefix(TOP) + "\n" + before)
            else:
                path.write_text((before or "") + line + "\n")
            if not any(expected in complaint for complaint in complaints(copy)[1]):
                missed.append(f"planted fault not found: {line} in {name}")
            if before is None:
                path.unlink()
            else:
                path.write_text(before)
    return missed


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: include_check.py SOURCE_FOLDER")
    root = pathlib.Path(sys.argv[1])
    tree, found = complaints(root)
    found += missed_plants(root)
    for line in found:
        print(line)
    print(f"{len(tree)} files, {len(PLANTS)} planted faults, {len(found)} complaints")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
