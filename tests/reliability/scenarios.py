"""What each program is asked to do under faults: small, quick, and the same bytes each time."""
import pathlib
import re
import shutil
import struct
import zlib
from dataclasses import dataclass, field

import trial
import whole

TINY = ("--dataset synthetic:4:512:8 -b 16 --blocks 1,1 --strides 1,2 --widths 8,8 --recalibrate-bn 4 "
        "--threads 1 --quiet").split()
PICTURES = ("pictures -b 16 --blocks 1,1 --strides 1,2 --widths 8,8 --image-size 16 --threads 1 "
            "--workers 0 --quiet").split()
# Few tensors and few steps: each tensor of a save and each step is a call that writes.
SMALL = ("--dataset synthetic:4:96:8 --validation 16 -b 16 --blocks 1 --strides 1 --widths 4 "
         "--coupling slow --recalibrate-bn 2 --opt sgd --momentum 0 --warmup-steps 0 --burn-in 0 "
         "--checkpoint-every 2 --epochs 1 --threads 1 --quiet").split()
QUICK = "--threads 1 -q".split()
# Programs that write no file: nothing can be lost by them.
READERS = {"pal-inspect"}
# Files of a run that tell its history.
HISTORY = re.compile(r"(^|/)(log\.txt|run\.json|summary\.json)$")
# Files that hold a process number, or times and places; what a kill may leave. The next run judges them.
OWN = re.compile(r"(^|/)\.|\.tmp-pal|(^|/)metrics\.jsonl\.\d+$|\.partial(/|$)|^cache/")


