"""What machine this is, and which of NVIDIA's libraries lie where."""

import datetime
import os
import pathlib
import shutil
import subprocess
import tempfile

QUERY = {"gpu": "name", "driver": "driver_version", "memory": "memory.total",
         "compute capability": "compute_cap", "maximal SM clock": "clocks.max.sm",
         "maximal memory clock": "clocks.max.mem"}
# Of the Python packages that PyTorch comes with.
WHEELS = """
import glob
try:
    import nvidia
    for path in nvidia.__path__:
        print(*glob.glob(path + "/*/lib"), sep="\\n")
except ImportError:
    pass
"""


def python():
    """The Python that PyTorch is asked for."""
    return os.environ.get("PALINDROME_PYTHON", "python3")


def printed(*command, seconds=20):
    """What a command prints; nothing if it fails or hangs, be it in the driver."""
    try:
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.DEVNULL)
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                return ""
            output.seek(0)
            return "" if code else output.read().decode(errors="replace").strip()
    except OSError:
        return ""


def add_nvcc_to_path():
    if not shutil.which("nvcc"):
        os.environ["PATH"] += ":/usr/local/cuda/bin"


def processors():
    return len(os.sched_getaffinity(0))


def commit():
    if os.environ.get("PALINDROME_COMMIT"):
        return os.environ["PALINDROME_COMMIT"]
    name = printed("git", "rev-parse", "--short=12", "HEAD")
    return name + ("-modified" if printed("git", "status", "--porcelain", "-uno") else "") or "unknown"


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def facts():
    """Of the first GPU and its machine; None without a GPU."""
    answer = printed("nvidia-smi", f"--query-gpu={','.join(QUERY.values())}",
                     "--format=csv,noheader", seconds=45)
    values = [value.strip() for value in answer.split("\n")[0].split(",")]
    if len(values) != len(QUERY):
        return None
    nvcc = printed("nvcc", "--version")
    return dict(zip(QUERY, values)) | {
        "date": datetime.date.today().isoformat(), "commit": commit(),
        "nvcc": nvcc.rpartition(", V")[2].split("\n")[0], "processors": processors(),
        "processor": processor()}


def wheel_folders():
    """Folders of NVIDIA's libraries beside PyTorch."""
    return [pathlib.Path(line) for line in printed(python(), "-c", WHEELS).splitlines()]


def toolkit_folders():
    """Where the toolkit keeps its libraries, if it does not stand in the loader's list."""
    nvcc = shutil.which("nvcc")
    folder = pathlib.Path(nvcc).resolve().parents[1] / "lib64" if nvcc else None
    return [folder] if folder and folder.is_dir() else []


def library_options():
    """CMake options for those of NVIDIA's libraries that the toolkit lacks but PyTorch brings."""
    nvcc = pathlib.Path(shutil.which("nvcc") or "/usr/bin/nvcc").resolve()
    known = [nvcc.parents[1] / "include", *nvcc.parents[1].glob("targets/*/include"),
             pathlib.Path("/usr/include"), *pathlib.Path("/usr/include").glob("*-linux-gnu")]
    options, includes = [], []
    folders = None
    for header in ("cudnn.h", "cublasLt.h", "nvtx3/nvToolsExt.h"):
        if any((folder / header).exists() for folder in known):
            continue
        folders = wheel_folders() if folders is None else folders
        found = [folder for folder in folders if (folder.parent / "include" / header).exists()]
        if not found:
            continue
        includes.append(str(found[0].parent / "include"))
        if header == "cudnn.h":
            options.append(f"-DCUDNN_LIBRARY={found[0]}/libcudnn.so.9")
        elif header == "cublasLt.h":
            options.append(f"-DCUDA_cublasLt_LIBRARY={max(found[0].glob('libcublasLt.so.*'))}")
    return options + ([f"-DCUDNN_INCLUDE={';'.join(includes)}"] if includes else [])
