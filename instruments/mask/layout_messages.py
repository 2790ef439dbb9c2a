"""How a process that holds a layout is spoken to: a JSON head and arrays after it, over a pipe.

A message is the length of its head (eight bytes, little-endian), the head, and the bytes of the arrays that the head
lists by name, type and shape. Nothing in it is ever executed.
"""

import json
import os
import select
import struct
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
_LENGTH = struct.Struct("<Q")
MOST_HEAD_BYTES = 1 << 30
MOST_ARRAY_BYTES = 1 << 34
_TYPES = frozenset({"<i2", "<i4", "<i8", "<f4", "<f8", "|u1", "|b1"})
_CHUNK = 1 << 20


class MessageBroken(Exception):  # noqa: N818
    """The other side ended within a message, or sent what is none."""


class MessageLate(Exception):  # noqa: N818
    """The other side has not answered in time."""


def write_message(descriptor: int, document: Mapping[str, Any], arrays: Arrays | None = None) -> None:
    """Write a message to a file ``descriptor``."""
    solid = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    listed = [[name, array.dtype.str, list(array.shape)] for name, array in solid.items()]
    head = json.dumps({"document": document, "arrays": listed}, allow_nan=False).encode()
    _write(descriptor, _LENGTH.pack(len(head)) + head)
    for array in solid.values():
        if array.size:
            _write(descriptor, array.data.cast("B"))


def read_message(descriptor: int, deadline: float | None = None) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the next message of a file ``descriptor``; ``deadline`` is of ``time.monotonic``.

    Raises:
        EOFError: the other side has closed before a message began.
        MessageBroken, MessageLate: see there.
    """
    (length,) = _LENGTH.unpack(_read(descriptor, _LENGTH.size, deadline, at_start=True))
    if length > MOST_HEAD_BYTES:
        raise MessageBroken(f"a head of {length} bytes")
    head = json.loads(_read(descriptor, length, deadline))
    arrays = {}
    for name, kind, shape in head["arrays"]:
        size = int(np.prod(shape, dtype=object)) if kind in _TYPES else -1
        if not 0 <= size * np.dtype(kind).itemsize <= MOST_ARRAY_BYTES:
            raise MessageBroken(f"an array of type {kind} and shape {shape}")
        data = _read(descriptor, size * np.dtype(kind).itemsize, deadline)
        arrays[name] = np.frombuffer(data, kind).reshape(shape)
    return head["document"], arrays


def _write(descriptor: int, data: bytes | memoryview) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left[:_CHUNK]) :]


def _read(descriptor: int, size: int, deadline: float | None, *, at_start: bool = False) -> bytearray:
    data = bytearray(size)
    view, place = memoryview(data), 0
    while place < size:
        if deadline is not None:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([descriptor], [], [], left_s)[0]:
                raise MessageLate
        count = os.readv(descriptor, [view[place : place + _CHUNK]])
        if not count:
            if at_start and not place:
                raise EOFError
            raise MessageBroken(f"the other side ended after {place} of {size} bytes")
        place += count
    return data