@dataclass
class Scenario:
    name: str
    arguments: list  # the program's name, and what it is told
    there: tuple = ()  # files that are there before, with other content: the old ones
    until: str = ""    # calls until this file is first written: the rest another scenario covers
    once: tuple = ()   # files that the same command does not make again
    or_else: tuple = ()  # the command that a refusal of the same command names
    only: str = ""     # calls on files below it alone; what else is written another scenario covers
    needs: str = ""    # a program that this machine may lack
    cached: bool = False  # whether it may use a cache folder
    limit: float = 60.0
    programs: pathlib.Path = None
    start: pathlib.Path = None
    before: dict = None  # files by name, as `files` gives them
    after: dict = None   # and when it is done
    varying: set = field(default_factory=set)  # those of `after` that hold times
    usual: set = None    # lines that it says anyway

    def command(self, arguments=None):
        """What is run, in the folder that all paths are below."""
        arguments = arguments or self.arguments
        return [self.programs / arguments[0], *arguments[1:]]

    def environment(self, folder):
        return trial.surroundings(**({"XDG_CACHE_HOME": folder / "cache"} if self.cached else {}))

    def run(self, folder, arguments=None):
        return trial.run(self.command(arguments), folder, self.environment(folder), self.limit)

    def fresh(self, folder):
        """What there is before, in a folder of its own: what the arguments name, and old results."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for top in {argument.split("/")[0] for argument in self.arguments[1:]}:
            if (self.start / top).is_dir():
                shutil.copytree(self.start / top, folder / top, symlinks=True)
        for name in self.there:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"old\n")

    def prepare(self, programs, start, work):
        """Learns what is written, and which of it is the same twice."""
        self.programs, self.start = programs, start
        made = []
        for _ in range(2):
            self.fresh(work / "whole")
            self.before = files(work / "whole")
            outcome = self.run(work / "whole")
            if outcome.code != 0:
                raise RuntimeError(f"{self.name}: {trial.last_line(outcome.err)}")
            made.append(files(work / "whole"))
            self.usual = said(outcome)
        self.after = {name: content for name, content in made[1].items() if name in made[0]}
        self.varying = {name for name in self.after if made[0][name] != self.after[name] or HISTORY.search(name)}
        for name in self.varying:
            if problem := whole.problem(name, self.after[name]):
                raise RuntimeError(f"{self.name}: {name}: {problem}")
        if self.after == self.before:
            raise RuntimeError(f"{self.name}: writes nothing")


def said(outcome):
    """Lines of stderr without times."""
    return {re.sub(r"^([\d-]+ )?\d\d:\d\d:\d\d ", "", line) for line in outcome.err.splitlines()}


def files(folder):
    """Content by name of the files below a folder, as if that were "."; of a link, where it points to."""
    found = {}
    itself = str(folder).encode()
    for path in sorted(pathlib.Path(folder).rglob("*")):
        name = str(path.relative_to(folder))
        if OWN.search(name):
            continue
        if path.is_symlink():
            found[name] = b"-> " + bytes(path.readlink())
        elif path.is_file():
            found[name] = whole.timeless(name, path.read_bytes()).replace(itself, b".")
    return found


def all_scenarios():
    """Those that can be run on this machine."""
    every = [
        # train, and a run that goes on
        Scenario("train", ["pal-train", *SMALL, "--resume", "auto", "-o", "new"]),
        Scenario("resume", ["pal-train", "--resume", "short", "--quiet"]),
        Scenario("resume auto", ["pal-train", *SMALL, "--resume", "auto", "-o", "short"], until="short/run.json"),
        Scenario("branch", ["pal-train", "--resume", "short", "-o", "other", "--quiet"],
                 until="other/run.json", or_else=("pal-train", "--resume", "other", "--quiet")),
        Scenario("tensorboard", ["pal-train", "--resume", "short", "--tensorboard", "--quiet"],
                 only="short/tensorboard"),
        Scenario("trace", ["pal-train", "--resume", "short", "--trace", "trace.json", "--quiet"],
                 there=("trace.json",), once=("trace.json",), only="trace.json"),
        Scenario("pictures", ["pal-train", "few", *PICTURES[1:], "--max-steps", "2", "--resume", "auto", "-o",
                              "new"], only="few", until="new/run.json"),
        # a checkpoint measured
        Scenario("evaluate", ["pal-evaluate", "whole", "--save-outputs", "outputs.csv", "--summary",
                              "sum.json", *QUICK], there=("outputs.csv",)),
        Scenario("figures", ["pal-evaluate", "whole", "--figures", "figures", *QUICK]),
        Scenario("latents", ["pal-evaluate", "whole", "--save-latents", "latents.safetensors", *QUICK],
                 there=("latents.safetensors",)),
        Scenario("calibrate", ["pal-evaluate", "held", "--calibrate", *QUICK]),
        Scenario("ood", ["pal-ood", "whole", "--against", "noise", "--images", "30", "-o", "foreign", *QUICK]),
        Scenario("sample", ["pal-sample", "whole", "-n", "2", "-o", "samples.png", *QUICK],
                 there=("samples.png",)),
        Scenario("explain", ["pal-explain", "heatmap", "whole", "--images", "1,2", "-o", "maps.png", *QUICK],
                 there=("maps.png", "maps.csv")),
        Scenario("classify", ["pal-classify", "seen", "few/val/class 0/0.JPEG", "few/val/class 1/1.JPEG",
                              "--heatmap", "maps", *QUICK]),
        Scenario("convert", ["pal-convert", "whole", "small.safetensors", "--weights-only"],
                 there=("small.safetensors",)),
        Scenario("convert to npz", ["pal-convert", "whole", "arrays.npz", "-q"], there=("arrays.npz",)),
        Scenario("convert to pt", ["pal-convert", "published", "published.pt", "-q"],
                 there=("published.pt",)),
        Scenario("outputs as arrays", ["pal-evaluate", "whole", "--save-outputs", "outputs.safetensors", *QUICK],
                 there=("outputs.safetensors",)),
        Scenario("report", ["pal-report", "whole", "-o", "page.html", "--card", *QUICK], there=("page.html",)),
        Scenario("compare", ["pal-compare", "whole", "-o", "beside"]),
        Scenario("info", ["pal-info", "-a", "ibinn-mnist", "--tables", "tables"]),
        # pictures
        Scenario("pack", ["pal-data", "pack", "few", "-o", "shards", "-q", "-j", "1"]),
        Scenario("index", ["pal-data", "pack", "few", "-o", "shards", "-q", "-j", "1"], cached=True, only="cache"),
        Scenario("corrupt", ["pal-corrupt", "few", "-o", "corrupted", *CORRUPT]),
        Scenario("prepare", ["pal-data", "prepare", "digits", "--package", "packages/opencv-doc.deb", "-o",
                             "prepared", "-q"], needs="dpkg-deb"),
        # studies, from the start and as a stop left them
        Scenario("robustness", ["pal-robustness", "whole", *ROBUST, "-o", "robust"]),
        Scenario("robustness on", ["pal-robustness", "whole", *ROBUST, "-o", "robust_part"]),
        Scenario("attack", ["pal-attack", "whole", *ATTACK, "-o", "attacked"]),
        Scenario("attack on", ["pal-attack", "whole", *ATTACK, "-o", "attacked_part"]),
        Scenario("corrupt on", ["pal-corrupt", "few", "-o", "corrupted_part", *CORRUPT]),
        Scenario("ood on", ["pal-ood", "whole", "--against", "noise", "--images", "30", "-o", "foreign_part",
                            *QUICK]),
    ]
    return [scenario for scenario in every if not scenario.needs or shutil.which(scenario.needs)]


CORRUPT = ("--format png --image-size 16 --corruptions fog,contrast --severities 1 -n 2 -q -j 1").split()
ROBUST = "--corruptions fog,contrast --severities 1 -n 24 --threads 1 -q".split()
ATTACK = "--attack ddn --steps 3 -n 4 -b 2 --sheet 2 --threads 1 -q".split()


def uncovered(programs, scenarios):
    """Programs that no scenario runs."""
    known = {scenario.arguments[0] for scenario in scenarios} | READERS
    return sorted(p.name for p in pathlib.Path(programs).glob("pal-*") if p.name not in known)


def make_package(start):
    """A package with a sheet of digits as opencv-doc has it, 100 x 50 of 20 x 20 pixels; all black."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes(1000 * (1 + 2000)))
    header = struct.pack(">IIBBBBB", 2000, 1000, 8, 0, 0, 0, 0)
    place = start / "packages/root/usr/share/doc/opencv-doc/examples/data"
    place.mkdir(parents=True)
    (place / "digits.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) +
                                       chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    control = start / "packages/root/DEBIAN/control"
    control.parent.mkdir(mode=0o755)
    control.write_text("Package: opencv-doc\nVersion: 1\nArchitecture: all\n"
                       "Maintainer: nobody <nobody@example.org>\nDescription: a sheet of digits\n")
    trial.run(["dpkg-deb", "-Znone", "-b", "root", "opencv-doc.deb"], start / "packages")
    shutil.rmtree(start / "packages/root")


def make_start(programs, tools, work):
    """What scenarios find: runs that were stopped, one that is whole, pictures, a run on them, and studies
    that were stopped."""
    start = work / "start"
    shutil.rmtree(start, ignore_errors=True)
    start.mkdir(parents=True)

    def do(*argv):
        outcome = trial.run(argv, start, limit=300)
        if outcome.code != 0:
            raise RuntimeError(f"{argv[0]}: {trial.last_line(outcome.err)}")

    def drop(*patterns):
        for pattern in patterns:
            for path in list(start.glob(pattern)):
                path.unlink()

    train = programs / "pal-train"
    if shutil.which("dpkg-deb"):
        make_package(start)
    do(tools / "make_pictures", "pictures", "2", "40", "16", "16")
    do(tools / "make_pictures", "few", "2", "8", "16", "16")
    short = [*TINY, "--epochs", "2", "--checkpoint-every", "50"]
    do(train, *short, "--max-steps", "50", "-o", "run")
    do(train, *short, "-o", "whole")
    do(programs / "pal-evaluate", "whole", "--summary", "whole/summary.json", "-q")
    do(train, *PICTURES, "--max-steps", "4", "-o", "seen")
    do(train, *SMALL, "--max-steps", "3", "-o", "short")
    do(train, *SMALL, "--clamp", "0.7", "--latent-norm", "false", "--head-permutation", "true", "--max-steps", "2",
       "-o", "published")
    do(train, *TINY, "--validation", "112", "--max-steps", "4", "-o", "held")
    do(programs / "pal-robustness", "whole", *ROBUST, "-o", "robust_part")
    drop("robust_part/cells/*/fog-1.safetensors", "robust_part/*.*")
    do(programs / "pal-attack", "whole", *ATTACK, "-o", "attacked_part")
    drop("attacked_part/cells/*/*/batch-0001.safetensors", "attacked_part/*.*", "attacked_part/images/*/*",
         "attacked_part/pictures/*/*/*")
    do(programs / "pal-corrupt", "few", "-o", "corrupted_part", *CORRUPT)
    drop("corrupted_part/fog/1/*/*")
    do(programs / "pal-ood", "whole", "--against", "noise", "--images", "20", "-o", "foreign_part", *QUICK)
    return start
