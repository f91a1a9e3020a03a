"""Pictures and arrays that cost much by few bytes: made here, byte by byte."""
import gzip
import struct
import zlib

CHANNELS = {0: 1, 2: 3, 6: 4}  # by PNG's colour type


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def zeros_packed(count):
    """So many zeros by deflate, without ever holding them."""
    packer, piece = zlib.compressobj(9), bytes(1 << 20)
    packed = [packer.compress(piece) for _ in range(count // len(piece))]
    return b"".join([*packed, packer.compress(bytes(count % len(piece))), packer.flush()])


def png(width, height, bits=8, color=2):
    """A picture of zeros: a thousandth of what it unpacks to."""
    row = 1 + (width * bits * CHANNELS[color] + 7) // 8
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zeros_packed(row * height)) +
            chunk(b"IEND", b""))


def png_with_text(count):
    """A small picture behind a packed text that unpacks to so many bytes."""
    small = png(8, 8)
    return small[:33] + chunk(b"zTXt", b"Comment\0\0" + zeros_packed(count)) + small[33:]


def segment(marker, content):
    return bytes([0xff, marker]) + struct.pack(">H", len(content) + 2) + content


def packed_bits(text):
    """Bits of a scan, filled up with ones."""
    text += "1" * (-len(text) % 8)
    packed = int(text, 2).to_bytes(len(text) // 8, "big") if text else b""
    return packed.replace(b"\xff", b"\xff\x00")


def empty_scan(blocks):
    """A scan in which no block has a coefficient: runs of up to 32,767 blocks, by codes of 4 bits."""
    text = ("1110" + "1" * 14) * (blocks // 32767)
    rest = blocks % 32767
    while rest:
        bits = rest.bit_length() - 1
        text += format(bits, "04b") + (format(rest - (1 << bits), f"0{bits}b") if bits else "")
        rest = 0
    return packed_bits(text)


def jpeg(width, height, scans, components=1):
    """A progressive picture of one grey: a first scan of one bit a block, then scans of nothing, each of
    them about one coefficient and one bit of it, in an order that the standard allows."""
    blocks = ((width + 7) // 8) * ((height + 7) // 8)
    numbers = range(1, components + 1)
    made = [b"\xff\xd8", segment(0xdb, bytes(1) + bytes([1] * 64)),
            segment(0xc2, struct.pack(">BHHB", 8, height, width, components) +
                    b"".join(bytes([i, 0x11, 0]) for i in numbers)),
            segment(0xc4, bytes([0, 1]) + bytes(15) + b"\0"),
            segment(0xc4, bytes([0x10, 0, 0, 0, 15]) + bytes(12) + bytes(n << 4 for n in range(15))),
            segment(0xda, bytes([components]) + b"".join(bytes([i, 0]) for i in numbers) + bytes(3)),
            bytes(blocks * components // 8), packed_bits("0" * (blocks * components % 8))]
    places = [(k, low, c) for k in range(1, 64) for low in range(13, -1, -1) for c in numbers]
    body = empty_scan(blocks)
    for k, low, c in places[:scans - 1]:
        high = 0 if low == 13 else low + 1
        made += [segment(0xda, bytes([1, c, 0, k, k, high << 4 | low])), body]
    return b"".join([*made, b"\xff\xd9"])


def idx(count, rows, columns):
    """Header of an array of bytes."""
    return struct.pack(">IIII", 2051, count, rows, columns)


def idx_packed(mebibytes):
    """So many MiB of zeros, packed to a two hundredth or less."""
    return gzip.compress(idx(mebibytes, 1024, 1024) + bytes(mebibytes << 20), 6)
