"""Row identifiers: UUID version 7 (RFC 9562), made in Python because PostgreSQL 15 has no ``uuidv7()``."""

import os
import threading
import time
import uuid

_lock = threading.Lock()
_last_ms = 0
_counter = 0


def uuid7() -> uuid.UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, a 12-bit counter, 62 random bits.

    Values made by one process are strictly increasing, so an insertion batch keeps its order under
    ``ORDER BY id``. Source: RFC 9562, section 5.7 and method 1 of section 6.2.
    """
    global _last_ms, _counter  # noqa: PLW0603
    with _lock:
        now_ms = time.time_ns() // 1_000_000
        if now_ms > _last_ms:
            _last_ms, _counter = now_ms, 0
        else:
            _counter += 1
            if _counter > 0xFFF:
                _last_ms, _counter = _last_ms + 1, 0
        milliseconds, counter = _last_ms, _counter
    random_bits = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    return uuid.UUID(int=(milliseconds << 80) | (0x7 << 76) | (counter << 64) | (0b10 << 62) | random_bits)
