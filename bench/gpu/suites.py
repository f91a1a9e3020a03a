"""Runs the suites of test_cuda, each in a process of its own: one that crashes, hangs or loses the GPU
takes no other along."""

import re

import machine
from runner import Job

# Of the step's time: what a suite that hangs may take from those that wait.
SUITE_SHARE = 1 / 2
# Own kernels that pass values between threads: where a race can be.
SHARING = ("CouplingCuda", "BatchNormCuda", "ReduceCuda", "NormProductCuda", "ActNormCuda",
           "PermutationCuda")
# Of the libraries' kernels, and in whole models, a sanitizer has nothing to find that is ours.
NOT_SANITIZED = re.compile(r"(Conv|Gemm|NormConv|Loader)Cuda|Cuda(Model|Training|Checkpoint|ResNet|"
                           r"InputGradient)")
# The tool itself does not work on this machine.
REFUSED = re.compile(r"Device not supported|ERR_NVGPUCTRPERM|Failed to initialize the profiler|"
                     r"debugger is not supported", re.IGNORECASE)


def listed(call, filters):
    """{suite: number of its tests} under GoogleTest's own filter."""
    job = call.run(Job("list", [call.program("test_cuda"), "--gtest_list_tests", *filters], 30))
    call.expect_ok(job)
    suites = {}
    for line in job.text().splitlines():
        suite = re.fullmatch(r"([\w/]+)\.(\s.*)?", line)
        if suite:
            suites[suite[1]] = 0
        elif line.startswith("  ") and suites:
            suites[list(suites)[-1]] += 1
    return suites


def jobs_of(call, suites, prefix, filters):
    """A narrower filter of the caller's applies within each suite."""
    narrow = [word.partition("=")[2] for word in filters if word.startswith("--gtest_filter=")]
    others = [word for word in filters if not word.startswith("--gtest_filter=")]
    limit = call.limit * (SUITE_SHARE if len(suites) > at_once() else 1.0)
    jobs = []
    for suite in suites:
        patterns = [each for each in ":".join(narrow).split(":") if each.startswith(suite + ".")]
        pattern = ":".join(patterns) or f"{suite}.*"
        jobs.append(Job(suite, [*prefix, call.program("test_cuda"), f"--gtest_filter={pattern}",
                                *others], limit,
                        {"OMP_NUM_THREADS": str(call.share_of_processors())}))
    return jobs


def count(jobs):
    """What GoogleTest printed: {"passed", "skipped", "failed": names, "unfinished": names}."""
    passed = skipped = 0
    failed, unfinished = [], []
    for job in jobs:
        text = job.text()
        passed += len(re.findall(r"^\[       OK \] ", text, re.MULTILINE))
        # Each is named twice: where it ends, and in the summary.
        begun = re.findall(r"^\[ RUN      \] (\S+)", text, re.MULTILINE)
        ended = re.findall(r"^\[ +(OK|FAILED|SKIPPED) +\] ([\w/]+\.\S+?)(?:,| \(|$)", text, re.MULTILINE)
        failed += sorted({name for how, name in ended if how == "FAILED"})
        skipped += len({name for how, name in ended if how == "SKIPPED"})
        unfinished += [name for name in begun if name not in {name for _, name in ended}]
    return {"passed": passed, "skipped": skipped, "failed": failed, "unfinished": unfinished}


def troubles(jobs):
    return {job.name: job.trouble() for job in jobs if job.trouble()}


def test(call):
    """All suites, several at once."""
    suites = listed(call, call.arguments)
    jobs = jobs_of(call, suites, [], call.arguments)
    call.run_all(jobs)
    figures = count(jobs)
    ran = figures["passed"] + figures["skipped"] + len(figures["failed"])
    call.figures = figures | {"not run": sum(suites.values()) - ran, "suites": len(jobs),
                              "troubles": troubles(jobs),
                              "seconds": {job.name: round(job.seconds, 1) for job in jobs}}
    call.judge(jobs)


def sanitize(tool):
    """A step that runs suites under compute-sanitizer."""

    def run(call):
        call.need("compute-sanitizer")
        # Words without dashes are suites.
        suites = [word for word in call.arguments if not word.startswith("-")]
        filters = [word for word in call.arguments if word.startswith("-")]
        if not suites:
            suites = [name for name in listed(call, filters) if not NOT_SANITIZED.match(name)]
        prefix = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", "--print-limit", "20"]
        jobs = jobs_of(call, suites, prefix, filters)
        call.run_all(jobs)
        for job in jobs:
            if REFUSED.search(job.text()):
                call.skip(f"compute-sanitizer does not work here: {REFUSED.search(job.text())[0]}")
        summaries = {job.name: re.findall(r"^=+ ((?:ERROR|RACECHECK) SUMMARY: .*)$", job.text(),
                                          re.MULTILINE) for job in jobs}
        call.figures = {"suites": {job.name: job.trouble() or "clean" for job in jobs},
                        "summaries": {name: found[-1] for name, found in summaries.items() if found},
                        "tests": count(jobs)}
        call.judge(jobs)
        for job in jobs:
            if not job.trouble() and not count([job])["passed"]:
                call.figures["suites"][job.name] = "no test passed"
                call.note(f"{job.name}: no test passed")

    return run


def at_once():
    """How many suites: they mostly wait for the reference on the CPU."""
    return max(1, min(6, machine.processors() // 2))
