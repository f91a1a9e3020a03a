"""Small and read-only file systems, and another user: what root can set up, taken away at the end."""
import contextlib
import os
import subprocess

import trial

NOBODY = 65534


def _mount(*arguments):
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True).returncode == 0


@contextlib.contextmanager
def small_disk(folder, size):
    """A file system of that many bytes in memory at the folder; gives whether there is one."""
    there = os.geteuid() == 0 and _mount("-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", folder)
    try:
        yield there
    finally:
        if there:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def read_only(folder):
    """Makes the folder read-only, also for root; gives whether it is."""
    there = os.geteuid() == 0 and _mount("--bind", folder, folder)
    try:
        yield there and _mount("-o", "remount,bind,ro", folder)
    finally:
        if there:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def unwritable(folder):
    """Takes the right to write from everybody but root, below the folder too."""
    paths = [folder, *(path for path in folder.rglob("*") if not path.is_symlink())]
    modes = {path: path.stat().st_mode for path in paths}
    for path in reversed(paths):
        path.chmod(modes[path] & 0o555)
    try:
        yield
    finally:
        for path in paths:
            path.chmod(modes[path])


def leave_free(folder, size):
    """Fills the file system of a folder until so many bytes are free; returns the file that does."""
    filler = folder / "filler"
    with open(filler, "wb") as file:
        there = os.statvfs(folder)
        rest = there.f_bavail * there.f_frsize - size
        if rest > 0:
            os.posix_fallocate(file.fileno(), 0, rest)
    return filler


def as_nobody():
    """For subprocess: the program runs as a user who owns nothing."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def nobody_can_run(command, work):
    """Whether such a user may run the program from here; asked by root."""
    work.chmod(0o755)
    try:
        return trial.run(command, work, preexec_fn=as_nobody).code == 0
    except (PermissionError, OSError):
        return False
