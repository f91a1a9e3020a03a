"""Whether a file is whole, by its kind; and what of it is the same in every run."""
import io
import json
import re
import struct
import tomllib
import zipfile
import zlib

import trial

# Of a row of metrics: what depends on time, and on where a process began.
TIMES = re.compile(r',"(?:t|images_per_s|data_stall|inversion_error)":[^,}]*|,"memory":\{[^}]*\}')


def problem(name, data, torn_end=False):
    """What is wrong with a file of this name, or nothing. `torn_end`: a kill may have cut the last line
    or record of files that grow. Checkpoints and shards are for an Inspector."""
    check = next((check for suffix, check in CHECKS.items() if suffix in name), None)
    if check is None:
        return ""
    try:
        return check(data, torn_end)
    except (ValueError, struct.error, IndexError, zipfile.BadZipFile) as error:
        return f"{type(error).__name__}: {error}"


class Inspector:
    """Asks pal-inspect, once for files of the same bytes."""

    def __init__(self, programs):
        self.program = programs / "pal-inspect"
        self.whole = set()

    def problem(self, path, content):
        if hash(content) in self.whole:
            return ""
        outcome = trial.run([self.program, path.name], path.parent)
        if outcome.code != 0:
            return trial.last_line(outcome.err)
        self.whole.add(hash(content))
        return ""


def timeless(name, data):
    """Metrics without times, one line for each row; other files as they are."""
    if not name.endswith("metrics.jsonl"):
        return data
    return "".join(TIMES.sub("", line) + "\n" for line in data.decode().splitlines()).encode()


def _lines(data, torn_end):
    return "" if torn_end or not data or data.endswith(b"\n") else "the last line is torn"


def _jsonl(data, torn_end):
    lines = data.split(b"\n")
    for line in lines[:-1]:
        json.loads(line)
    return _lines(data, torn_end)


def _json(data, torn_end):
    json.loads(data)
    return ""


def _toml(data, torn_end):
    tomllib.loads(data.decode())
    return ""


def _ends(ending):
    return lambda data, torn_end: "" if data.rstrip().endswith(ending) else f"does not end with {ending}"


def _png(data, torn_end):
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return "is no PNG file"
    at = 8
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        crc, = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(data[at + 4:at + 8 + length]) != crc:
            return f"the checksum of {kind} is wrong"
        at += 12 + length
        if kind == b"IEND":
            return "" if at == len(data) else "bytes follow the end"


def _zip(data, torn_end):
    """.npz, and what torch.save writes."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        broken = file.testzip()
    return f"the checksum of {broken} is wrong" if broken else ""


def _crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC32C = _crc32c_table()


def _masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC32C[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _events(data, torn_end):
    """Records of TensorBoard: length, its checksum, bytes, their checksum."""
    at = 0
    while at < len(data):
        whole = at + 12 <= len(data)
        if whole:
            length, crc = struct.unpack_from("<QI", data, at)
            if _masked_crc(data[at:at + 8]) != crc:
                return f"the checksum of a length is wrong at byte {at}"
            whole = at + 16 + length <= len(data)
        if not whole:
            return "" if torn_end else f"the record at byte {at} is torn"
        crc, = struct.unpack_from("<I", data, at + 12 + length)
        if _masked_crc(data[at + 12:at + 12 + length]) != crc:
            return f"the checksum of the record at byte {at} is wrong"
        at += 16 + length
    return ""


CHECKS = {".jsonl": _jsonl, ".json": _json, ".toml": _toml, ".png": _png, ".svg": _ends(b"</svg>"),
          ".html": _ends(b"</html>"), ".csv": _lines, "log.txt": _lines, ".md": _lines, ".markdown": _lines,
          "tfevents": _events, ".npz": _zip, ".pt": _zip}
