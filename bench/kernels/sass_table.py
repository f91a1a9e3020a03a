#!/usr/bin/env python3
"""What nvcc makes of every CUDA kernel, read from the machine code: no GPU is needed.

    bench/kernels/sass_table.py [--arch sm_90] [--jobs N] [--csv FILE] [--check] [FILE.cu...]
    bench/kernels/sass_table.py --compare BEFORE.csv AFTER.csv

Compiles each .cu file of kernels/ and runtime/ (or those named) once, as the build does, and writes a
row per kernel to stdout or FILE. Needs nvcc, its ptxas and NVIDIA's nvdisasm 13 or newer; the latter
is looked for on PATH, beside nvcc and among Python's packages (pip install nvidia-cuda-nvdisasm). With
--check no table is written but every kernel must be sound (below). --compare prints the kernels that
differ. Columns:

    registers, shared, stack, spills   of a thread; static bytes of a block; bytes; bytes
    threads                            of a block at most, by __launch_bounds__
    blocks, occupancy                  that fit on a multiprocessor, and the percentage of its threads,
                                       without shared memory that the launch asks for
    instructions, loop                 of the whole kernel, and of its longest innermost loop
    loads, stores                      instructions that access global memory, BITS:COUNT
    local, split                       accesses to local memory; stores that were taken apart

A sound kernel has no stack, no spills, no access to local memory, and no vector store that was taken
apart. The compiler may split a 16-byte store (or a bf16 kernel's 8-byte one) into scalar ones, which a
warp then writes with gaps: several times as many sectors. What is left of it in the machine code is a
run: three or more stores of one width of at most 32 bits, in the same straight piece of code and under
the same predicate, whose addresses are one unchanged register with offsets that follow each other. As
kernels for single values may write a few neighbours, too, a run counts only in a kernel that elsewhere
loads or stores as many bytes at once. A loop over the last single elements in such a kernel looks the
same if it is unrolled, which it should not be. A pair that was split in two is not seen.

Exit codes: 1 an unsound kernel, 2 usage, 3 a file that does not compile, 77 a tool is missing.
"""

import argparse
import collections
import concurrent.futures
import csv
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Those of cmake/CompilerSettings.cmake that change code.
FLAGS = ["-std=c++20", "-O3", "-DNDEBUG", "-DPAL_CUDA", "-DFMT_USE_CONSTEXPR=1",
         "--expt-relaxed-constexpr"]
COLUMNS = ["file", "kernel", "registers", "shared", "stack", "spills", "threads", "blocks",
           "occupancy", "instructions", "loop", "loads", "stores", "local", "split"]
# Of a multiprocessor: shared memory in bytes. Registers (65536) and threads (2048) are the same.
SHARED_MEMORY = {"sm_80": 164 * 1024, "sm_90": 228 * 1024}
INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]+\*/\s+(?:@(!?U?P\w+)\s+)?([A-Z][\w.]*)\s*(.*?)\s*;")
ADDRESS = re.compile(r"\[(R\d+)[^\]+]*(?:\+(-?0x[0-9a-f]+))?\]\s*,")
SMALLEST_RUN = 3


def fail(code, text):
    print(f"sass_table: error: {text}", file=sys.stderr)
    sys.exit(code)


def find_tools():
    """Paths of nvcc, nvdisasm and c++filt."""
    toolkit = pathlib.Path("/usr/local/cuda/bin")
    nvcc = shutil.which("nvcc") or shutil.which("nvcc", path=toolkit)
    places = [os.environ.get("PATH", "")]
    if nvcc:
        places.append(str(pathlib.Path(nvcc).resolve().parent))
    packages = pathlib.Path(sysconfig.get_paths()["platlib"], "nvidia")
    places += [str(path) for path in sorted(packages.glob("cu*/bin"), reverse=True)]
    tools = {"nvcc": nvcc, "nvdisasm": shutil.which("nvdisasm", path=os.pathsep.join(places)),
             "c++filt": shutil.which("c++filt")}
    for name, path in tools.items():
        if path is None:
            print(f"sass_table: SKIPPED (no {name})")
            sys.exit(77)
    return tools


