"""Numbers that are not finite any more: driven there by absurd settings, or planted in a checkpoint.

Training stops with exit code 5 and names the step and the layer or tensor; what it saved before stays,
and nothing that is not finite is saved. Other programs say so too instead of printing a number."""
import json
import math
import re
import shutil

import checkpoint_file
import scenarios
import sets
import trial
from refusals import judge_refusal, judge_success
from table import Row

STEP = "run/checkpoints/step-50.safetensors"
BARE = "--burn-in 0 --warmup-steps 0 --checkpoint-every 1".split()
# Of a new run; those that hold for a run that goes on too are marked.
DRIVEN = [
    ("--lr 1e6 --clip-grad none", True),
    ("--lr-mu 1e38 --clip-grad none", True),
    ("--opt sgd --lr 1e4 --clip-grad none", False),
    ("--lr 3e38", True),
    ("--wd 1e30", True),
    ("--opt sgd --momentum 0.9999999 --lr 1 --clip-grad none", False),
    ("--mu-init 1e30", False),
    ("--subnet-gain 1e30", False),
    ("--std 1e-38", False),
    ("--ema 0.5 --lr 1e6 --clip-grad none", False),
    ("--bad-steps 1000 --lr 1e30 --clip-grad none", False),
]
WEIGHT = "blocks.2.s1.5.weight"
# Tensors of a checkpoint, and what their first number becomes.
PLANTED = [
    (f"model.{WEIGHT}", math.nan),
    ("model.blocks.2.s1.3.running_var", math.nan),
    ("model.mu_mean", math.inf),
    ("model.blocks.2.act_norm", math.nan),
    (f"optimizer.exp_avg.{WEIGHT}", math.nan),
    (f"optimizer.exp_avg_sq.{WEIGHT}", math.inf),
]
# Options of runs on pictures of one grey.
GREY = ("", "--noise false", "--noise false --data-init false", "--noise false -a resnet-small")
# What is asked of a checkpoint whose weights are not finite.
READERS = [
    "pal-evaluate {} -q",
    "pal-sample {} --around means -n 1 -o samples.png -q",
    "pal-explain heatmap {} --images 1 -o maps.png -q",
    "pal-classify {} pictures/val -q",
    "pal-ood {} --against noise --images 20 -q",
    "pal-robustness {} --corruptions fog --severities 1 -n 8 -q",
    "pal-attack {} --attack ddn --steps 2 -n 4 -q",
]


def judge_checkpoints(bench, row, what, folder, but=()):
    """All that lie there are whole, and finite."""
    for path in sorted((folder / "checkpoints").glob("*.safetensors")):
        if path.name in but:
            continue
        outcome = trial.run([bench.programs / "pal-inspect", path], folder)
        if outcome.code != 0 or "not finite" in outcome.err:
            row.note("lost", f"{what}: {path.name}: {trial.last_line(outcome.err)}")


def judge_stop(row, what, outcome, folder):
    """Exit code 5, naming where; and steps that were skipped are counted."""
    judge_refusal(row, outcome, what, 5)
    if outcome.code != 5:
        return
    said = trial.last_line("\n".join(outcome.errors()))
    # Before the first step there is none to name.
    if (folder / "metrics.jsonl").exists() and not re.search(r"error: (\S*/)?step[- ]\d+(\.safetensors)?: ", said):
        row.note("wrong", f"{what}: no step is named: {said}")
    if not re.search(r"blocks\.\d+\.|mu_mean|is not finite|parameter \S|the loss is|the gradient of", said):
        row.note("wrong", f"{what}: no layer or tensor is named: {said}")
    if (folder / "summary.json").exists():
        rows = (folder / "metrics.jsonl").read_text().count('"skipped":"not-finite"')
        counted = json.loads((folder / "summary.json").read_text())["skipped_not_finite"]
        if counted != rows:
            row.note("wrong", f"{what}: {rows} steps were skipped, the summary counts {counted}")


