"""What the linker and the compiler were asked for in packaged builds is in the programs: see
PALINDROME_HARDENED in cmake/CompilerSettings.cmake, and the preset `package`.

A row for each property, over all programs of build/package/bin and the shared libraries beside them. It
is read from the files, so that it holds whatever the build said."""
import re
import shutil
import struct
import subprocess

from table import Row

# By name: what of readelf's report shows it.
PROPERTIES = {
    "at random places": lambda text: re.search(r"Type:\s+DYN", text),
    "tables of functions are read-only": lambda text: "GNU_RELRO" in text and (
        "BIND_NOW" in text or re.search(r"FLAGS.*\bNOW\b", text)),
    "no executable stack": lambda text: re.search(r"GNU_STACK\s.*\sRW\s", text),
    "stack protector": lambda text: "__stack_chk_fail" in text,
    "copies are checked": lambda text: re.search(r"UND __\w+_chk\b", text),
}


def report(program):
    """What readelf says of headers, segments, links and symbols."""
    return subprocess.run(["readelf", "-W", "-h", "-l", "-d", "--dyn-syms", program], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode("utf-8", "replace")


def says_hardened(program):
    answer = subprocess.run([program, "--version"], check=False, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return ", hardened" in answer.stdout.decode("utf-8", "replace")


def rows_of(files):
    reports = {file: report(file) for file in files}
    for name, shows in PROPERTIES.items():
        # A library may have no copies that need a check.
        asked = [file for file in files if name != "copies are checked" or ".so" not in file.name]
        row = Row(f"hardening: {name}", "of all packaged programs", trials=len(asked))
        for file in asked:
            if not shows(reports[file]):
                row.note("wrong", f"{file}: not shown by readelf")
        yield row


def packaged(bench):
    return sorted((bench.source / "build/package/bin").glob("pal-*"))


def libraries(bench):
    return sorted((bench.source / "build/package/lib").rglob("libpalindrome_*.so.*.*.*"))


def skipped(bench):
    if not packaged(bench):
        return "no build/package (cmake --preset package)"
    return "" if shutil.which("readelf") else "no readelf"


def part(bench):
    if why := skipped(bench):
        yield Row("hardening", "", skipped=why)
        return
    programs = packaged(bench)
    yield from rows_of(programs + libraries(bench))
    row = Row("hardening: --version says so", "of all packaged programs", trials=len(programs))
    for program in programs:
        if not says_hardened(program):
            row.note("wrong", f"{program.name}: --version does not say hardened")
    yield row


PT_GNU_STACK, PT_GNU_RELRO, PT_NULL = 0x6474e551, 0x6474e552, 0
EXECUTABLE = 1
ET_EXEC = 2


def segments(elf):
    """Where the program headers of a 64-bit ELF file begin."""
    first, = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    return [first + size * i for i in range(count)]


def segment(elf, kind):
    return next(at for at in segments(elf) if struct.unpack_from("<I", elf, at)[0] == kind)


def weakened(elf):
    """Copies of a program's bytes that each lack one property."""
    for name, change in {
            "at random places": lambda copy: struct.pack_into("<H", copy, 16, ET_EXEC),
            "tables of functions are read-only":
                lambda copy: struct.pack_into("<I", copy, segment(copy, PT_GNU_RELRO), PT_NULL),
            "no executable stack":
                lambda copy: struct.pack_into("<I", copy, segment(copy, PT_GNU_STACK) + 4, 6 | EXECUTABLE),
    }.items():
        copy = bytearray(elf)
        change(copy)
        yield name, copy
    yield "stack protector", elf.replace(b"__stack_chk_fail\0", b"__stack_chk_none\0")
    yield "copies are checked", re.sub(rb"_chk\0", rb"_cpy\0", elf)


def planted(bench):
    if why := skipped(bench):
        return {"a program that is not hardened": Row("hardening", "", skipped=why)}
    folder = bench.folder("weakened")
    elf = packaged(bench)[0].read_bytes()
    faults = {}
    for name, content in weakened(elf):
        program = folder / "pal-weakened"
        program.write_bytes(content)
        faults[f"not: {name}"] = next(row for row in rows_of([program]) if row.part.endswith(name))
    return faults
