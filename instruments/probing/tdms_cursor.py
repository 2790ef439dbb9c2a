"""Fields of TDMS metadata one after another, never beyond their end."""

import struct

from instruments.errors import Truncated


class Cursor:
    """Reads fields of ``data``, which lie at byte ``start`` of the file called ``file``, in byte order ``order``."""

    def __init__(self, data: bytes, start: int, order: str, file: str) -> None:
        self._data = data
        self._start = start
        self._place = 0
        self._order = order
        self._file = file

    @property
    def offset(self) -> int:
        """Byte offset in the file of the next field."""
        return self._start + self._place

    def skip(self, length: int) -> int:
        """Pass over ``length`` bytes and return where in the metadata they begin.

        Raises:
            Truncated: the metadata end before that.
        """
        begin = self._place
        if begin + length > len(self._data):
            message = "the metadata of a segment end within a field"
            left = len(self._data) - begin
            raise Truncated(message, file=self._file, offset=self.offset, expected=length, found=left)
        self._place += length
        return begin

    def raw(self, length: int) -> bytes:
        """Return the next ``length`` bytes as they are."""
        begin = self.skip(length)
        return self._data[begin : begin + length]

    def u8(self) -> int:
        """Return an unsigned byte."""
        return self._data[self.skip(1)]

    def u32(self) -> int:
        """Return an unsigned number of 4 bytes."""
        return int(struct.unpack_from(f"{self._order}I", self._data, self.skip(4))[0])

    def u64(self) -> int:
        """Return an unsigned number of 8 bytes."""
        return int(struct.unpack_from(f"{self._order}Q", self._data, self.skip(8))[0])

    def text(self) -> str:
        """Return a text with its length (4 bytes) before it."""
        length = self.u32()
        begin = self.skip(length)
        return self._data[begin : begin + length].decode("utf-8", "replace")
