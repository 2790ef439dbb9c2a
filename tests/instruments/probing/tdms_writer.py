"""Writes TDMS segments field by field, right or deliberately wrong; shares no code with the reader or with npTDMS."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

METADATA, NEW_LIST, RAW, INTERLEAVED, BIG, DAQMX = 2, 4, 8, 32, 64, 128
CODES = {
    **{"i1": 1, "i2": 2, "i4": 3, "i8": 4, "u1": 5, "u2": 6, "u4": 7, "u8": 8, "f4": 9, "f8": 10},
    **{"c8": 0x08000C, "c16": 0x10000D, "b1": 0x21},
}
SCALER_CODES = {"u1": 0, "i1": 1, "u2": 2, "i2": 3, "u4": 4, "i4": 5}
NO_DATA, SAME = b"\xff\xff\xff\xff", b"\0\0\0\0"


def text(value: str, order: str = "<") -> bytes:
    data = value.encode()
    return struct.pack(f"{order}I", len(data)) + data


def prop(name: str, value: object, order: str = "<") -> bytes:
    if isinstance(value, bytes):  # a time stamp: 16 bytes as they are
        return text(name, order) + struct.pack(f"{order}I", 0x44) + value
    if isinstance(value, bool):
        return text(name, order) + struct.pack(f"{order}I?", 0x21, value)
    if isinstance(value, str):
        return text(name, order) + struct.pack(f"{order}I", 0x20) + text(value, order)
    if isinstance(value, int):
        return text(name, order) + struct.pack(f"{order}II", 7, value)
    return text(name, order) + struct.pack(f"{order}Id", 10, value)


@dataclass
class Item:
    """An object in the metadata: its path, its raw data index as bytes, its properties."""

    path: str
    index: bytes = NO_DATA
    properties: dict[str, object] = field(default_factory=dict)

    def encode(self, order: str) -> bytes:
        made = text(self.path, order) + self.index + struct.pack(f"{order}I", len(self.properties))
        return made + b"".join(prop(name, value, order) for name, value in self.properties.items())


def index(kind: str, count: int, order: str = "<") -> bytes:
    return struct.pack(f"{order}IIIQ", 20, CODES[kind], 1, count)


def text_index(count: int, length: int) -> bytes:
    return struct.pack("<IIIQQ", 28, 0x20, 1, count, length)


def stamp_index(count: int) -> bytes:
    return struct.pack("<IIIQ", 20, 0x44, 1, count)


def daqmx_index(
    count: int, scalers: Sequence[tuple[str, int, int, int]], widths: Sequence[int], bitmap: int = 0
) -> bytes:
    """``scalers``: type, buffer, byte offset, scale id."""
    made = struct.pack("<IIIQI", 0x1269, 0xFFFFFFFF, 1, count, len(scalers))
    for kind, buffer, byte, scale in scalers:
        made += struct.pack("<IIIII", SCALER_CODES[kind], buffer, byte, bitmap, scale)
    return made + struct.pack("<I", len(widths)) + b"".join(struct.pack("<I", width) for width in widths)


def line_index(count: int, bit: int, width: int) -> bytes:
    """A digital line of DAQmx."""
    made = struct.pack("<IIIQI", 0x126A, CODES["u1"], 1, count, 1)
    return made + struct.pack("<IIIBI", 0, 0, bit, 0, 0) + struct.pack("<II", 1, width)


def segment(items: Sequence[Item] | None, raw: bytes = b"", *, flags: int | None = None, version: int = 4713) -> bytes:
    """``items`` of ``None``: no metadata."""
    chosen = flags if flags is not None else NEW_LIST
    chosen |= (METADATA if items is not None else 0) | (RAW if raw else 0)
    order = ">" if chosen & BIG else "<"
    metadata = b""
    if items is not None:
        metadata = struct.pack(f"{order}I", len(items)) + b"".join(item.encode(order) for item in items)
    lengths = struct.pack(f"{order}IQQ", version, len(metadata) + len(raw), len(metadata))
    return b"TDSm" + struct.pack("<I", chosen) + lengths + metadata + raw


def channel(name: str, group: str = "g") -> str:
    return f"/'{group}'/'{name}'"


WAVE = {"wf_increment": 1e-6, "wf_start_offset": -2e-3, "unit_string": "V"}


def two_channels(count: int = 40, chunks: int = 2) -> bytes:
    """Two channels of int16 and float64, ``chunks`` chunks in the first segment and one in the second."""
    first = np.arange(count * (chunks + 1), dtype="<i2")
    second = np.sin(np.arange(count * (chunks + 1)) / 7)
    pieces = [
        first[k * count : (k + 1) * count].tobytes() + second[k * count : (k + 1) * count].tobytes()
        for k in range(chunks + 1)
    ]
    scale = {"NI_Number_Of_Scales": 1, "NI_Scaling_Status": "unscaled", "NI_Scale[0]_Scale_Type": "Linear"}
    scale |= {"NI_Scale[0]_Linear_Slope": 0.5, "NI_Scale[0]_Linear_Y_Intercept": -1.0}
    items = [
        Item("/", properties={"name": "sample"}),
        Item("/'g'"),
        Item(channel("a"), index("i2", count), WAVE | scale | {"NI_Scale[0]_Linear_Input_Source": 0xFFFFFFFF}),
        Item(channel("b"), index("f8", count), WAVE),
    ]
    return segment(items, b"".join(pieces[:chunks])) + segment(None, pieces[chunks], flags=0)


def one_channel(values: np.ndarray) -> bytes:
    """One channel in one chunk."""
    kind = values.dtype.str[1:]
    items = [Item("/"), Item("/'g'"), Item(channel("a"), index(kind, values.size), WAVE)]
    return segment(items, values.astype(f"<{kind}").tobytes())
