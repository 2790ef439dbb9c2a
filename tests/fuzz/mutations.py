"""Damage with a plan: besides bytes, the fields of headers, counts, offsets and lengths, tokens, lines and cells.

A mutant is made from a seed and an index, so that the two say all there is to know of it.
"""

import random
import re
import struct
from collections.abc import Callable, Mapping

import numpy as np

HEADER_BYTES = 1024
LAYOUTS = ("<H", ">H", "<I", ">I", "<Q", ">Q", "<i", ">i")
NUMBER = re.compile(rb"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
CELL = re.compile(rb"[^,;\t\r\n<>\"= ]+")
ODD_NUMBERS = [
    *(b"0", b"-1", b"1", b"2", b"255", b"65536", b"2147483647", b"4294967296", b"99999999999999999999"),
    *(b"1e308", b"1e-320", b"nan", b"inf", b"", b"0x10", b"1_000", b"+5", b"007", b"1.5", b"-0", b"\xd9\xa3"),
]
MOST_BYTES = 1 << 16
Random = random.Random


def flip(data: bytes, source: Random) -> bytes:
    place = source.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << source.randrange(8))]) + data[place + 1 :]


def overwrite(data: bytes, source: Random) -> bytes:
    place = source.randrange(len(data))
    new = source.choice((b"\x00", b"\xff", b"\x7f", b"\x80")) * source.choice((1, 2, 4, 8))
    new = new if source.random() < 0.5 else source.randbytes(len(new))
    return data[:place] + new + data[place + len(new) :]


def insert(data: bytes, source: Random) -> bytes:
    place = source.randrange(len(data) + 1)
    return data[:place] + source.randbytes(source.choice((1, 1, 2, 4, 16))) + data[place:]


def delete(data: bytes, source: Random) -> bytes:
    place = source.randrange(len(data))
    return data[:place] + data[place + source.choice((1, 1, 2, 4, 8, 40)) :]


def cut(data: bytes, source: Random) -> bytes:
    return data[: source.randrange(len(data))]


def repeat(data: bytes, source: Random) -> bytes:
    start = source.randrange(len(data))
    end = min(len(data), start + source.choice((1, 4, 16, 64, 200)))
    return data[:end] + data[start:end] * source.choice((1, 1, 2, 8)) + data[end:]


def move(data: bytes, source: Random) -> bytes:
    start, length = source.randrange(len(data)), source.choice((1, 2, 4, 8, 32))
    piece, rest = data[start : start + length], data[:start] + data[start + length :]
    place = source.randrange(len(rest) + 1)
    return rest[:place] + piece + rest[place:]


def change_field(data: bytes, source: Random) -> bytes:
    """Give a number in the header, which could be a count, an offset or a length, another value."""
    for _ in range(8):
        layout = struct.Struct(source.choice(LAYOUTS))
        place = source.randrange(min(len(data), HEADER_BYTES))
        if place + layout.size > len(data):
            continue
        (value,) = layout.unpack_from(data, place)
        if not 0 <= value <= 4 * len(data) and source.random() < 0.9:
            continue
        new = _another(value, len(data), source)
        low, high = (-(1 << (8 * layout.size - 1)), 1 << (8 * layout.size - 1))
        if layout.format[-1] in "HIQ":
            low, high = 0, 2 * high
        return data[:place] + layout.pack(min(max(new, low), high - 1)) + data[place + layout.size :]
    return flip(data, source)


