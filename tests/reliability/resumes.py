"""Runs that go on under other settings, data, formats and threads.

What makes another network, optimizer or data is refused by its name; what decides no number leaves every
bit as it would have been; what lies between is taken with a warning."""
import shutil

import checkpoint_file
import scenarios
import trial
from refusals import judge_refusal, judge_success
from running import last_step
from table import Row

STEP = "run/checkpoints/step-50.safetensors"
FINAL = "checkpoints/final.safetensors"
# Refused with exit code 2; the line has these words.
REFUSED = [
    ("--blocks 2,1", "blocks was 1,1, is 2,1"),
    ("--widths 8,16", "widths was 8,8, is 8,16"),
    ("-a resnet-small", "arch was ibinn-mnist, is resnet-small"),
    ("--coupling slow", "coupling was glow, is slow"),
    ("--opt sgd", "opt was adamw, is sgd"),
    ("--beta 3", "beta was 1, is 3"),
    ("-b 8", "batch was 16, is 8"),
    ("--seed 3", "seed was 0, is 3"),
    ("--ema 0.9", "ema was none, is 0.9"),
    ("--noise false", "noise was true, is false"),
    ("--mean 0.4", "mean was 0.286"),
    ("--dataset synthetic:5:512:8", "classes was 4, is 5", "class 'stripes 4' is new"),
    ("--dataset synthetic:4:512:16", "image-size was 8, is 16"),
    ("--dataset synthetic:4:256:8", "dataset was synthetic:4:512:8"),
]
# Taken, and the run ends in the bits of one that nothing stopped.
SAME_BITS = ["--verbose", "--progress always", "--workers 3", "--checkpoint-every 2", "--keep-checkpoints 9",
             "--memory-limit 1GiB", "--bad-images skip", "--tensorboard", "--check-every 3",
             "--inversion-check-every 2", "--memory-report", "--profile", "--cuda-graph off", "--device cpu",
             "--trace trace.json", "--json", "--log-ranks logs", "--join-timeout 5s"]
# Taken, with a warning that has these words.
WARNED = [
    ("--lr 0.01", "lr was 0.003, is 0.01"),
    ("--epochs 3", "epochs was 2, is 3"),
    ("--sched cosine", "sched was one-cycle, is cosine"),
    ("--smoothing 0", "smoothing was 0.05, is 0"),
    ("--validation 0.05", "other images choose the checkpoints"),
    ("--activation-memory min", "activation-memory was auto, is min"),
    ("--grad-accum 2", "grad-accum was 1, is 2"),
    ("--threads 2", "the run used 1 threads, now 2"),
    ("--threads 4", "the run used 1 threads, now 4"),
]
TEN_STOPS = [*scenarios.TINY, "--epochs", "8", "--checkpoint-every", "7"]


def fresh(bench, *names):
    """A folder with copies of what lies in the start folder."""
    folder = bench.folder("resumed")
    for name in names:
        shutil.copytree(bench.start / name, folder / name, symlinks=True)
    return folder


def resume(bench, folder, *arguments):
    return trial.run([bench.programs / "pal-train", "--resume", "run", "--quiet", *arguments], folder)


def final_of(folder, run="run"):
    return (folder / run / FINAL).read_bytes()


def refused(bench, table):
    row = Row("resumes: refused", "another network, optimizer or data: exit code 2 naming what differs")
    for options, *named in table:
        folder = fresh(bench, "run")
        before = final_of(folder)
        judge_refusal(row, resume(bench, folder, *options.split()), options, 2, named)
        if final_of(folder) != before or last_step(folder / "run") != 50:
            row.note("lost", f"{options}: the run was changed")
    return row


def harmless(bench, table):
    row = Row("resumes: same bits", "what decides no number passes, and the run ends in the same bytes")
    whole = final_of(bench.start, "whole")
    for options in table:
        folder = fresh(bench, "run")
        if judge_success(row, resume(bench, folder, *options.split()), options) and final_of(folder) != whole:
            row.note("lost", f"{options}: the run ends in other weights")
    return row


def warned(bench, table):
    row = Row("resumes: warned", "what changes numbers passes with a warning that names it; also threads")
    for options, named in table:
        ends = set()
        # Twice: the bits are the same at the same settings.
        for _ in range(bench.few(1, 2)):
            folder = fresh(bench, "run")
            outcome = resume(bench, folder, *options.split())
            if not judge_success(row, outcome, options):
                continue
            if not any("warning: --resume: " in line and named in line for line in outcome.err.splitlines()):
                row.note("silent", f"{options}: no warning says '{named}'")
            ends.add(final_of(folder))
        if len(ends) > 1:
            row.note("wrong", f"{options}: the same settings give other bits")
    return row


def patched(folder, key, value):
    """The newest checkpoint with other metadata and a digest that fits."""
    header, tensors = checkpoint_file.read(folder / STEP)
    header["__metadata__"][key] = value
    checkpoint_file.write(folder / STEP, header, tensors)


