#!/usr/bin/env python3
"""Compares the tables of tensors in a document with files: every tensor must fit a row, and every row a
tensor; array files must say of themselves what they are.

Usage: files_check.py README.md RUN... -- ARRAY_FILE...
"""
import json
import pathlib
import re
import struct
import sys

PLACES = {"N": r"\d+", "K": r"\d+", "S": r"\d+", "B": r"\d+", "SUBNET": "(?:s|s1|s2|s_hi|s_lo)",
          "PART": "(?:weight|bias|running_mean|running_var)", "NAME": "(?P<name>.+)"}


def header(path):
    """Tensors by name as (shape, dtype), and the metadata."""
    with open(path, "rb") as file:
        entries = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    about = entries.pop("__metadata__")
    return {name: (entry["shape"], entry["dtype"]) for name, entry in entries.items()}, about


def rows(text, heading, columns):
    """Cells of the table with these columns below a heading."""
    section = text[text.index(f"### {heading}\n"):]
    table = section[section.index("| " + " | ".join(columns) + " |"):].split("\n\n")[0]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()[2:]]
    return [dict(zip(columns, row)) for row in cells]


def pattern(name):
    """A name with places as an expression: capitals are places, alone or at the end of a part."""
    return re.compile(re.sub(r"(?<![a-z_])(SUBNET|PART|NAME|[NKSB])(?![A-Za-z])|(?<=[a-z])[KS](?=\\)",
                             lambda m: PLACES[m[0]], re.escape(name).replace(r"\_", "_")))


def rank(shape):
    return 0 if shape == "[]" else shape.count(",") + 1


def check_checkpoints(text, runs):
    table = rows(text, "Tensors of a checkpoint", ["name", "shape", "type", "what"])
    for row in table:
        row["pattern"], row["used"] = pattern(row["name"].strip("`")), False
    for run in runs:
        for file in sorted(pathlib.Path(run, "checkpoints").glob("*.safetensors")):
            tensors, about = header(file)
            assert about["format"] == "palindrome-checkpoint", file
            for name, (shape, dtype) in tensors.items():
                fitting = [row for row in table if row["type"] == dtype and (match := row["pattern"].fullmatch(name))
                           and (tensors[f"model.{match['name']}"][0] == shape if "name" in match.groupdict()
                                else rank(row["shape"]) == len(shape))]
                assert len(fitting) == 1, (str(file), name, shape, dtype, [row["name"] for row in fitting])
                fitting[0]["used"] = True
    unused = [row["name"] for row in table if not row["used"]]
    assert not unused, f"rows that no tensor fits: {unused}"


def check_arrays(text, files):
    kinds = {row["kind"].strip("`") for row in rows(text, "Array files", ["kind", "by", "metadata besides"])}
    table = rows(text, "Array files", ["name", "kind", "shape", "type", "what"])
    listed = {(kind, name): row for row in table for kind in row["kind"].split(", ")
              for name in re.findall(r"`([^`]+)`", row["name"])}
    seen = set()
    for file in files:
        tensors, about = header(file)
        kind = about["kind"]
        assert kind in kinds and about["format"] == f"palindrome-{kind}" and about["format_version"] == "1", file
        assert re.fullmatch("[0-9a-f]{32}", about["model"]) and about["data"] and len(about["digest"]) == 32, file
        arrays = json.loads(about["arrays"])
        assert set(arrays) == set(tensors), (file, set(arrays) ^ set(tensors))
        for name, (shape, dtype) in tensors.items():
            row = listed[kind, name]
            assert dtype in row["type"].split(" or ") and rank(row["shape"]) == len(shape), (file, name, shape, dtype)
            assert rank(arrays[name]["shape"]) == len(shape) and arrays[name]["what"], (file, name)
            seen.add((kind, name))
    assert seen == set(listed), f"rows that no tensor fits: {set(listed) - seen}"


readme, *rest = sys.argv[1:]
split = rest.index("--")
document = pathlib.Path(readme).read_text()
check_checkpoints(document, rest[:split])
check_arrays(document, rest[split + 1:])
