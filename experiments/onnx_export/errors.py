"""Errors with the exit codes of all programs (experiments/README.md)."""


class ExportError(Exception):
    """One line, WHERE: what is wrong; what to do. `code` is the exit code."""

    code = 1


class UsageError(ExportError):
    """An option, a combination."""

    code = 2


class DataError(ExportError):
    """An input file that is broken or does not fit."""

    code = 3


class EnvironmentFailure(ExportError):
    """Disk, memory, permission, a module or program that is missing."""

    code = 4


class NumericsError(ExportError):
    """Parameters that stand for no invertible map."""

    code = 5


def named(error):
    """What the system said, without the number and the name that errors carry."""
    return getattr(error, "strerror", None) or str(error)
