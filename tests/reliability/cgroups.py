"""Control groups: limits of memory and processor time, as containers have them.

A group is made below our own (version 1 or 2, where we may), and is removed at the end. A run whose plan
does not fit into its group must say so and not be killed; a quota of processors decides the number of
threads."""
import contextlib
import json
import os
import pathlib
import time

import trial
from beside import TRAIN, Odd
from limits import by_itself
from table import Row

MOUNT = pathlib.Path("/sys/fs/cgroup")
MIB = 1 << 20
# A network of some hundred MiB that takes a moment to plan and to build.
WIDE = ("--dataset synthetic:4:64:8 -b 8 --blocks 1,1 --strides 1,2 --widths 512,512 --activation-memory max "
        "--threads 1 --epochs 1 --recalibrate-bn 0 --quiet").split()


def own_group(controller):
    """(folder of our own group, whether it is of version 2); None: there is no such controller."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return MOUNT / names / path.lstrip("/"), False
        folder = MOUNT / path.lstrip("/")
        if not names and controller in text_of(folder / "cgroup.subtree_control").split():
            return folder, True
    return None


def text_of(path):
    return path.read_text() if path.exists() else ""


@contextlib.contextmanager
def group(controller, settings_1, settings_2):
    """A group with these settings; yields its folder, or the reason why there is none."""
    own = own_group(controller)
    if own is None:
        yield f"no {controller} controller that is ours to give"
        return
    made = own[0] / f"pal-reliability-{os.getpid()}"
    try:
        made.mkdir()
    except OSError as error:
        yield f"no group of our own: {error.strerror}"
        return
    try:
        try:
            for name, value in (settings_2 if own[1] else settings_1).items():
                (made / name).write_text(str(value))
        except OSError as error:
            yield f"no limit in a group of our own: {error.strerror}"
            return
        yield made
    finally:
        remove(made)


def remove(folder):
    """A group can go when the kernel has seen the end of its last process."""
    for _ in range(50):
        try:
            return folder.rmdir()
        except OSError:
            time.sleep(0.1)
    folder.rmdir()


def inside(folder):
    """Makes a process one of the group before it starts the program."""
    return {"preexec_fn": lambda: (folder / "cgroup.procs").write_text(str(os.getpid()))}


def memory_group(limit):
    return group("memory", {"memory.limit_in_bytes": limit}, {"memory.max": limit, "memory.swap.max": 0})


def planned_bytes(beside, arguments):
    """What --dry-run plans, in bytes: state and activations."""
    out = beside.bench.work / "plan"
    with open(out, "wb") as file:
        trial.run([beside.bench.programs / "pal-train", *arguments, "--dry-run", "--json"], beside.bench.work,
                  out=file)
    plan = json.loads(out.read_text())
    return plan["state_bytes"] + plan["activation_bytes"]


def memory_row(beside):
    """Limits below the plan, and limits that suffice."""
    row = Row("surroundings: memory of a control group",
              "a plan that does not fit: exit 4; one that does: same bytes")
    planned = planned_bytes(beside, WIDE)
    for share in (0.5, 0.9)[:beside.bench.few(1, None)]:
        with memory_group(int(planned * share)) as folder:
            if isinstance(folder, str):
                row.skipped = folder
                return row
            run = beside.fresh(TRAIN)
            outcome = trial.run([beside.bench.programs / "pal-train", *WIDE, "-o", "new"], run,
                                limit=beside.limit, **inside(folder))
        row.trials += 1
        what = f"train, a plan of {planned // MIB} MiB in a group of {int(planned * share) // MIB} MiB"
        if trial.judge_end(row, outcome, what) and outcome.code != 4:
            row.note("silent", f"{what}: exit code {outcome.code}")
    for size in (64, 256):
        with memory_group(size * MIB) as folder:
            beside.judge(row, TRAIN, Odd(f"a group of {size} MiB", popen=inside(folder)))
    return row


def quota_row(beside):
    """So many threads as the quota has processors, and run.json says how many."""
    row = Row("surroundings: processors of a control group",
              "threads by the quota, at least one; run.json has them")
    for share in (0.5, 1.0, 1.9)[:beside.bench.few(1, None)]:
        quota = int(share * 100000)
        with group("cpu", {"cpu.cfs_period_us": 100000, "cpu.cfs_quota_us": quota},
                   {"cpu.max": f"{quota} 100000"}) as folder:
            if isinstance(folder, str):
                row.skipped = folder
                return row
            odd = Odd(f"{share} processors", popen=inside(folder))
            beside.judge(row, by_itself(TRAIN), odd, same_as=TRAIN)
        said = text_of(beside.work / "folder/new/run.json")
        if said and json.loads(said)["threads"] != 1:
            row.note("wrong", f"train, {odd.what}: run.json says {json.loads(said)['threads']} threads")
    return row
