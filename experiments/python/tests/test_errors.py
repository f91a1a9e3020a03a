"""What does not fit raises, with the engine's line, and harms nothing."""

import numpy as np
import pytest

import palindrome
from conftest import FASHION


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x: x[..., 0], r"expected \[n, 28, 28, 1\] or \[n, 1, 28, 28\], got \[12, 28, 28\]"),
        (lambda x: x[:, :27], r"got \[12, 27, 28, 1\]"),
        (lambda x: np.repeat(x, 3, axis=3), r"got \[12, 28, 28, 3\]"),
        (lambda x: x[:0], "expected at least one"),
        (lambda x: x.astype(np.int64), "got int64"),
        (lambda x: x.astype(np.float16), "got float16"),
        (lambda x: x > 0.5, "got bool8"),
        (lambda x: x * 255, "divide levels by 255"),
        (lambda x: x - 1, r"expected pixels in \[0, 1\]"),
        (lambda x: np.where(x > 0.5, np.nan, x), "nan in image"),
        (lambda x: np.where(x > 0.5, np.inf, x), "inf in image"),
        (lambda x: x.tolist(), "got list"),
        (lambda x: None, "got NoneType"),
        (lambda x: "shoe.png", "got str"),
        (lambda x: x.astype(">f4"), "images: "),
    ],
)
def test_images_that_do_not_fit(model, pixels, change, message):
    images = change(pixels)
    for call in (model.scores, model.log_prob, model.encode, model.posterior):
        with pytest.raises(palindrome.UsageError, match=message):
            call(images)
    n = len(images) if isinstance(images, np.ndarray) else 12
    with pytest.raises(ValueError, match=message):
        model.vjp(images, np.ones((n, 10)))


def test_arguments_that_do_not_fit(model, pixels):
    refused = [
        (lambda: model.scores(pixels, layout="nchw"), r"or \[n, 1, 28, 28\], got \[12, 28, 28, 1\]"),
        (lambda: model.scores(pixels, layout="hwcn"), "expected auto, nhwc or nchw, got 'hwcn'"),
        (lambda: model.vjp(pixels), "of scores, of log_prob or of both"),
        (lambda: model.vjp(pixels, np.ones((12, 9))), r"grad_scores: expected \[12, 10\], got \[12, 9\]"),
        (lambda: model.vjp(pixels, np.ones((12, 10), int)), "grad_scores: expected float32 or float64"),
        (lambda: model.vjp(pixels, None, np.ones((12, 1))), r"grad_log_prob: expected \[12\]"),
        (lambda: model.vjp(pixels, np.full((12, 10), np.nan)), "a derivative is nan"),
        (lambda: model.decode(np.zeros((2, 783))), r"latents: expected \[n, 784\], got \[2, 783\]"),
        (lambda: model.decode(np.full((1, 784), np.nan)), "latents: a value is not finite"),
        (lambda: model.decode(np.zeros((1, 784)), layout="auto"), "layout"),
        (lambda: model.sample(10), "expected 0 to 9, got 10"),
        (lambda: model.sample(0, 0), "at least 1 sample"),
        (lambda: model.sample(0, 1, -1.0), "temperature"),
        (lambda: model.sample(0, 1, float("nan")), "temperature"),
        (lambda: model.evidence(pixels, 0, 10), "expected 0 to 9, got 10"),
        (lambda: model.evidence(pixels, [0, 1], 2), "one for each of 12 images, got 2"),
        (lambda: palindrome.load(FASHION, threads=0), "threads"),
        (lambda: palindrome.load(FASHION, device="tpu"), "device"),
    ]
    for call, message in refused:
        with pytest.raises(palindrome.UsageError, match=message):
            call()
    for call in (
        lambda: model.sample("shoe"),
        lambda: model.sample(0, 1, 1.0, -1),
        lambda: model.evidence(pixels, 0.5, 1),
        lambda: palindrome.load(3),
    ):
        with pytest.raises(TypeError):
            call()
    assert np.isfinite(model.scores(pixels)).all()


def test_strange_images_may_pass(pixels):
    with palindrome.load(FASHION, check_range=False) as model:
        assert np.isfinite(model.scores(pixels * 1.5 - 0.2)).all()
        with pytest.raises(palindrome.UsageError, match="nan in image"):
            model.scores(pixels * np.float32("nan"))
        with pytest.raises((palindrome.NumericsError, palindrome.UsageError)):
            model.log_prob(pixels.astype(np.float64) * 1e36)


def test_files_that_are_none(tmp_path):
    with pytest.raises(OSError, match="nothing"):
        palindrome.load(tmp_path / "nothing.safetensors")
    broken = tmp_path / "broken.safetensors"
    content = bytearray(FASHION.read_bytes())
    broken.write_bytes(content[: len(content) // 2])
    with pytest.raises(palindrome.DataError, match="broken"):
        palindrome.load(broken)
    content[-1] ^= 1
    broken.write_bytes(content)
    with pytest.raises(ValueError, match="broken"):
        palindrome.load(broken)
    with pytest.raises(palindrome.UsageError, match="a folder without checkpoints"):
        palindrome.load(tmp_path)


def test_a_device_that_is_not_there():
    with pytest.raises(RuntimeError):
        palindrome.load(FASHION, device="cuda:7")


def test_a_closed_model(pixels):
    model = palindrome.load(FASHION)
    model.close()
    model.close()
    assert model.closed and model.classes == 10
    for call in (model.scores, model.log_prob, model.encode, lambda x: model.vjp(x, np.ones((12, 10)))):
        with pytest.raises(ValueError, match="it is closed"):
            call(pixels)
    with pytest.raises(palindrome.Error, match="it is closed"):
        model.sample(0)


def test_a_classifier_without_density(programs, pixels):
    programs("pal-train", "--dataset", "synthetic:3:40:19:3", "-a", "resnet-small", "--image-size", "19",
             "-b", "16", "--max-steps", "2", "-o", "resnet", "--threads", "1")
    with palindrome.load(programs.folder / "resnet") as model:
        assert not model.has_density
        images = np.full((2, 19, 19, 3), 0.5, np.float32)
        assert model.scores(images).shape == (2, 3)
        assert model.vjp(images, np.ones((2, 3))).shape == images.shape
        for call in (
            lambda: model.log_prob(images),
            lambda: model.bits_per_dim(images),
            lambda: model.encode(images),
            lambda: model.sample(0),
            lambda: model.evidence(images, 0, 1),
            lambda: model.vjp(images, None, np.ones(2)),
        ):
            with pytest.raises(palindrome.UsageError, match="only classifies|no density"):
                call()
