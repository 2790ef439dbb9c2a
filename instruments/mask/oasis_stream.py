"""The numbers, texts, repetitions and point lists of OASIS (SEMI P39), read from bytes that may be compressed."""

import struct
import zlib
from dataclasses import dataclass

from instruments.errors import CorruptField, InstrumentError, ReadingLimit, Truncated, UnsupportedVersion
from instruments.mask.layout_counts import decode_name

MAX_BLOCK_BYTES = 256 << 20
MAX_EXPANDED_BYTES = 4 << 30
"""Compressed blocks of one file may expand to so much together."""
MAX_LIST = 1 << 28
_TOO_LARGE = 1 << 64


@dataclass
class _Level:
    """Bytes being read: the file, or one expanded block of it."""

    data: memoryview
    place: int
    base: int


class OasisStream:
    """Reads the primitives one after another; every error names the byte in the file."""

    def __init__(self, file: str, data: memoryview, place: int, end: int) -> None:
        self.file = file
        self._levels = [_Level(data[:end], place, -1)]
        self._expanded = 0

    @property
    def offset(self) -> int:
        """Byte in the file; inside a compressed block that of the block."""
        level = self._levels[-1]
        return level.place if level.base < 0 else level.base

    @property
    def in_block(self) -> bool:
        """Whether the bytes being read were compressed."""
        return len(self._levels) > 1

    def corrupt(
        self, message: str, expected: str | float | None = None, found: str | float | None = None
    ) -> CorruptField:
        """Return the error that says what is wrong here."""
        return CorruptField(message, file=self.file, offset=self.offset, expected=expected, found=found)

    def _ended(self) -> InstrumentError:
        where = "a compressed block" if self.in_block else "the file"
        return Truncated(f"{where} ends inside a record", file=self.file, offset=self.offset)

    def exhausted(self) -> bool:
        """Leave a compressed block that is used up; tell whether the file itself is."""
        while len(self._levels) > 1 and self._levels[-1].place >= len(self._levels[-1].data):
            self._levels.pop()
        return self._levels[-1].place >= len(self._levels[-1].data)

    def take(self, count: int) -> memoryview:
        """Return the next ``count`` bytes."""
        level = self._levels[-1]
        if level.place + count > len(level.data):
            raise self._ended()
        level.place += count
        return level.data[level.place - count : level.place]

    def byte(self) -> int:
        """Return the next byte."""
        level = self._levels[-1]
        if level.place >= len(level.data):
            raise self._ended()
        value = level.data[level.place]
        level.place += 1
        return value

    def unsigned(self) -> int:
        """Return an unsigned integer: seven bits a byte, the lowest first."""
        value, shift = 0, 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            # Writers pad integers with zeros above, so that the size alone says nothing.
            if value >= _TOO_LARGE:
                raise self.corrupt("an integer has more than 64 bits")

    def signed(self) -> int:
        """Return a signed integer: the lowest bit is the sign."""
        value = self.unsigned()
        return -(value >> 1) if value & 1 else value >> 1

    def real(self, kind: int | None = None) -> float:
        """Return a real number; ``kind`` is its type when that has been read already."""
        kind = self.unsigned() if kind is None else kind
        if kind in (0, 1):
            return float(self.unsigned()) * (-1 if kind else 1)
        if kind in (2, 3, 4, 5):
            above = 1 if kind < 4 else self.unsigned()
            below = self.unsigned()
            if not below:
                raise self.corrupt("a ratio has the divisor 0")
            return above / below * (-1 if kind % 2 else 1)
        if kind == 6:
            return float(struct.unpack("<f", self.take(4))[0])
        if kind == 7:
            return float(struct.unpack("<d", self.take(8))[0])
        raise self.corrupt("a real number has an unknown type", "0 to 7", kind)

    def text(self) -> str:
        """Return a string."""
        return decode_name(bytes(self.take(self.unsigned())))

    def g_delta(self) -> tuple[int, int]:
        """Return a displacement in any direction."""
        first = self.unsigned()
        if first & 1:
            x = first >> 2
            return -x if first & 2 else x, self.signed()
        length, direction = first >> 4, (first >> 1) & 7
        along = ((1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1))[direction]
        return length * along[0], length * along[1]

    def _list_length(self) -> int:
        count = self.unsigned()
        if count > MAX_LIST:
            raise self.corrupt("a list is impossibly long", MAX_LIST, count)
        return count

    def repetition(self) -> tuple[int, int] | None:
        """Return how many elements a repetition makes and how many of them lie apart; ``None`` to repeat the last."""
        kind = self.unsigned()
        if kind == 0:
            return None
        if kind in (1, 8):
            sizes = (self.unsigned() + 2, self.unsigned() + 2)
            steps = [(self.unsigned(), 0) if kind == 1 else self.g_delta() for _ in range(2)]
            apart = [size if any(step) else 1 for size, step in zip(sizes, steps, strict=True)]
            return sizes[0] * sizes[1], apart[0] * apart[1]
        if kind in (2, 3, 9):
            count = self.unsigned() + 2
            step = self.g_delta() if kind == 9 else (self.unsigned(), 0)
            return count, count if any(step) else 1
        if kind in (4, 5, 6, 7, 10, 11):
            count = self._list_length() + 2
            if kind in (5, 7, 11):
                self.unsigned()
            return count, self._places_apart(count, any_direction=kind > 9)
        raise self.corrupt("a repetition has an unknown type", "0 to 11", kind)

    def _places_apart(self, count: int, *, any_direction: bool) -> int:
        """Read the displacements of ``count`` elements and return how many different places they make."""
        x, y = 0, 0
        places = {(x, y)}
        for _ in range(count - 1):
            step = self.g_delta() if any_direction else (self.unsigned(), 0)
            x, y = x + step[0], y + step[1]
            places.add((x, y))
        return len(places)

    def point_list(self) -> int:
        """Return how many points a list adds to the first."""
        kind = self.unsigned()
        if kind > 5:
            raise self.corrupt("a point list has an unknown type", "0 to 5", kind)
        count = self._list_length()
        for _ in range(count):
            _ = self.g_delta() if kind > 3 else self.unsigned()
        return count

    def interval(self) -> tuple[int, int | None]:
        """Return the first and the last number of an interval; ``None`` for no last one."""
        kind = self.unsigned()
        if kind == 0:
            return 0, None
        if kind == 1:
            return 0, self.unsigned()
        if kind == 2:
            return self.unsigned(), None
        if kind == 3:
            value = self.unsigned()
            return value, value
        if kind == 4:
            return self.unsigned(), self.unsigned()
        raise self.corrupt("an interval has an unknown type", "0 to 4", kind)

    def enter_block(self) -> None:
        """Expand the compressed block that begins here and read on in it; its two lengths must be right."""
        if self.in_block:
            raise self.corrupt("a compressed block stands inside another")
        base = self.offset
        method, expanded, packed = self.unsigned(), self.unsigned(), self.unsigned()
        if method != 0:
            message = "a block is compressed by an unknown method"
            raise UnsupportedVersion(message, file=self.file, offset=base, expected=0, found=method)
        self._expanded += expanded
        if expanded > MAX_BLOCK_BYTES or self._expanded > MAX_EXPANDED_BYTES:
            message = "the compressed blocks expand to more than is read"
            raise ReadingLimit(message, file=self.file, offset=base, expected=MAX_BLOCK_BYTES, found=expanded)
        engine = zlib.decompressobj(-zlib.MAX_WBITS)
        data = self.take(packed)
        try:
            made = engine.decompress(data, expanded + 1)
        except zlib.error as error:
            raise CorruptField(f"a block does not expand: {error}", file=self.file, offset=base) from None
        if len(made) != expanded or not engine.eof or engine.unused_data:
            message = "a block does not expand to as many bytes as it says"
            raise CorruptField(message, file=self.file, offset=base, expected=expanded, found=len(made))
        self._levels.append(_Level(memoryview(made), 0, base))
