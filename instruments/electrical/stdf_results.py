"""Decoding the test results of an STDF file, which are nearly all of it: many records at once.

The fixed beginnings of all records of a type are gathered into one array; what follows them is mostly the same for
every execution of a test, so that each different ending is decoded once.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.electrical.stdf_fields import Cursor, decode
from instruments.electrical.stdf_layouts import BY_NAME, Layout
from instruments.electrical.stdf_walk import Walk
from instruments.electrical.tester_log import Integers, Numbers, ResultBlock
from instruments.errors import CorruptField

_BLOCK = 1 << 16
_HEADER_BYTES = 4
_PTR_BYTES, _MPR_BYTES, _FTR_BYTES, _FTR_LONG_BYTES = 12, 12, 7, 38
_NO_VALUE = 0x02
"""TEST_FLG: the value is not valid."""


class Bytes:
    """The file as an array, and the spans of the records of one type.

    Attributes:
        places: offsets of the headers.
        lengths: bytes after the header, int64.
    """

    def __init__(self, walk: Walk, name: str) -> None:
        self.walk = walk
        self.name = name
        self.array: NDArray[np.uint8] = np.frombuffer(walk.data, np.uint8)
        self.places = walk.of(name)
        low, high = (0, 1) if walk.order == "<" else (1, 0)
        self.lengths: Integers = self.array[self.places + low].astype(np.int64)
        self.lengths |= self.array[self.places + high].astype(np.int64) << 8

    def require_whole(self, count: int, shorter: tuple[int, ...]) -> None:
        """Raise CorruptField when a record has fewer than ``count`` bytes and its fields do not end at ``shorter``."""
        cut = np.flatnonzero((self.lengths < count) & ~np.isin(self.lengths, shorter))
        if cut.size:
            message = f"the record {self.name} is too short or ends inside a field"
            place = int(cut[0])
            raise CorruptField(message, offset=int(self.places[place]), expected=count, found=int(self.lengths[place]))

    def beginnings(self, count: int, which: NDArray[Any] | None = None, skip: int = 0) -> NDArray[np.uint8]:
        """Return ``count`` bytes of each record (of those at ``which``) from ``skip`` on, uint8 ``(records, count)``.

        Bytes after a record's end are 0.
        """
        places = (self.places if which is None else self.places[which]) + _HEADER_BYTES + skip
        lengths = (self.lengths if which is None else self.lengths[which]) - skip
        made = np.zeros((places.size, count), np.uint8)
        column = np.arange(count)
        for start in range(0, places.size, _BLOCK):
            piece = slice(start, start + _BLOCK)
            index = places[piece, None] + column
            inside = column < lengths[piece, None]
            made[piece] = np.where(inside, self.array[np.minimum(index, self.array.size - 1)], 0)
        return made

    def number(self, rows: NDArray[np.uint8], start: int, kind: str) -> NDArray[Any]:
        """Return the numbers of numpy type ``kind`` that begin at column ``start`` of ``rows``."""
        width = np.dtype(kind).itemsize
        column: NDArray[Any] = np.ascontiguousarray(rows[:, start : start + width]).view(self.walk.order + kind)[:, 0]
        return column

    def endings(
        self, layout: Layout, starts: Integers, known: Callable[[int], dict[str, Any]] | None = None
    ) -> tuple[Integers, list[dict[str, Any]], int]:
        """Return for each record the place of its ending among the different ones, those decoded, and the leftovers.

        ``starts`` are the endings' first bytes within the records; ``known(record)`` gives fields that the ending's
        layout refers to. The last number returned counts records that are longer than their layout.
        """
        data, order = self.walk.data, self.walk.order
        indices: dict[Any, int] = {}
        decoded: list[dict[str, Any]] = [{}]
        over = [0]
        chosen = np.zeros(self.places.size, np.int64)
        leftover = 0
        longer = np.flatnonzero(self.lengths > starts)
        for block in range(0, longer.size, _BLOCK):
            which = longer[block : block + _BLOCK]
            firsts = (self.places[which] + _HEADER_BYTES + starts[which]).tolist()
            ends = (self.places[which] + _HEADER_BYTES + self.lengths[which]).tolist()
            for record, first, end in zip(which.tolist(), firsts, ends, strict=True):
                fields = known(record) if known else None
                ending = data[first:end]
                key = (ending, *fields.values()) if fields else ending
                place = indices.get(key)
                if place is None:
                    cursor = Cursor(data, (first, end), order, self.name)
                    place = indices[key] = len(decoded)
                    decoded.append(decode(layout, cursor, fields))
                    over.append(int(cursor.position < end))
                chosen[record] = place
                leftover += over[place]
        return chosen, decoded, leftover


def _test_columns(found: Bytes, rows: NDArray[np.uint8]) -> dict[str, Integers]:
    return {
        "position": found.places,
        "number": found.number(rows, 0, "u4").astype(np.int64),
        "head": rows[:, 4].astype(np.int64),
        "site": rows[:, 5].astype(np.int64),
        "test_flags": rows[:, 6].astype(np.int64),
    }


def read_parametric(walk: Walk) -> tuple[ResultBlock, int]:
    """Return all PTR records, and how many are longer than their layout.

    Raises:
        CorruptField: a record ends inside a field.
    """
    found = Bytes(walk, "PTR")
    found.require_whole(_PTR_BYTES, (7, 8))
    rows = found.beginnings(_PTR_BYTES)
    columns = _test_columns(found, rows)
    values = found.number(rows, 8, "f4").astype(np.float64)
    short = found.lengths < _PTR_BYTES
    values[short] = np.nan
    columns["test_flags"][short] |= _NO_VALUE
    count = found.places.size
    starts = np.full(count, _PTR_BYTES, np.int64)
    definition, definitions, leftover = found.endings(BY_NAME["PTR"].after("RESULT"), starts)
    block = ResultBlock(
        kind="parametric",
        parameter_flags=rows[:, 7].astype(np.int64),
        definition=definition,
        definitions=definitions,
        elements=np.ones(count, np.int64),
        values=values,
        states=np.full(count, -1, np.int64),
        extras={},
        **columns,
    )
    return block, leftover


def read_multiple(walk: Walk) -> tuple[ResultBlock, int]:
    """Return all MPR records, and how many are longer than their layout.

    Raises:
        CorruptField: a record ends inside a field or an array.
    """
    found = Bytes(walk, "MPR")
    found.require_whole(_MPR_BYTES, (8, 10))
    rows = found.beginnings(_MPR_BYTES)
    columns = _test_columns(found, rows)
    pins = found.number(rows, 8, "u2").astype(np.int64)
    results = found.number(rows, 10, "u2").astype(np.int64)
    starts = _MPR_BYTES + (pins + 1) // 2 + 4 * results
    cut = np.flatnonzero((found.lengths < starts) & (found.lengths >= _MPR_BYTES))
    if cut.size:
        place = int(cut[0])
        message = "the record MPR ends inside its results"
        raise CorruptField(
            message, offset=int(found.places[place]), expected=int(starts[place]), found=int(found.lengths[place])
        )
    elements = np.maximum(results, 1)
    values, states = _arrays(found, pins, results, elements)
    counts = pins.tolist()
    definition, definitions, leftover = found.endings(
        BY_NAME["MPR"].after("RTN_RSLT"), starts, lambda record: {"RTN_ICNT": counts[record]}
    )
    block = ResultBlock(
        kind="multiple",
        parameter_flags=rows[:, 7].astype(np.int64),
        definition=definition,
        definitions=definitions,
        elements=elements,
        values=values,
        states=states,
        extras={},
        **columns,
    )
    return block, leftover


def _arrays(found: Bytes, pins: Integers, results: Integers, elements: Integers) -> tuple[Numbers, Integers]:
    """Return the elements' values, and their pins' states where there are as many states as values."""
    first = np.cumsum(elements) - elements
    total = int(elements.sum())
    values, states = np.full(total, np.nan), np.full(total, -1, np.int64)
    shapes = np.unique(np.stack((pins, results)), axis=1).T if pins.size else np.empty((0, 2), np.int64)
    for pin_count, count in shapes.tolist():
        which = np.flatnonzero((pins == pin_count) & (results == count))
        nibbles = (pin_count + 1) // 2
        if count:
            body = found.beginnings(4 * count, which, _MPR_BYTES + nibbles)
            target = first[which, None] + np.arange(count)
            values[target] = np.ascontiguousarray(body).view(found.walk.order + "f4")
        if pin_count and pin_count == elements[which[0]]:
            body = found.beginnings(nibbles, which, _MPR_BYTES)
            pairs = np.stack((body & 15, body >> 4), axis=2).reshape(which.size, -1)[:, :pin_count]
            states[first[which, None] + np.arange(pin_count)] = pairs
    return values, states


_OPTIONAL = (
    ("cycle", 8, "u4", 0x01),
    ("relative_address", 12, "u4", 0x02),
    ("repeat_count", 16, "u4", 0x04),
    ("failing_pins", 20, "u4", 0x08),
    ("fail_x", 24, "i4", 0x10),
    ("fail_y", 28, "i4", 0x10),
    ("vector_offset", 32, "i2", 0x20),
)
"""Column, first byte, type, and the bit of OPT_FLAG that makes it invalid."""


def read_functional(walk: Walk) -> tuple[ResultBlock, int]:
    """Return all FTR records, and how many are longer than their layout.

    Raises:
        CorruptField: a record ends inside a field.
    """
    found = Bytes(walk, "FTR")
    whole = {start + np.dtype(kind).itemsize for _, start, kind, _ in _OPTIONAL}
    found.require_whole(_FTR_LONG_BYTES, (_FTR_BYTES, _FTR_BYTES + 1, 36, *whole))
    rows = found.beginnings(_FTR_LONG_BYTES)
    columns = _test_columns(found, rows)
    options = np.where(found.lengths > _FTR_BYTES, rows[:, 7], 0xFF)
    extras = {}
    for name, start, kind, bit in _OPTIONAL:
        there = (found.lengths >= start + np.dtype(kind).itemsize) & (options & bit == 0)
        extras[name] = np.where(there, found.number(rows, start, kind).astype(np.float64), np.nan)
    pins, programmed = (found.number(rows, start, "u2").tolist() for start in (34, 36))
    count = found.places.size
    definition, definitions, leftover = found.endings(
        BY_NAME["FTR"].after("PGM_ICNT"),
        np.full(count, _FTR_LONG_BYTES, np.int64),
        lambda record: {"RTN_ICNT": pins[record], "PGM_ICNT": programmed[record]},
    )
    block = ResultBlock(
        kind="functional",
        parameter_flags=np.zeros(count, np.int64),
        definition=definition,
        definitions=definitions,
        elements=np.ones(count, np.int64),
        values=np.full(count, np.nan),
        states=np.full(count, -1, np.int64),
        extras=extras,
        **columns,
    )
    return block, leftover
