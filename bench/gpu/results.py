"""The results of a machine: {"facts", "parts": {PART: {STEP: entry}}}, where an entry is {"status",
"seconds", "reason", "arguments", "commit", "figures"}."""

import json
import os
import pathlib
import re

# Of an entry that must not replace one that ran.
EMPTY = ("not run", "skipped")


def read(path):
    try:
        return json.loads(pathlib.Path(path).read_text())
    except FileNotFoundError:
        return {}


def write(path, results):
    """As a whole or not at all."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(results, indent=1) + "\n")
    os.replace(new, path)


def merge(old, new):
    """New entries over old ones, but for those of steps that did not run."""
    parts = {name: dict(steps) for name, steps in old.get("parts", {}).items()}
    for name, steps in new["parts"].items():
        into = parts.setdefault(name, {})
        for step, entry in steps.items():
            if step not in into or entry["status"] not in EMPTY:
                into[step] = entry
    return {"facts": old.get("facts", {}) | new["facts"], "parts": parts}


def file_name(facts):
    words = re.sub(r"[^a-z0-9]+", "-", facts["gpu"].lower()).strip("-")
    return f"{words}-{facts['date']}.json"