def driven(bench, table, more=()):
    row = Row("not finite: driven", "absurd rates: exit code 5 naming step and layer, the last good stays")
    train = bench.programs / "pal-train"
    for options, also_resumed in table:
        folder = bench.folder("driven")
        outcome = trial.run([train, *scenarios.TINY, "--epochs", "2", *BARE, *options.split(), *more,
                             "-o", "run"], folder)
        judge_stop(row, options, outcome, folder / "run")
        judge_checkpoints(bench, row, options, folder / "run")
        if not also_resumed:
            continue
        shutil.rmtree(folder / "run", ignore_errors=True)
        shutil.copytree(bench.start / "run", folder / "run", symlinks=True)
        good = (folder / STEP).read_bytes()
        outcome = trial.run([train, "--resume", "run", *BARE, *options.split(), *more], folder)
        judge_stop(row, f"resumed with {options}", outcome, folder / "run")
        judge_checkpoints(bench, row, f"resumed with {options}", folder / "run")
        if not (folder / STEP).exists() or (folder / STEP).read_bytes() != good:
            row.note("lost", f"resumed with {options}: {STEP} is not what it was")
        judge_goes_on(bench, row, f"resumed with {options}", folder, trial.last_line(outcome.err))
    return row


def judge_goes_on(bench, row, what, folder, said):
    """A run with other rates, as the line advises, goes on from the newest checkpoint, or from the one before
    it, which the line names."""
    rates = "--lr 0.003 --lr-mu 0.003 --wd 0 --clip-grad 1".split()
    named = re.search(r"the one before it --resume (\S+)", said)
    for place in ["run", *([named[1]] if named else [])]:
        outcome = trial.run([bench.programs / "pal-train", "--resume", place, "--quiet", *rates], folder)
        if outcome.code == 0:
            return
    row.note("lost", f"{what}, then with other rates: exit code {outcome.code}: {trial.last_line(outcome.err)}")


def plant(folder, tensor, value, digest=True):
    header, tensors = checkpoint_file.read(folder / STEP)
    checkpoint_file.set_value(header, tensors, tensor, value)
    checkpoint_file.write(folder / STEP, header, tensors, digest)


def fresh(bench, tensor, value, digest=True):
    folder = bench.folder("planted")
    for name in ("run", "pictures"):
        shutil.copytree(bench.start / name, folder / name, symlinks=True)
    plant(folder, tensor, value, digest)
    return folder


def judge_told(row, what, outcome, tensor):
    """A program that reads the numbers and goes on must name the tensor."""
    if judge_success(row, outcome, what):
        warnings = [line for line in outcome.err.splitlines() if "warning: " in line and tensor in line]
        if not warnings:
            row.note("silent", f"{what}: no warning names {tensor}")


def planted_numbers(bench, table):
    row = Row("not finite: trained", "NaN in a checkpoint: pal-inspect tells, training from it stops")
    inspect, train = bench.programs / "pal-inspect", bench.programs / "pal-train"
    for tensor, value in table:
        what = f"{tensor} with {value}"
        folder = fresh(bench, tensor, value, digest=False)
        judge_refusal(row, trial.run([inspect, STEP], folder), f"{what}, without its digest", 3, [STEP])
        folder = fresh(bench, tensor, value)
        judge_told(row, f"pal-inspect: {what}", trial.run([inspect, STEP], folder), tensor)
        before = trial.contents(folder / "run", ["checkpoints/*.safetensors"])
        outcome = trial.run([train, "--resume", "run", "--checkpoint-every", "1", "--quiet"], folder)
        if tensor.startswith("optimizer.") and outcome.code == 0:
            # Weights whose second moment is infinite stay as they are.
            judge_told(row, f"resumed from {what}", outcome, tensor)
            continue
        judge_stop(row, f"resumed from {what}", outcome, folder / "run")
        name = re.sub(r"^(model|optimizer\.\w+)\.", "", tensor)
        if outcome.code == 5 and name not in "\n".join(outcome.errors()):
            row.note("wrong", f"resumed from {what}: {name} is not named: {trial.last_line(outcome.err)}")
        if outcome.code == 5 and trial.contents(folder / "run", ["checkpoints/*.safetensors"]) != before:
            row.note("lost", f"resumed from {what}: the checkpoints are not what they were")
        judge_checkpoints(bench, row, f"resumed from {what}", folder / "run", ("step-50.safetensors",))
    return row


def read_numbers(bench, table, readers, converts=True):
    row = Row("not finite: read", "weights that are not finite: exit code 5, pal-convert warns")
    for tensor, value in table:
        read_number(bench, row, tensor, value, readers, converts)
    return row


