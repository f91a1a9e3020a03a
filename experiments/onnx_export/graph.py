"""A graph of ONNX's own operators, built node by node."""
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto, helper


@dataclass(frozen=True)
class Maps:
    """A value [N, channels, height, width] of the graph."""

    name: str
    channels: int
    height: int
    width: int


class Graph:
    """Nodes in the order of their evaluation, and constants. Names of values begin with that of the part of the
    network that makes them, `part`."""

    def __init__(self):
        self.nodes = []
        self.part = ""
        self._constants = {}
        self._count = 0

    def constant(self, name, values, dtype=np.float32):
        """The constant `name`, made of an array or a number; one of this name is used again."""
        if name not in self._constants:
            array = np.ascontiguousarray(values, dtype)
            self._constants[name] = helper.make_tensor(name, helper.np_dtype_to_tensor_dtype(array.dtype),
                                                       np.shape(values), array.tobytes(), raw=True)
        return name

    def number(self, value, dtype=np.float32):
        """A constant named by its value."""
        return self.constant(f"{np.dtype(dtype).name} {value!r}", value, dtype)

    def integers(self, *values):
        """A list of whole numbers, such as axes."""
        return self.constant("int64 " + ",".join(map(str, values)), values, np.int64)

    def many(self, operator, count, *inputs, **attributes):
        """A node of several results; their names."""
        self._count += 1
        name = f"{self.part}.{operator}_{self._count}".lstrip(".")
        results = [name] if count == 1 else [f"{name}.{i}" for i in range(count)]
        self.nodes.append(helper.make_node(operator, inputs, results, name, **attributes))
        return results

    def node(self, operator, *inputs, **attributes):
        """A node of one result; its name."""
        return self.many(operator, 1, *inputs, **attributes)[0]

    def add(self, a, b):
        return self.node("Add", a, b)

    def times(self, a, factor):
        """a times a number, in single precision; of 1 nothing is made."""
        return a if factor == 1 else self.node("Mul", a, self.number(factor))

    def double(self, x):
        return self.node("Cast", x, to=TensorProto.DOUBLE)

    def single(self, x):
        return self.node("Cast", x, to=TensorProto.FLOAT)

    def split(self, x, first):
        """The first channels of maps, and the others."""
        a, b = self.many("Split", 2, x.name, self.integers(first, x.channels - first), axis=1)
        return (Maps(a, first, x.height, x.width), Maps(b, x.channels - first, x.height, x.width))

    def image_sums(self, x):
        """The sums over each image of x [N, a, b, c], in double: rows of c values are summed in single precision,
        these sums in double. 150,528 values summed in single precision would lose two digits."""
        rows = self.node("ReduceSum", x, self.integers(3), keepdims=0)
        return self.node("ReduceSum", self.double(rows), self.integers(1, 2), keepdims=0)

    def convolution(self, x, weight, bias, stride=1, groups=1, padding=None):
        """weight [out, in / groups, kernel, kernel] and bias (or None): (name, values). Zeros are padded, half a
        kernel wide unless `padding` says otherwise."""
        name, values = weight
        out, kernel = values.shape[0], values.shape[-1]
        border = kernel // 2 if padding is None else padding
        inputs = [x.name, self.constant(name, values)]
        if bias is not None:
            inputs.append(self.constant(*bias))
        y = self.node("Conv", *inputs, kernel_shape=[kernel, kernel], strides=[stride, stride],
                      pads=[border] * 4, group=groups)
        height, width = ((size + 2 * border - kernel) // stride + 1 for size in (x.height, x.width))
        return Maps(y, out, height, width)

    def per_channel(self, x, scale, offset):
        """x * scale + offset, both per channel of maps: (name, values)."""
        scaled = self.node("Mul", x.name, self.constant(scale[0], np.reshape(scale[1], (1, -1, 1, 1))))
        y = self.add(scaled, self.constant(offset[0], np.reshape(offset[1], (1, -1, 1, 1))))
        return Maps(y, x.channels, x.height, x.width)

    def size(self):
        """Bytes of all constants."""
        return sum(len(tensor.raw_data) for tensor in self._constants.values())

    def finish(self, name, document, inputs, outputs):
        """The graph. inputs: (name, shape without N, what it is); outputs: the same, with the value that goes by
        this name in front. All in float32; N stands for any number of images."""
        def info(value, shape, text):
            return helper.make_tensor_value_info(value, TensorProto.FLOAT, ["N", *shape], text)

        ends = [helper.make_node("Identity", [value], [output], output) for value, output, _, _ in outputs]
        return helper.make_graph(self.nodes + ends, name, [info(*each) for each in inputs],
                                 [info(*each[1:]) for each in outputs], list(self._constants.values()), document)


def values_per_image(x):
    return x.channels * x.height * x.width

