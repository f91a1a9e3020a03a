"""Reads what the programs write: JSON, Google Benchmark's JSON, tables of the profiler."""

import json
import re

RATES = ("GB/s", "GFLOP/s", "of_copy", "of_triad", "TFLOP/s", "of_peak", "of_roof")
# kernel, calls, ms, share, and what a kernel that moves nothing leaves open
PROFILE_ROW = re.compile(r"^(\S+(?: \(host\))?) +(\d+) +([\d.]+) +([\d.]+)% +(\S+) +(\S+)")


def json_of(path):
    """The JSON of a file, NaN and infinities as None; None without a file, or if not even its beginning
    can be used."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # A bench that was stopped leaves an open list of whole objects behind.
    for candidate in (text, text[: text.rfind("    }") + 5] + "\n  ]\n}"):
        try:
            return json.loads(candidate, parse_constant=lambda _: None)
        except json.JSONDecodeError:
            continue
    return None


def rounded(value, digits):
    return None if value is None else round(value, digits)


def kernel_rows(bench):
    """Google Benchmark's JSON without what says nothing: times, rates, shares."""
    rows = []
    for one in bench.get("benchmarks", []):
        row = {"name": re.sub(r"/(iterations:\d+|manual_time|min_time:[\d.]+)", "", one["name"]),
               "us": rounded(one.get("real_time"), 3)}
        if one.get("error_occurred"):
            row["error"] = one.get("error_message", "")
        rows.append(row | {key: rounded(one[key], 4) for key in RATES if one.get(key) is not None})
    return rows


def profile_tables(path):
    """Of bench_train_step --profile: for each case its line and its kernels."""
    tables = []
    for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
        row = PROFILE_ROW.match(line)
        if "ms/step median" in line:
            tables.append({"case": " ".join(line.split()), "kernels": []})
        elif row and tables:
            name, calls, ms, share, *rates = row.groups()
            entry = {"kernel": name, "calls": int(calls), "ms": float(ms), "share": float(share) / 100}
            for key, value in zip(("GB/s", "GFLOP/s"), rates):
                if re.fullmatch(r"[\d.]+", value):
                    entry[key] = float(value)
            tables[-1]["kernels"].append(entry)
    return tables
