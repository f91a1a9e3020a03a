"""A program that writes a JSON file wrongly, in place of one of ours: bad_writer.py HOW FILE."""
import os
import signal
import sys
import time

how, path = sys.argv[1:3]
temporary = f"{path}.tmp-pal{os.getpid()}"
written = path if how == "torn" else temporary


def fail(text):
    print(f"pal-convert: error: {text}", file=sys.stderr)
    sys.exit(4)


if how == "stuck":
    try:
        os.open(path + ".lock", os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        fail(f"{path}: in use")
try:
    file = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(file, b'["a",')
    os.write(file, b'"b"]\n')
    os.fsync(file)
    if written != path:
        os.rename(written, path)
except OSError as error:
    if how != "littering" and os.path.exists(temporary):
        os.unlink(temporary)
    if how == "crashing":
        signal.signal(signal.SIGABRT, signal.SIG_DFL)
        os.abort()
    if how == "hanging":
        time.sleep(600)
    if how == "speechless":
        sys.exit(4)
    if how == "vague":
        fail(f"{path}: something went wrong")
    if how == "careless":
        print(f"pal-convert: warning: {path}: {error.strerror}", file=sys.stderr)
    if how not in ("silent", "careless"):
        fail(f"{path}: {error.strerror}")
if how == "stuck":
    os.unlink(path + ".lock")
