"""Steps that build, time, profile and count: each runs one program and keeps its figures."""

import csv
import re

import programs
from figures import json_of, kernel_rows, profile_tables
from runner import Job

# A second try of a program needs about this long at least.
SECOND_TRY_SECONDS = 15
# What Google Benchmark says of the host and of itself.
NOT_OF_THE_GPU = ("caches", "cpu_scaling_enabled", "date", "executable", "host_name", "json_schema_version",
                  "library_build_type", "library_version", "load_avg", "mhz_per_cpu", "num_cpus")
# Hardware counters.
METRICS = {
    "ms": "gpu__time_duration.sum",
    "of_dram": "dram__throughput.avg.pct_of_peak_sustained_elapsed",
    "dram_bytes": "dram__bytes.sum",
    "of_issue": "sm__inst_issued.avg.pct_of_peak_sustained_active",
    "of_warps": "sm__warps_active.avg.pct_of_peak_sustained_active",
    "l2_hits": "lts__t_sector_hit_rate.pct",
    "registers": "launch__registers_per_thread",
}
# ncu chooses prefixes by the value: here by the beginnings of its units.
UNITS = {"%": 1e-2, "n": 1e-6, "u": 1e-3, "m": 1.0, "s": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}


def build(call):
    call.judge(programs.build(call.runner, call.capability, call.left(), (), call.arguments))


def timed(call, name, arguments):
    """bench_train_step's rows, and how it went."""
    out = call.file(f"{name}.json")
    job = call.run(Job(name, [call.program("bench_train_step"), "--device", "cuda", "--json",
                              *arguments], stdout=out))
    rows = json_of(out) or []
    # 4: memory did not suffice for some.
    if not (job.code == 4 and rows):
        call.judge([job])
    for row in rows:
        if not row.get("finite", True):
            call.note(f"{row['policy']}, batch {row['batch']}: not finite")
    return rows, job


def train_steps(call):
    """Ours. Without the library's choices timed if those take too long."""
    tuned = "--autotune" in call.arguments
    limit = call.limit
    if tuned:
        call.limit = limit - SECOND_TRY_SECONDS
    rows, job = timed(call, "tuned" if tuned else "plain", call.arguments)
    call.limit = limit
    call.figures = {"palindrome": [row | {"autotune": tuned} for row in rows]}
    if tuned and job.stopped and not rows and not call.runner.interrupted:
        plain = [word for word in call.arguments if word != "--autotune"]
        rows, _ = timed(call, "plain", plain)
        call.figures["palindrome"] = [row | {"autotune": False} for row in rows]


def torch_steps(call):
    """The rival's, with cuDNN's choices timed."""
    out = call.file("torch.json")
    job = call.run_python("torch_step.py", "bench/steps/torch_step.py", "--device", "cuda",
                          "--budget", f"{0.75 * call.left():.0f}", "--out", out, *call.arguments)
    call.figures = {"torch": json_of(out) or {}}
    call.judge([job])


def profile(call):
    # By the plans that were timed, if choosing them leaves time for it.
    before = call.done.get("steps", {})
    tuned = before.get("status") == "ok" and before["seconds"] + 10 < call.limit
    out = call.file("table.txt")
    job = call.run(Job("profile", [call.program("bench_train_step"), "--device", "cuda", "--profile",
                                   *call.arguments, *(["--autotune"] if tuned else [])], stdout=out))
    call.runner.log(out.read_text(errors="replace") if out.exists() else "")
    call.figures = {"autotune": tuned, "tables": profile_tables(out)}
    call.judge([job])


def kernels(call):
    out = call.file("bench.json")
    job = call.run(Job("bench_kernels", [call.program("bench_kernels"), "--device", "cuda",
                                         f"--benchmark_out={out}", "--benchmark_out_format=json",
                                         *call.arguments]))
    measured = json_of(out) or {}
    rows = kernel_rows(measured)
    call.figures = {"context": {key: value for key, value in measured.get("context", {}).items()
                                if key not in NOT_OF_THE_GPU}, "cases": rows}
    call.judge([job])
    for row in rows:
        if "error" in row:
            call.note(f"{row['name']}: {row['error']}")


def counters(call):
    """Hardware counters of single kernels: arguments are CASE=PART OF THE KERNEL'S NAME."""
    call.need("ncu")
    call.figures = {}
    for argument in call.arguments:
        case, _, kernel = argument.partition("=")
        out = call.file("ncu.csv")
        job = call.run(Job(case, ["ncu", "--csv", "--page", "raw", "--clock-control", "none",
                                  "--metrics", ",".join(METRICS.values()),
                                  "--kernel-name", f"regex:{kernel}", "--launch-skip", "1",
                                  "--launch-count", "1", call.program("bench_kernels"), "--device",
                                  "cuda", f"--benchmark_filter=^{re.escape(case)}/"], stdout=out))
        text = out.read_text(errors="replace") if out.exists() else ""
        refused = re.search(r"ERR_NVGPUCTRPERM|Failed to initialize the profiler", text + job.text())
        if refused:
            call.skip(f"ncu does not work here: {refused[0]}")
        call.figures[case] = counted(text)
        call.judge([job])
        if not job.trouble() and not call.figures[case]:
            call.note(f"{case}: no kernel like '{kernel}' was seen")


def counted(text):
    """The first kernel of ncu's raw page: a line of names, one of units, one for each kernel."""
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith('"ID"')]
    if not starts:
        return {}
    table = list(csv.reader(lines[starts[0]:]))
    if len(table) < 3:
        return {}
    names, units, values = table[:3]
    found = dict(zip(names, zip(units, values)))
    figures = {"kernel": found.get("Kernel Name", ("", ""))[1]}
    for name, metric in METRICS.items():
        unit, value = found.get(metric, ("", ""))
        try:
            figures[name] = float(value.replace(",", "")) * UNITS.get(unit[:1], 1.0)
        except ValueError:
            pass  # "n/a"
    return figures


def plans(call):
    """What cuDNN would choose, asked on this machine."""
    job = call.run(Job("test_cudnn_plans", [call.program("test_cudnn_plans"), *call.arguments]))
    call.judge([job])


def train(call):
    """The program itself, for some steps."""
    job = call.run(Job("pal-train", [call.program("pal-train"), "--device", "cuda", *call.arguments,
                                     "-o", call.file("run")]))
    call.figures = {"last lines": job.text().splitlines()[-12:]}
    call.judge([job])


def programs_test(call):
    """All programs as a user meets them."""
    folder = call.program("pal-robustness").parent  # not among the programs of the archive
    call.judge([call.run(Job("cuda_test.sh", ["bash", "tests/experiments/cuda_test.sh", folder,
                                              "."]))])


def memory(call):
    out = call.file("rows.json")
    job = call.run(Job("activation_memory", [call.program("activation_memory"), "--device", "cuda",
                                             "--json", *call.arguments], stdout=out))
    call.figures = {"rows": json_of(out) or []}
    call.judge([job])
