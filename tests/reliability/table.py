"""The table of promises: a row for each, as text and as JSON."""
import json
import pathlib
from dataclasses import asdict, dataclass, field

MOST_EXAMPLES = 5


@dataclass
class Row:
    """What became of the trials of one part.

    lost: results that were neither the old nor the new ones, or that a later run could not make;
    silent: faults that passed without a word; crashes: ends without a line that says why; hangs: runs
    past their time; wrong: any other promise that was broken."""
    part: str
    promise: str
    trials: int = 0
    lost: int = 0
    silent: int = 0
    crashes: int = 0
    hangs: int = 0
    wrong: int = 0
    seconds: float = 0.0
    figure: str = ""
    skipped: str = ""
    examples: list = field(default_factory=list)

    KINDS = ("lost", "silent", "crashes", "hangs", "wrong")

    def note(self, kind, what):
        """Counts a broken promise, and keeps the first few as examples."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(f"{kind}: {what}")

    def add(self, other):
        for kind in ("trials", *self.KINDS):
            setattr(self, kind, getattr(self, kind) + getattr(other, kind))
        self.examples += other.examples[:MOST_EXAMPLES - len(self.examples)]

    @property
    def broken(self):
        return sum(getattr(self, kind) for kind in self.KINDS)


HEADER = ("part", "trials", *Row.KINDS, "seconds", "")


def cells(row):
    if row.skipped:
        return (row.part, "SKIPPED", "", "", "", "", "", "", row.skipped)
    counts = [str(getattr(row, kind)) for kind in Row.KINDS]
    return (row.part, str(row.trials), *counts, f"{row.seconds:.0f}", row.figure or row.promise)


def text(rows, header=True):
    lines = [HEADER, *(cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER) - 1)]
    shown = []
    for line in lines if header else lines[1:]:
        numbers = [cell.rjust(width) for cell, width in zip(line[1:-1], widths[1:])]
        shown.append("  ".join([line[0].ljust(widths[0]), *numbers, line[-1]]).rstrip())
    for row in rows:
        shown += [f"{row.part}: {example}" for example in row.examples]
    return "\n".join(shown)


def write_json(rows, machine, path):
    made = {"machine": machine, "rows": [asdict(row) for row in rows],
            "broken": sum(row.broken for row in rows)}
    pathlib.Path(path).write_text(json.dumps(made, indent=1) + "\n")
