#!/usr/bin/env python3
"""Puts what the parts of gpu_check.sh left behind into one JSON file and prints tables of it.

    bench/gpu/gpu_report.py FOLDER [RESULT]     # RESULT: default bench/results/<gpu>-<date>.json

FOLDER holds facts.json and, for each part that ran, <part>.json {"status", "reason", "seconds",
"figures"}. A part that is missing there is taken from RESULT if that exists, so that folders of
several machines' calls can be merged one after the other. The result is copied into FOLDER. Exit
code 1 if a part failed.

For gpu_check.sh:
    --facts FILE DESCRIBED NAME=VALUE...        writes facts.json
    --fact FOLDER NAME                          prints one
    --tests FOLDER FIGURES                      counts GoogleTest's reports test_*.json
    --wrap FIGURES NAME=FILE...                 puts JSON files together; lists are joined
    --record FILE STATUS SECONDS REASON FIGURES writes <part>.json
"""

import json
import pathlib
import re
import sys

PARTS = ("build", "test", "sanitize", "kernels", "memory", "step", "compile")


def read(path):
    """The JSON of a file; None without one, or if not even its beginning can be used."""
    try:
        text = pathlib.Path(path).read_text()
    except FileNotFoundError:
        return None
    # A bench that was stopped leaves an open list of whole objects behind.
    for candidate in (text, text[: text.rfind("    }") + 5] + "\n  ]\n}"):
        try:
            return json.loads(candidate)
        except json.JSONDecodeError:
            continue
    return None


def write(path, value):
    pathlib.Path(path).write_text(json.dumps(value, indent=1) + "\n")


def write_facts(path, described, *pairs):
    facts = dict(pair.split("=", 1) for pair in pairs)
    write(path, facts | (read(described) or {}))


def print_fact(folder, name):
    value = (read(pathlib.Path(folder) / "facts.json") or {}).get(name)
    if value is not None:
        print(value)


def count_tests(folder, figures):
    counts = {}
    for path in sorted(pathlib.Path(folder).glob("test_*.json")):
        report = read(path) or {}
        skipped = sum(one.get("result") == "SKIPPED"
                      for suite in report.get("testsuites", []) for one in suite["testsuite"])
        failed = [f"{suite['name']}.{one['name']}" for suite in report.get("testsuites", [])
                  for one in suite["testsuite"] if one.get("failures")]
        counts[path.stem] = {"tests": report.get("tests", 0), "failures": report.get("failures", 0),
                             "skipped": skipped, "failed": failed}
    write(figures, counts)
    print(", ".join(f"{name} {one['tests']} tests, {one['failures']} failed, "
                    f"{one['skipped']} skipped" for name, one in counts.items()))


def wrap(figures, *pairs):
    values = {}
    for name, path in (pair.split("=", 1) for pair in pairs):
        value = read(path)
        if isinstance(value, list):
            values[name] = values.get(name, []) + value
        elif value is not None:
            values[name] = value
    write(figures, values)


def record(path, status, seconds, reason, figures):
    entry = {"status": status, "seconds": int(seconds), "reason": reason}
    value = read(figures)
    write(path, entry if value is None else entry | {"figures": value})


def file_name(facts):
    words = re.sub(r"[^a-z0-9]+", "-", facts["gpu"].lower()).strip("-")
    return f"{words}-{facts['date']}.json"


def kernel_rows(bench):
    """Google Benchmark's JSON without what says nothing: times, rates, shares."""
    rows = []
    for one in bench.get("benchmarks", []):
        row = {"name": re.sub(r"/(iterations:\d+|manual_time|min_time:[\d.]+)", "", one["name"]),
               "us": round(one["real_time"], 3)}
        if one.get("error_occurred"):
            row["error"] = one.get("error_message", "")
        for key in ("GB/s", "GFLOP/s", "of_copy", "of_triad", "TFLOP/s", "of_peak", "of_roof"):
            if key in one:
                row[key] = round(one[key], 4)
        rows.append(row)
    return rows


