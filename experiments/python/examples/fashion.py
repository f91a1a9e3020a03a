"""Test images of Fashion-MNIST from IDX files, as Debian's package dataset-fashion-mnist has them."""

import gzip
import os
import pathlib

import numpy as np

FOLDER = pathlib.Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
MODEL = pathlib.Path(__file__).parents[2] / "results/fashion-beta1.safetensors"


def test_images(count=10000):
    """uint8 [count, 28, 28, 1] and classes [count], evenly spread."""
    images = gzip.decompress((FOLDER / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((FOLDER / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    chosen = np.linspace(0, 9999, count).astype(int) if count < 10000 else np.arange(10000)
    images = np.frombuffer(images, np.uint8).reshape(-1, 28, 28, 1)
    return images[chosen], np.frombuffer(labels, np.uint8).astype(np.int64)[chosen]
