#!/usr/bin/env python3
"""Training images from JPEGs in PyTorch: the rival of bench_loader.

The JPEGs lie in class folders (DIR/CLASS/*.jpg, or DIR/train) or in tar shards (DIR/train*.tar), as
`pal-data pack` makes them. A DataLoader takes random resized crops or the middle, flips and normalises:
    --decoder pillow        Pillow's images, torchvision.transforms
    --decoder torchvision   torchvision.io's decoder to tensors, torchvision.transforms.v2
Without torchvision the first by Pillow and NumPy in processes that keep their images. Prints figures,
or one JSON object with --json. Exit code 77 without Pillow, or without torchvision where it is asked for.
    bench/loader/torch_loader.py DIR --workers 2 --seconds 10 --json
"""

import argparse
import io
import itertools
import json
import math
import multiprocessing
import os
import pathlib
import random
import sys
import tarfile
import time

try:
    import PIL
    from PIL import Image
except ImportError:
    print("torch_loader: SKIPPED: this Python has no Pillow", file=sys.stderr)
    sys.exit(77)
try:
    import torch
    import torchvision
    from torchvision import transforms
    from torchvision.io import ImageReadMode, decode_jpeg
    from torchvision.transforms import v2
except ImportError:
    torchvision = None
    import numpy

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
WARM_UP_SECONDS = 2.0
ENDLESS = 1 << 40
SUFFIXES = (".jpg", ".jpeg")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--decoder", choices=("pillow", "torchvision"), default="pillow")
    parser.add_argument("--crop", choices=("random", "center"), default="random")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0: this one alone")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--prefetch", type=int, default=3, help="batches, as bench_loader has it")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.decoder == "torchvision" and torchvision is None:
        print("torch_loader: SKIPPED: --decoder torchvision: this Python has no torchvision",
              file=sys.stderr)
        sys.exit(77)
    return args


def shorter_side(args):
    return round(args.size * 256 / 224)


class Files:
    """The encoded pictures of a folder of class folders or of tar shards: (path, offset, size)."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.places, self.files = [], {}
        shards = sorted(folder.glob("train*.tar")) or sorted(folder.glob("*.tar"))
        for shard in shards:
            with tarfile.open(shard) as archive:
                self.places += [(shard, member.offset_data, member.size) for member in archive
                                if member.name.lower().endswith(SUFFIXES)]
        if not shards:
            root = folder / "train" if (folder / "train").is_dir() else folder
            paths = sorted(p for p in root.glob("*/*") if p.suffix.lower() in SUFFIXES)
            self.places = [(path, 0, path.stat().st_size) for path in paths]
        if not self.places:
            sys.exit(f"torch_loader: {folder}: no JPEGs in class folders or tar shards")
        self.shards = bool(shards)

    def read(self, index):
        path, offset, size = self.places[index]
        if not self.shards:
            return path.read_bytes()
        if path not in self.files:  # a shard stays open, in each process
            self.files[path] = os.open(path, os.O_RDONLY)
        return os.pread(self.files[path], size, offset)


class Pictures(Files):
    """What a DataLoader asks of a data set."""

    def __init__(self, args):
        super().__init__(args.folder)
        self.tensors = args.decoder == "torchvision"
        self.steps = (tensor_steps if self.tensors else image_steps)(args)

    def __len__(self):
        return len(self.places)

    def __getitem__(self, index):
        data = self.read(index)
        if self.tensors:
            # Without the copy that bytearray makes PyTorch warns of memory that is not writable.
            encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
            return self.steps(decode_jpeg(encoded, ImageReadMode.RGB)), 0
        return self.steps(Image.open(io.BytesIO(data)).convert("RGB")), 0


def image_steps(args):
    if args.crop == "random":
        steps = [transforms.RandomResizedCrop(args.size), transforms.RandomHorizontalFlip()]
    else:
        steps = [transforms.Resize(shorter_side(args)), transforms.CenterCrop(args.size)]
    return transforms.Compose(steps + [transforms.ToTensor(), transforms.Normalize(MEAN, STD)])


def tensor_steps(args):
    """On levels as long as they last, as torchvision's documentation advises."""
    if args.crop == "random":
        steps = [v2.RandomResizedCrop(args.size, antialias=True), v2.RandomHorizontalFlip()]
    else:
        steps = [v2.Resize(shorter_side(args), antialias=True), v2.CenterCrop(args.size)]
    return v2.Compose(steps + [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])


