#!/usr/bin/env python3
"""Reads the #include lines of the tree and fails on those that the design forbids.

Usage: include_check.py SOURCE_FOLDER

Allowed: experiments -> layers, data -> autograd -> kernels -> runtime, each also all that lies
below; layers and data do not see each other; tests and bench see everything, and nothing sees them.
Library headers of oneDNN and CUDA stay out of headers but kernels/library/onednn.h (headers of device code
are .cuh). The launch header alone may see the tests: their kernel emulator. No cycles. After the
tree itself, faults planted in a copy must all be found.
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
    "data": AUTOGRAD | {"data"},
    "experiments": EXPERIMENTS,
    "tests": EXPERIMENTS | {"tests", "bench"},
    "bench": EXPERIMENTS | {"bench"},
}
SUFFIXES = {".h", ".cpp", ".cu", ".cuh"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)
DEVICE_LIBRARY = re.compile(r"(oneapi/)?dnnl|cuda|cudnn|cublas|nccl|cub/|mma\.h")
MAY_NAME_LIBRARIES = {"kernels/library/onednn.h"}
EXEMPT = {("runtime/launch.cuh", "tests/emulator/cuda_emulator.h")}


def read_tree(root):
    """The includes of every source file: {path: [(is_quoted, target)]}."""
    tree = {}
    for folder in MAY_SEE:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SUFFIXES:
                found = INCLUDE.findall(path.read_text())
                tree[path.relative_to(root).as_posix()] = [(q == '"', t) for q, t in found]
    return tree


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
    tree = read_tree(root)
    found = []
    for path, includes in tree.items():
        folder = path.split("/")[0]
        for quoted, target in includes:
            other = target.split("/")[0]
            if quoted and target not in tree:
                found.append(f'{path}: "{target}" is no file of the tree; write FOLDER/FILE.h')
            elif quoted and other not in MAY_SEE[folder] and (path, target) not in EXEMPT:
                found.append(f'{path}: includes "{target}", but {folder} may not see {other}')
            is_library = not quoted and DEVICE_LIBRARY.match(target)
            if is_library and path.endswith(".h") and path not in MAY_NAME_LIBRARIES:
                found.append(f"{path}: includes <{target}> in a header")
    cycle = find_cycle(tree)
    if cycle:
        found.append("circular: " + " -> ".join(cycle))
    return tree, found


PLANTS = [
    ("runtime/tensor.h", '#include "kernels/library/gemm.h"', "runtime may not see kernels"),
    ("data/archives/idx.h", '#include "layers/training/sgd.h"', "data may not see layers"),
    ("layers/training/sgd.cpp", '#include "data/archives/idx.h"', "layers may not see data"),
    ("layers/training/sgd.cpp", '#include "experiments/measures/metrics.h"', "layers may not see experiments"),
    ("experiments/measures/metrics.cpp", '#include "tests/support/numeric.h"', "may not see tests"),
    ("kernels/library/gemm.h", "#include <dnnl.hpp>", "<dnnl.hpp> in a header"),
    ("kernels/library/gemm.h", "  #  include <cuda_runtime.h>", "<cuda_runtime.h> in a header"),
    ("layers/training/sgd.cpp", '#include "sgd.h"', "no file of the tree"),
    ("runtime/memory.cu", '#include "tests/emulator/cuda_emulator.h"', "may not see tests"),
    ("runtime/shape.h", '#include "runtime/tensor.h"', "circular: "),
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
            before = path.read_text()
            path.write_text(before + line + "\n")
            if not any(expected in complaint for complaint in complaints(copy)[1]):
                missed.append(f"planted fault not found: {line} in {name}")
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