def _another(value: int, size: int, source: Random) -> int:
    near = (value + 1, value - 1, 2 * value, value // 2, value + 4, value - 4, value ^ 0x80)
    ends = (0, 1, -1, size, size - 1, size - value)
    return source.choice((*near, *ends, *(1 << 15, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, (1 << 63) - 1)))


def change_number(data: bytes, source: Random) -> bytes:
    """Give a number that is written as text another value."""
    found = _pick(NUMBER, data, source)
    if found is None:
        return change_field(data, source)
    start, end = found
    new = source.choice(ODD_NUMBERS)
    if source.random() < 0.5 and data[start:end].isdigit() and end - start < 19:
        new = str(_another(int(data[start:end]), len(data), source)).encode()
    return data[:start] + new + data[end:]


def change_cell(data: bytes, source: Random) -> bytes:
    """Leave out a word or a cell, or write it twice, or put another of the file's in its place."""
    first, second = _pick(CELL, data, source), _pick(CELL, data, source)
    if first is None or second is None:
        return flip(data, source)
    old, other = data[first[0] : first[1]], data[second[0] : second[1]]
    new = source.choice((b"", other, old + old, old + b"," + other, old.swapcase(), old[:-1]))
    return data[: first[0]] + new + data[first[1] :]


def _pick(pattern: re.Pattern[bytes], data: bytes, source: Random) -> tuple[int, int] | None:
    start = source.randrange(len(data))
    found = pattern.search(data, start) or pattern.search(data)
    return found.span() if found else None


def change_lines(data: bytes, source: Random) -> bytes:
    """Leave out a line, write it twice, exchange two, or end lines in another way."""
    lines = data.splitlines(keepends=True)
    first, second = source.randrange(len(lines)), source.randrange(len(lines))
    what = source.randrange(6)
    if what == 0:
        del lines[first]
    elif what == 1:
        lines.insert(second, lines[first])
    elif what == 2:
        lines[first], lines[second] = lines[second], lines[first]
    elif what == 3:
        lines[first] = lines[first].rstrip(b"\r\n") + source.choice((b"\r\n", b"\r", b"", b"\n\n", b" \n", b",\n"))
    elif what == 4:
        return data.replace(b"\n", source.choice((b"\r\n", b"\r")))
    else:
        lines[first] = source.choice((b"# ", b" ", b"\t", b"\xef\xbb\xbf", b"//", b"\x00")) + lines[first]
    return b"".join(lines)


ON_BYTES = (flip, overwrite, insert, delete, cut, repeat, move, change_field, change_field, change_field)
ON_TEXT = (flip, insert, delete, cut, repeat, change_number, change_number, change_cell, change_cell, change_lines)


def damage(data: bytes, source: Random) -> bytes:
    """Return ``data`` after one to four changes, at most ``MOST_BYTES`` long."""
    is_text = b"\x00" not in data[:512]
    for _ in range(source.choice((1, 1, 1, 2, 2, 3, 4))):
        if not data:
            break
        plan = ON_TEXT if is_text and source.random() < 0.9 else ON_BYTES
        data = source.choice(plan)(data, source)[:MOST_BYTES]
    return data


def mutate(
    files: Mapping[str, bytes], source: Random, mend: Callable[[bytes], bytes] | None = None
) -> dict[str, bytes]:
    """Return the files with one of them damaged, half of the time mended so that a checksum fits again."""
    path = source.choice(sorted(files))
    data = damage(files[path], source)
    if mend is not None and source.random() < 0.5:
        data = mend(data)
    return {**files, path: data}


def mend_tektronix(data: bytes) -> bytes:
    """Return a Tektronix ``.wfm`` file with the checksum where its length says, so that its fields are looked at."""
    if len(data) < 20:
        return data
    order = ">" if data[:1] == b"\xf0" else "<"
    end = struct.unpack_from(order + "i", data, 11)[0] + 15 - 8
    if not 20 < end <= len(data) - 8:
        return data
    total = int(np.frombuffer(data, np.uint8, end).sum(dtype=np.uint64))
    return data[:end] + struct.pack(order + "Q", total) + data[end + 8 :]


def mend_container(data: bytes) -> bytes:
    """Return a float container whose length in the header is its length."""
    return data[:4] + struct.pack("<I", len(data)) + data[8:] if len(data) > 8 else data


MENDERS: dict[str, Callable[[bytes], bytes]] = {"tektronix_wfm": mend_tektronix, "float_container": mend_container}
