#!/usr/bin/env python3
"""Makes extra.safetensors: the four extra corruptions by the PyPI package imagecorruptions 1.1.2
(which is OpenCV and scikit-image) and numpy, in the format of README.md.

Usage: make_extra.py (needs numpy, opencv-python, scikit-image, imagecorruptions)
"""

import json
import pathlib
import struct

import imagecorruptions.corruptions as package
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

SIDE, STRIDE = 64, 2
SPECKLE = (0.15, 0.2, 0.35, 0.45, 0.6)
BLUR = (1, 2, 3, 4, 6)
TOLERANCE = 0.02
# Water's layer is cut off to whole levels twice: a value beside a whole number may fall either way.
TOLERANCE_SPATTER = 1.01


def picture(random):
    """Smooth colours with hard edges, and a corner of pure grey."""
    image = gaussian_filter(random.uniform(size=(SIDE, SIDE, 3)), (5, 5, 0))
    image = (image - image.min()) / (image.max() - image.min())
    image[20:40, 10:30] = 1 - image[20:40, 10:30]
    image[:12, :12] = image[:12, :12, :1]
    return (255 * image).astype(np.uint8)


def spatter(image, severity, random):
    """The package's result, and the field that it drew."""
    drawn, original = {}, np.random.normal

    def normal(size, loc, scale):
        # To float32 and back, as the file holds it.
        drawn["field"] = random.normal(loc, scale, size).astype(np.float32)
        return drawn["field"].astype(np.float64)

    np.random.normal = normal
    try:
        out = package.spatter(Image.fromarray(image), severity)
    finally:
        np.random.normal = original
    return out, drawn


def cases(image, random):
    levels = image.astype(np.float64)
    for severity in range(1, 6):
        normal = random.normal(size=image.shape).astype(np.float32)
        noisy = levels + levels * SPECKLE[severity - 1] * normal
        yield "speckle_noise", severity, noisy, {"normal": normal}
        sigma = BLUR[severity - 1]
        blurred = gaussian_filter(levels, (sigma, sigma, 0), mode="nearest", truncate=4)
        yield "gaussian_blur", severity, blurred, {}
        yield "spatter", severity, *spatter(image, severity, random)
        yield "saturate", severity, package.saturate(image, severity), {}


def write(path, metadata, tensors):
    header, offset = {"__metadata__": metadata}, 0
    for name, value in tensors.items():
        dtype = "U8" if value.dtype == np.uint8 else "F32"
        header[name] = {"dtype": dtype, "shape": value.shape,
                        "data_offsets": [offset, offset + value.nbytes]}
        offset += value.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for value in tensors.values():
            file.write(np.ascontiguousarray(value).tobytes())


def main():
    random = np.random.default_rng(17)
    image = picture(random)
    source = f"image.{SIDE}x3"
    tensors, about = {source: image}, {}
    for corruption, severity, out, draws in cases(image, random):
        name = f"imagenet.{SIDE}x3.{corruption}.{severity}"
        tolerance = TOLERANCE_SPATTER if corruption == "spatter" else TOLERANCE
        about[name] = {"corruption": corruption, "severity": severity, "set": "imagenet",
                       "image": source, "stride": STRIDE, "tolerance_levels": tolerance}
        kept = np.clip(np.asarray(out), 0, 255)[::STRIDE, ::STRIDE]
        tensors[f"{name}.out"] = kept.astype(np.float32)
        for draw, value in draws.items():
            tensors[f"{name}.draw.{draw}"] = value
    write(pathlib.Path(__file__).with_name("extra.safetensors"), {"cases": json.dumps(about)}, tensors)


if __name__ == "__main__":
    main()
