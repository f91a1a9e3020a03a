"""Checkpoints, archives and texts that cost much by few bytes: made here, byte by byte."""
import io
import json
import struct
import zipfile


def safetensors(header, content=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


def many_tensors(count):
    """A header of so many tensors without a value."""
    one = b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    return safetensors(b"{" + b",".join(one % i for i in range(count)) + b"}")


def many_notes(count):
    """A header of so many pairs of metadata."""
    return safetensors(b'{"__metadata__":{' + b",".join(b'"%d":""' % i for i in range(count)) + b"}}")


def long_shape(rank):
    return safetensors(b'{"a":{"dtype":"F32","shape":[' + b",".join([b"1"] * rank) +
                       b'],"data_offsets":[0,4]}}', bytes(4))


def nested(depth):
    return safetensors(b'{"a":' * depth + b"1" + b"}" * depth)


def torch_file(pickled, storage=bytes(4), compression=zipfile.ZIP_STORED, more=0):
    """A .pt of one pickle and one storage, and so many entries that nobody asks for."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as file:
        file.writestr("archive/data.pkl", pickled)
        for i in range(more):
            file.writestr(f"archive/extra/{i}", b"")
        file.writestr("archive/data/0", storage)
        file.writestr("archive/version", b"3\n")
    return made.getvalue()


def text_of(name):
    return b"X" + struct.pack("<I", len(name)) + name


def whole(number):
    """LONG1: any whole number."""
    packed = number.to_bytes((number.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(packed)]) + packed


def tensor(values, shape, strides):
    """What makes a float tensor of storage 0, which holds so many values."""
    tuple_of = lambda numbers: b"(" + b"".join(whole(n) for n in numbers) + b"t"
    return (b"ctorch._utils\n_rebuild_tensor_v2\n((" + text_of(b"storage") + b"ctorch\nFloatStorage\n" +
            text_of(b"0") + text_of(b"cpu") + whole(values) + b"tQ" + whole(0) + tuple_of(shape) +
            tuple_of(strides) + b"\x89ccollections\nOrderedDict\n)RtR")


def pickled(inside):
    """A dictionary: `inside` pushes pairs."""
    return b"\x80\x02}(" + inside + b"u."


def one_tensor(values, shape, strides):
    return torch_file(pickled(text_of(b"a") + tensor(values, shape, strides)), bytes(4 * values))


def shared_storage(tensors, values):
    """Many tensors, all of them the whole of one storage."""
    inside = b"".join(text_of(b"%d" % i) + tensor(values, [values], [1]) for i in range(tensors))
    return torch_file(pickled(inside), bytes(4 * values))


def deep_lists(depth):
    return torch_file(b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b".")


def many_objects(count):
    """One list of so many."""
    return torch_file(b"\x80\x02](" + b"N" * count + b"e.")


def far_memo():
    """Puts an object at the last place that a memo could have."""
    return torch_file(b"\x80\x02}r\xff\xff\xff\x7f.")


def long_text():
    """A text that claims 2^60 bytes."""
    return torch_file(b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b"a.")


def doubled(times):
    """Tuples of two of the one before: an object that is 2^times large if it is ever written out."""
    return torch_file(b"\x80\x02](K\x01q\x00" + b"h\x00h\x00\x86q\x00" * times + b"e.")


def tar_header(name, size=0, kind=b"0", link=b"", size_field=None):
    field = size_field or b"%011o\0" % size
    head = bytearray(512)
    for at, content in ((0, name), (100, b"0000644\0"), (108, b"0000000\0"), (116, b"0000000\0"),
                        (124, field), (136, b"00000000000\0"), (148, b" " * 8), (156, kind), (157, link),
                        (257, b"ustar\00000")):
        head[at:at + len(content)] = content
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


def tar(*headers):
    return b"".join(headers) + bytes(1024)


def tiny_members(count):
    """So many pictures without a byte, each with its label."""
    label = b"0" + bytes(511)
    return tar(*(tar_header(b"%d.jpg" % i) + tar_header(b"%d.cls" % i, 1) + label for i in range(count)))


def label(text):
    """A picture without a byte, and a label of such JSON."""
    return tar(tar_header(b"a.jpg"), tar_header(b"a.json", len(text)), text, bytes(-len(text) % 512))


def sparse_member(size):
    """GNU's member with holes, which claims so many bytes."""
    head = bytearray(tar_header(b"a.jpg", 0, b"S"))
    head[483:495] = b"%011o\0" % size
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return tar(bytes(head))


def link_chain(count):
    """Hard links, each to the one before."""
    first = tar_header(b"0.jpg") + tar_header(b"0.cls", 1) + b"0" + bytes(511)
    return tar(first, *(tar_header(b"%d.jpg" % i, 0, b"1", b"%d.jpg" % (i - 1)) for i in range(1, count)))


def pax_chain(count):
    """Headers of the largest records that are read, each of them about the next."""
    record = b"65530 comment=" + b"a" * (65530 - 15) + b"\n"
    one = tar_header(b"pax", len(record), b"x") + record + bytes(-len(record) % 512)
    return tar(one * count)


def lying_size():
    """A member of 8 EB, as GNU writes such sizes."""
    return tar(tar_header(b"a.jpg", size_field=b"\x80" + bytes(3) + struct.pack(">Q", 1 << 62)))
