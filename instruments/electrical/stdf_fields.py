"""Decoding the fields of one STDF record after its layout."""

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from instruments.electrical.stdf_layouts import Field, Layout
from instruments.errors import CorruptField

_NUMBERS = {
    "U1": "B",
    "U2": "H",
    "U4": "I",
    "U8": "Q",
    "I1": "b",
    "I2": "h",
    "I4": "i",
    "R4": "f",
    "R8": "d",
    "B1": "B",
}
_SIZED = {1: "B", 2: "H", 4: "I", 8: "Q"}
_GENERIC = {1: "U1", 2: "U2", 3: "U4", 4: "I1", 5: "I2", 6: "I4", 7: "R4", 8: "R8", 10: "Cn", 11: "Bn", 12: "Dn"}
_GENERIC_PAD, _GENERIC_NIBBLE = 0, 13


@dataclass(frozen=True)
class Bits:
    """A D*n field: ``count`` bits, the first in the lowest bit of the first byte."""

    count: int
    data: bytes

    def numbers(self) -> list[int]:
        """Return the places of the bits that are set."""
        return [place for place in range(self.count) if self.data[place >> 3] >> (place & 7) & 1]

    def __str__(self) -> str:
        return f"{self.count}:{self.data.hex()}"


def text_of(data: bytes) -> str:
    """Return text as UTF-8, or where it is not, as Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


@lru_cache(maxsize=1024)
def _leading(layout: Layout, order: str) -> tuple[struct.Struct, tuple[str, ...]]:
    """Return the scalar numbers at the beginning of ``layout`` in one piece."""
    names, codes = [], ""
    for field in layout.fields:
        if field.count or field.code not in _NUMBERS:
            break
        names.append(field.name)
        codes += _NUMBERS[field.code]
    return struct.Struct(order + codes), tuple(names)


class Cursor:
    """A place in one record; ``start`` and ``end`` are offsets in ``data``, ``shown_start`` that of the file."""

    def __init__(
        self, data: Any, span: tuple[int, int], order: str, label: str, shown_start: int | None = None
    ) -> None:
        self.data = data
        self.position, self.end = span
        self.order = order
        self.label = label
        self._shift = 0 if shown_start is None else shown_start - span[0]

    def take(self, size: int, field: str) -> bytes:
        """Return the next ``size`` bytes.

        Raises:
            CorruptField: the record ends before.
        """
        if self.position + size > self.end:
            message = f"the record {self.label} ends inside {field}"
            offset = self.position + self._shift
            raise CorruptField(message, offset=offset, expected=size, found=self.end - self.position)
        piece: bytes = self.data[self.position : self.position + size]
        self.position += size
        return piece

    def unpack(self, codes: str, field: str) -> tuple[Any, ...]:
        """Return numbers by their ``struct`` codes; raises CorruptField when the record ends before."""
        form = struct.Struct(self.order + codes)
        return form.unpack(self.take(form.size, field))

    def value(self, code: str, field: str) -> Any:
        """Return one value of ``code``; raises CorruptField when the record ends before, or the code is not known."""
        if code in _NUMBERS:
            return self.unpack(_NUMBERS[code], field)[0]
        if code == "C1":
            return text_of(self.take(1, field))
        if code == "Cn":
            return text_of(self.take(self.unpack("B", field)[0], field))
        if code == "Sn":
            return text_of(self.take(self.unpack("H", field)[0], field))
        if code == "Bn":
            return self.take(self.unpack("B", field)[0], field).hex()
        if code == "Dn":
            count = self.unpack("H", field)[0]
            return Bits(count, self.take((count + 7) // 8, field))
        raise CorruptField(f"the record {self.label} has a field of an unknown type {code}")

    def array(self, field: Field, count: int, fields: dict[str, Any]) -> list[Any]:
        """Return ``count`` values; raises CorruptField when the record ends before, or a size is not right."""
        if field.code == "N1":
            data = self.take((count + 1) // 2, field.name)
            return [data[place >> 1] >> (4 * (place & 1)) & 15 for place in range(count)]
        if field.code in _NUMBERS:
            return list(self.unpack(f"{count}{_NUMBERS[field.code]}", field.name)) if count else []
        if field.code == "Uf":
            size = fields.get(field.size, 0)
            if count and size not in _SIZED:
                message = f"the record {self.label} has a size {field.size} that is not right"
                offset = self.position + self._shift
                raise CorruptField(message, offset=offset, expected="1, 2, 4 or 8", found=size)
            return list(self.unpack(f"{count}{_SIZED[size]}", field.name)) if count else []
        if field.code == "Cf":
            return [text_of(self.take(fields.get(field.size, 0), field.name)).rstrip() for _ in range(count)]
        if field.code == "Vn":
            return [self._generic(field.name) for _ in range(count)]
        return [self.value(field.code, field.name) for _ in range(count)]

    def _generic(self, field: str) -> Any:
        code = self.take(1, field)[0]
        if code == _GENERIC_PAD:
            return None
        if code == _GENERIC_NIBBLE:
            return self.take(1, field)[0] & 15
        if code not in _GENERIC:
            message = f"the record {self.label} has generic data of an unknown type"
            raise CorruptField(message, offset=self.position - 1 + self._shift, found=code)
        value = self.value(_GENERIC[code], field)
        return str(value) if isinstance(value, Bits) else value


def decode(layout: Layout, cursor: Cursor, known: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the fields of ``layout`` that the record has; those that it leaves off at its end are not there.

    ``known`` has fields that were decoded before, such as counts. ``cursor`` is left at the first byte not read.

    Raises:
        CorruptField: the record ends inside a field.
    """
    fields = dict(known or {})
    leading, names = _leading(layout, cursor.order)
    start = 0
    if names and cursor.end - cursor.position >= leading.size:
        values = leading.unpack_from(cursor.data, cursor.position)
        fields.update(zip(names, values, strict=True))
        cursor.position += leading.size
        start = len(names)
    for field in layout.fields[start:]:
        if cursor.position >= cursor.end:
            break
        if field.count:
            fields[field.name] = cursor.array(field, int(fields.get(field.count) or 0), fields)
        else:
            fields[field.name] = cursor.value(field.code, field.name)
    return fields
