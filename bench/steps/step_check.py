"""Whether step_worker and torch_step compute the same: what `bench/steps/step.py --check` runs.

Small configurations of every kind, a few steps with a rate that moves the loss. Losses, gradient
norms and the loss with running statistics must agree.
"""

import os
import tempfile

from workers import Worker, WorkerError, relative

STEPS = 3
# Large enough to move the loss. It is a choice all the same: where a value comes to lie within
# rounding of a ReLU's kink, the engines (and the rival's variants) part after a step or two by a
# thousandth, and come together again for a rate that is 1e-5 larger. bfloat16 rounds far more.
RATES = {"fp32": 0.01, "bf16": 0.001}

ENTRY = ("image-size=64", "classes=10", "blocks=1,2", "strides=1,2", "widths=8,16",
         "entry-width=8", "rank=4")
# Architecture and fields of the configuration.
CASES = [
    ("ibinn-mnist", ()),
    ("ibinn-small", ("rank=4",)),
    ("ibinn-small", ("subnet=basic", "dct=orthonormal", "act-norm=exp", "head-permutation=true")),
    ("ibinn-mnist", ("mixing=orthogonal", "act-norm=paper")),
    ("ibinn-mnist", ("welling=true",)),
    ("ibinn-mnist", ("coupling=slow", "mixing=householder", "act-norm=sigmoid")),
    ("ibinn-mnist", ("coupling=slow", "welling=true", "gin=true", "mixing=swap",
                     "dct-reported=true")),
    ("ibinn-mnist", ("coupling=slow", "subnet=bottleneck", "mixing=none", "latent-norm=false")),
    ("ibinn-imagenet", ENTRY),
    ("ibinn-imagenet", ENTRY + ("entry-7x7=true", "mixing=orthogonal")),
    ("resnet-small", ()),
    ("resnet50", ("image-size=64", "classes=10", "blocks=1,1,1,1", "widths=8,16,32,64")),
]
BF16_CASES = [("ibinn-mnist", ()), ("ibinn-imagenet", ENTRY), ("resnet-small", ())]

# Relative, per precision: of losses, and of gradient norms. float32 sums come in another order in
# the two engines, and batch norms over few values amplify that; bfloat16 has 8 bits, and autocast
# rounds at other places than the engine does (it keeps the first batch norm in float32).
TOLERANCES = {"fp32": (1e-5, 1e-3), "bf16": (1e-2, 1e-1)}


def run(worker, policy):
    answer = worker.ask("train", policy=policy, steps=STEPS)
    return answer["loss"], answer["grad_norm"], worker.ask("infer", steps=1)["loss"]


def differences(ours, rival):
    """Largest relative differences of losses (the one with running statistics too) and norms."""
    losses = max(map(relative, ours[0] + [ours[2]], rival[0] + [rival[2]]))
    return losses, max(map(relative, ours[1], rival[1]))


def check_case(workers, arch, fields, precision, batch=4):
    """Lines of the table and whether all agree. workers: ours, then the rivals."""
    ours, rivals = workers[0], workers[1:]
    name = " ".join((arch, *fields, precision))
    lines, good = [], True
    allowed = TOLERANCES[precision]
    load = {"precision": precision, "threads": 1, "lr": RATES[precision]}
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "weights.safetensors")
        ours.ask("load", arch=arch, set=list(fields), batch=batch, **load)
        ours.ask("export", file=file)
        wanted = run(ours, "store")
        for rival in rivals:
            for policy in ("store", "checkpoint"):
                rival.ask("load", file=file, **load)
                found = differences(wanted, run(rival, policy))
                agree = all(a <= b for a, b in zip(found, allowed))
                good = good and agree
                lines.append(f"{'ok  ' if agree else 'FAIL'} {name} | {rival.label} {policy}: "
                             f"loss {wanted[0][0]:.5f} to {wanted[0][-1]:.5f}, differs by "
                             f"{found[0]:.1e}, gradient norm by {found[1]:.1e}")
    return lines, good


def check(ours, torch):
    """Prints a line per case; True if all agree."""
    good = True
    with Worker("ours", [ours]) as engine, Worker("torch", [torch]) as tuned, \
            Worker("torch-untuned", [torch, "--untuned"]) as untuned:
        workers = (engine, tuned, untuned)
        cases = [(*case, "fp32") for case in CASES] + [(*case, "bf16") for case in BF16_CASES]
        for case in cases:
            try:
                lines, agree = check_case(workers, *case)
            except WorkerError as error:
                lines, agree = [f"FAIL {' '.join((case[0], *case[1], case[2]))} | {error}"], False
            print("\n".join(lines), flush=True)
            good = good and agree
    return good
