"""What the tests share. PALINDROME_PROGRAMS names the folder of pal-evaluate and its like, compiled for
the same processor as the module; without it the comparisons with them are skipped."""

import json
import os
import pathlib
import subprocess

import numpy as np
import pytest

import palindrome

RESULTS = pathlib.Path(__file__).parents[2] / "results"
FASHION = RESULTS / "fashion-beta1.safetensors"


@pytest.fixture(scope="session")
def model():
    with palindrome.load(FASHION, threads=2) as loaded:
        yield loaded


@pytest.fixture(scope="session")
def levels():
    """Something like clothes: uint8 [12, 28, 28, 1]."""
    random = np.random.default_rng(1)
    rows, columns = np.mgrid[0:28, 0:28]
    images = []
    for _ in range(12):
        width, height = random.uniform(5, 12, 2)
        inside = (abs(columns - 13.5) < width) & (abs(rows - 13.5) < height)
        images.append(inside * random.integers(60, 255) + random.integers(0, 20, (28, 28)) * inside)
    return np.clip(np.stack(images), 0, 255).astype(np.uint8)[..., None]


@pytest.fixture(scope="session")
def pixels(levels):
    return levels.astype(np.float32) / np.float32(255)


class Programs:
    """The programs, run in a folder of their own."""

    def __init__(self, programs, folder):
        self.programs, self.folder = pathlib.Path(programs), folder

    def __call__(self, name, *arguments):
        command = [self.programs / name, *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, name, *arguments):
        return json.loads(self(name, *arguments, "--json"))


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    folder = os.environ.get("PALINDROME_PROGRAMS")
    if not folder:
        pytest.skip("PALINDROME_PROGRAMS does not name the folder of the programs")
    return Programs(folder, tmp_path_factory.mktemp("programs"))
