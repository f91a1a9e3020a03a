#!/usr/bin/env python3
"""Makes a folder of photographs of the size of ImageNet's from a few larger ones, for bench_loader.

Each picture is a random part of an opaque photograph that is at least as large, with some cut-out
ones (those with transparency) laid over it, so that few sources give many different files. Classes
are folders. Needs Pillow. For example, with what two packages of Debian hold:
    apt-get download mate-backgrounds tuxpaint-stamps-default
    for f in *.deb; do dpkg-deb -x $f photos; done
    bench/loader/make_photos.py photos photos-1000 --count 1000 --side 500x375 --quality 90
"""

import argparse
import io
import pathlib
import random
import statistics
import sys

from PIL import Image

SUFFIXES = {".jpg", ".jpeg", ".png"}
SMALLEST_CUT_OUT = 100 * 100


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    size = lambda text: tuple(int(side) for side in text.split("x"))
    parser.add_argument("source", type=pathlib.Path, help="folder, searched with all it holds")
    parser.add_argument("out", type=pathlib.Path, help="folder to make")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--side", type=size, default=(500, 375), help="WIDTHxHEIGHT")
    parser.add_argument("--quality", type=int, default=90)
    parser.add_argument("--cut-outs", type=int, default=4, help="at most so many in a picture")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def load(args):
    """Opaque photographs that are large enough, and cut-outs that fit into a picture."""
    opaque, cut_outs = [], []
    for path in sorted(args.source.rglob("*")):
        if path.suffix.lower() not in SUFFIXES:
            continue
        image = Image.open(path)
        if image.mode == "RGB" and all(a >= b for a, b in zip(image.size, args.side)):
            # A fifth of the width is enough of the largest, and more does not fit into memory.
            image.thumbnail([5 * side for side in args.side])
            opaque.append(image)
        elif image.mode in ("RGBA", "LA") and image.width * image.height >= SMALLEST_CUT_OUT:
            image.thumbnail(args.side)
            cut_outs.append(image.convert("RGBA"))
    return opaque, cut_outs


def make(args, opaque, cut_outs):
    width, height = args.side
    photograph = random.choice(opaque)
    scale = random.uniform(1.0, min(a / b for a, b in zip(photograph.size, args.side)))
    part = [int(side * scale) for side in args.side]
    x, y = (random.randint(0, a - b) for a, b in zip(photograph.size, part))
    picture = photograph.resize(args.side, Image.BICUBIC, (x, y, x + part[0], y + part[1]))
    for _ in range(random.randint(0, args.cut_outs if cut_outs else 0)):
        cut_out = random.choice(cut_outs)
        picture.paste(cut_out, (random.randint(-cut_out.width // 2, width - cut_out.width // 2),
                                random.randint(-cut_out.height // 2, height - cut_out.height // 2)),
                      cut_out)
    if random.random() < 0.5:
        picture = picture.transpose(Image.FLIP_LEFT_RIGHT)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=args.quality)
    return file.getvalue()


def main():
    args = parse()
    random.seed(args.seed)
    opaque, cut_outs = load(args)
    if not opaque:
        sys.exit(f"make_photos: {args.source}: no opaque photograph of at least "
                 f"{args.side[0]}x{args.side[1]}")
    sizes = []
    for i in range(args.count):
        folder = args.out / f"class{i % args.classes:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        data = make(args, opaque, cut_outs)
        (folder / f"{i:06d}.jpg").write_bytes(data)
        sizes.append(len(data))
    print(f"{len(sizes)} pictures of {len(opaque)} photographs and {len(cut_outs)} cut-outs, "
          f"{statistics.mean(sizes) / 1000:.1f} kB on average")


if __name__ == "__main__":
    main()
