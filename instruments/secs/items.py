"""SECS-II items (SEMI E5): the bytes of a message's body as a tree of typed values, and back.

Own code, in the standard library alone: the host service needs no numpy, and a vector of numbers stays one item. Each
item begins with a format byte (format code and the number of length bytes), then 1 to 3 length bytes: the number of
items of a list, of bytes otherwise.
"""

import struct
from dataclasses import dataclass
from functools import cache

from instruments.errors import CorruptField, Truncated

MAX_DEPTH = 64
MAX_LENGTH = 0xFFFFFF

_CODES = {
    0o00: "L",
    0o10: "B",
    0o11: "BOOLEAN",
    0o20: "A",
    0o21: "J",
    0o22: "C2",
    0o30: "I8",
    0o31: "I1",
    0o32: "I2",
    0o34: "I4",
    0o40: "F8",
    0o44: "F4",
    0o50: "U8",
    0o51: "U1",
    0o52: "U2",
    0o54: "U4",
}
_CODE_OF = {name: code for code, name in _CODES.items()}
_LETTERS = {
    "I1": "b",
    "I2": "h",
    "I4": "i",
    "I8": "q",
    "U1": "B",
    "U2": "H",
    "U4": "I",
    "U8": "Q",
    "F4": "f",
    "F8": "d",
}
TEXT_FORMATS = ("A", "J", "C2")
INTEGER_FORMATS = ("I1", "I2", "I4", "I8", "U1", "U2", "U4", "U8")
NUMBER_FORMATS = tuple(_LETTERS)


@dataclass(frozen=True, slots=True)
class Item:
    """One item.

    Attributes:
        format: ``L``, ``B``, ``BOOLEAN``, ``A``, ``J``, ``C2``, ``I1`` … ``I8``, ``U1`` … ``U8``, ``F4``, ``F8``.
        items: of a list; else empty.
        values: of numbers and booleans; else empty.
        data: bytes of ``B`` and of the text formats; else empty.
    """

    format: str
    items: tuple["Item", ...] = ()
    values: tuple[int | float | bool, ...] = ()
    data: bytes = b""

    @property
    def count(self) -> int:
        """Number of items, of values, or of bytes."""
        if self.format == "L":
            return len(self.items)
        return len(self.data) if self.format in ("B", *TEXT_FORMATS) else len(self.values)

    def text(self) -> str:
        """Return a text item as text; bytes that are none are shown as ``\\xhh``, so that nothing is lost."""
        if self.format == "C2" and len(self.data) >= 2:
            codec = {1: "utf-16-be", 2: "utf-8"}.get(int.from_bytes(self.data[:2]))
            if codec is not None:
                return self.data[2:].decode(codec, "backslashreplace")
        return self.data.decode("ascii", "backslashreplace")


def decode_item(body: bytes) -> Item | None:
    """Return the item that is all of ``body``; ``None`` for a message of the header alone.

    Raises:
        Truncated: the body ends inside an item.
        CorruptField: a format is unknown, a length does not fit, items are nested too deep, or bytes are left over.
    """
    if not body:
        return None
    item, end = _decode(body, 0, 0)
    if end != len(body):
        raise CorruptField("bytes follow the item", offset=end, expected=end, found=len(body))
    return item


@cache
def _format_of(code: int) -> str | None:
    return _CODES.get(code)


def _decode(body: bytes, offset: int, depth: int) -> tuple[Item, int]:
    start = offset
    if offset >= len(body):
        raise Truncated("the message ends before an item", offset=offset)
    name, length_bytes = _format_of(body[offset] >> 2), body[offset] & 3
    if name is None or length_bytes == 0:
        raise CorruptField("there is no such item format", offset=offset, found=f"0x{body[offset]:02x}")
    offset += 1 + length_bytes
    if offset > len(body):
        raise Truncated("the message ends inside an item's length", offset=start)
    length = int.from_bytes(body[offset - length_bytes : offset])
    if name == "L":
        return _decode_list(body, offset, depth, length)
    end = offset + length
    if end > len(body):
        raise Truncated("the message ends inside an item", offset=start, expected=length, found=len(body) - offset)
    if name in ("B", *TEXT_FORMATS):
        return Item(name, data=body[offset:end]), end
    if name == "BOOLEAN":
        return Item(name, values=tuple(byte != 0 for byte in body[offset:end])), end
    letter = _LETTERS[name]
    size = struct.calcsize(">" + letter)
    if length % size:
        raise CorruptField(f"the length of a {name} item does not fit", offset=start, expected=size, found=length)
    return Item(name, values=struct.unpack_from(f">{length // size}{letter}", body, offset)), end


