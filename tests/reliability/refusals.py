"""How a program must refuse: with the exit code that was promised, in one line that says what is wrong."""
import trial


def judge_refusal(row, outcome, what, code, named=()):
    """Counts the trial, and what was wrong about the refusal; `named` are words that its line must have."""
    row.trials += 1
    if outcome.code == 0:
        row.note("silent", f"{what}: exit code 0: {trial.last_line(outcome.err)}")
        return
    if not trial.judge_end(row, outcome, what):
        return
    said = "\n".join(outcome.errors())
    if outcome.code != code:
        row.note("wrong", f"{what}: exit code {outcome.code} instead of {code}: {trial.last_line(said)}")
    for words in named:
        if words not in said:
            row.note("wrong", f"{what}: '{words}' is not named: {trial.last_line(said)}")


def judge_success(row, outcome, what):
    """Counts the trial; whether it ended with 0."""
    row.trials += 1
    if trial.judge_end(row, outcome, what) and outcome.code != 0:
        row.note("wrong", f"{what}: exit code {outcome.code}: {trial.last_line(outcome.err)}")
    return outcome.code == 0
