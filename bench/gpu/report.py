"""Prints what a person wants to know of a GPU's results, in this order: is it right, how fast is it
beside PyTorch, where does the time go, which kernels are far from a copy."""

import pathlib
import re
import sys

import results

# Of the bandwidth of a copy: the goal of own kernels.
GOAL = 0.85
PROFILE_ROWS = 15
KERNEL_ROWS = 20
RESULTS = pathlib.Path(__file__).parents[1] / "results"


def heading(text):
    print(f"\n{text}\n{'-' * len(text)}")


def entries_of(parts, *names):
    """(part, step, entry) of all steps whose names begin so and that left figures."""
    return [(part, step, entry) for part, steps in parts.items() for step, entry in steps.items()
            if entry.get("figures") and step.startswith(names)]


def print_tests(parts):
    heading("Is it right?")
    found = False
    for part, step, entry in entries_of(parts, "test_cuda"):
        found = True
        figures = entry["figures"]
        if "passed" not in figures:
            continue
        print(f"{part}: {step}: {figures['passed']} passed, {len(figures['failed'])} failed, "
              f"{figures['skipped']} skipped, {figures['not run']} not run or not finished, in "
              f"{figures['suites']} suites")
        for kind in ("failed", "unfinished"):
            for name in figures[kind]:
                print(f"  {kind}: {name}")
        for suite, trouble in figures["troubles"].items():
            print(f"  {suite}: {trouble}")
    for part, step, entry in entries_of(parts, "memcheck", "racecheck", "synccheck", "initcheck"):
        found = True
        suites = entry["figures"]["suites"]
        bad = {name: how for name, how in suites.items() if how != "clean"}
        print(f"{part}: {step}: {len(suites) - len(bad)} of {len(suites)} suites clean")
        for name, how in bad.items():
            print(f"  {name}: {entry['figures']['summaries'].get(name) or how}")
    if not found:
        print("unknown: no tests ran")


def step_rows(parts):
    """Rows of all steps that timed training, by batch and precision; of cases measured more than
    once the last."""
    rows = {}
    for _, _, entry in entries_of(parts, "steps", "torch"):
        for row in entry["figures"].get("palindrome", []):
            who = f"{row['policy']}{' graph' if row['cuda_graph'] else ''}"
            rows[row["batch"], row["precision"], who] = row | {"who": who, "ours": True}
        torch = entry["figures"].get("torch", {})
        for row in torch.get("rows", []):
            who = f"PyTorch {row['mode']}"
            peak = torch.get("matmul_tflop_per_s", {}).get(row["precision"])
            rows[row["batch"], row["precision"], who] = row | {"who": who, "ours": False,
                                                              "matmul": peak}
    return list(rows.values())


def print_steps(parts):
    """Our steps and PyTorch's of the same batch and precision, fastest first."""
    heading("How fast beside PyTorch?")
    rows = step_rows(parts)
    if not rows:
        print("unknown: no steps were timed")
        return
    # Batch 64 in bf16 is the question; the others follow.
    groups = sorted({(row["batch"], row["precision"]) for row in rows},
                    key=lambda key: (key != (64, "bf16"), key))
    for batch, precision in groups:
        group = [row for row in rows if (row["batch"], row["precision"]) == (batch, precision)]
        rivals = {row["mode"]: row for row in group if not row["ours"] and "images_per_s" in row}
        peak = next((row["matmul"] for row in group if row.get("matmul")), None)
        print(f"batch {batch}, {precision}"
              f"{f', a large product reaches {peak:.0f} TFLOP/s' if peak else ''}")
        print(f"  {'what':<24} {'images/s':>9} {'ms/step':>9} {'activations MiB':>15} {'peak MiB':>9} "
              f"{'held MiB':>9} {'of product':>10}" + "".join(f" {'/ ' + mode:>15}" for mode in rivals))
        for row in sorted(group, key=lambda row: row.get("ms_per_step_median", 1e9)):
            if "skipped" in row:
                print(f"  {row['who']:<24} skipped: {row['skipped']}")
                continue
            mib = lambda key: f"{row[key] / 2**20:.0f}" if key in row else "-"
            use = f"{row['tflop_per_s'] / peak:.1%}" if peak and "tflop_per_s" in row else "-"
            ratios = "".join(f" {row['images_per_s'] / rival['images_per_s']:>15.2f}"
                             for rival in rivals.values()) if row["ours"] else ""
            notes = ("" if row.get("finite", True) else "  NOT FINITE") + \
                ("" if row.get("autotune", True) else "  untuned")
            print(f"  {row['who']:<24} {row['images_per_s']:>9.1f} {row['ms_per_step_median']:>9.2f} "
                  f"{mib('peak_activation_bytes'):>15} {mib('peak_bytes'):>9} "
                  f"{mib('reserved_bytes'):>9} {use:>10}{ratios}{notes}")
    print("(/ MODE: images/s over PyTorch's in that mode)")


