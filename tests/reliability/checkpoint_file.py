"""A checkpoint taken apart and put together, digest included: to plant what no damage would make."""
import json
import struct

import xxh3

DIGEST = b'"digest":"'


def read(path):
    """(header, bytes of the tensors)"""
    data = path.read_bytes()
    length, = struct.unpack_from("<Q", data)
    return json.loads(data[8:8 + length]), bytearray(data[8 + length:])


def write(path, header, tensors, digest=True):
    """`digest`: one that fits; else what stands in the header."""
    if digest:
        header["__metadata__"]["digest"] = "0" * 32
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    data = bytearray(struct.pack("<Q", len(text)) + text + tensors)
    if digest:
        at = data.index(DIGEST) + len(DIGEST)
        data[at:at + 32] = xxh3.hex_digest(data).encode()
    path.write_bytes(data)


def set_value(header, tensors, name, value):
    """Sets the first number of a tensor of floats."""
    begin = header[name]["data_offsets"][0]
    tensors[begin:begin + 4] = struct.pack("<f", value)
