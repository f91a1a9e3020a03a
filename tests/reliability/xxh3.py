"""XXH3-128 of more than 240 bytes, as xxHash specifies it: the digest in checkpoints."""
import struct

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")
LOW32, LOW64 = (1 << 32) - 1, (1 << 64) - 1
PRIMES32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
PRIMES64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
            0x27D4EB2F165667C5)
STRIPE, STRIPES = 64, 16  # bytes of a stripe, stripes of a block


def _words(data, at):
    return struct.unpack_from("<8Q", data, at)


def _accumulate(sums, data, at, secret_at):
    keys = _words(SECRET, secret_at)
    for i, word in enumerate(_words(data, at)):
        mixed = word ^ keys[i]
        sums[i ^ 1] = sums[i ^ 1] + word & LOW64
        sums[i] = sums[i] + (mixed & LOW32) * (mixed >> 32) & LOW64


def _scramble(sums):
    for i, key in enumerate(_words(SECRET, len(SECRET) - STRIPE)):
        sums[i] = (sums[i] ^ sums[i] >> 47 ^ key) * PRIMES32[0] & LOW64


def _merge(sums, secret_at, start):
    keys = _words(SECRET, secret_at)
    result = start
    for i in range(0, 8, 2):
        product = (sums[i] ^ keys[i]) * (sums[i + 1] ^ keys[i + 1])
        result += product & LOW64 ^ product >> 64
    result &= LOW64
    result = (result ^ result >> 37) * 0x165667919E3779F9 & LOW64
    return result ^ result >> 32


def hex_digest(data):
    """Most significant digit first."""
    length = len(data)
    if length <= 240:
        raise ValueError("short inputs have rules of their own")
    sums = [PRIMES32[2], *PRIMES64[:4], PRIMES32[1], PRIMES64[4], PRIMES32[0]]
    block = STRIPE * STRIPES
    blocks = (length - 1) // block
    for number in range(blocks):
        for i in range(STRIPES):
            _accumulate(sums, data, number * block + i * STRIPE, 8 * i)
        _scramble(sums)
    for i in range((length - 1 - blocks * block) // STRIPE):
        _accumulate(sums, data, blocks * block + i * STRIPE, 8 * i)
    _accumulate(sums, data, length - STRIPE, len(SECRET) - STRIPE - 7)
    low = _merge(sums, 11, length * PRIMES64[0] & LOW64)
    high = _merge(sums, len(SECRET) - STRIPE - 11, ~(length * PRIMES64[1]) & LOW64)
    return f"{high:016x}{low:016x}"
