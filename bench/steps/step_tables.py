"""Figures of bench/steps/step.py as rows and as Markdown."""

import statistics


def paired(others, own):
    """Ratios others / own within rounds: median, least and largest."""
    ratios = sorted(a / b for a, b in zip(others, own))
    return {"median": statistics.median(ratios), "least": ratios[0], "largest": ratios[-1]}


def summary_of(variant, variants, batch):
    """A row: seconds of all rounds and, for each of the engine's variants that does the same work,
    how many times longer this one took."""
    row = {"name": variant.name, "engine": variant.worker.label, "command": variant.command,
           "policy": variant.policy}
    if not variant.seconds:  # memory alone
        return row
    median = statistics.median(variant.seconds)
    over = {other.name: paired(variant.seconds, other.seconds) for other in variants
            if other.worker.label == "ours" and other.command == variant.command}
    return row | {"seconds": variant.seconds, "seconds_median": median,
                  "seconds_fastest": min(variant.seconds), "images_per_s": batch / median,
                  "time_over": over}


def bytes_text(count):
    if count is None:
        return ""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if count >= size:
            return f"{count / size:.2f} {unit}" if unit == "GiB" else f"{count / size:.0f} {unit}"
    return f"{count / 1024:.0f} KiB"


def case_table(case):
    """A Markdown table: a row per variant; a last column per policy of the engine, how many times
    as long as that policy the row's variant takes."""
    ours = [row["name"] for row in case["rows"] if row["engine"] == "ours"
            and row["command"] == "train"]
    fields = " ".join(case["set"])
    plural = "s" if case["threads"] > 1 else ""
    deeper = f", {case['depth']} times as deep" if case["depth"] > 1 else ""
    lines = [f"### {case['arch']}{' ' + fields if fields else ''}{deeper}, batch {case['batch']}, "
             f"{case['threads']} thread{plural}, {case['precision']}", ""]
    header = ["step", "ms", "images/s", "peak activations", "resident peak"]
    header += [f"time / {name.removeprefix('ours ')}" for name in ours]
    lines.append("| " + " | ".join(header) + " |")
    lines.append("|---|" + "---:|" * (len(header) - 1))
    for row in case["rows"]:
        timed = "seconds" in row
        cells = [row["name"], f"{1e3 * row['seconds_median']:.1f}" if timed else "",
                 f"{row['images_per_s']:.2f}" if timed else "",
                 bytes_text(row.get("peak_activation_bytes")),
                 bytes_text(row.get("resident_peak_bytes"))]
        over = row.get("time_over", {})
        cells += [f"{over[name]['median']:.2f}" if name in over else "" for name in ours]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