def print_profiles(parts):
    heading("Where does the time go?")
    tables = [table for _, _, entry in entries_of(parts, "profile")
              for table in entry["figures"]["tables"]]
    if not tables:
        print("unknown: nothing was profiled")
    for table in tables:
        print(table["case"])
        for row in table["kernels"][:PROFILE_ROWS]:
            rates = "".join(f" {row[key]:>10.1f} {key}" for key in ("GB/s", "GFLOP/s") if key in row)
            print(f"  {row['kernel']:<32} {row['calls']:>6} calls {row['ms']:>9.2f} ms "
                  f"{row['share']:>6.1%}{rates}")


def print_kernels(parts):
    heading(f"Which kernels miss {GOAL:.0%} of a copy?")
    rows = {row["name"]: row for _, _, entry in entries_of(parts, "kernels")
            for row in entry["figures"]["cases"]}
    compared = [row for row in rows.values() if "of_copy" in row]
    if not compared:
        print("unknown: no kernels were measured")
        return
    families = {}
    for row in compared:
        families.setdefault(row["name"].split("/")[0], []).append(row)
    slow = [row for row in compared if row["of_copy"] < GOAL]
    print(f"{len(slow)} of {len(compared)} cases, "
          f"{len({row['name'].split('/')[0] for row in slow})} of {len(families)} families")
    order = sorted(families.items(), key=lambda item: min(row["of_copy"] for row in item[1]))
    for family, cases in order[:KERNEL_ROWS]:
        missed = [row for row in cases if row["of_copy"] < GOAL]
        if missed:
            worst = min(cases, key=lambda row: row["of_copy"])
            shares = sorted(row["of_copy"] for row in cases)
            print(f"  {family:<28} {len(missed):>3} of {len(cases):<3} median "
                  f"{shares[len(shares) // 2]:.2f}, lowest {worst['of_copy']:.2f}: {worst['name']}, "
                  f"{worst['us']:.0f} us")
    print_products(rows.values())


def print_products(rows):
    """Convolutions and matrix products, a line a family and arithmetic."""
    families = {}
    for row in rows:
        if "TFLOP/s" in row and "of_peak" in row:
            words = row["name"].split("/")
            kind = next((word for word in words if re.fullmatch(r"(f32|bf16|tf32)(_\w+)?", word)), "f32")
            families.setdefault((words[0], kind), []).append(row)
    for (family, kind), cases in sorted(families.items()):
        shares = sorted(row["of_peak"] for row in cases)
        worst = min(cases, key=lambda row: row["of_peak"])
        print(f"  {family:<28} {kind:<6} of a large product: median {shares[len(shares) // 2]:.2f}, "
              f"lowest {worst['of_peak']:.2f}: {worst['name']}")


def print_counters(parts):
    for _, _, entry in entries_of(parts, "ncu"):
        heading("Hardware counters")
        for case, figures in entry["figures"].items():
            print(f"{case}: " + ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else
                                          f"{name} {value}" for name, value in figures.items()))


def publish(path):
    """Merges a call's file into the results of its machine and prints all of them. Returns an exit
    code."""
    called = results.read(path)
    if not called:
        print(f"gpu_check: error: no results in {path}", file=sys.stderr)
        return 4
    into = RESULTS / results.file_name(called["facts"])
    merged = results.merge(results.read(into), called)
    results.write(into, merged)
    facts = merged["facts"]
    parts = merged["parts"]
    print(f"\n{facts['gpu']}, driver {facts['driver']}, {facts['date']}, commit {facts['commit']}")
    print_tests(parts)
    print_steps(parts)
    print_profiles(parts)
    print_kernels(parts)
    print_counters(parts)
    heading("Steps")
    for part, steps in parts.items():
        for step, entry in steps.items():
            print(f"{part:<9} {step:<18} {entry['status'].upper():<8} {entry.get('seconds', 0):>6.1f} s  "
                  f"{entry['reason']}")
    print(f"results: {path}, merged into {into}")
    return 0
