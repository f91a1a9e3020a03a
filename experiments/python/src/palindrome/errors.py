"""What goes wrong, with the engine's line as the message.

Every exception of the engine is an ``Error``, and also the built-in exception that Python code would
expect at that place.
"""


class Error(Exception):
    """Anything that the engine refuses or fails at."""


class UsageError(Error, ValueError):
    """An argument that does not fit: dtype, shape, layout, device, a value that is not finite or lies
    outside [0, 1]; a closed model; a model of a parent process."""


class DataError(Error, OSError, ValueError):
    """A file that is missing, broken, or not what it should be."""


class ResourceError(Error, RuntimeError):
    """Memory, disk or device fail; a device that this build or machine does not have."""


class NumericsError(Error, ArithmeticError):
    """A result that is not finite."""
