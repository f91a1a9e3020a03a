"""Signals to a training run.

The first ends the step, saves a checkpoint and exits with 130 or 143; going on redoes no step and ends
in the same bits. A second one, a second or more later, leaves at once; sooner it is the first again, as
timeout(1) sends two. A reader that leaves never ends training."""
import os
import shutil
import signal
import time

import scenarios
import trial
from refusals import judge_success
from running import Running, last_step, newest_checkpoint, steps_of, train_rows
from table import Row

# Stops by a signal lie before this step, the run goes on to it.
LAST = 200
LONG = [*scenarios.TINY, "--epochs", "2000", "--checkpoint-every", "100000", "-o", "run"]
# A step takes long enough to be stopped within it.
SLOW = ("--dataset synthetic:4:300:64:3 --blocks 1,1 --strides 1,2 --widths 16,16 -b 64 --validation 40 "
        "--threads 1 --checkpoint-every 1 --epochs 100 --validate-every 0 --quiet -o run").split()
# What other programs are busy with for a while, and the folder that they make before.
BUSY = {"attacked": "pal-attack whole --attack ddn --steps 1000000 -n 8 --threads 1 -q -o attacked",
        "robust": "pal-robustness whole --threads 1 -q -o robust",
        "corrupted": "pal-corrupt pictures -o corrupted --image-size 224 -q -j 1"}
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}


def train(bench, *arguments):
    return [bench.programs / "pal-train", *arguments]


def judge_stop(bench, row, what, outcome, folder, code):
    """After a signal: the exit code, and a whole checkpoint of the last step."""
    if not trial.judge_end(row, outcome, what):
        return False
    if outcome.code != code:
        row.note("wrong", f"{what}: exit code {outcome.code} instead of {code}")
    newest, last = newest_checkpoint(folder / "run"), last_step(folder / "run")
    if newest != last:
        row.note("lost", f"{what}: the newest checkpoint is of step {newest}, the last step was {last}")
        return False
    checkpoint = f"run/checkpoints/step-{newest}.safetensors"
    if trial.run([bench.programs / "pal-inspect", checkpoint], folder).code != 0:
        row.note("lost", f"{what}: {checkpoint} is not whole")
        return False
    return True


def whole_run(bench, folder):
    """Bytes of the weights at step LAST of a run that nothing stops."""
    outcome = trial.run(train(bench, *LONG, "--max-steps", LAST), folder, limit=120)
    if outcome.code != 0:
        raise RuntimeError(f"pal-train: {trial.last_line(outcome.err)}")
    return (folder / "run/checkpoints/final.safetensors").read_bytes()


def judge_resumed(bench, row, what, folder, whole):
    """Going on redoes no step, and ends as if there had been no signal."""
    stopped = last_step(folder / "run")
    if stopped >= LAST:
        return  # on a machine that did not run this script for a while there is nothing to compare with
    outcome = trial.run(train(bench, "--resume", "run", "--max-steps", LAST), folder, limit=120)
    if outcome.code != 0:
        row.note("lost", f"{what}, then resumed: exit code {outcome.code}: {trial.last_line(outcome.err)}")
        return
    if f"resumed at step {stopped} " not in outcome.err:
        row.note("wrong", f"{what}, then resumed: not at step {stopped}")
    if steps_of(folder / "run") != list(range(1, LAST + 1)):
        row.note("wrong", f"{what}, then resumed: the metrics have not each step once")
    if (folder / "run/checkpoints/final.safetensors").read_bytes() != whole:
        row.note("lost", f"{what}, then resumed: the run ends in other weights")


def stops(bench, whole, numbers=tuple(CODES), rounds=1):
    row = Row("signals: a stop", "INT, TERM, HUP end the step and save; resuming redoes 0 steps, same bits")
    slowest = 0.0
    for i in range(rounds):
        for number in numbers:
            row.trials += 1
            folder = bench.folder(f"signal_{row.trials}")
            what = f"SIG{number.name[3:]} after {10 * i + 20} steps"
            with Running(train(bench, *LONG), folder) as run:
                if not run.wait_for_steps(folder / "run", 10 * i + 20):
                    row.note("wrong", f"{what}: it ended before: {trial.last_line(run.end().err)}")
                    continue
                run.send(number)
                outcome = run.end(20.0)
            slowest = max(slowest, outcome.seconds)
            if judge_stop(bench, row, what, outcome, folder, CODES[number]):
                judge_resumed(bench, row, what, folder, whole)
    row.figure = f"steps redone 0, slowest end {slowest:.1f} s" if not row.broken else ""
    return row


def stopped_twice(bench, row, apart):
    """Two SIGTERM so many seconds apart within one step; what became of it, and the steps that were done
    before. The program is stopped in between, so that it cannot get to the end of the step."""
    row.trials += 1
    folder = bench.folder("twice")
    what = f"two SIGTERM {apart} s apart"
    with Running(train(bench, *SLOW), folder) as run:
        if not run.wait_for(lambda: newest_checkpoint(folder / "run") >= 2):
            row.note("wrong", f"{what}: it ended before: {trial.last_line(run.end().err)}")
            return
        # Into the next step: a signal between two steps ends the run there.
        rows = train_rows(folder / "run")
        time.sleep((rows[-1]["t"] - rows[-2]["t"]) / 3)
        run.send(signal.SIGTERM)
        time.sleep(0.02)
        run.send(signal.SIGSTOP)
        done = newest_checkpoint(folder / "run")
        time.sleep(apart)
        run.send(signal.SIGTERM)
        run.send(signal.SIGCONT)
        outcome = run.end(20.0)
    if apart < 1:
        judge_stop(bench, row, what, outcome, folder, 143)
    elif trial.judge_end(row, outcome, what):
        if outcome.code != 143:
            row.note("wrong", f"{what}: exit code {outcome.code} instead of 143")
        if newest_checkpoint(folder / "run") != done:
            row.note("wrong", f"{what}: it stayed until step {newest_checkpoint(folder / 'run')} was saved")
        checkpoint = f"run/checkpoints/step-{done}.safetensors"
        if trial.run([bench.programs / "pal-inspect", checkpoint], folder).code != 0:
            row.note("lost", f"{what}: {checkpoint} is not whole")


