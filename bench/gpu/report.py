"""Prints what a person wants to know of a GPU's results, in this order: is it right, how fast is it
beside PyTorch, where does the time go, which kernels are far from a copy."""

import os
import pathlib
import re
import sys

import results

# Of the bandwidth of a copy: the goal of own kernels.
GOAL = 0.85
PROFILE_ROWS = 15
KERNEL_ROWS = 20
# Names of tests, of each kind.
MOST_NAMES = 15
# torch_step.py's mode "store", which its modes with graphs and compilers share.
EAGER = "eager"
# bench_kernels' names of arithmetics by bench_train_step's.
ARITHMETICS = {"fp32": "f32"}
RESULTS = pathlib.Path(__file__).parents[1] / "results"


def heading(text):
    print(f"\n{text}\n{'-' * len(text)}")


def entries_of(parts, *names):
    """(part, step, entry) of all steps whose names begin so and that left figures."""
    return [(part, step, entry) for part, steps in parts.items() for step, entry in steps.items()
            if entry.get("figures") and step.startswith(names)]


def print_some(lines):
    for line in lines[:MOST_NAMES]:
        print(f"  {line}")
    if len(lines) > MOST_NAMES:
        print(f"  and {len(lines) - MOST_NAMES} more")


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
            print_some([f"{kind}: {name}" for name in figures[kind]])
        print_some([f"{suite}: {trouble}" for suite, trouble in figures["troubles"].items()])
    for part, step, entry in entries_of(parts, "memcheck", "racecheck", "synccheck", "initcheck"):
        found = True
        suites = entry["figures"]["suites"]
        bad = {name: how for name, how in suites.items() if how != "clean"}
        print(f"{part}: {step}: {len(suites) - len(bad)} of {len(suites)} suites clean, "
              f"{entry['figures']['tests']['passed']} tests passed")
        print_some([f"{name}: {entry['figures']['summaries'].get(name) or how}"
                    for name, how in bad.items()])
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
            mode = EAGER if row["mode"] == "store" else row["mode"]
            who = f"PyTorch {mode}"
            peak = torch.get("matmul_tflop_per_s", {}).get(row["precision"])
            rows[row["batch"], row["precision"], who] = row | {"who": who, "ours": False, "mode": mode,
                                                              "matmul": peak}
    return list(rows.values())


def large_product(parts, group, precision):
    """TFLOP/s of a large matrix product, PyTorch's or else ours, and whose; (0, "") if neither ran."""
    for row in group:
        if row.get("matmul"):
            return row["matmul"], "PyTorch's"
    for _, _, entry in entries_of(parts, "kernels"):
        peak = entry["figures"]["context"].get(
            f"peak {ARITHMETICS.get(precision, precision)} TFLOP/s")
        if peak:
            return float(peak), "our"
    return 0.0, ""


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
        rivals = {row["mode"]: row for row in group if not row["ours"] and row.get("images_per_s")}
        peak, whose = large_product(parts, group, precision)
        print(f"batch {batch}, {precision}"
              f"{f', {whose} large product reaches {peak:.0f} TFLOP/s' if peak else ''}")
        # Both sides are taken to do what ours counts.
        flops = next((row["gflop_per_image"] for row in group if row.get("gflop_per_image")), 0.0)
        print(f"  {'what':<24} {'images/s':>9} {'ms/step':>9} {'activations MiB':>15} {'peak MiB':>9} "
              f"{'held MiB':>9} {'of product':>10}" + "".join(f" {'/ ' + mode:>15}" for mode in rivals))
        for row in sorted(group, key=lambda row: row.get("ms_per_step_median") or 1e9):
            if not row.get("images_per_s"):
                print(f"  {row['who']:<24} skipped: {row.get('skipped', 'no figures')}")
                continue
            mib = lambda key: f"{row[key] / 2**20:.0f}" if key in row else "-"
            use = f"{1e-3 * flops * row['images_per_s'] / peak:.1%}" if peak and flops else "-"
            ratios = "".join(f" {row['images_per_s'] / rival['images_per_s']:>15.2f}"
                             for rival in rivals.values()) if row["ours"] else ""
            notes = ("" if row.get("finite", True) else "  NOT FINITE") + \
                ("" if row.get("autotune", True) else "  untuned")
            print(f"  {row['who']:<24} {row['images_per_s']:>9.1f} {row['ms_per_step_median']:>9.2f} "
                  f"{mib('peak_activation_bytes'):>15} {mib('peak_bytes'):>9} "
                  f"{mib('reserved_bytes'):>9} {use:>10}{ratios}{notes}")
    print("(/ MODE: images/s over PyTorch's in that mode. Like with like: store graph / graph, store / eager;\n"
          "auto and invert keep less than PyTorch does. Both sides time the libraries' choices first, unless\n"
          "marked untuned. of product: the step's operations over the rate of a large matrix product)")


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
                  f"{worst['us'] or 0:.0f} us")
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


def print_statuses(parts, commit):
    heading("Steps")
    for part, steps in parts.items():
        for step, entry in steps.items():
            other = entry.get("commit", commit)
            print(f"{part:<9} {step:<18} {entry['status'].upper():<8} {entry.get('seconds', 0):>6.1f} s  "
                  f"{entry['reason']}{f'  (of commit {other})' if other != commit else ''}")


def print_all(measured):
    """A table that cannot be made takes no other along."""
    facts, parts = measured["facts"], measured["parts"]
    programs = facts.get("programs", {})
    print(f"\n{facts['gpu']}, driver {facts['driver']}, {facts['date']}, commit {facts['commit']}"
          f"{', programs of ' + programs['commit'] if programs.get('commit') else ''}")
    others = {entry.get("commit") for steps in parts.values() for entry in steps.values()
              if entry.get("figures")} - {None, facts["commit"]}
    if others:
        print(f"with figures of earlier calls, of commit {', '.join(sorted(others))}: see Steps")
    for table in (print_tests, print_steps, print_profiles, print_kernels, print_counters):
        try:
            table(parts)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            print(f"internal: {table.__name__}: {type(error).__name__}: {error}")
    print_statuses(parts, facts["commit"])


def publish(called):
    """Merges a call's results into those of its machine and prints all of them."""
    into = RESULTS / results.file_name(called["facts"])
    merged, unmerged = called, ""
    try:
        merged = results.merge(results.read(into), called)
        results.write(into, merged)
    except (OSError, ValueError) as error:
        unmerged = f": {error}"
    try:
        print_all(merged)
        print(f"{'not ' if unmerged else ''}merged into {into}{unmerged}", flush=True)
    except OSError:
        # Whoever read has gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
