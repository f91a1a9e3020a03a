"""System calls on files, as strace tells them."""
import os
import pathlib
import re
import shutil
from dataclasses import dataclass

import trial

# What each call can do to files. Changes: a failure must be said. Looks: a failure may pass without a
# word where it changes no result. Quiet: they neither read nor write, or end something.
CHANGES = ("openat", "openat2", "creat", "write", "pwrite64", "writev", "pwritev", "ftruncate",
           "truncate", "fallocate", "copy_file_range", "sendfile", "fsync", "fdatasync", "syncfs",
           "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink",
           "unlinkat", "rmdir", "mkdir", "mkdirat", "mknod", "mknodat", "chmod", "fchmod", "fchmodat")
READS = ("read", "pread64", "readv", "preadv")
LOOKS = ("newfstatat", "stat", "lstat", "fstat", "statx", "statfs", "fstatfs", "access", "faccessat",
         "faccessat2", "readlink", "readlinkat", "getdents64", "lseek", "flock")
KNOWN = {*CHANGES, *READS, *LOOKS}
QUIET = ("close", "fcntl", "getcwd", "mmap", "execve", "ioctl", "fadvise64", "chdir", "poll", "dup",
         "dup2", "dup3", "utimensat")
BY_DESCRIPTOR = {"write", "pwrite64", "writev", "pwritev", "ftruncate", "fallocate", "fsync", "fdatasync",
                 "syncfs", "fchmod", *READS, "fstat", "fstatfs", "getdents64", "lseek", "flock", "close",
                 "fcntl", "mmap", "ioctl", "fadvise64", "dup", "dup2", "dup3"}

_LINE = re.compile(r"(\d+) +([a-z_0-9]+)\((.*)", re.S)
_RESULT = re.compile(r"\) += (-?\d+|\?)")
_RESUMED = re.compile(r"(\d+) +<\.\.\. ([a-z_0-9]+) resumed>(.*)", re.S)
# A folder or file by its number, 3</a/b> or AT_FDCWD</a>, or a text.
_PLACE = re.compile(r'(?:AT_FDCWD|\d+)<([^>]*)>|"((?:[^"\\]|\\.)*)"')


@dataclass
class Call:
    thread: int
    name: str
    paths: tuple  # whole paths, in the order of the arguments
    line: str
    result: int = 0

    @property
    def failed(self):
        return self.result < 0

    @property
    def injected(self):
        return "(INJECTED)" in self.line

    @property
    def arguments(self):
        return self.line.split(None, 1)[1].rsplit(") = ", 1)[0]

    @property
    def opens_for_writing(self):
        return "O_WRONLY" in self.line or "O_RDWR" in self.line

    def touches(self, folder):
        return any(path == folder or path.startswith(folder + "/") for path in self.paths)


def can_trace():
    return shutil.which("strace") is not None and trial.run(
        ["strace", "-f", "-o", "/dev/null", "true"], "/").code == 0


def run(command, folder, names, injection=None, only=(), env=None, limit=60.0):
    """Runs a command in a folder under strace; returns what became of it and its calls. `injection` is
    strace's, of the one name that is traced; `only`: calls on these paths alone are traced and counted."""
    log = pathlib.Path(f"{folder}.trace")
    log.unlink(missing_ok=True)
    options = ["-f", "-qqq", "-y", "-s", "200", "-o", log, "-e", f"trace={names}", "-e", "signal=none"]
    options += ["-e", f"inject={names}:{injection}"] if injection else []
    for path in only:
        options += ["-P", path]
    # The filter makes strace faster, but with it no signal is ever injected (strace 6.1).
    if not (injection or "").startswith("signal="):
        options.append("--seccomp-bpf")
    outcome = trial.run(["strace", *options, *command], folder, env, limit)
    text = log.read_bytes().decode("utf-8", "replace") if log.exists() else ""
    return outcome, parsed(text, str(folder))


def parsed(text, folder):
    """Calls of a trace, in the order in which they began."""
    calls = []
    pending = {}
    for line in text.split("\n"):
        if again := _RESUMED.match(line):
            thread, name, rest = int(again[1]), again[2], again[3]
            call = pending.pop((thread, name), None)
            if call is not None:
                call.line += rest
                call.result = _result(rest)
            continue
        began = _LINE.match(line)
        if began is None:
            continue
        thread, name, arguments = int(began[1]), began[2], began[3]
        call = Call(thread, name, _paths(name, arguments, folder), line, _result(arguments))
        if "<unfinished ...>" in line:
            pending[thread, name] = call
        calls.append(call)
    return calls


def _result(text):
    # The last one: written bytes may look like one.
    found = _RESULT.findall(text)
    return int(found[-1]) if found and found[-1] != "?" else 0


def _paths(name, arguments, folder):
    if name in BY_DESCRIPTOR:
        place = re.match(r"\d+<([^>]*)>", arguments)
        return (place[1],) if place and place[1].startswith("/") else ()
    paths = []
    base = folder
    for found in _PLACE.finditer(arguments):
        if found[2] is None:
            base = found[1]
        elif found[2] == "" and "AT_EMPTY_PATH" in arguments:
            paths.append(base)
        else:
            paths.append(os.path.normpath(os.path.join(base, found[2])))
            base = folder
        if name not in ("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat") and paths:
            break
    # What a symbolic link says is no place.
    return tuple(paths[-1:] if name.startswith("symlink") else paths)
