"""The results of a machine: {"facts", "parts": {PART: {STEP: entry}}}, where an entry is {"status",
"seconds", "reason", "arguments", "commit", "figures"}. NaN and infinities are null."""

import json
import os
import pathlib
import re

# Of an entry that must not replace one that ran.
EMPTY = ("not run", "skipped")


def read(path):
    """Nothing if there is no file. Throws ValueError for one that does not hold results."""
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    results = json.loads(text, parse_constant=lambda _: None)
    if not isinstance(results, dict) or not {"facts", "parts"} <= set(results):
        raise ValueError("no facts and parts")
    return results


def write(path, results):
    """As a whole or not at all."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    finite = json.loads(json.dumps(results), parse_constant=lambda _: None)
    new.write_text(json.dumps(finite, indent=1) + "\n", encoding="utf-8")
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