def second(bench, times=(0.2, 1.3)):
    row = Row("signals: a second", "a second later it leaves at once; sooner it is the first again")
    for apart in times:
        stopped_twice(bench, row, apart)
    return row


def judge_unharmed(row, what, outcome, folder, whole):
    if not judge_success(row, outcome, what):
        return
    if (folder / "run/checkpoints/final.safetensors").read_bytes() != whole:
        row.note("lost", f"{what}: the run ends in other weights")


def reader_left(bench):
    """Training whose stdout, or stdout and stderr, goes into a pipe that nobody reads any more."""
    row = Row("signals: SIGPIPE", "a reader that leaves (pal-train | head -1) does not end training")
    arguments = [a for a in LONG if a != "--quiet"] + ["--max-steps", "30", "--progress", "always"]
    whole = None
    both = {"preexec_fn": lambda: os.dup2(1, 2)}
    for what, more in (("", {}), ("stdout", {}), ("stdout and stderr", both)):
        folder = bench.folder("piped")
        readable, writable = os.pipe()
        if what:
            os.close(readable)
        outcome = trial.run(train(bench, *arguments), folder, out=writable, **more)
        os.close(writable)
        if not what:
            os.close(readable)
            whole = (folder / "run/checkpoints/final.safetensors").read_bytes()
        else:
            judge_unharmed(row, f"a closed pipe as {what}", outcome, folder, whole)
    return row


def nohup(bench, whole):
    """nohup(1) starts programs so: they are not to hear of SIGHUP."""
    row = Row("signals: nohup", "SIGHUP does not end a run that was started to ignore it")
    folder = bench.folder("nohup")
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    with Running(train(bench, *LONG, "--max-steps", LAST), folder, **ignore) as run:
        run.wait_for_steps(folder / "run", 10)
        run.send(signal.SIGHUP)
        judge_unharmed(row, "nohup pal-train, then SIGHUP", run.end(), folder, whole)
    return row


def others(bench, busy):
    """Programs that are no training runs end at once; what they leave is asked of kills (io_calls)."""
    row = Row("signals: others", "INT, TERM and HUP end other programs at once")
    folder = bench.folder("others")
    for name in ("whole", "pictures"):
        shutil.copytree(bench.start / name, folder / name, symlinks=True)
    slowest = 0.0
    for made, command in busy.items():
        for number in CODES:
            row.trials += 1
            shutil.rmtree(folder / made, ignore_errors=True)
            program, *arguments = command.split()
            with Running([bench.programs / program, *arguments], folder) as run:
                if not run.wait_for((folder / made).exists):
                    row.note("wrong", f"{program}: it ended before: {trial.last_line(run.end().err)}")
                    continue
                run.send(number)
                outcome = run.end(10.0)
            slowest = max(slowest, outcome.seconds)
            what = f"SIG{number.name[3:]} to {program}"
            if outcome.timed_out:
                row.note("hangs", what)
            elif outcome.code not in (-number, CODES[number]):
                row.note("wrong", f"{what}: exit code {outcome.code}: {trial.last_line(outcome.err)}")
    row.figure = f"slowest end {slowest:.1f} s"
    return row


def part(bench):
    folder = bench.folder("unstopped")
    whole = whole_run(bench, folder)
    yield stops(bench, whole, rounds=bench.few(1, 10))
    yield second(bench)
    yield others(bench, dict(list(BUSY.items())[:bench.few(1, len(BUSY))]))
    yield reader_left(bench)
    yield nohup(bench, whole)


def planted(bench):
    def stand_in(body):
        return bench.with_stand_in("pal-train", body)

    behind = '"$real" "$@" & behind=$!\n'
    deaf = stand_in(behind + "trap 'kill -KILL $behind; exit 143' TERM; wait")
    content = stand_in(behind + "trap 'kill -TERM $behind' TERM; wait; wait; exit 0")
    stubborn = stand_in(behind + "trap 'kill -TERM $behind; trap : TERM' TERM; wait; wait; wait; exit 143")
    fragile = stand_in('"$real" "$@" || exit; echo one; echo two')
    return {"a run that saves nothing": stops(deaf, b"", (signal.SIGTERM,)),
            "a stop that ends with 0": stops(content, b"", (signal.SIGTERM,)),
            "a resumed run with other weights": stops(bench, b"", (signal.SIGTERM,)),
            "a second signal that is not heard": second(stubborn, (1.3,)),
            "a program that does not listen": others(bench.with_stand_in(
                "pal-attack", "mkdir attacked; trap : INT TERM HUP; sleep 0.3; sleep 0.3"),
                {"attacked": BUSY["attacked"]}),
            "a run that dies of SIGPIPE": reader_left(fragile),
            "a run that nohup does not keep": nohup(stand_in("exit 143"), b"")}
