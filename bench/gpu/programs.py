"""The programs that are run: unpacked from an archive of gpu_bundle.sh, or from a build folder."""

import json
import os
import pathlib
import shutil
import signal
import tarfile
import zlib

import machine
from runner import Job

ARCHIVE = "bench/bundle/programs.tar.gz"
LIBRARIES = "bench/bundle/libraries.tar.gz"
NEEDED = ("test_cuda", "bench_train_step", "bench_kernels")
# Tests that touch little but the driver and the first kernel.
FIRST_TESTS = "CudaDevice.*:CudaTensor.*"
START_SECONDS = 60
BUILD_SECONDS = 240
# Exit codes of tests that began.
BROKEN_TESTS = (1, -signal.SIGSEGV, -signal.SIGABRT)


class Programs:
    def __init__(self, folder, origin, env=None):
        self.folder = pathlib.Path(folder)
        self.origin = origin  # for the results
        self.env = env or {}

    def path(self, name):
        """Of a program; None if it is not there."""
        for room in ("bin", "tests"):
            path = self.folder / room / name
            if path.is_file() and os.access(path, os.X_OK):
                return path
        return None


def build_folder():
    return pathlib.Path(os.environ.get("PALINDROME_GPU_BUILD") or "build/cuda")


def built():
    return Programs(build_folder(), {"from": str(build_folder())})


def unpacked(archive, work):
    """The programs of an archive, with the loader's path to their own libraries and to NVIDIA's."""
    with tarfile.open(archive) as packed:
        packed.extractall(work)
    folder = work / "programs"
    about = json.loads((folder / "programs.json").read_text())
    libraries = [folder / "lib", *machine.wheel_folders(), *machine.toolkit_folders()]
    path = ":".join([str(each) for each in libraries] +
                    [each for each in [os.environ.get("LD_LIBRARY_PATH")] if each])
    return Programs(folder, about | {"from": str(archive)}, {"LD_LIBRARY_PATH": path})


def candidates(work):
    """(what to call it, how to get it), best first."""
    archive = pathlib.Path(os.environ.get("PALINDROME_PROGRAMS") or ARCHIVE)
    build = (str(build_folder()), built)
    if os.environ.get("PALINDROME_GPU_BUILD"):
        return [build]
    return ([(str(archive), lambda: unpacked(archive, work))] if archive.exists() else []) + [build]


def fault(programs, runner, capability):
    """Why the programs cannot be used here; empty if they can."""
    missing = [name for name in NEEDED if not programs.path(name)]
    if missing:
        return f"no {', '.join(missing)}"
    for_chip = programs.origin.get("architecture")
    if for_chip and for_chip != "sm_" + capability.replace(".", ""):
        return f"made for {for_chip}, not for compute capability {capability}"
    jobs = [Job(f"start {name}", [programs.path(name), "--help"], START_SECONDS, programs.env)
            for name in NEEDED]
    runner.run_all(jobs, len(jobs))
    first = Job("start test_cuda on the GPU",
                [programs.path("test_cuda"), f"--gtest_filter={FIRST_TESTS}"], START_SECONDS,
                programs.env)
    if not any(job.trouble() for job in jobs):
        runner.run(first)
        jobs.append(first)
    # That a test fails or crashes is for the tests to tell.
    broken = [job for job in jobs
              if job.trouble() and not (job is first and job.code in BROKEN_TESTS)]
    return f"{broken[0].name}: {broken[0].trouble()}" if broken else ""


def build(runner, capability, limit, targets=(), options=()):
    """Builds into the build folder. Returns the jobs that ran; the last may have failed."""
    folder = build_folder()
    # Our warnings are for our compilers.
    configure = ["cmake", "--preset", "cuda", "-B", folder, "-DPALINDROME_WERROR=OFF",
                 f"-DPALINDROME_CUDA_ARCHITECTURES={capability.replace('.', '')}-real"]
    bundle = os.environ.get("PALINDROME_BUNDLE") or LIBRARIES
    if pathlib.Path(bundle).exists():
        configure.append(f"-DPALINDROME_BUNDLE={pathlib.Path(bundle).resolve()}")
    configure += [*machine.library_options(), *options]
    compile_all = ["cmake", "--build", folder, "-j", machine.processors()]
    jobs = [Job("configure", configure),
            Job("build", compile_all + (["--target", *targets] if targets else []))]
    runner.run(jobs[0], limit)
    if jobs[0].trouble():
        return jobs[:1]
    runner.run(jobs[1], limit - jobs[0].seconds)
    return jobs


def find(runner, work, capability):
    """Programs that start here, built if there are none; and what was wrong with each way."""
    reasons = []
    for name, get in candidates(work):
        try:
            programs = get()
            reason = fault(programs, runner, capability)
        except (OSError, EOFError, ValueError, tarfile.TarError, zlib.error) as error:
            reason = f"does not unpack: {error}"
        if not reason:
            return programs, reasons
        reasons.append(f"{name}: {reason}")
    if not shutil.which("cmake"):
        return None, [*reasons, "cmake not found, so nothing can be built"]
    last = build(runner, capability, BUILD_SECONDS, NEEDED)[-1]
    reason = (f"{last.name}: {last.trouble()}" if last.trouble() else
              fault(built(), runner, capability))
    return (None, [*reasons, f"built: {reason}"]) if reason else (built(), reasons)