def _decode_list(body: bytes, offset: int, depth: int, count: int) -> tuple[Item, int]:
    if depth >= MAX_DEPTH:
        raise CorruptField("lists are nested too deep", offset=offset, expected=MAX_DEPTH, found=depth + 1)
    if 2 * count > len(body) - offset:
        message = "a list promises more items than there are bytes"
        raise Truncated(message, offset=offset, expected=count, found=(len(body) - offset) // 2)
    items = []
    for _ in range(count):
        item, offset = _decode(body, offset, depth + 1)
        items.append(item)
    return Item("L", items=tuple(items)), offset


def encode_item(item: Item | None) -> bytes:
    """Return the bytes of ``item``; of nothing, for a message of the header alone.

    Raises:
        ValueError: a value does not fit its format, or there are too many.
    """
    if item is None:
        return b""
    if item.format == "L":
        return _heading("L", len(item.items)) + b"".join(encode_item(each) for each in item.items)
    if item.format == "BOOLEAN":
        data = bytes(1 if value else 0 for value in item.values)
    elif item.format in _LETTERS:
        try:
            data = struct.pack(f">{len(item.values)}{_LETTERS[item.format]}", *item.values)
        except (struct.error, OverflowError) as error:
            raise ValueError(f"a value does not fit {item.format}: {error}") from error
    else:
        data = item.data
    return _heading(item.format, len(data)) + data


def _heading(name: str, length: int) -> bytes:
    if length > MAX_LENGTH:
        raise ValueError(f"an item of {length} bytes or items is too long, at most {MAX_LENGTH}")
    length_bytes = 1 if length < 1 << 8 else 2 if length < 1 << 16 else 3
    return bytes([_CODE_OF[name] << 2 | length_bytes]) + length.to_bytes(length_bytes)


def list_item(*items: Item) -> Item:
    """Return a list of ``items``."""
    return Item("L", items=items)


def text_item(text: str) -> Item:
    """Return ASCII text; other characters become ``?``."""
    return Item("A", data=text.encode("ascii", "replace"))


def binary_item(*values: int) -> Item:
    """Return bytes of ``values``, 0 to 255 each."""
    return Item("B", data=bytes(values))


def number_item(name: str, *values: float) -> Item:
    """Return numbers in the format ``name``, for example ``U4``."""
    if name not in NUMBER_FORMATS:
        raise ValueError(f"{name} is no format of numbers")
    return Item(name, values=values)


def boolean_item(*values: bool) -> Item:
    """Return booleans."""
    return Item("BOOLEAN", values=values)


def identifier_of(item: Item) -> str | None:
    """Return an id as text, whatever format the equipment gives it: ``U4 17`` and ``A "17"`` are both ``17``.

    ``None`` when the item is no single integer and no text.
    """
    if item.format in INTEGER_FORMATS and len(item.values) == 1:
        return str(item.values[0])
    if item.format == "B" and len(item.data) == 1:
        return str(item.data[0])
    if item.format in TEXT_FORMATS:
        return item.text().strip()
    return None


def to_sml(item: Item | None) -> str:
    """Return the item as people write it (SML), on one line."""
    if item is None:
        return ""
    if item.format == "L":
        inner = "".join(" " + to_sml(each) for each in item.items)
        return f"<L[{len(item.items)}]{inner}>"
    if item.format in TEXT_FORMATS:
        escaped = item.text().replace("\\", "\\\\").replace('"', '\\"')
        return f'<{item.format} "{escaped}">'
    if item.format == "B":
        return "<B" + "".join(f" 0x{byte:02x}" for byte in item.data) + ">"
    return f"<{item.format}" + "".join(f" {show_value(value)}" for value in item.values) + ">"


def show_value(value: float) -> str:
    """Return a number or boolean as text from which it can be had back."""
    return ("true" if value else "false") if isinstance(value, bool) else repr(value)
