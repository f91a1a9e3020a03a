#!/usr/bin/env python3
"""Makes the pictures and cases.tsv of this folder: what Pillow's bilinear resampling gives.

Usage: make.py (needs Pillow). Columns of cases.tsv: kind, source, wanted picture, then for resize:
width, height and the box; for center and ten: size, shorter side, channels. Ten crops stand below
one another. Sizes and offsets are those of torchvision's Resize, CenterCrop, TenCrop.
"""

import math
import pathlib
import random

from PIL import Image

FOLDER = pathlib.Path(__file__).parent


def picture(width, height, mode, noise=6):
    """Waves, hard edges and a little noise."""
    draw = random.Random(f"{width}x{height}{mode}{noise}")
    image = Image.new(mode, (width, height))
    bands = len(image.getbands())
    for y in range(height):
        for x in range(width):
            values = []
            for band in range(bands):
                level = 128 + 90 * math.sin(x / (3 + 2 * band)) * math.cos(y / (5 - band))
                if (x // 9 + y // 7) % 4 == band:
                    level = 255 if x % 2 else 0
                values.append(max(0, min(255, round(level + draw.uniform(-noise, noise)))))
            image.putpixel((x, y), tuple(values) if bands > 1 else values[0])
    return image


def resized(image, shorter):
    width, height = image.size
    if width <= height:
        size = (shorter, int(shorter * height / width))
    else:
        size = (int(shorter * width / height), shorter)
    return image.resize(size, Image.BILINEAR)


def center_crop(image, size):
    width, height = image.size
    left = int(round((width - size) / 2.0))
    top = int(round((height - size) / 2.0))
    return image.crop((left, top, left + size, top + size))


def five_crop(image, size):
    width, height = image.size
    corners = [(0, 0), (width - size, 0), (0, height - size), (width - size, height - size)]
    crops = [image.crop((x, y, x + size, y + size)) for x, y in corners]
    return crops + [center_crop(image, size)]


def stacked(images):
    size = images[0].size[0]
    whole = Image.new(images[0].mode, (size, size * len(images)))
    for place, image in enumerate(images):
        whole.paste(image, (0, size * place))
    return whole


def main():
    sources = {}
    rows = []

    def source(width, height, mode, noise=6):
        name = f"source_{width}x{height}_{mode.lower()}.png"
        if name not in sources:
            sources[name] = picture(width, height, mode, noise)
            sources[name].save(FOLDER / name, optimize=True)
        return name, sources[name]

    def wanted(image, *cells):
        name = f"wanted_{len(rows):02d}.png"
        image.save(FOLDER / name, optimize=True)
        rows.append("\t".join(str(cell) for cell in (cells[0], cells[1], name, *cells[2:])))

    for extent, mode, sizes_and_boxes in [
        ((61, 47), "RGB", [
            ((24, 24), None), ((90, 70), None), ((61, 47), None), ((61, 20), None),
            ((20, 47), None), ((33, 20), (3.3, 2.7, 50.1, 40.9)), ((19, 23), (0, 5, 60.5, 47)),
            ((7, 6), (10.2, 10.3, 10.9, 10.8)), ((16, 16), (12, 9, 13, 10)), ((1, 1), None)]),
        ((61, 47), "L", [
            ((24, 24), None), ((90, 70), None), ((33, 20), (3.3, 2.7, 50.1, 40.9)), ((5, 3), None)]),
        ((1, 1), "RGB", [((5, 4), None), ((1, 1), None)]),
        ((1, 9), "L", [((4, 4), None)]),
        ((9, 1), "RGB", [((7, 3), None), ((4, 1), (0.25, 0, 8.5, 0.5))]),
        ((2, 60), "RGB", [((16, 16), None)]),
        ((200, 3), "RGB", [((10, 10), None), ((1, 2), None)]),
        ((150, 110), "L", [((3, 2), None), ((40, 2), None)]),
    ]:
        name, image = source(*extent, mode)
        for size, box in sizes_and_boxes:
            box = box or (0, 0, *extent)
            wanted(image.resize(size, Image.BILINEAR, box=box), "resize", name, *size, *box)

    for extent, mode in [((97, 71), "RGB"), ((71, 98), "RGB"), ((64, 64), "L"), ((20, 23), "RGB")]:
        name, image = source(*extent, mode)
        for size, shorter, channels in [(28, 32, 3), (31, 32, 3), (32, 32, 1), (27, 40, 1)]:
            resampled = resized(image.convert("RGB" if channels == 3 else "L"), shorter)
            wanted(center_crop(resampled, size), "center", name, size, shorter, channels)
            if size == 28 or size == 27:
                mirrored = resampled.transpose(Image.FLIP_LEFT_RIGHT)
                crops = five_crop(resampled, size) + five_crop(mirrored, size)
                wanted(stacked(crops), "ten", name, size, shorter, channels)

    (FOLDER / "cases.tsv").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
