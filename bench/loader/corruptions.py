#!/usr/bin/env python3
"""Milliseconds of each corruption beside the package imagecorruptions: the same pictures, one core,
in turns.

Needs the package (PyPI) with its own needs (numpy, scikit-image, opencv), which also has the frost
photographs. Newer numpy and scikit-image want two of its calls put right, which is done here.
    bench/loader/corruptions.py --worker build/release/bin/corrupt_worker photos-1000 --images 4
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import tempfile
import time

for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = "1"

import cv2
import numpy as np
from PIL import Image

if not hasattr(np, "float_"):
    np.float_ = np.float64
import imagecorruptions
from imagecorruptions import corruptions as package

COUNTED = ["gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur",
           "motion_blur", "zoom_blur", "snow", "frost", "fog", "brightness", "contrast",
           "elastic_transform", "pixelate", "jpeg_compression"]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", type=pathlib.Path, help="folder of JPEGs (make_photos.py)")
    parser.add_argument("--worker", required=True, metavar="FILE", help="corrupt_worker")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5, help="of either, in turns")
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


def gaussian_of_old(*arguments, multichannel=None, **others):
    if multichannel:
        others["channel_axis"] = -1
    return NEW_GAUSSIAN(*arguments, **others)


def middles(folder, count, size):
    """Middle squares of some pictures."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    for path in random.Random(0).sample(paths, count):
        picture = Image.open(path).convert("RGB")
        scale = size / min(picture.size)
        picture = picture.resize([max(size, round(side * scale)) for side in picture.size])
        left, top = (picture.width - size) // 2, (picture.height - size) // 2
        yield picture.crop((left, top, left + size, top + size))


def main():
    options = parse()
    cv2.setNumThreads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files, arrays = [], []
        for i, picture in enumerate(middles(options.photos, options.images, options.size)):
            files.append(f"{folder}/{i}.png")
            picture.save(files[-1])
            arrays.append(np.asarray(picture))
        frost = pathlib.Path(imagecorruptions.__file__).parent / "frost"
        worker = subprocess.Popen([options.worker, str(frost), *files], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)

        def ours(name, severity):
            print(name, severity, 1, file=worker.stdin, flush=True)
            return float(worker.stdout.readline())

        def theirs(name, severity):
            begin = time.perf_counter()
            for array in arrays:
                imagecorruptions.corrupt(array, corruption_name=name, severity=severity)
            return (time.perf_counter() - begin) / len(arrays)

        for name in COUNTED:
            for severity in range(1, 6):
                pairs = [(ours(name, severity), theirs(name, severity))
                         for _ in range(options.rounds + 1)][1:]
                mine, other = (1e3 * statistics.median(times) for times in zip(*pairs))
                rows.append({"corruption": name, "severity": severity, "ms": mine,
                             "imagecorruptions_ms": other, "ratio": other / mine})
                print(f"{name:18} {severity} {mine:9.3f} {other:9.2f} {other / mine:7.2f}", flush=True)
        worker.stdin.close()
        worker.wait()
    ratios = [row["ratio"] for row in rows]
    glass = [row["ratio"] for row in rows if row["corruption"] == "glass_blur"]
    print(f"median ratio {statistics.median(ratios):.2f}, least {min(ratios):.2f}, "
          f"glass blur at least {min(glass):.1f}")
    if options.json:
        with open(options.json, "w") as out:
            json.dump({"program": "bench/loader/corruptions.py", "size": options.size,
                       "images": options.images, "rounds": options.rounds,
                       "opencv": cv2.__version__, "numpy": np.__version__, "rows": rows}, out,
                      indent=1)
            out.write("\n")


NEW_GAUSSIAN = package.gaussian
package.gaussian = gaussian_of_old

if __name__ == "__main__":
    main()