def read_number(bench, row, tensor, value, readers, converts):
    """Every program that reads weights, with one number of them planted."""
    folder = fresh(bench, tensor, value)
    for command in readers:
        program, *arguments = command.format(STEP).split()
        outcome = trial.run([bench.programs / program, *arguments], folder)
        what = f"{program}: {tensor} with {value}"
        judge_refusal(row, outcome, what, 5)
        if outcome.code == 5 and not re.search(r"not finite|is -?nan|is not a number", outcome.err):
            row.note("wrong", f"{what}: not told why: {trial.last_line(outcome.err)}")
    outcome = trial.run([bench.programs / "pal-train", *scenarios.TINY, "--init-from", STEP, "--epochs", "1",
                         "-o", "other"], folder)
    judge_stop(row, f"--init-from: {tensor} with {value}", outcome, folder / "other")
    judge_checkpoints(bench, row, f"--init-from: {tensor} with {value}", folder / "other")
    if converts:
        convert = [bench.programs / "pal-convert", STEP, "small.safetensors", "--weights-only"]
        outcome = trial.run(convert, folder)
        judge_told(row, f"pal-convert: {tensor} with {value}", outcome, tensor)


def constant_pictures(bench):
    row = Row("not finite: one grey", "pictures of one grey: finite, or exit code 5")
    folder = bench.folder("grey")
    data = sets.make(bench, "idx", folder)
    for level in (0, 255):
        for part in ("train", "t10k"):
            file = data / f"{part}-images-idx3-ubyte"
            content = file.read_bytes()
            file.write_bytes(content[:16] + bytes([level]) * (len(content) - 16))
        for options in GREY:
            what = f"pictures of {level} {options}"
            shutil.rmtree(folder / "run", ignore_errors=True)
            outcome = trial.run([bench.programs / "pal-train", "data", *sets.OPTIONS["idx"], "--epochs", "1",
                                 *options.split(), "-o", "run"], folder)
            row.trials += 1
            if trial.judge_end(row, outcome, what) and outcome.code not in (0, 5):
                row.note("wrong", f"{what}: exit code {outcome.code}: {trial.last_line(outcome.err)}")
            judge_checkpoints(bench, row, what, folder / "run")
    return row


def in_bf16(bench, table):
    row = Row("not finite: bf16", "the same with subnets in bf16")
    outcome = trial.run([bench.programs / "pal-train", *scenarios.TINY, "--precision", "bf16", "--dry-run"],
                        bench.work)
    if outcome.code == 4:
        row.skipped = "this processor has no bf16"
        return row
    made = driven(bench, [(options, False) for options, _ in table], ("--precision", "bf16"))
    row.add(made)
    return row


def part(bench):
    some = DRIVEN[:2] if bench.quick else DRIVEN
    yield driven(bench, some)
    yield planted_numbers(bench, PLANTED[::4] if bench.quick else PLANTED)
    yield read_numbers(bench, PLANTED[:bench.few(1, 4)], READERS[:bench.few(2, len(READERS))])
    if not bench.quick:
        yield constant_pictures(bench)
    yield in_bf16(bench, some)


def planted(bench):
    def stand_in(program, body):
        return bench.with_stand_in(program, body)

    content = stand_in("pal-train", '"$real" "$@" 2> /dev/null || true; exit 0')
    nameless = stand_in("pal-train", '"$real" "$@" 2> /dev/null && exit\n'
                                     'echo "pal-train: error: it diverged" >&2; exit 5')
    # Saves over the checkpoint before.
    careless = stand_in("pal-train", '"$real" "$@" && exit; code=$?; cd run/checkpoints\n'
                                     '[ ! -e final.safetensors ] || cp {averaged,step-50}.safetensors\n'
                                     'exit $code')
    blind = stand_in("pal-inspect", '"$real" "$@" 2> /dev/null')
    first = [("--lr 3e38", True)]
    return {"training that goes on": driven(content, first[:1]),
            "a stop that names nothing": driven(nameless, [("--lr 3e38", False)]),
            "a checkpoint that is written over": driven(careless, first),
            "an inspection that says nothing": planted_numbers(blind, PLANTED[:1]),
            "an evaluation of no number": read_numbers(
                stand_in("pal-evaluate", "exit 0"), PLANTED[:1], READERS[:1], converts=False)}
