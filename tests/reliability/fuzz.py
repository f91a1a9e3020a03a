"""Mutated files for every parser, by libFuzzer under AddressSanitizer and UBSan: see tests/fuzz.sh.

A row for each parser. The sanitizers make a parser several times slower and larger, so what it takes at
most is a figure here, not a promise."""
import re
import shutil
import subprocess

from table import Row

INPUTS = 1_000_000
QUICK_INPUTS = 2_000
# How tests/fuzz.sh names a finding, by libFuzzer's words.
KINDS = {"timeout": "hangs"}

DONE = re.compile(r"fuzz: (\w+): (\d+) inputs in (\d+) s, slowest (\d+) s, peak (\d+) MiB, no finding")
FOUND = re.compile(r"fuzz: error: (\w+): (.*)")


def row_of(parser):
    return Row(f"fuzzing: {parser}", "no crash, leak or hang on any input")


def rows_of(log, asked):
    """The rows of what tests/fuzz.sh printed; `asked` inputs were to be tried of each parser."""
    for line in log.splitlines():
        if match := DONE.fullmatch(line):
            row = row_of(match[1])
            row.trials, row.seconds = int(match[2]), float(match[3])
            row.figure = f"slowest input {match[4]} s, peak {match[5]} MiB with the sanitizers"
            if row.trials < asked:
                row.note("wrong", f"{match[1]}: {row.trials} inputs of {asked}")
            yield row
        elif match := FOUND.fullmatch(line):
            row = row_of(match[1])
            row.trials = 1
            row.note(KINDS.get(match[2].split(";")[0], "crashes"), match[2])
            yield row


def is_built(bench):
    return (bench.source / "build/fuzz/bin/planted_fuzz").exists()


def run(bench, inputs, *parsers):
    command = [bench.source / "tests/fuzz.sh", "--runs", str(inputs), *parsers]
    if is_built(bench):
        command.insert(1, "--built")
    done = subprocess.run(["bash", *map(str, command)], cwd=bench.source, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def skipped(bench):
    """Why nothing is fuzzed here; empty if it is."""
    if is_built(bench):
        return ""
    if bench.quick:
        return "run by tests/fuzz.sh; build/fuzz is not built"
    return "" if shutil.which("clang++") else "no clang"


def part(bench):
    if why := skipped(bench):
        yield Row("fuzzing", "", skipped=why)
        return
    inputs = bench.few(QUICK_INPUTS, INPUTS)
    code, log = run(bench, inputs)
    rows = list(rows_of(log, inputs))
    yield from rows
    if code != 0 and not any(row.broken for row in rows):
        failed = Row("fuzzing", "", trials=1)
        failed.note("wrong", f"tests/fuzz.sh ended with {code}: {log.strip().splitlines()[-1:]}")
        yield failed


def planted(bench):
    slow = "fuzz: error: jpeg: timeout; the input lies in build/fuzz"
    short = "fuzz: png: 10 inputs in 1 s, slowest 0 s, peak 60 MiB, no finding"
    faults = {"an input that takes too long": next(rows_of(slow, 1)),
              "fewer inputs than asked for": next(rows_of(short, 1000))}
    if is_built(bench):
        found = list(rows_of(run(bench, 100_000, "planted")[1], 1))
        faults["a length that is trusted"] = found[0] if found else row_of("planted")
    return faults
