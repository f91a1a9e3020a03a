"""Checkpoints read with NumPy alone; experiments/README.md lists their tensors."""
import json
import math
import os
from dataclasses import dataclass

import numpy as np
import xxhash

from .config import configuration_of
from .errors import DataError, UsageError, named

DTYPES = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8"), "I32": np.dtype("<i4")}
FORMAT, VERSION = "palindrome-checkpoint", 1


def checkpoint_of(path):
    """The file that a run folder stands for, by the rule of the programs; a file is itself."""
    if not os.path.exists(path) and os.path.exists(path + ".safetensors"):
        return path + ".safetensors"
    if not os.path.isdir(path):
        return path
    inner = os.path.join(path, "checkpoints")
    folder = inner if os.path.isdir(inner) else path
    steps = sorted((int(name[5:-12]) for name in os.listdir(folder)
                    if name.startswith("step-") and name.endswith(".safetensors") and name[5:-12].isdigit()),
                   reverse=True)
    for name in ["best", "last", *(f"step-{step}.safetensors" for step in steps[:1]), "final.safetensors"]:
        if os.path.isfile(os.path.join(folder, name)):
            return os.path.join(folder, name)
    raise UsageError(f"{path}: a folder without checkpoints; expected a run folder or a checkpoint file")


def _header(path):
    """The header of a safetensors file and the offset of its tensors."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            raise DataError(f"{path}: not a safetensors checkpoint")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: not a safetensors checkpoint") from error
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise DataError(f"{path}:8: expected a JSON object")
    return header, 8 + length


def _tensor(path, name, entry, data):
    """One tensor, a view of the file; None for a type that no network has."""
    try:
        shape, (begin, end) = tuple(entry["shape"]), entry["data_offsets"]
        sound = all(type(number) is int and number >= 0 for number in (*shape, begin, end))
        dtype = DTYPES.get(entry["dtype"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}:8: {name}: no tensor's entry") from error
    if not sound or not begin <= end <= len(data):
        raise DataError(f"{path}:8: {name}: its bytes lie outside the file")
    if dtype is None:
        return None
    if end - begin != dtype.itemsize * math.prod(shape):
        raise DataError(f"{path}:8: {name}: {end - begin} bytes do not fit its shape {list(shape)}")
    return data[begin:end].view(dtype).reshape(shape)


def _expect_digest(path, metadata, offset):
    """Refuses a file that does not match the digest it notes of itself: XXH3-128, its own digits read as '0'."""
    noted = metadata.get("digest")
    if not isinstance(noted, str) or len(noted) != 32:
        return
    with open(path, "rb") as file:
        head = file.read(offset)
        digest = xxhash.xxh3_128(head.replace(f'"digest":"{noted}"'.encode(), b'"digest":"' + 32 * b"0" + b'"', 1))
        while piece := file.read(1 << 24):
            digest.update(piece)
    if digest.hexdigest() != noted:
        raise DataError(f"{path}:8: the file does not match its digest; use another copy")


def read_safetensors(path):
    """(tensors by name, metadata), the tensors as views of the file."""
    try:
        header, offset = _header(path)
        if os.path.getsize(path) == offset:
            data = np.empty(0, np.uint8)
        else:
            data = np.memmap(path, np.uint8, "r", offset)
    except OSError as error:
        raise DataError(f"{path}: {named(error)}") from error
    metadata = header.pop("__metadata__", {})
    tensors = {name: _tensor(path, name, entry, data) for name, entry in header.items()}
    _expect_digest(path, metadata, offset)
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}, metadata


class Tensors:
    """The tensors of a network. Each is asked for by name and shape; what nobody asks for is refused, too."""

    def __init__(self, path, tensors):
        self.path = path
        self._tensors = tensors
        self._left = set(tensors)

    def take(self, name, shape, dtype=np.float32):
        """The tensor `name` of this shape and type."""
        found = self._tensors.get(name)
        if found is None:
            raise DataError(f"{self.path}: model.{name} is missing")
        if found.shape != tuple(shape) or found.dtype != dtype:
            raise DataError(f"{self.path}: model.{name}: expected {list(shape)} of {np.dtype(dtype).name}, "
                            f"found {list(found.shape)} of {found.dtype.name}")
        self._left.discard(name)
        return found

    def take_order(self, name, count):
        """An index map: each number below `count` once."""
        order = self.take(name, [count], np.int32)
        if not np.array_equal(np.sort(order), np.arange(count)):
            raise DataError(f"{self.path}: model.{name} is no permutation")
        return order

    def finish(self):
        for name in sorted(self._left):
            raise DataError(f"{self.path}: model.{name} is no tensor of this architecture")


@dataclass
class Checkpoint:
    """A network as its checkpoint holds it."""

    path: str
    config: dict        # fields of the network, by their option names
    tensors: Tensors    # by name, without `model.`
    metadata: dict      # all of it, text
    mean: list          # per colour: x = (level / 255 - mean) / std
    std: list
    class_names: list


def _json(path, metadata, key):
    try:
        return json.loads(metadata[key])
    except KeyError as error:
        raise DataError(f"{path}: the metadata entry {key} is missing") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: the metadata entry {key} is not JSON") from error


def _list(path, metadata, key, types, count):
    values = _json(path, metadata, key)
    if not isinstance(values, list) or len(values) != count or not all(isinstance(v, types) for v in values):
        raise DataError(f"{path}: the metadata entry {key}: expected a list of {count}")
    return values


def read_checkpoint(name):
    """The checkpoint that a file or run folder stands for. Weights are views of the file."""
    path = checkpoint_of(name)
    tensors, metadata = read_safetensors(path)
    if metadata.get("format") != FORMAT:
        raise DataError(f"{path}:8: not a Palindrome checkpoint: metadata format is not \"{FORMAT}\"")
    if metadata.get("format_version") != str(VERSION):
        raise DataError(f"{path}:8: checkpoint of format version {metadata.get('format_version')}, this program "
                        f"reads {VERSION}; use a newer one")
    config = configuration_of(_json(path, metadata, "configuration"), path)
    std = _list(path, metadata, "std", (int, float), config["channels"])
    if not all(deviation > 0 for deviation in std):
        raise DataError(f"{path}: the metadata entry std: expected numbers above 0")
    model = {key.removeprefix("model."): tensor for key, tensor in tensors.items() if key.startswith("model.")}
    return Checkpoint(path, config, Tensors(path, model), metadata,
                      _list(path, metadata, "mean", (int, float), config["channels"]), std,
                      _list(path, metadata, "class_names", str, config["classes"]))
