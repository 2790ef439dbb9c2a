"""Row identifiers: UUID version 7 (RFC 9562), made in Python because PostgreSQL 15 has no ``uuidv7()``."""

import math
import os
import threading
import time
import uuid
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

_COUNTER_BITS = 12
_VERSION = 0x7 << _COUNTER_BITS
_VARIANT = 0b10 << 62
_RANDOM_MASK = (1 << 62) - 1

_RANDOM_VALUES = 512

_lock = threading.Lock()
_next_tick = 0
"""The smallest tick that is not given away; a tick is milliseconds since 1970, then twelve bits that count."""


_random_values: list[int] = []
"""Random bits that were fetched ahead; each is given away once."""

# A child would give away the same bits as its parent.
os.register_at_fork(after_in_child=_random_values.clear)


def _take_random() -> int:
    """Return 62 random bits of the operating system, which is asked once for many."""
    try:
        return _random_values.pop()
    except IndexError:
        fresh = np.frombuffer(os.urandom(8 * _RANDOM_VALUES), np.uint64) & np.uint64(_RANDOM_MASK)
        first, *others = fresh.tolist()
        _random_values.extend(others)
        return int(first)


def _take_ticks(count: int) -> int:
    """Return the first of ``count`` consecutive ticks that nobody else gets."""
    global _next_tick  # noqa: PLW0603
    with _lock:
        first = max(_next_tick, (time.time_ns() // 1_000_000) << _COUNTER_BITS)
        _next_tick = first + count
    return first


def uuid7() -> uuid.UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, a 12-bit counter, 62 random bits.

    Values made by one process are strictly increasing, so an insertion batch keeps its order under
    ``ORDER BY id``. Source: RFC 9562, section 5.7 and method 1 of section 6.2.
    """
    milliseconds, counter = divmod(_take_ticks(1), 1 << _COUNTER_BITS)
    return uuid.UUID(int=(milliseconds << 80) | ((_VERSION | counter) << 64) | _VARIANT | _take_random())


def uuid7_floor(moment: datetime) -> uuid.UUID:
    """Return the smallest UUIDv7 of the millisecond of ``moment``: identifiers made since then are no smaller."""
    milliseconds = max(0, math.floor(moment.timestamp() * 1000))
    return uuid.UUID(int=(min(milliseconds, (1 << 48) - 1) << 80) | (_VERSION << 64) | _VARIANT)


def uuid7_column(count: int) -> NDArray[np.void]:
    """Return the 16 bytes each of ``count`` new UUIDv7, increasing, dtype ``V16``, shape ``(count,)``.

    They are what as many calls of :func:`uuid7` would give, except that the clock is looked at once.
    """
    ticks = np.arange(count, dtype=np.uint64) + np.uint64(_take_ticks(count))
    random_bits = np.frombuffer(os.urandom(8 * count), np.uint64) & np.uint64(_RANDOM_MASK)
    halves = np.empty((count, 2), ">u8")
    counters = ticks & np.uint64((1 << _COUNTER_BITS) - 1)
    halves[:, 0] = ((ticks >> np.uint64(_COUNTER_BITS)) << np.uint64(16)) | np.uint64(_VERSION) | counters
    halves[:, 1] = np.uint64(_VARIANT) | random_bits
    return halves.view("V16").reshape(count)
