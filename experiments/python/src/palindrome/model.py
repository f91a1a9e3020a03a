"""A trained network: arrays of images in, numpy arrays out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal, Union

import numpy as np
from numpy.typing import NDArray

from ._engine import Engine
from .errors import UsageError

#: Images: an array that numpy or DLPack knows, [n, h, w, c] or [n, c, h, w]; uint8 levels, or float32
#: or float64 pixels in [0, 1].
Images = Any
#: How the axes of images lie; "auto" tells by the shape.
Layout = Literal["auto", "nhwc", "nchw"]
#: One class for all images, or one for each.
Classes = Union[int, Sequence[int], NDArray[np.integer]]


def load(
    path: str | os.PathLike[str],
    device: str = "cpu",
    threads: int | None = None,
    *,
    check_range: bool = True,
) -> Model:
    """Loads a checkpoint, or a run folder's best one.

    device: "cpu", "cuda[:N]" (a build with CUDA), or "auto". threads: None means OMP_NUM_THREADS, or
    all processors that this process may use. check_range=False lets pixels outside [0, 1] pass, for
    tools that step across the edge.

    Raises DataError for a file that is missing or broken, ResourceError for a missing device.
    """
    if threads is not None and threads < 1:
        raise UsageError(f"threads: expected at least 1, got {threads}")
    return Model(Engine(os.fspath(path), device, threads or 0, check_range))


def _classes(y: Classes) -> list[int]:
    return np.atleast_1d(np.asarray(y)).astype(np.int64, casting="same_kind").tolist()


class Model:
    """A trained network in its evaluation phase; ``load`` makes one.

    Calls from several threads wait for each other and give up the GIL; Ctrl-C ends a call between two
    pieces of 100 images. All methods raise UsageError for arguments that do not fit and for a closed
    model, NumericsError for results that are not finite.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        facts = engine.facts
        #: The file.
        self.checkpoint: str = facts.checkpoint
        self.architecture: str = facts.architecture
        self.classes: int = facts.classes
        self.class_names: list[str] = facts.class_names
        #: Height and width of images, pixels.
        self.image_size: int = facts.image_size
        #: Colours: 1 or 3.
        self.channels: int = facts.channels
        #: D: values of an image.
        self.dims: int = facts.dims
        #: False: it only classifies (a ResNet); then log_prob, encode and their like raise.
        self.has_density: bool = facts.has_density
        #: Per colour; the network reads (pixel - mean) / std.
        self.mean: list[float] = facts.mean
        self.std: list[float] = facts.std
        #: Of the calibration of these weights; None without one.
        self.temperature: float | None = facts.temperature
        self.device: str = facts.device
        self.threads: int = facts.threads

    def scores(self, images: Images, layout: Layout = "auto") -> NDArray[np.float64]:
        """Class scores l_y [n, classes], nats: q(y|x) is their softmax."""
        return self._engine.answers(images, layout)[0]

    def log_prob(self, images: Images, layout: Layout = "auto") -> NDArray[np.float64]:
        """ln q(x) [n], nats, in all: a density of the D pixels in [0, 1] as they are given.

        bits_per_dim is log2(255) - log_prob / (D ln 2).
        """
        return self.scores_and_log_prob(images, layout)[1]

    def scores_and_log_prob(
        self, images: Images, layout: Layout = "auto"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Both of one pass."""
        self._expect_density("log_prob")
        return self._engine.answers(images, layout)[:2]

    def bits_per_dim(self, images: Images, layout: Layout = "auto") -> NDArray[np.float64]:
        """Bits per value [n] of levels 1/255 wide, as pal-evaluate says them of images without noise."""
        self._expect_density("bits_per_dim")
        return self._engine.answers(images, layout)[2]

    def posterior(
        self, images: Images, calibrated: bool = False, layout: Layout = "auto"
    ) -> NDArray[np.float64]:
        """q(y|x) [n, classes]: the softmax of the scores.

        calibrated: at the temperature that pal-evaluate --calibrate found, as pal-classify says it;
        raises UsageError without a calibration.
        """
        return self._engine.posterior(images, calibrated, layout)

    def predict(self, images: Images, layout: Layout = "auto") -> NDArray[np.int64]:
        """The likeliest class of each image [n]."""
        return self.scores(images, layout).argmax(axis=1)

    def encode(self, images: Images, layout: Layout = "auto") -> NDArray[np.float32]:
        """Latent vectors z [n, D]."""
        return self._engine.encode(images, layout)

    def decode(self, z: Any, layout: Layout = "nhwc") -> NDArray[np.float32]:
        """Images of latent vectors [n, D] (float32 or float64): the inverse of encode.

        Pixels are not clipped.
        """
        return self._engine.decode(z, layout)

    def sample(
        self,
        y: int,
        n: int = 1,
        temperature: float = 1.0,
        seed: int = 0,
        *,
        clip: bool = True,
        layout: Layout = "nhwc",
    ) -> NDArray[np.float32]:
        """n images of class y, drawn around its mean with `temperature` times its deviation.

        Those of `pal-sample --around means` with the same seed and temperature, before they become
        levels. clip: to [0, 1].
        """
        return self._engine.sample(y, n, temperature, seed, clip, layout)

    def evidence(
        self, images: Images, a: Classes, b: Classes, layout: Layout = "auto"
    ) -> NDArray[np.float64]:
        """Evidence for class a against b by position [n, N, N], nats.

        A map sums to l_a - l_b = ln q(a|x) / q(b|x), with no constant beside it.
        """
        return self._engine.evidence(images, _classes(a), _classes(b), layout)

    def vjp(
        self,
        images: Images,
        grad_scores: Any = None,
        grad_log_prob: Any = None,
        layout: Layout = "auto",
    ) -> NDArray[np.float32]:
        """The gradient of sum(grad_scores * scores) + sum(grad_log_prob * log_prob) by the pixels.

        grad_scores [n, classes], grad_log_prob [n]; None means zeros. The result has the shape and
        layout of the images, and is by pixels in [0, 1] also where levels were given.
        """
        return self._engine.vjp(images, grad_scores, grad_log_prob, layout)

    def close(self) -> None:
        """Gives weights and memory back, once calls of other threads are done; facts stay."""
        self._engine.close()

    @property
    def closed(self) -> bool:
        return self._engine.closed()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"<palindrome.Model {self.architecture} of {self.classes} classes, "
            f"{self.image_size}x{self.image_size}x{self.channels}, on {self.device}>"
        )

    def _expect_density(self, what: str) -> None:
        if not self.has_density:
            raise UsageError(
                f"{what}: {self.architecture} only classifies; this needs an invertible network"
            )
