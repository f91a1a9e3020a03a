#!/usr/bin/env python3
"""The Python side of python_test.sh.

python_check.py pictures FOLDER MODE SIZE    class folders of PNGs, MODE L (grey) or RGB
python_check.py compare [CHECKPOINT CSV]...  experiments/read_checkpoint.py against files of
                                             `pal-evaluate --save-outputs`, picture by picture
"""

import csv
import math
import pathlib
import sys

import numpy
from PIL import Image

CLASSES = 3
TOLERANCE = 1e-4  # of probabilities, and of log-densities per dimension; float32 gives some 1e-6


def make_pictures(folder, mode, size):
    """Gradients in noise, of another direction for each class."""
    random = numpy.random.default_rng(0)
    rows, columns = numpy.mgrid[0:size, 0:size] / size
    for part, count in ("train", 24), ("val", 6):
        for label in range(CLASSES):
            place = pathlib.Path(folder, part, f"class {label}")
            place.mkdir(parents=True)
            slope = math.cos(label) * rows + math.sin(label) * columns
            for number in range(count):
                noise = random.random((size, size, 3 if mode == "RGB" else 1))
                levels = 255 * (0.3 + 0.3 * slope[..., None] * random.random() + 0.2 * noise)
                picture = Image.fromarray(levels.astype(numpy.uint8).squeeze(), mode)
                picture.save(place / f"{number}.png")


def noise_of(image, count):
    """The dequantisation noise of an image, [count] in [0, 1): runtime/philox.h, seed 0."""
    low = numpy.uint64(0xFFFFFFFF)
    purpose = 3  # RandomPurpose::noise
    at = [numpy.arange((count + 3) // 4, dtype=numpy.uint64)]
    at += [numpy.full_like(at[0], word) for word in (purpose, image, 0)]
    for turn in range(10):
        keys = [numpy.uint64(turn * step & 0xFFFFFFFF) for step in (0x9E3779B9, 0xBB67AE85)]
        first, second = at[0] * numpy.uint64(0xD2511F53), at[2] * numpy.uint64(0xCD9E8D57)
        shift = numpy.uint64(32)
        at = [second >> shift ^ at[1] ^ keys[0], second & low,
              first >> shift ^ at[3] ^ keys[1], first & low]
    words = numpy.stack(at, 1).ravel()[:count]
    return (words >> numpy.uint64(8)).astype(numpy.float32) * 2.0**-24


def compare(checkpoint, outputs):
    import torch
    from read_checkpoint import Flow, read_checkpoint

    tensors, info = read_checkpoint(checkpoint)
    flow = Flow(tensors, info["configuration"])
    differences = {"confidence": [], "ce": [], "log_density": []}
    for row in csv.DictReader(open(outputs, encoding="utf-8")):
        levels = numpy.asarray(Image.open(row["name"]), dtype=numpy.float32)
        levels = levels.reshape(*levels.shape[:2], -1)
        noisy = levels + noise_of(int(row["index"]), levels.size).reshape(levels.shape)
        x = torch.tensor((noisy / 255 - info["mean"]) / info["std"]).float().permute(2, 0, 1)
        z, log_det = flow.latent(x[None])
        scores = flow.scores(z)[0].double()
        posterior = scores.softmax(0)
        dims = z.numel()
        log_density = (scores.logsumexp(0) - z.double().square().sum() / 2 + log_det[0]
                       - math.log(len(scores)) - dims / 2 * math.log(2 * math.pi)) / dims
        if int(posterior.argmax()) != int(row["predicted"]):
            raise SystemExit(f"{row['name']}: {posterior.tolist()}, expected {row['predicted']}")
        found = {"confidence": posterior.max(), "log_density": log_density,
                 "ce": -posterior[int(row["label"])].log()}
        for key, value in found.items():
            differences[key].append(abs(float(value) - float(row[key])))
    for key, values in differences.items():
        print(f"{checkpoint}: {key}: {len(values)} pictures, largest difference {max(values):.1e}")
        if not max(values) < TOLERANCE:
            raise SystemExit(f"{checkpoint}: {key} differs by more than {TOLERANCE}")


if __name__ == "__main__":
    if sys.argv[1] == "pictures":
        make_pictures(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        for checkpoint, outputs in zip(sys.argv[2::2], sys.argv[3::2]):
            compare(checkpoint, outputs)
