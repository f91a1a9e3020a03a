"""Deaths of ranks, as rows of the table: what tests/experiments/rank_deaths_test.sh finds.

That test kills, stops, ends and fails one of three ranks at its start, in a step and while it saves. The
others must name it within ten seconds and end with exit code 6; nobody may stay behind, and the run goes on
from its checkpoints. Here its lines are counted, under each launcher that this machine has."""
import re

import trial
from table import Row

TEST = "tests/experiments/rank_deaths_test.sh"
LAUNCHERS = ("hand", "mpirun", "srun", "torchrun")
SKIPPED = 77
# What a line of the test is about; the first that is found in it counts.
SIGNS = (("hangs", ("a rank hangs", "goes on", "does not end when it wakes", "an orphan is left")),
         ("lost", ("a checkpoint is lost", "pal-inspect", "--resume run")),
         ("crashes", ("broke off", "exit code 1:", "exit code 13", "internal: ")),
         ("wrong", ("",)))


def kind_of(line):
    return next(kind for kind, signs in SIGNS if any(sign in line for sign in signs))


def count(row, code, text):
    """Counts the lines of a finished test."""
    failed = [line.removeprefix("FAILED: ") for line in text.splitlines() if line.startswith("FAILED: ")]
    for line in failed:
        row.note(kind_of(line), line)
    if code != 0 and not failed:
        row.note("wrong", f"the test ends with {code}: {trial.last_line(text)}")
    slowest = re.search(r"slowest survivor ended after (\d+) ms", text)
    if slowest:
        row.figure = f"slowest survivor {int(slowest[1]) / 1000:.1f} s"
    wordless = re.search(r"(\d+) ranks were ended", text)
    if wordless:
        row.figure += f"; {wordless[1]} ended by the launcher before they had a word"


def row_of(bench, launcher, deaths, test=None):
    """Runs the test, or a stand-in for it."""
    row = Row(f"deaths of ranks: {launcher}",
              "survivors name the rank, end in 10 s with exit code 6; the run goes on")
    folder = bench.folder(f"deaths-{launcher}-{len(list(bench.work.glob('deaths-*')))}")
    env = trial.surroundings(PALINDROME_DEATHS=deaths, PALINDROME_LAUNCHER=launcher, TMPDIR=folder)
    with open(folder / "log", "wb") as out:
        outcome = trial.run(["bash", test or bench.source / TEST, bench.programs, bench.source], folder, env,
                            limit=120 + 60 * deaths, out=out)
    text = (folder / "log").read_text(errors="replace")
    if outcome.code == SKIPPED:
        row.skipped = re.search(r"SKIPPED \((.*)\)", text)[1]
        return row
    row.trials = deaths
    if outcome.timed_out:
        row.note("hangs", f"no end after {outcome.seconds:.0f} s: {trial.last_line(text)}")
    else:
        count(row, outcome.code, text)
    return row


def part(bench):
    yield row_of(bench, "hand", bench.few(1, 100))
    if not bench.quick:
        for launcher in LAUNCHERS[1:]:
            yield row_of(bench, launcher, 20)


def planted(bench):
    """Ranks that name a wrong one, by the test itself; what it says of orphans and lost checkpoints, by
    lines of it."""
    # All numbers: of who did not even arrive the line is another one.
    wrong = bench.with_stand_in("pal-train", 'exec "$real" "$@" 2> >(sed -u "/error: /s/[0-9]/9&/g" >&2)')
    (wrong.programs.parent / "tests").symlink_to(bench.tools.parent)
    said = bench.work / "said"

    def saying(line):
        said.write_text(f'echo "FAILED: death 0: kill, step, rank 2: {line}"\nexit 1\n')
        return row_of(bench, "hand", 1, said)
    return {"a wrong name": row_of(wrong, "hand", 1),
            "an orphan": saying("an orphan is left"),
            "a lost checkpoint": saying("a checkpoint is lost")}
