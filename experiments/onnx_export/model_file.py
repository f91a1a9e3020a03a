"""The ONNX file of a network: graph, metadata, and how it is written."""
import contextlib
import json
import math
import os
import re

import onnx
from onnx import helper

from .errors import EnvironmentFailure, ExportError, UsageError, named
from .flow import add_flow
from .graph import Graph, Maps, values_per_image
from .resnet import add_resnet

# All operators that are used are in this set, so that runtimes since the end of 2020 read the files.
OPSET, IR_VERSION = 13, 7
MOST_BYTES = 2**31 - 2**20  # protobuf ends at 2 GiB

IMAGES = "pixels in [0, 1], level / 255; normalised inside"
SCORES = {"flow": "l_y in nats; softmax gives q(y|x), with a uniform prior",
          "resnet": "logits; softmax gives q(y|x)"}
LOG_DENSITY = "ln q(x) / D in nats per dimension, x the normalised image"
LATENTS = "z, in the order that pal-evaluate --save-latents has"


def version():
    """This project's; none where its files are not around."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "CMakeLists.txt")
    with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
        found = re.search(r"project\(Palindrome VERSION ([0-9.]+)", file.read())
        return found.group(1) if found else ""
    return ""


def bits_per_dim_offset(checkpoint):
    """bits/dim = offset - log_density / ln 2 (experiments/measures/README.md, 2)."""
    return (sum(map(math.log, checkpoint.std)) / len(checkpoint.std) + math.log(255)) / math.log(2)


def _metadata(checkpoint, layout, dims, dct_reported):
    notes = {"architecture": checkpoint.config["arch"],
             "configuration": json.dumps(checkpoint.config),
             "class_names": json.dumps(checkpoint.class_names, ensure_ascii=False),
             "mean": json.dumps(checkpoint.mean), "std": json.dumps(checkpoint.std),
             "layout": layout.upper(), "dims": str(dims),
             "checkpoint_digest": checkpoint.metadata.get("digest", ""),
             "step": checkpoint.metadata.get("step", ""), "palindrome_version": version()}
    if checkpoint.config["family"] == "flow":
        offset = bits_per_dim_offset(checkpoint)
        notes["log_density"] = LOG_DENSITY
        notes["dct_log_det"] = "reported" if dct_reported else "true"
        notes["bits_per_dim_offset"] = repr(offset)
        notes["bits_per_dim"] = (f"{offset!r} - log_density / ln 2, of images (level + u) / 255 with u uniform on "
                                 "[0, 1); without u it is no bound")
    return notes


def build_model(checkpoint, layout="nchw", latents=False, dct_reported=False):
    """The model of a checkpoint, checked by the rules of ONNX."""
    config = checkpoint.config
    size, channels, classes = config["image-size"], config["channels"], config["classes"]
    graph, family = Graph(), config["family"]
    shape = [size, size, channels] if layout == "nhwc" else [channels, size, size]
    first = graph.node("Transpose", "images", perm=[0, 3, 1, 2]) if layout == "nhwc" else "images"
    images = Maps(first, channels, size, size)
    dims = values_per_image(images)
    if family == "flow":
        scores, density, z = add_flow(graph, checkpoint, images, dct_reported)
        outputs = [(scores, "scores", [classes], SCORES[family]), (density, "log_density", [], LOG_DENSITY)]
        outputs += [(z, "latents", [dims], LATENTS)] * latents
    elif latents:
        raise UsageError(f"{checkpoint.path}: {config['arch']} only classifies; --latents needs an invertible network")
    else:
        outputs = [(add_resnet(graph, checkpoint, images), "scores", [classes], SCORES[family])]
    checkpoint.tensors.finish()
    if graph.size() > MOST_BYTES:
        raise UsageError(f"{checkpoint.path}: {graph.size() / 2**30:.1f} GiB of weights; an ONNX file holds 2 GiB")
    notes = _metadata(checkpoint, layout, dims, dct_reported)
    document = f"{config['arch']}: images {notes['layout']} in [0, 1] to class scores" + (
        " and log-density" if family == "flow" else "")
    model = helper.make_model(graph.finish(config["arch"], document, [("images", shape, IMAGES)], outputs),
                              opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                              producer_name="palindrome", producer_version=notes["palindrome_version"],
                              doc_string=document)
    helper.set_model_props(model, notes)
    onnx.checker.check_model(model, full_check=True)
    return model


def check_output(path):
    """Refuses a place where no file can be written, before any work."""
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path):
        raise UsageError(f"{path}: a folder; expected the name of a file")
    if not path.endswith(".onnx"):
        raise UsageError(f"{path}: expected a name that ends in .onnx")
    if os.path.exists(path) and not os.path.isfile(path):
        raise EnvironmentFailure(f"{path}: is no regular file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise EnvironmentFailure(f"{path}: cannot write into {folder}")


def write_model(model, path):
    """Writes the file, wholly or not at all."""
    path = os.path.realpath(path)
    temporary = f"{path}.tmp-pal{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            file.write(model.SerializeToString(deterministic=True))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise EnvironmentFailure(f"{path}: cannot write: {named(error)}") from error
    except ValueError as error:
        raise ExportError(f"{path}: cannot write: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
