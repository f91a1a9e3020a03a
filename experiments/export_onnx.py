#!/usr/bin/env python3
"""Writes the network of a checkpoint as an ONNX file: image to class scores and log-density.

    experiments/export_onnx.py run -o model.onnx
    experiments/export_onnx.py run -o model.onnx --check 100 --programs build/release/bin

Needs Python 3.11, numpy, onnx and xxhash; --check also onnxruntime and pal-evaluate. What is in the file:
experiments/onnx_export/README.md.
"""
import argparse
import os
import sys

NAME = "export_onnx"
EPILOG = """
examples:
  export_onnx.py run -o model.onnx                  the best checkpoint of a run
  export_onnx.py run -o model.onnx --check 100      ... and compare 100 pictures with pal-evaluate
  export_onnx.py a.safetensors -o a.onnx --layout nhwc --latents

inputs and outputs (float32, any number N of images):
  images       [N, C, H, W]   pixels in [0, 1]: level / 255. Mean and deviation are applied inside.
  scores       [N, classes]   l_y; softmax gives the posterior q(y|x)
  log_density  [N]            ln q(x) / D in nats per dimension, of the normalised image; not of a ResNet
  latents      [N, D]         with --latents

Batch norms use their running statistics. A checkpoint that computes in bf16 is written in float32, too.
Class names, mean, std and how to get bits/dim are in the file's metadata.

exit codes: 0 done, 1 --check found a difference, 2 usage, 3 broken checkpoint, 4 disk or a missing module,
5 parameters that stand for no invertible map
"""


class Parser(argparse.ArgumentParser):
    """Errors are one line."""

    def error(self, message):
        self.exit(2, f"{NAME}: error: {message}; --help has examples\n")


def positive(text):
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


positive.__name__ = "number of at least 1"  # for argparse's messages


def options(arguments):
    parser = Parser(prog=f"{NAME}.py", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
                    description="Writes the network of a checkpoint as an ONNX file: image to class scores and "
                    "log-density.")
    parser.add_argument("checkpoint", metavar="CHECKPOINT|RUN",
                        help="a checkpoint, or a run folder, which stands for its best one")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the file to write, such as model.onnx")
    parser.add_argument("--layout", choices=("nchw", "nhwc"), default="nchw",
                        help="of the images: channels first, as ONNX's convolutions and most of its users have them "
                        "(default), or last, as decoded pictures lie in memory")
    parser.add_argument("--latents", action="store_true", help="also the latent vectors as an output")
    parser.add_argument("--dct-log-det", choices=("true", "reported"), default="true",
                        help="log-determinant of the DCT: the true one, or that of the published losses, as in "
                        "pal-evaluate (default: true)")
    parser.add_argument("--check", type=positive, metavar="N",
                        help="compare the file with pal-evaluate on N pictures; exit code 1 if scores or densities "
                        "differ by more than 1e-4 of their size, or predictions differ")
    parser.add_argument("--images", metavar="IDX", help="take the pictures of --check from an IDX file (plain or "
                        "gzip), not made ones")
    parser.add_argument("--programs", metavar="DIR", help="where pal-evaluate is; default: on PATH")
    chosen = parser.parse_args(arguments)
    if chosen.check is None and (chosen.images or chosen.programs):
        parser.error("--images and --programs belong to --check")
    return chosen


def need(*modules):
    """Ends with exit code 4 where a module is missing."""
    for module in modules:
        try:
            __import__(module)
        except ImportError as error:
            sys.exit(fail(4, f"this Python has no {error.name or module}; pip install {' '.join(modules)}"))


def fail(code, text):
    print(f"{NAME}: error: {text}", file=sys.stderr)
    return code


def export(chosen):
    from onnx_export.check import compare, program_of
    from onnx_export.checkpoint import read_checkpoint
    from onnx_export.model_file import build_model, check_output, write_model

    check_output(chosen.output)
    if chosen.check:
        program_of(chosen.programs)
    checkpoint = read_checkpoint(chosen.checkpoint)
    reported = chosen.dct_log_det == "reported"
    model = build_model(checkpoint, chosen.layout, chosen.latents, reported)
    write_model(model, chosen.output)
    outputs = ", ".join(output.name for output in model.graph.output)
    print(f"{chosen.output}: {checkpoint.config['arch']}, images {chosen.layout.upper()} to {outputs}; "
          f"{len(model.graph.node)} nodes, {os.path.getsize(chosen.output) / 1e6:.1f} MB")
    del model
    if chosen.check:
        print(compare(chosen.output, checkpoint, chosen.check, chosen.images, chosen.programs, reported))


def main(arguments=None):
    chosen = options(arguments)
    need("numpy", "onnx", "xxhash", *(["onnxruntime"] if chosen.check else []))
    from onnx_export.errors import ExportError

    try:
        export(chosen)
    except ExportError as error:
        return fail(error.code, " ".join(str(error).split()))
    except MemoryError:
        return fail(4, f"{chosen.checkpoint}: not enough memory")
    except KeyboardInterrupt:
        return fail(130, "stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