def formats(bench):
    """Version 1 is the oldest there is; what an older one lacks is planted by leaving it out."""
    row = Row("resumes: formats", "a newer format: exit code 3 with both versions; an older one is read")
    for version in ("2", "999"):
        folder = fresh(bench, "run")
        patched(folder, "format_version", version)
        outcome = trial.run([bench.programs / "pal-train", "--resume", STEP, "--quiet"], folder)
        judge_refusal(row, outcome, f"format {version}", 3, [STEP, f"version {version}", "up to 1"])
        outcome = trial.run([bench.programs / "pal-inspect", STEP], folder)
        judge_refusal(row, outcome, f"pal-inspect of format {version}", 3, [f"version {version}", "up to 1"])
    for version in ("0", "-1", "one", ""):
        folder = fresh(bench, "run")
        patched(folder, "format_version", version)
        outcome = trial.run([bench.programs / "pal-train", "--resume", STEP, "--quiet"], folder)
        judge_refusal(row, outcome, f"format '{version}'", 3, [STEP, "format_version"])
    # What the first versions did not record yet.
    folder = fresh(bench, "run")
    header, tensors = checkpoint_file.read(folder / STEP)
    for key in ("train_fingerprint", "validation"):
        del header["__metadata__"][key]
    checkpoint_file.write(folder / STEP, header, tensors)
    outcome = resume(bench, folder)
    whole = final_of(bench.start, "whole")
    if judge_success(row, outcome, "an older checkpoint") and final_of(folder) != whole:
        row.note("lost", "an older checkpoint: the run ends in other weights")
    return row


def finished(bench):
    """--resume auto on a run that is complete."""
    row = Row("resumes: finished", "a finished run stays as it is")
    folder = fresh(bench, "whole")
    before = trial.contents(folder / "whole", ["checkpoints/*.safetensors", "metrics.jsonl"])
    outcome = trial.run([bench.programs / "pal-train", "--resume", "auto", "-o", "whole", "--quiet"], folder)
    judge_success(row, outcome, "--resume auto of a finished run")
    after = trial.contents(folder / "whole", ["checkpoints/*.safetensors", "metrics.jsonl"])
    for name in before:
        if after.get(name) != before[name]:
            row.note("lost", f"--resume auto of a finished run: {name} was changed")
    return row


def ten_stops(bench, stops):
    row = Row("resumes: ten stops", "as many stops in 200 steps: 0 bytes differ")
    train = bench.programs / "pal-train"
    folder = bench.folder("stops")
    outcome = trial.run([train, *TEN_STOPS, "--max-steps", "200", "-o", "unstopped"], folder, limit=120)
    judge_success(row, outcome, "the run without a stop")
    differing = 0
    for i in range(stops + 1):
        until = ["--max-steps", str(200 * (i + 1) // (stops + 1))]
        outcome = trial.run([train, *TEN_STOPS, *until, "--resume", "auto", "-o", "stopped"], folder)
        judge_success(row, outcome, f"stop {i}")
    for path in (folder / "unstopped/checkpoints").glob("*.safetensors"):
        other = folder / "stopped/checkpoints" / path.name
        # Which checkpoints were the best so far depends on the ends, which validate too.
        if path.name.startswith(("final", "averaged", "step-200")):
            differing += differing_bytes(path, other)
    if differing:
        row.note("lost", f"{differing} bytes differ after {stops} stops")
    row.figure = f"{stops} stops in 200 steps, {differing} bytes differ"
    return row


def differing_bytes(one, other):
    if not other.exists():
        return one.stat().st_size
    a, b = one.read_bytes(), other.read_bytes()
    return abs(len(a) - len(b)) + sum(x != y for x, y in zip(a, b))


def part(bench):
    yield refused(bench, REFUSED[::3] if bench.quick else REFUSED)
    yield harmless(bench, SAME_BITS[::5] if bench.quick else SAME_BITS)
    yield warned(bench, WARNED[::4] if bench.quick else WARNED)
    yield formats(bench)
    yield finished(bench)
    yield ten_stops(bench, bench.few(4, 10))


def planted(bench):
    def stand_in(body):
        return bench.with_stand_in("pal-train", body)

    willing = stand_in('"$real" "$@" 2> /dev/null || true; exit 0')
    quiet = stand_in('"$real" "$@" 2> /dev/null')
    forgetful = stand_in(f'"$real" "$@"; code=$?; for i in */{FINAL}; do echo >> $i; done; exit $code')
    return {"a run that takes another network": refused(willing, REFUSED[:1]),
            "other bits": harmless(forgetful, SAME_BITS[:1]),
            "a change without a warning": warned(quiet, WARNED[:1]),
            "a format that is not known": formats(willing),
            "a finished run that is changed": finished(forgetful),
            "stops that change the end": ten_stops(stand_in(
                f'"$real" "$@"; code=$?; [[ "$*" != *auto* ]] || echo >> stopped/{FINAL}; exit $code'), 1)}