def torch_batches(args):
    """An endless row of batches, and the processes that make them."""
    torch.set_num_threads(1)  # as worker processes have it
    dataset = Pictures(args)
    # Drawn with replacement there is no end of an epoch, at which the workers would run dry.
    sampler = torch.utils.data.RandomSampler(dataset, replacement=True, num_samples=ENDLESS)
    more = {}
    if args.workers > 0:
        more["prefetch_factor"] = max(2, math.ceil(args.prefetch / args.workers))
    batches = iter(torch.utils.data.DataLoader(dataset, args.batch_size, sampler=sampler,
                                               num_workers=args.workers, **more))
    pids = [worker.pid for worker in getattr(batches, "_workers", [])]
    return (len(labels) for _, labels in batches), pids


class PillowSteps:
    """The steps of torchvision by Pillow and NumPy."""

    def __init__(self, args):
        self.args = args
        self.files = Files(args.folder)

    def __call__(self, _):
        data = self.files.read(random.randrange(len(self.files.places)))
        picture = Image.open(io.BytesIO(data)).convert("RGB")
        size = (self.args.size, self.args.size)
        if self.args.crop == "random":
            picture = picture.crop(self.random_box(*picture.size)).resize(size, Image.BILINEAR)
            if random.random() < 0.5:
                picture = picture.transpose(Image.FLIP_LEFT_RIGHT)
        else:
            scale = shorter_side(self.args) / min(picture.size)
            picture = picture.resize([round(side * scale) for side in picture.size],
                                     Image.BILINEAR)
            x, y = (round((a - b) / 2) for a, b in zip(picture.size, size))
            picture = picture.crop((x, y, x + size[0], y + size[1]))
        pixels = numpy.asarray(picture, dtype=numpy.float32).transpose(2, 0, 1) / 255
        mean, std = (numpy.array(v, numpy.float32).reshape(3, 1, 1) for v in (MEAN, STD))
        self.image = (pixels - mean) / std
        return 1

    def random_box(self, width, height):
        for _ in range(10):
            area = width * height * random.uniform(0.08, 1.0)
            ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                x, y = random.randint(0, width - w), random.randint(0, height - h)
                return x, y, x + w, y + h
        return 0, 0, width, height


def pillow_batches(args):
    steps = PillowSteps(args)
    if args.workers == 0:
        return map(steps, itertools.count()), []
    pool = multiprocessing.Pool(args.workers, initializer=random.seed)
    pids = [process.pid for process in multiprocessing.active_children()]

    def rounds():
        while True:
            yield from pool.imap_unordered(steps, range(1024), chunksize=16)

    return rounds(), pids


def cpu_seconds(pids):
    """Of this process and those."""
    total = time.process_time()
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            fields = file.read().rsplit(") ", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def main():
    args = parse()
    batches, pids = (torch_batches if torchvision else pillow_batches)(args)
    start = time.perf_counter()
    while time.perf_counter() - start < WARM_UP_SECONDS:
        next(batches)
    start, cpu_start, images = time.perf_counter(), cpu_seconds(pids), 0
    while time.perf_counter() - start < args.seconds:
        images += next(batches)
    seconds, cpu = time.perf_counter() - start, cpu_seconds(pids) - cpu_start
    name = f"Pillow {PIL.__version__}"
    if torchvision:
        name = f"torch {torch.__version__}, torchvision {torchvision.__version__}, {name}"
    figures = {"framework": name, "decoder": args.decoder, "workers": args.workers,
               "crop": args.crop, "size": args.size, "images": images, "seconds": seconds,
               "images_per_s": images / seconds, "images_per_cpu_s": images / cpu}
    if args.json:
        print(json.dumps(figures))
    else:
        print(f"{name}, {args.decoder}: {args.workers} workers, {args.crop} crop: "
              f"{images / seconds:.1f} images/s, {images / cpu:.1f} per core")
    sys.stdout.flush()
    # Workers that still fill their queues are not waited for.
    for pid in pids:
        os.kill(pid, 9)
    os._exit(0)


if __name__ == "__main__":
    main()
