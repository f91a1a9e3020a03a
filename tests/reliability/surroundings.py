"""Odd surroundings: the language, the clock, the environment, the folders that things lie in, limits.

Each row runs programs beside undisturbed ones (beside.py): the same bytes and numbers, or one line that
says what does not let them work."""
import json
import os
import shutil
import subprocess

import cgroups
import limits
import trial
from beside import ALL, CLASSIFY, EVALUATE, PICTURES, TRAIN, Beside, Odd, Watched, reachable_by_nobody
from table import Row

YEAR_2039 = 2177452800  # 2039-01-01, past the 2038 of 32 bits


def locale_row(beside, choices=ALL):
    """Numbers have a point, also where people write a comma."""
    row = Row("surroundings: decimal-comma locale", "same numbers, same bytes under de_DE.UTF-8")
    if shutil.which("localedef") is None:
        row.skipped = "no localedef"
        return row
    locales = beside.bench.work / "locales"
    locales.mkdir(exist_ok=True)
    trial.run(["localedef", "-i", "de_DE", "-f", "UTF-8", locales / "de_DE.UTF-8"], "/")
    odd = Odd("LC_ALL=de_DE.UTF-8", env={"LC_ALL": "de_DE.UTF-8", "LOCPATH": locales})
    if decimal_point(odd.env) != ",":
        row.skipped = "localedef made no locale with a comma"
        return row
    for watched in choices:
        beside.judge(row, watched, odd)
    return row


def decimal_point(env):
    """What the C library writes between whole and part."""
    asked = "import locale; locale.setlocale(locale.LC_ALL, ''); print(locale.localeconv()['decimal_point'])"
    made = subprocess.run(["python3", "-c", asked], env=trial.surroundings(**env), capture_output=True)
    return made.stdout.decode().strip()


def zone_row(beside):
    zones = ["America/St_Johns", "Pacific/Kiritimati", ":/nonexistent", "XXX+99YYY", ""]
    row = Row("surroundings: time zones", "same numbers, same bytes")
    for zone in zones[:beside.bench.few(2, None)]:
        beside.judge(row, TRAIN, Odd(f"TZ={zone}", env={"TZ": zone}))
    return row


def clock_row(beside):
    """A clock past 2038; by faketime, which also makes one that runs backwards while training."""
    row = Row("surroundings: the year 2039", "same numbers, same bytes; no negative time or rate")
    if shutil.which("faketime") is None:
        row.skipped = "no faketime (file times of 2039 have a row of their own)"
        return row
    # A steady clock is not moved by who sets the time.
    steady = {"FAKETIME_DONT_FAKE_MONOTONIC": 1, "DONT_FAKE_MONOTONIC": 1}
    for what, option in (("in 2039", ["2039-01-01 00:00:00"]), ("a clock that runs back", ["-f", "+0 x-3"])):
        for watched in (TRAIN, EVALUATE)[:beside.bench.few(1, None)]:
            beside.judge(row, watched, Odd(what, prefix=["faketime", *option], env=steady))
            if watched is TRAIN:
                judge_times(row, what, beside.work / "folder/new/metrics.jsonl")
    row.figure = "by faketime: 2039, and a clock that runs back; the steady clock as it is"
    return row


