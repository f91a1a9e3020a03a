"""An ONNX file beside our own programs: the same pictures through onnxruntime and pal-evaluate."""
import csv
import gzip
import io
import math
import os
import shutil
import struct
import subprocess
import tarfile
import tempfile
import zlib

import numpy as np

from .checkpoint import read_safetensors
from .errors import DataError, EnvironmentFailure, ExportError, UsageError, named

# Of |difference| / max(1, largest |value| of the image). Engine and runtime round in other places, and what a sum
# loses by that goes with its terms, not with what is left of them.
TOLERANCE = 1e-4
BATCH_VALUES = 8 * 150528  # of the images that go through the runtime at once


def made_pictures(count, size, channels):
    """u8 [count, size, size, channels]: stripes of random direction, colour and strength, in noise."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[0:size, 0:size] / size
    pictures = []
    for _ in range(count):
        angle, waves, phase = random.random(3) * [math.pi, 6, 2 * math.pi]
        stripes = np.sin(2 * math.pi * waves * (math.cos(angle) * rows + math.sin(angle) * columns) + phase)
        noise = random.standard_normal((size, size, channels)) * random.random() * 40
        levels = random.random(channels) * 255 + stripes[..., None] * random.random(channels) * 127 + noise
        pictures.append(np.clip(np.rint(levels), 0, 255).astype(np.uint8))
    return np.stack(pictures)


def read_images(path, count, size, channels):
    """The first `count` images of an IDX file, plain or gzip."""
    try:
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
            zeros, kind, rank = struct.unpack(">HBB", file.read(4))
            if (zeros, kind, rank) != (0, 8, 3):
                raise DataError(f"{path}: no IDX file of 8-bit images")
            held, *sides = struct.unpack(">3I", file.read(12))
            if sides != [size, size] or channels != 1 or held < count:
                raise DataError(f"{path}: {held} grey images of {sides[0]} x {sides[1]}; expected {count} of "
                                f"{size} x {size} with {channels} colours")
            data = file.read(count * size * size)
            return np.frombuffer(data, np.uint8).reshape(count, size, size, 1)
    except (OSError, EOFError, struct.error, ValueError, zlib.error) as error:
        raise DataError(f"{path}: {named(error)}") from error


def png_of(picture):
    """The bytes of u8 [height, width, 1 or 3] as a file, without loss."""
    height, width, channels = picture.shape
    lines = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with its filter: none
    lines[:, 1:] = picture.reshape(height, -1)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines, 1)) +
            chunk(b"IEND", b""))


def write_set(folder, pictures, class_names):
    """A set of all classes, whose pictures are all of the first: a shard and the names (data/README.md)."""
    os.mkdir(folder)
    with open(os.path.join(folder, "classes.txt"), "w", encoding="utf-8") as file:
        file.writelines(f"{name}\n" for name in class_names)
    with tarfile.open(os.path.join(folder, "test-0.tar"), "w") as shard:
        for number, picture in enumerate(pictures):
            for suffix, data in ("png", png_of(picture)), ("cls", b"0"):
                member = tarfile.TarInfo(f"{number:06d}.{suffix}")
                member.size = len(data)
                shard.addfile(member, io.BytesIO(data))


def program_of(folder):
    """pal-evaluate in a folder, or on PATH."""
    found = shutil.which("pal-evaluate", path=folder)
    if found is None:
        raise EnvironmentFailure("--check: no pal-evaluate " + (f"in {folder}" if folder else
                                 "on PATH; --programs names the folder that it is in"))
    return found


def evaluated(program, checkpoint, pictures, folder, dct_reported):
    """What pal-evaluate says of the pictures, in their order: `scores` and `log_density` in double, `latents`, of a
    ResNet `log_posterior` (not a number where the file has none). Keys that a family lacks are missing."""
    flow = checkpoint.config["family"] == "flow"
    place = os.path.join(folder, "pictures")
    write_set(place, pictures, checkpoint.class_names)
    outputs, latents = (os.path.join(folder, name) for name in ("outputs.csv", "latents.safetensors"))
    command = [program, checkpoint.path, place, "--device", "cpu", "--precision", "fp32", "--resize",
               str(checkpoint.config["image-size"]), "--save-outputs", outputs, "-q"]
    if flow:
        command += ["--save-latents", latents, "--dct-log-det", "reported" if dct_reported else "true"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
                          env={**os.environ, "XDG_CACHE_HOME": folder}, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ExportError(f"--check: {said[-1]}")
    if flow:
        return _of_latents(latents, checkpoint.config["classes"])
    return _of_outputs(outputs, checkpoint.config["classes"])


def _of_latents(path, classes):
    """By the formula of experiments/measures/README.md, 11; the scores there hold the log of the prior."""
    tensors, _ = read_safetensors(path)
    order = np.argsort(tensors["indices"])
    z, with_prior = tensors["latents"][order], tensors["scores"][order].astype(np.float64)
    most = with_prior.max(1)
    log_sum = most + np.log(np.exp(with_prior - most[:, None]).sum(1))
    dims = z.shape[1]
    squares = np.square(z, dtype=np.float64).sum(1)
    log_q = log_sum - squares / 2 + tensors["log_det"][order] - dims / 2 * math.log(2 * math.pi)
    return {"scores": with_prior + math.log(classes), "log_density": log_q / dims, "latents": z}


def _of_outputs(path, classes):
    with open(path, encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["index"]))
    posterior = np.full((len(rows), classes), np.nan)
    for number, row in enumerate(rows):
        posterior[number, int(row["predicted"])] = float(row["confidence"])
        for y in range(classes):
            if f"p_{y}" in row:
                posterior[number, y] = float(row[f"p_{y}"])
    posterior[posterior == 0] = np.nan
    return {"log_posterior": np.log(posterior)}


def run_onnx(path, pictures):
    """The outputs of the file for the pictures, by name."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        if session.get_modelmeta().custom_metadata_map["layout"] == "NCHW":
            pictures = pictures.transpose(0, 3, 1, 2)
        batch = max(1, BATCH_VALUES // pictures[0].size)
        parts = [session.run(names, {"images": pictures[at:at + batch].astype(np.float32) / np.float32(255)})
                 for at in range(0, len(pictures), batch)]
    except Exception as error:  # they have no base of their own
        raise ExportError(f"{path}: onnxruntime: {str(error).splitlines()[0]}") from error
    return {name: np.concatenate(values) for name, values in zip(names, zip(*parts))}


def largest_differences(found, wanted):
    """The largest |difference| / max(1, |wanted|), and the same with the largest |wanted| of the image; infinite if
    anything is not a number on one side alone."""
    images = len(wanted)
    difference = np.abs(found - wanted).reshape(images, -1)
    sizes = np.maximum(1, np.abs(wanted)).reshape(images, -1)
    known = ~np.isnan(wanted).reshape(images, -1)
    if not np.all(np.isfinite(difference[known])):
        return math.inf, math.inf
    of_value = np.max(difference / sizes, initial=0, where=known)
    return float(of_value), float(np.max(difference / np.nanmax(sizes, 1, keepdims=True), initial=0, where=known))


def other_predictions(found, wanted):
    """Images with another largest score, but for ties within the tolerance."""
    best = np.nanargmax(wanted, 1)
    theirs = np.take_along_axis(found, best[:, None], 1)[:, 0]
    return int(np.sum(found.max(1) > theirs + TOLERANCE * np.maximum(1, np.abs(theirs))))


def compare(path, checkpoint, count, images=None, programs=None, dct_reported=False):
    """Lines on how the file and pal-evaluate differ; raises ExportError if by more than the tolerance."""
    size, channels = checkpoint.config["image-size"], checkpoint.config["channels"]
    if channels not in (1, 3):
        raise UsageError(f"--check: pictures have 1 or 3 colours, this network {channels}")
    pictures = read_images(images, count, size, channels) if images else made_pictures(count, size, channels)
    program = program_of(programs)
    with tempfile.TemporaryDirectory(prefix="pal-onnx-") as folder:
        wanted = evaluated(program, checkpoint, pictures, folder, dct_reported)
        found = run_onnx(path, pictures)
        if "log_posterior" in wanted:
            scores = found["scores"].astype(np.float64)
            scores -= scores.max(1, keepdims=True)
            found["log_posterior"] = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        differences = {name: largest_differences(found[name], wanted[name]) for name in wanted if name in found}
        others = other_predictions(*(said.get("log_posterior", said.get("scores")) for said in (found, wanted)))
    text = ", ".join(f"{name} {of_value:.1e} ({of_image:.1e})" for name, (of_value, of_image) in differences.items())
    said = f"{count} images: largest difference of a value (of the image's largest): {text}; {others} other predictions"
    if others or not all(of_image <= TOLERANCE for _, of_image in differences.values()):
        raise ExportError(f"{path}: not what pal-evaluate says: {said}")
    return said
