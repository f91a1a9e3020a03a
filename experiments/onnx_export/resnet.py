"""ResNets (layers/models/README.md, 8): logits alone."""
from .fixed_maps import normalised
from .graph import Maps
from .subnets import NORM, RELU, Layer, conv, run_subnet


def _named_norm(number):
    return Layer("norm", name=f"bn{number}")


def _branch(kind, width, stride):
    if kind == "bottleneck":
        return [conv(width, name="conv1"), _named_norm(1), RELU,
                conv(width, 3, stride, name="conv2"), _named_norm(2), RELU,
                conv(4 * width, name="conv3"), _named_norm(3)]
    return [conv(width, 3, stride, name="conv1"), _named_norm(1), RELU,
            conv(width, 3, name="conv2"), _named_norm(2)]


def _residual_block(graph, tensors, kind, width, stride, x):
    prefix = graph.part + "."
    branch = run_subnet(graph, tensors, prefix, _branch(kind, width, stride), x)
    shortcut = x
    if stride != 1 or branch.channels != x.channels:
        shortcut = run_subnet(graph, tensors, prefix + "downsample.", [conv(branch.channels, 1, stride), NORM], x)
    y = graph.node("Relu", graph.add(branch.name, shortcut.name))
    return Maps(y, branch.channels, branch.height, branch.width)


def _stem(graph, checkpoint, x):
    config = checkpoint.config
    kernel = 7 if config["entry"] == "entry" else 3
    stride = 1 if config["entry"] == "cifar" else 2
    layers = [conv(config["entry-width"], kernel, stride, name="conv1"), _named_norm(1), RELU]
    x = run_subnet(graph, checkpoint.tensors, "", layers, x)
    if config["entry"] != "entry":
        return x
    y = graph.node("MaxPool", x.name, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    return Maps(y, x.channels, (x.height - 1) // 2 + 1, (x.width - 1) // 2 + 1)


def add_resnet(graph, checkpoint, images):
    """scores [N, classes], the logits of images [N, C, H, W]."""
    config, tensors = checkpoint.config, checkpoint.tensors
    x = _stem(graph, checkpoint, normalised(graph, images, checkpoint))
    stages = zip(config["blocks"], config["strides"], config["widths"])
    for stage, (count, stride, width) in enumerate(stages, 1):
        for number in range(count):
            graph.part = f"layer{stage}.{number}"
            x = _residual_block(graph, tensors, config["subnet"], width, stride if number == 0 else 1, x)
    graph.part = "head"
    features = graph.node("Flatten", graph.node("GlobalAveragePool", x.name))
    weight = graph.constant("fc.weight", tensors.take("fc.weight", [config["classes"], x.channels]))
    bias = graph.constant("fc.bias", tensors.take("fc.bias", [config["classes"]]))
    return graph.node("Gemm", features, weight, bias, transB=1)