def judge_times(row, what, metrics):
    """Times are those of a clock that only goes forwards."""
    lines = [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.exists() else []
    times = [line["t"] for line in lines]
    if times != sorted(times) or any(line.get("images_per_s", 1) <= 0 for line in lines):
        row.note("wrong", f"train, {what}: times fall or rates are below 0")


def file_times_row(beside):
    """What is newest is known by its content, not by the times of files."""
    row = Row("surroundings: file times", "a resume and pictures of 1970 or 2039 are the same")
    resume = Watched("resume", ["pal-train", "--resume", "run", "--quiet"],
                     ["run/checkpoints/final.safetensors", "run/checkpoints/averaged.safetensors"], ("run",))
    for what, time in (("2039", YEAR_2039), ("1970", 0)):
        for watched in (resume, PICTURES, CLASSIFY):
            beside.judge(row, watched, Odd(f"files of {what}"), prepare=lambda folder, t=time: stamp(folder, t))
    return row


def stamp(folder, time):
    for path in folder.rglob("*"):
        os.utime(path, (time, time), follow_symlinks=False)


def environment_row(beside):
    """Variables that are not set, or name what is not there."""
    row = Row("surroundings: environment", "no HOME, one that is not there, no variable at all, no TMPDIR")
    odds = [Odd("no variable at all", prefix=["env", "-i"]),
            Odd("no HOME", env={"HOME": None, "XDG_CACHE_HOME": None}),
            Odd("HOME=/dev/null/none", env={"HOME": "/dev/null/none", "XDG_CACHE_HOME": None}),
            Odd("HOME=/dev/null", env={"HOME": "/dev/null", "XDG_CACHE_HOME": None}),
            Odd("TMPDIR is not there", env={"TMPDIR": "/dev/null/none"}),
            Odd("LANG=C", env={"LANG": "C", "LC_ALL": "C"}),
            Odd("a locale that is not there", env={"LC_ALL": "xx_XX.UTF-8"}),
            Odd("no PATH", env={"PATH": None})]
    for odd in odds[:beside.bench.few(2, None)]:
        for watched in (PICTURES, EVALUATE, CLASSIFY)[:beside.bench.few(1, None)]:
            beside.judge(row, watched, odd)
    return row


def closed_folders_row(beside):
    """Folders that may not be written to; also one's own home."""
    row = Row("surroundings: folders that are read-only",
              "same bytes where nothing is written there, else exit 4")
    if why := reachable_by_nobody(beside.bench):
        row.skipped = why
        return row
    home = beside.bench.work / "closed home"
    home.mkdir(mode=0o555, exist_ok=True)
    for watched in (PICTURES, CLASSIFY):
        odd = Odd("HOME is read-only", env={"HOME": home, "XDG_CACHE_HOME": None}, nobody=True)
        beside.judge(row, watched, odd)
    elsewhere = Watched("train", [*TRAIN.arguments[:-1], "place/new"], ["place/new/metrics.jsonl"], ())
    beside.judge(row, elsewhere, Odd("it stands in a read-only folder", nobody=True), prepare=with_a_place)
    closed = Odd("the output's folder is read-only", nobody=True, may_refuse=True)
    outcome = beside.judge(row, TRAIN, closed, prepare=lambda folder: folder.chmod(0o555))
    if outcome.code == 0:
        row.note("silent", f"train, {closed.what}: exit code 0")
    return row


def with_a_place(folder):
    """Nothing may be written but in one folder inside."""
    (folder / "place").mkdir()
    folder.chmod(0o555)


def names_row(beside):
    """Folders of any name: those of the run, of the data, and those above."""
    row = Row("surroundings: names of folders", "spaces, line ends, non-ASCII, no UTF-8, very long: same bytes")
    names = [b"two words \n and a line", "Bäume 木".encode(), b"not \xff\xfe UTF-8", b"-o", b"'$(id)\";*",
             b"n" * 255, b"/".join([b"d" * 200] * 15)]
    for name in names[:beside.bench.few(3, None)]:
        folder = beside.work / os.fsdecode(name)
        for watched in (PICTURES, EVALUATE, CLASSIFY)[:beside.bench.few(1, None)]:
            beside.judge(row, watched, Odd(f"in {name[:30]!r}", env={"LC_ALL": "C"}), folder=folder)
            beside.judge(row, whole_paths(watched, folder), Odd(f"named {name[:30]!r}", env={"LC_ALL": "C"}),
                         same_as=watched, folder=folder)
        shutil.rmtree(beside.work / os.fsdecode(name.split(b"/")[0]))
    return row


def whole_paths(watched, folder):
    """The same with every folder named by its whole path."""
    named = {"pictures", "pictures/val", "whole", "seen", "new", "outputs.csv"}
    arguments = [str(folder / a) if a in named else a for a in watched.arguments]
    return Watched(watched.name, arguments, watched.files, watched.needs)


def too_long_row(beside):
    """Names that no system takes are refused, not cut."""
    row = Row("surroundings: names that are too long", "exit code 4 or 3 with one line")
    for what, name in (("of 256 bytes", "n" * 256), ("of 5,000 bytes", "/".join(["d" * 99] * 50))):
        for program, arguments in (("pal-train", [*TRAIN.arguments[1:-1], name]), ("pal-inspect", [name]),
                                   ("pal-classify", ["seen", name, "-q"])):
            row.trials += 1
            outcome = trial.run([beside.bench.programs / program, *arguments], beside.bench.start)
            if trial.judge_end(row, outcome, f"{program}, a name {what}") and outcome.code not in (2, 3, 4):
                row.note("silent", f"{program}, a name {what}: exit code {outcome.code}")
    return row


def umask_row(beside):
    row = Row("surroundings: umask", "0777: exit 4, or the same bytes; 0: nothing that others may write")
    odd = Odd("umask 0777", popen={"umask": 0o777}, may_refuse=os.geteuid() != 0)
    for watched in (PICTURES, EVALUATE)[:beside.bench.few(1, None)]:
        beside.judge(row, watched, odd)
    if not reachable_by_nobody(beside.bench):
        beside.judge(row, PICTURES, Odd("umask 0777 without rights", popen={"umask": 0o777}, nobody=True,
                                        may_refuse=True))
    return row


def part(bench):
    beside = Beside(bench)
    yield locale_row(beside)
    yield zone_row(beside)
    yield clock_row(beside)
    yield file_times_row(beside)
    yield environment_row(beside)
    yield closed_folders_row(beside)
    yield names_row(beside)
    yield too_long_row(beside)
    yield umask_row(beside)
    yield from limits.rows(beside)
    yield cgroups.memory_row(beside)
    yield cgroups.quota_row(beside)


def planted(bench):
    """A number with a comma under a locale; a run that dies by a signal under a limit; one that hangs."""
    comma = bench.with_stand_in("pal-evaluate", '"$real" "$@" | if [[ ${LC_ALL:-} == de_* ]]; then '
                                'sed "s/0\\.\\([0-9]\\)/0,\\1/"; else cat; fi')
    dies = bench.with_stand_in("pal-train", '[ -n "${HOME:-}" ] || kill -SEGV $$\nexec "$real" "$@"')
    hangs = bench.with_stand_in("pal-train", '[ -n "${HOME:-}" ] || sleep 60\nexec "$real" "$@"')
    other = bench.with_stand_in("pal-train", '[ "${TZ:-}" = "" ] || set -- "$@" --seed 1\nexec "$real" "$@"')
    return {"a number with a comma": locale_row(Beside(comma), (EVALUATE,)),
            "a signal": environment_row(Beside(dies)),
            "no end": environment_row(Beside(hangs, limit=2.0)),
            "other weights": zone_row(Beside(other))}
