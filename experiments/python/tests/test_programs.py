"""The same numbers as the programs, to the last bit where nothing but an array lies between."""

import csv
import gzip
import json
import struct

import numpy as np
import pytest

import palindrome
from conftest import FASHION


def read_safetensors(path):
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    types = {"F32": "<f4", "F64": "<f8", "I32": "<i4"}
    return {
        name: np.frombuffer(content[8 + length :], types[entry["dtype"]], np.prod(entry["shape"], dtype=int),
                            entry["data_offsets"][0]).reshape(entry["shape"])
        for name, entry in json.loads(content[8 : 8 + length]).items()
        if name != "__metadata__"
    }


def write_idx(path, values):
    header = struct.pack(">BBBB" + "I" * values.ndim, 0, 0, 8, values.ndim, *values.shape)
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))


@pytest.fixture(scope="module")
def test_images(model):
    """Samples of the model as levels, more than a piece of 100, and the classes they are meant for."""
    samples = [model.sample(y, 15, 0.6, seed=7) for y in range(10)]
    return np.rint(np.concatenate(samples) * 255).astype(np.uint8), np.repeat(np.arange(10), 15)


@pytest.fixture(scope="module")
def folder(programs, test_images):
    """The images as a data set of four IDX files."""
    images, labels = test_images
    made = programs.folder / "idx"
    made.mkdir()
    for part in ("train", "t10k"):
        write_idx(made / f"{part}-images-idx3-ubyte.gz", images[..., 0])
        write_idx(made / f"{part}-labels-idx1-ubyte.gz", labels)
    return made


def test_latents_and_scores_of_pal_evaluate(model, programs, folder, test_images):
    images, labels = test_images
    programs("pal-evaluate", FASHION, folder, "-b", "100", "--threads", "2", "--save-latents", "z.safetensors")
    saved = read_safetensors(programs.folder / "z.safetensors")
    np.testing.assert_array_equal(saved["labels"], labels)
    scores, log_prob = model.scores_and_log_prob(images)
    np.testing.assert_array_equal(model.encode(images), saved["latents"])
    # The file has them with the prior, in float.
    with_prior = (scores - np.log(model.classes)).astype(np.float32)
    np.testing.assert_array_equal(with_prior, saved["scores"])
    # ln q(x) as experiments/measures/README.md, 11 puts it together; the normalisation beside it.
    z = saved["latents"].astype(np.float64)
    log_density = (
        -(z**2).sum(axis=1) / 2
        + np.logaddexp.reduce(saved["scores"].astype(np.float64), axis=1)
        + saved["log_det"]
        - model.dims / 2 * np.log(2 * np.pi)
    )
    np.testing.assert_allclose(log_prob, log_density - model.dims * np.log(model.std[0]), atol=1e-2)


def test_bits_and_posteriors_of_pal_classify(model, programs, test_images):
    images, _ = test_images
    pictures = programs.folder / "pictures"
    pictures.mkdir()
    names = []
    for i, image in enumerate(images[::15]):
        names.append(pictures / f"{i}.png")
        names[-1].write_bytes(png(image[..., 0]))
    said = programs("pal-classify", FASHION, *names, "--json", "--threads", "2")
    answers = [json.loads(line) for line in said.splitlines()]
    bits = model.bits_per_dim(images[::15])
    posterior = model.posterior(images[::15], calibrated=True)
    assert len(answers) == 10
    for i, answer in enumerate(answers):
        assert answer["bits_per_dim"] == bits[i]
        for said in answer["top"]:
            y = model.class_names.index(said["class"])
            assert said["probability"] == posterior[i, y]


def test_posteriors_of_a_classifier(programs, folder, test_images):
    """A ResNet's table of pal-evaluate has no noise, so its probabilities are those of the images."""
    images, _ = test_images
    programs("pal-train", folder, "-a", "resnet-small", "--image-size", "28", "--resize", "28", "-b", "30",
             "--max-steps", "3", "--threads", "1", "-o", "classifier")
    programs("pal-evaluate", "classifier/checkpoints/last", folder, "-b", "100", "--threads", "2",
             "--save-outputs", "outputs.csv")
    with open(programs.folder / "outputs.csv") as file:
        rows = list(csv.DictReader(file))
    assert rows
    images = images[[int(row["index"]) for row in rows]]
    with palindrome.load(programs.folder / "classifier/checkpoints/last", threads=2) as classifier:
        posterior = classifier.posterior(np.repeat(images, classifier.channels, axis=3))
    for row, q in zip(rows, posterior, strict=True):
        assert [float(row[f"p_{y}"]) for y in range(classifier.classes)] == q.tolist()


@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_gradients_of_pal_attack(model, programs, folder, test_images, loss):
    """One step of pal-attack along its gradient, against the gradient of AutoAttack's losses by
    PyTorch: wherever a pixel moved and was not held at 0 or 1."""
    torch = pytest.importorskip("torch")
    from palindrome.torch import Module

    images, labels = test_images
    out = programs.folder / f"attack-{loss}"
    programs("pal-attack", FASHION, folder, "--attack", "fgsm", "--norm", "l2", "--eps", "0.5", "--loss", loss,
             "--untargeted", "-n", "10", "--sheet", "0", "--threads", "2", "-o", out)
    (path,) = out.glob("images/*/*.safetensors")
    attacked = read_safetensors(path)
    index = attacked["index"].astype(int)
    x = torch.from_numpy(images[index]).permute(0, 3, 1, 2).float().div(255).requires_grad_()
    y = torch.from_numpy(labels[index])
    scores = Module(model)(x)
    if loss == "ce":
        total = torch.nn.functional.cross_entropy(scores, y, reduction="sum")
    else:  # as autoattack.autopgd_base.APGDAttack.dlr_loss
        ranked, order = scores.sort(dim=1)
        right = (order[:, -1] == y).float()
        own = scores[torch.arange(len(y)), y]
        rival = ranked[:, -2] * right + ranked[:, -1] * (1 - right)
        total = (-(own - rival) / (ranked[:, -1] - ranked[:, -3] + 1e-12)).sum()
    (grad,) = torch.autograd.grad(total, x)
    steps = 0.5 * grad / grad.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    wanted = steps.permute(0, 2, 3, 1).numpy()
    moved = attacked["images"]
    before = images[index] / np.float32(255)
    free = (moved > 0) & (moved < 1) & (moved != before)
    assert free.sum() > 500
    np.testing.assert_allclose((moved - before)[free], wanted[free], atol=2e-5)
    # Where it was held, it was to go farther.
    assert (wanted[moved == 0] <= 1e-5).all() and (wanted[moved == 1] >= -1e-5).all()


def png(levels):
    """A grey picture as a PNG file."""
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = levels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in levels)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