def median(values):
    values = sorted(values)
    return values[len(values) // 2]


def share_table(rows, rate, share):
    """One line a family and arithmetic: how many cases, median rate, lowest and median share."""
    families = {}
    for row in rows:
        if share not in row or rate not in row:
            continue
        name = row["name"].split("/")
        kind = next((word for word in name if re.fullmatch(r"(f32|bf16|tf32)(_\w+)?", word)), "f32")
        families.setdefault((name[0], kind), []).append(row)
    lines = [f"{'family':<32} {'type':<10} {'cases':>5} {rate:>10} {share:>9} {'lowest':>8}  of"]
    for (family, kind), cases in sorted(families.items()):
        worst = min(cases, key=lambda row: row[share])
        lines.append(f"{family:<32} {kind:<10} {len(cases):>5} "
                     f"{median([row[rate] for row in cases]):>10.1f} "
                     f"{median([row[share] for row in cases]):>9.3f} {worst[share]:>8.3f}  "
                     f"{worst['name']}")
    return lines if families else []


def print_kernels(figures):
    rows = figures["cases"]
    for table in (share_table(rows, "GB/s", "of_copy"), share_table(rows, "TFLOP/s", "of_peak")):
        print("\n".join(table), end="\n\n" if table else "")
    for row in rows:
        if "error" in row:
            print(f"{row['name']}: {row['error']}")


def print_steps(figures):
    """Our steps and PyTorch's of the same batch and precision, fastest first."""
    rows = [row | {"who": f"{row['policy']}{' graph' if row['cuda_graph'] else ''}"}
            for row in figures.get("palindrome", [])]
    rows += [row | {"who": f"PyTorch {row['mode']}"} for row in figures.get("torch", {}).get("rows", [])]
    print(f"{'batch':>5} {'precision':<9} {'what':<24} {'images/s':>9} {'ms/step':>9} "
          f"{'activations MiB':>15} {'peak MiB':>9} {'held MiB':>8} {'utilisation':>11}")
    order = {"fp32": 0, "tf32": 1, "bf16": 2}
    for row in sorted(rows, key=lambda r: (r["batch"], order[r["precision"]],
                                           r.get("ms_per_step_median", 1e9))):
        start = f"{row['batch']:>5} {row['precision']:<9} {row['who']:<24} "
        if "skipped" in row:
            print(f"{start} skipped: {row['skipped']}")
            continue
        mib = lambda key: f"{row[key] / 2**20:.0f}" if key in row else "-"
        use = row.get("model_flop_utilisation")
        print(f"{start}{row['images_per_s']:>9.1f} {row['ms_per_step_median']:>9.2f} "
              f"{mib('peak_activation_bytes'):>15} {mib('peak_bytes'):>9} {mib('reserved_bytes'):>8} "
              f"{f'{100 * use:.1f} %' if use else '-':>11}"
              f"{'' if row.get('finite', True) else '  NOT FINITE'}")
    print()


def merge(folder, result):
    facts = read(folder / "facts.json")
    if facts is None:
        sys.exit(f"gpu_report: error: no facts.json in {folder}")
    result = result or pathlib.Path(__file__).parents[1] / "results" / file_name(facts)
    merged = (read(result) or {}) | facts
    for part in PARTS:
        new = read(folder / f"{part}.json")
        if new is None:
            continue
        if part == "kernels" and "benchmarks" in new.get("figures", {}):
            context = new["figures"]["context"]
            peaks = {key.split()[1]: float(value) for key, value in context.items()
                     if key.startswith("peak ")}
            new["figures"] = {"peak_tflop_per_s": peaks, "elements": int(context["elements"]),
                              "cases": kernel_rows(new["figures"])}
        merged[part] = new
    result.parent.mkdir(parents=True, exist_ok=True)
    write(result, merged)
    write(folder / result.name, merged)
    return merged, result


COMMANDS = {"--facts": write_facts, "--fact": print_fact, "--tests": count_tests, "--wrap": wrap,
            "--record": record}


def main():
    if sys.argv[1:2] and sys.argv[1] in COMMANDS:
        COMMANDS[sys.argv[1]](*sys.argv[2:])
        return 0
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    merged, result = merge(folder, pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else None)
    parts = [part for part in PARTS if (folder / f"{part}.json").exists()]
    failed = False
    for part in parts:
        entry = merged[part]
        if part == "kernels" and "cases" in entry.get("figures", {}):
            print_kernels(entry["figures"])
        if part in ("step", "compile") and entry.get("figures"):
            print_steps(entry["figures"])
    for part in parts:
        entry = merged[part]
        failed |= entry["status"] == "failed"
        print(f"{part:<9} {entry['status'].upper():<8} {entry.get('seconds', 0):>4} s  "
              f"{entry.get('reason', '')}")
    print(f"results: {result}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
