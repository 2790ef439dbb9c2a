"""Arrays as PNG, for tiles of layouts and pictures of maps."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_GREYSCALE = 0


def encode_png(grey: NDArray[np.uint8]) -> bytes:
    """Return a greyscale picture, uint8 ``(rows, columns)``, as PNG (ISO/IEC 15948)."""
    rows, columns = grey.shape
    head = struct.pack(">IIBBBBB", columns, rows, 8, _GREYSCALE, 0, 0, 0)
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), grey], axis=1).tobytes()
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines, 6)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(data)) + kind + data + _checksum(kind + data) for kind, data in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _checksum(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))
