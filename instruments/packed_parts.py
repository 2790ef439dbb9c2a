"""Where the bytes of a record lie in the packed samples: a column for each property, one entry for each part.

The reading process may have been taken over by a hostile file, so its parts come back as rows of a fixed layout: they
may be wrong, and are checked, but they cannot be anything else than numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from instruments.errors import CorruptField

LAYOUT = np.dtype(
    [
        ("byte_offset", "<i8"),
        ("byte_length", "<i8"),
        ("count", "<i8"),
        ("t0_s", "<f8"),
        ("trigger_offset_s", "<f8"),
        ("minimum", "<f8"),
        ("maximum", "<f8"),
        ("sha256", "V32"),
    ]
)
"""One part; a number that is not known is NaN."""


@dataclass(frozen=True)
class PackedPart:
    """Bytes of a record in the packed samples: one segment of a waveform, or a whole document.

    ``minimum`` and ``maximum`` are in the record's unit; ``dtype`` is a numpy dtype string, ``""`` for a document.
    ``sha256`` (hex) is of these bytes.
    """

    segment_index: int
    byte_offset: int
    byte_length: int
    sha256: str
    count: int
    dtype: str
    t0_s: float | None = None
    trigger_offset_s: float | None = None
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, eq=False)
class PackedParts(Sequence[PackedPart]):
    """The parts of one record in the order of its segments; ``table`` has shape ``(parts,)`` and dtype ``LAYOUT``."""

    dtype: str
    table: NDArray[np.void]

    @staticmethod
    def single(
        dtype: str,
        extent: tuple[int, int],
        digest: bytes,
        count: int,
        ends: tuple[float | None, float | None] = (None, None),
    ) -> "PackedParts":
        """Return the one part of a record that is not cut into segments.

        Args:
            dtype: numpy dtype string of the samples, ``""`` for a document.
            extent: first byte and number of bytes in the packed samples.
            digest: sha256 of these bytes.
            count: samples, or things in the document.
            ends: smallest and largest value.

        Raises:
            CorruptField: an end is there but is no finite number.
        """
        low, high = known_numbers(ends, "the range of the values")
        row = (*extent, count, np.nan, np.nan, low, high, np.void(digest))
        return PackedParts(dtype, np.array([row], LAYOUT))

    def column(self, name: str) -> NDArray[Any]:
        """Return one column of ``LAYOUT``, shape ``(parts,)``: int64, or float64 with NaN for *not known*."""
        return self.table[name]

    def digests(self) -> NDArray[np.bytes_]:
        """Return the sha256 of each part as 64 lower-case hexadecimal digits, dtype ``S64``, shape ``(parts,)``."""
        return np.frombuffer(self.table["sha256"].tobytes().hex().encode("ascii"), "S64")

    def lie_within(self, size_bytes: int) -> bool:
        """Return whether every part has a length and lies within an object of ``size_bytes``."""
        start, length = self.table["byte_offset"], self.table["byte_length"]
        counted = self.table["count"] >= 0
        return bool(
            ((start >= 0) & (length >= 0) & (length <= size_bytes) & (start <= size_bytes - length) & counted).all()
        )

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, index: int) -> PackedPart: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[PackedPart]: ...

    def __getitem__(self, index: int | slice) -> PackedPart | Sequence[PackedPart]:
        """Return a part, or the parts of a slice."""
        places = range(len(self.table))[index]
        return self._part(places) if isinstance(places, int) else [self._part(place) for place in places]

    def __iter__(self) -> Iterator[PackedPart]:
        return (self._part(place) for place in range(len(self.table)))

    def _part(self, place: int) -> PackedPart:
        row = self.table[place]
        return PackedPart(
            segment_index=place,
            byte_offset=int(row["byte_offset"]),
            byte_length=int(row["byte_length"]),
            sha256=row["sha256"].tobytes().hex(),
            count=int(row["count"]),
            dtype=self.dtype,
            t0_s=_known(row["t0_s"]),
            trigger_offset_s=_known(row["trigger_offset_s"]),
            minimum=_known(row["minimum"]),
            maximum=_known(row["maximum"]),
        )


def _known(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)


def known_numbers(values: Sequence[float | None], what: str) -> NDArray[np.float64]:
    """Return ``values`` as float64 of shape ``(len(values),)``, NaN where a value is ``None``.

    Raises:
        CorruptField: a value, which ``what`` names in the message, is there but is no finite number.
    """
    numbers = np.array(values, np.float64)
    odd = np.flatnonzero(~np.isfinite(numbers)).tolist()
    wrong = next((place for place in odd if values[place] is not None), None)
    if wrong is not None:
        raise CorruptField(
            f"{what} of segment {wrong} is no finite number", expected="a finite number", found=values[wrong]
        )
    return numbers
