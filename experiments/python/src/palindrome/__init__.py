"""Palindrome's trained networks in Python: generative classifiers of images.

>>> import palindrome
>>> with palindrome.load("run") as model:
...     scores = model.scores(images)          # [n, classes], nats
...     log_prob = model.log_prob(images)      # [n], nats
"""

from . import errors
from ._engine import native, version as __version__
from .errors import DataError, Error, NumericsError, ResourceError, UsageError
from .model import Model, load

__all__ = [
    "DataError",
    "Error",
    "Model",
    "NumericsError",
    "ResourceError",
    "UsageError",
    "__version__",
    "errors",
    "load",
    "native",
]