def run(command):
    """Both outputs of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout, done.stderr


def bits_of(opcode):
    """Width of a memory access."""
    for part in opcode.split(".")[1:]:
        if part in ("64", "128"):
            return int(part)
        if part in ("U8", "S8", "U16", "S16"):
            return int(part[1:])
    return 32


class Code:
    """The instructions of a kernel, (opcode, operands, predicate), and the places of its labels."""

    def __init__(self):
        self.instructions = []
        self.labels = {}

    def add(self, line):
        label = re.match(r"^(\.L\w+):", line)
        if label:
            self.labels[label[1]] = len(self.instructions)
        found = INSTRUCTION.match(line)
        if found and found[2] != "NOP":
            self.instructions.append((found[2], found[3], found[1]))

    def widths(self, *kinds):
        """How many accesses of these kinds there are of each width."""
        return collections.Counter(bits_of(opcode) for opcode, *_ in self.instructions
                                   if opcode.split(".")[0] in kinds)

    def longest_loop(self):
        """Instructions of the longest loop that has no other inside."""
        loops = []
        for at, (opcode, operands, _) in enumerate(self.instructions):
            target = re.search(r"`\((\.L\w+)\)", operands)
            if opcode.startswith("BRA") and target and self.labels.get(target[1], at) < at:
                loops.append((self.labels[target[1]], at))
        inner = [(begin, end) for begin, end in loops
                 if not any((a, b) != (begin, end) and begin <= a and b <= end for a, b in loops)]
        return max((end - begin + 1 for begin, end in inner), default=0)

    def split_stores(self):
        """Runs of stores that were one before the compiler took it apart: see the head of this file."""
        widest = max(self.widths("LDG", "STG"), default=0)
        begins = set(self.labels.values())
        runs = 0
        # Offsets by address register, width and predicate.
        stores = collections.defaultdict(list)

        def close(register=None, count=1):
            """Ends the runs whose address lies in these registers; all, if none is named."""
            nonlocal runs
            for key in list(stores):
                # An address is a pair of registers.
                if register is None or register - 1 <= key[0] < register + count:
                    runs += sum(SMALLEST_RUN <= length and length * key[1] <= widest
                                for length in run_lengths(stores.pop(key), key[1] // 8))

        for at, (opcode, operands, predicate) in enumerate(self.instructions):
            if at in begins or opcode.startswith(("BRA", "CALL", "RET", "EXIT", "BAR")):
                close()
            address = ADDRESS.search(operands)
            written = re.match(r"R(\d+)", operands)
            if opcode.startswith("STG"):
                if address and bits_of(opcode) <= 32:
                    stores[int(address[1][1:]), bits_of(opcode), predicate].append(
                        int(address[2] or "0", 16))
            elif written:
                close(int(written[1]), 2 if ".WIDE" in opcode else bits_of(opcode) // 32)
        close()
        return runs


def run_lengths(offsets, step):
    """Lengths of the runs of offsets that follow each other by `step`."""
    lengths = []
    for at, offset in enumerate(sorted(offsets)):
        if at > 0 and offset - last == step:
            lengths[-1] += 1
        else:
            lengths.append(1)
        last = offset
    return lengths


def text_of(widths):
    return " ".join(f"{bits}:{widths[bits]}" for bits in sorted(widths, reverse=True))


def disassemble(text):
    """The code of each kernel in the output of nvdisasm, by mangled name."""
    kernels = {}
    code = None
    for line in text.splitlines():
        section = re.match(r"^\s*\.section\s+(\S+?),", line)
        if section:
            code = None
            if section[1].startswith(".text."):
                code = kernels.setdefault(section[1][len(".text."):], Code())
        elif code is not None:
            code.add(line)
    return kernels


def resources(text):
    """What ptxas says of each kernel: registers, shared, stack, spills."""
    found = {}
    for part in re.split(r"Compiling entry function '", text)[1:]:
        number = lambda pattern: int((re.search(pattern, part) or [0, 0])[1])
        found[part[:part.index("'")]] = {
            "registers": number(r"Used (\d+) registers"),
            "shared": number(r"(\d+) bytes smem"),
            "stack": number(r"(\d+) bytes stack frame"),
            "spills": number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads"),
        }
    return found


def blocks_per_multiprocessor(arch, registers, threads, shared):
    """By the rules of NVIDIA's occupancy calculator: registers are given to warps in units of 256,
    from four equal parts; shared memory in units of 128 bytes, 1 KB being the system's."""
    warps = (threads + 31) // 32
    of_warp = -(-max(registers, 1) * 32 // 256) * 256
    by_registers = 65536 // 4 // of_warp * 4 // warps
    of_block = -(-(shared + 1024) // 128) * 128
    return min(by_registers, 2048 // (32 * warps), SHARED_MEMORY[arch] // of_block, 32)


def plain_name(name):
    """A demangled kernel's name without namespaces of ours, return type and arguments."""
    name = re.sub(r"\b_GLOBAL__N__\w+::|\(anonymous namespace\)::|\b__nv_\w+_tag::", "", name)
    name = re.sub(r"\((?:int|unsigned int|long)\)", "", name)
    name = name.replace("(bool)1", "true").replace("(bool)0", "false")
    name = re.sub(r"\bpal::(?:cuda::)?(?:coupling::)?", "", re.sub(r"^void ", "", name))
    depth = 0
    for at, letter in enumerate(name):
        depth += {"<": 1, ">": -1}.get(letter, 0)
        if letter == "(" and depth == 0:
            return name[:at]
    return name


def rows_of(tools, arch, source):
    """The table's rows of one source."""
    with tempfile.TemporaryDirectory() as folder:
        cubin = f"{folder}/code.cubin"
        include = pathlib.Path(tools["nvcc"]).resolve().parents[1] / "include"
        _, report = run([tools["nvcc"], *FLAGS, f"-arch={arch}", f"-I{ROOT}", f"-I{include}", "-w",
                         "-Xptxas", "-v", "--keep", "--keep-dir", folder, "-cubin", "-o", cubin,
                         str(source)])
        code = disassemble(run([tools["nvdisasm"], "-c", cubin])[0])
        ptx = pathlib.Path(folder, source.stem + ".ptx").read_text()
    threads = dict(re.findall(r"\.entry (\w+)\([^)]*\)\s*\.maxntid (\d+)", ptx))
    rows = []
    for mangled, used in resources(report).items():
        kernel = code[mangled]
        at_most = int(threads.get(mangled, 1024))
        blocks = blocks_per_multiprocessor(arch, used["registers"], at_most, used["shared"])
        rows.append({
            "file": str(source.relative_to(ROOT)), "kernel": mangled, **used, "threads": at_most,
            "blocks": blocks, "occupancy": round(100 * blocks * at_most / 2048),
            "instructions": len(kernel.instructions), "loop": kernel.longest_loop(),
            "loads": text_of(kernel.widths("LDG")), "stores": text_of(kernel.widths("STG")),
            "local": sum(kernel.widths("LDL", "STL").values()),
            "split": kernel.split_stores()})
    names = "\n".join(row["kernel"] for row in rows)
    plain = subprocess.run([tools["c++filt"]], input=names, capture_output=True, text=True)
    for row, name in zip(rows, plain.stdout.splitlines()):
        row["kernel"] = plain_name(name)
    return rows


def measure(tools, arch, sources, jobs):
    """All rows, sorted by file and name."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        try:
            parts = list(pool.map(lambda source: rows_of(tools, arch, source), sources))
        except RuntimeError as error:
            fail(3, str(error))
    return sorted((row for part in parts for row in part), key=key_of)


def key_of(row):
    return row["file"], row["kernel"]


def write_csv(stream, rows, head):
    stream.write(f"# {head}\n")
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def read_csv(path):
    try:
        with open(path, newline="") as stream:
            return {key_of(row): row
                    for row in csv.DictReader(line for line in stream if line[0] != "#")}
    except (OSError, KeyError) as error:
        fail(2, f"{path}: {error}")


def compare(before, after):
    """Prints the kernels that differ, with the columns that do."""
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old is None or new is None:
            print(f"{key[0]}: {key[1]}: {'gone' if new is None else 'new'}")
            continue
        changes = [f"{name} {old[name] or 0} -> {new[name] or 0}"
                   for name in COLUMNS[2:] if old.get(name) != new.get(name)]
        if changes:
            print(f"{key[0]}: {key[1]}: {', '.join(changes)}")


def faults_of(row):
    faults = [f"{row[name]} bytes of {name}" for name in ("stack", "spills") if row[name]]
    if row["local"]:
        faults.append(f"{row['local']} accesses to local memory")
    if row["split"]:
        faults.append(f"{row['split']} vector stores taken apart ({row['stores']})")
    return faults


def check(rows, arch):
    unsound = 0
    for row in rows:
        for fault in faults_of(row):
            print(f"sass_table: {row['file']}: {row['kernel']}, {arch}: {fault}", file=sys.stderr)
            unsound = 1
    print(f"sass_table: {arch}: {len(rows)} kernels, {'unsound' if unsound else 'all sound'}")
    return unsound


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    parser.add_argument("--arch", default="sm_90", choices=sorted(SHARED_MEMORY))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--csv", metavar="FILE", type=pathlib.Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--compare", nargs=2, metavar=("BEFORE", "AFTER"))
    args = parser.parse_args()
    if args.compare:
        compare(*map(read_csv, args.compare))
        return 0
    sources = [path.resolve() for path in args.files] or sorted(
        path for folder in ("kernels", "runtime") for path in (ROOT / folder).rglob("*.cu"))
    tools = find_tools()
    rows = measure(tools, args.arch, sources, args.jobs)
    if args.check:
        return check(rows, args.arch)
    version = re.search(r"V([\d.]+)", run([tools["nvcc"], "--version"])[0])[1]
    commit = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
                            capture_output=True, text=True).stdout.strip()
    head = f"nvcc {version}, {args.arch}, commit {commit or 'unknown'}"
    if args.csv:
        with open(args.csv, "w", newline="") as stream:
            write_csv(stream, rows, head)
    else:
        write_csv(sys.stdout, rows, head)
    return 0


if __name__ == "__main__":
    sys.exit(main())
