"""Writers of oscilloscope files for the tests; every field can be replaced."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ISF = {
    "BYT_NR": "2",
    "BIT_NR": "16",
    "ENCDG": "BIN",
    "BN_FMT": "RI",
    "BYT_OR": "MSB",
    "NR_PT": "",
    "WFID": '"Ch1, DC coupling, 5.0E-1 V/div, 1.0E-3 s/div; odd"',
    "PT_FMT": "Y",
    "XINCR": "1.0E-6",
    "PT_OFF": "10",
    "XZERO": "-1.0E-3",
    "XUNIT": '"s"',
    "YMULT": "0.5",
    "YZERO": "1.0",
    "YOFF": "3.0",
    "YUNIT": '"V"',
}
SHORT = {"BYT_NR": "BYT_N", "NR_PT": "NR_P", "PT_FMT": "PT_F", "XINCR": "XIN", "YMULT": "YMU", "YOFF": "YOF"}


def isf(codes: NDArray[Any], end: bytes = b"\n", short: bool = False, **fields: str | None) -> bytes:
    """A Tektronix .isf file of big-endian 16-bit codes; a field that is ``None`` is left out."""
    values: dict[str, str | None] = {**ISF, "NR_PT": str(codes.size), **fields}
    names = SHORT if short else {}
    text = ";".join(f"{names.get(key, key)} {value}" for key, value in values.items() if value is not None)
    prefix, curve = (":WFMP:", ":CURV") if short else (":WFMOUTPRE:", ":CURVE")
    if (fields.get("ENCDG") or "").startswith("ASC"):
        return f"{prefix}{text};{curve} ".encode() + ",".join(str(code) for code in codes).encode() + end
    data = codes.astype(">i2").tobytes()
    length = str(len(data))
    return f"{prefix}{text};{curve} #{len(length)}{length}".encode() + data + end


def tektronix_wfm(
    codes: NDArray[Any],
    *,
    order: str = "<",
    version: int = 3,
    code: int = 0,
    data_type: int = 2,
    notes: Sequence[tuple[str, Any]] = (("yOffset", 0.25), ("label", "Ch 1"), ("clipped", 1)),
    unit: bytes = b"s",
    stamps: Sequence[tuple[float, float, int]] = ((0.25, 0.0, 0),),
    patches: Sequence[tuple[int, str, Any]] = (),
) -> bytes:
    """A Tektronix .wfm file; ``patches`` are (byte offset, struct format, value) before the checksum is made.

    ``codes`` of shape ``(frames, count)`` are a FastFrame set; ``stamps`` are (part of a sample, fraction of the
    second, second) of each frame.
    """
    frames = codes.reshape(-1, codes.shape[-1])
    base = 166 if version == 1 else 168
    view = 60 if version == 3 else 56
    explicit, implicit = base, base + 2 * (100 + view)
    update = implicit + 2 * (76 + view) + 24
    curve, end = update + 24, update + 54
    extra = 4 * codes.itemsize
    data = [b"\x55" * extra + frame.astype(codes.dtype.newbyteorder(order)).tobytes() + b"\xaa" * 8 for frame in frames]
    start = end + 54 * (len(data) - 1)
    block = bytearray(start)

    def put(offset: int, layout: str, *values: Any) -> None:
        struct.pack_into(order + layout, block, offset, *values)

    block[:2] = b"\x0f\x0f" if order == "<" else b"\xf0\xf0"
    block[2:10] = f":WFM#00{version}".encode()
    put(10, "BiBi", 6, start + sum(map(len, data)) + 8 - 15, codes.itemsize, start)
    block[40:44] = b"Ref1"
    put(72, "IHi", len(data) - 1, end - 78, len(data) > 1)
    put(122, "i", data_type)
    put(142, "III", 1, *(2 * (len(data) if len(data) > 1 else 0,)))
    put(explicit, "ddI", 0.5, 2.0, 0)
    block[explicit + 20 : explicit + 21] = b"V"
    put(explicit + 72, "ii", code, 0)
    put(implicit, "ddI", 1e-9, -5e-8, frames.shape[1])
    block[implicit + 20 : implicit + 20 + len(unit)] = unit
    for number, (part, fraction, second) in enumerate(stamps):
        put(end + 24 * (number - 1) if number else update, "Iddi", 0, part, fraction, second)
    for number in range(len(data)):
        place = end + 24 * (len(data) - 1) + 30 * (number - 1) if number else curve
        last = len(data[0])
        put(place, "IihIIIII", 0, 0, 0, 0, extra, last - 8, last, last)
    for offset, layout, value in patches:
        put(offset, layout, value)
    body = bytes(block) + b"".join(data)
    return body + struct.pack(order + "Q", sum(body)) + _tekmeta(order, notes)


def _tekmeta(order: str, notes: Sequence[tuple[str, Any]]) -> bytes:
    if not notes:
        return b""
    parts = [b"tekmeta!", struct.pack(order + "I", len(notes))]
    for key, value in notes:
        parts.append(struct.pack(order + "I", len(key)) + key.encode())
        if isinstance(value, str):
            parts.append(b"\x01" + struct.pack(order + "I", len(value)) + value.encode())
        elif isinstance(value, float):
            parts.append(b"\x03" + struct.pack(order + "d", value))
        else:
            parts.append(b"\x02" + struct.pack(order + "i", value))
    return b"".join(parts)


def container_waveform(
    buffers: Sequence[tuple[int, NDArray[Any]]],
    *,
    label: bytes = b"1",
    kind: int = 1,
    x_unit: int = 2,
    segment: int = 0,
    time_tag: float = 0.0,
    points: int | None = None,
    interval: float = 1e-9,
    origin: float = -1e-6,
    header_bytes: int = 140,
    long: bool = False,
) -> bytes:
    """One waveform of a float container: a header and (buffer type, samples) each."""
    count = buffers[0][1].size if points is None else points
    header = struct.pack(
        "<5If3d2I16s16s24s16sdI",
        header_bytes,
        kind,
        len(buffers),
        count,
        7,
        1.0,
        0.0,
        interval,
        origin,
        x_unit,
        1,
        b"2026-11-24",
        b"10:00:00",
        b"MODEL:SERIAL",
        label,
        time_tag,
        segment,
    )
    parts = [header[:header_bytes]]
    logic = 5 if long else 6
    for buffer_type, samples in buffers:
        data = samples.astype("<u1" if buffer_type == logic else "<f4").tobytes()
        layout, size = ("<IHHQ", 16) if long else ("<IHHI", 12)
        parts.append(struct.pack(layout, size, buffer_type, 1 if buffer_type == logic else 4, len(data)) + data)
    return b"".join(parts)


def container(waveforms: Sequence[bytes], cookie: bytes = b"AG10", declared: int | None = None) -> bytes:
    """A Keysight or Rigol float container."""
    layout, head = ("<QI", 16) if cookie == b"RG03" else ("<2I", 12)
    size = head + sum(len(waveform) for waveform in waveforms)
    return cookie + struct.pack(layout, size if declared is None else declared, len(waveforms)) + b"".join(waveforms)


def ds1000z(codes: NDArray[np.uint8], channels: Sequence[int] = (1, 2), firmware: bytes = b"00.04.05") -> bytes:
    """A Rigol DS1000Z .wfm of ``codes`` (uint8, shape ``(channels, points)``)."""
    stride = 4 if len(channels) == 3 else len(channels)
    lanes = np.zeros((codes.shape[1], stride), np.uint8)
    for lane, row in enumerate(codes[::-1] if stride > 1 else codes):
        lanes[:, lane] = row
    block = bytearray(3213)
    block[:4] = b"\x01\xff\xff\xff"
    struct.pack_into("<HH", block, 4, 0xA5A5, 56)
    block[8:15] = b"DS1054Z"
    block[28 : 28 + len(firmware)] = firmware
    block[48:50] = b"\x01\x00"
    struct.pack_into("<Qq", block, 64, 50_000, 0)
    struct.pack_into("<H", block, 84, 0xD8)
    block[88] = sum(1 << (channel - 1) for channel in channels)
    struct.pack_into("<If", block, 116, lanes.size, 0.25)
    for channel in range(4):
        struct.pack_into("<5B3xffBB", block, 124 + 28 * channel, channel + 1 in channels, 0, 0, 0, 6, 2.0, 0.0, 0, 2)
    struct.pack_into("<4I", block, 248, 2013, 304, 896, 2317)
    return bytes(block) + lanes.tobytes()


def ds1000e(codes: NDArray[np.uint8], probe: float = 1.0) -> bytes:
    """A Rigol DS1000E .wfm of ``codes`` (uint8, shape ``(channels, points)``, one or two channels)."""
    block = bytearray(276)
    block[:4] = b"\xa5\xa5\x00\x00"
    struct.pack_into("<I", block, 28, codes.shape[1])
    for channel in range(2):
        start = 34 + 24 * channel
        struct.pack_into(
            "<HihBBfBBBih", block, start, 0, 1_000_000, 0, 0, 0, probe, 0, channel < len(codes), 0, 1_000_000, 0
        )
    for start in (84, 236):
        struct.pack_into("<qqfqq", block, start, 500_000_000, 0, 100_000.0, 500_000_000, 0)
    return bytes(block) + codes.tobytes()


def ds1000c(codes: NDArray[np.uint8], probe: float = 1.0, padded: bool = False) -> bytes:
    """A Rigol DS1000C .wfm of ``codes`` (uint8, shape ``(channels, points)``); ``padded`` begins as a DS1000E does."""
    block = bytearray(272 if padded else 256)
    block[:4] = b"\xa5\xa5\x00\x00" if padded else b"\xa1\xa5\x00\x00"
    struct.pack_into("<I", block, 28, codes.shape[1])
    for channel in range(2):
        layout = "<ihBBfBBBBihH"
        struct.pack_into(
            layout, block, 36 + 24 * channel, 0, 0, 0, 0, probe, 0, channel < len(codes), 0, 0, 1_000_000, 0, 0
        )
    struct.pack_into("<Qqf", block, 84, 500_000_000, 0, 100_000.0)
    return bytes(block) + codes.tobytes()


def ds1000b(codes: NDArray[np.uint8], channels: Sequence[int] = (1, 2)) -> bytes:
    """A Rigol DS1000B .wfm of ``codes`` (uint8, shape ``(channels, points)``)."""
    block = bytearray(420)
    block[:4], block[4:11] = b"\xa5\xa5\xa4\x01", b"DS1204B"
    struct.pack_into("<I", block, 60, codes.shape[1])
    for channel in range(4):
        layout = "<ih2xfbBBBihBx"
        enabled = channel + 1 in channels
        struct.pack_into(layout, block, 68 + 24 * channel, 0, 0, 1.0, 0, 0, enabled, 0, 1_000_000, 25, 0)
    struct.pack_into("<QqfQq", block, 164, 500_000_000, 2_000_000, 100_000.0, 0, 0)
    return bytes(block) + codes.tobytes()


def rohde_schwarz(
    values: NDArray[Any],
    leading: int = 2,
    *,
    stamps: Sequence[float] | None = None,
    times: bool = False,
    channels: Mapping[int, Mapping[str, str]] | None = None,
    **changes: str,
) -> tuple[bytes, bytes]:
    """Settings and samples of a capture, after ``leading`` settling samples.

    ``values`` (float32, int16 or int8) have the shape ``(samples,)``, ``(acquisitions, samples)`` or
    ``(acquisitions, samples, values of a sample)``. ``stamps`` are of the acquisitions; with ``times`` each sample has
    its own; ``channels`` are the properties (``Scale``, ``Offset``, …) of each channel exported, by its place.
    """
    rows = values.reshape(values.shape if values.ndim == 3 else (*((1,) * (2 - values.ndim)), *values.shape, 1))
    count = rows.shape[1]
    fields = {
        "SignalResolution": "1e-9",
        "RecordLength": str(count),
        "SignalHardwareRecordLength": str(count + leading),
        "LeadingSettlingSamples": str(leading),
        "XStart": "-1e-6",
        "XStop": repr(-1e-6 + count * 1e-9),
        "HardwareXStart": repr(-1e-6 - leading * 1e-9),
        "TraceType": "eRS_TRACE_TYPE_NORMAL",
        "BaseUnit": "eRS_UNIT_LEVEL_V",
        "Source": "eRS_SIGNAL_SOURCE_CH2_TR1",
        "MultiChannelExport": "eRS_ONOFF_ON" if channels else "eRS_ONOFF_OFF",
        "SignalFormat": "eRS_SIGNAL_FORMAT_" + ("XYDOUBLEFLOAT" if times else _SIGNAL_FORMATS[values.dtype.str[1:]]),
        "ByteOrder": "eRS_BYTE_ORDER_LSB_FIRST",
        "NumberOfAcquisitions": str(len(rows)),
        "TimestampState": "eRS_ONOFF_ON" if stamps else "eRS_ONOFF_OFF",
        "VerticalScale": "0.4",
    } | changes
    props = "".join(f'<Prop Name="{key}" Value="{value}"/>' for key, value in fields.items())
    names = {name for channel in (channels or {}).values() for name in channel}
    for name in sorted(names | {"ExportState"} if channels else ()):
        off = "eRS_ONOFF_OFF" if name == "ExportState" else "0"
        own = [(channels or {}).get(k, {}).get(name, off) for k in range(4)]
        if name == "ExportState":
            own = ["eRS_ONOFF_ON" if k in (channels or {}) else off for k in range(4)]
        items = " ".join(f'I_{k}="{value}"' for k, value in enumerate(own))
        props += f'<Prop Name="MultiChannel{name}" Size="4" {items}/>'
    xml = f'<?xml version="1.0"?>\n<Database FWVersion="4" SaveItemType="Data"><Group>{props}</Group></Database>'
    code = {"FLOAT": 4, "INT8BIT": 0, "INT16BIT": 1}["FLOAT" if times else _SIGNAL_FORMATS[values.dtype.str[1:]]]
    parts = [struct.pack("<2I", 6 if times else code, count + leading)]
    layout = [("time", "<f8")] * times + [("values", values.dtype.newbyteorder("<"), (rows.shape[2],))]
    for number, acquisition in enumerate(rows):
        block = np.zeros(count + leading, np.dtype(layout))
        block["values"][leading:] = acquisition
        if times:
            block["time"] = -1e-6 + 1e-9 * (np.arange(count + leading) - leading)
        parts += [struct.pack("<d", stamps[number])] if stamps else []
        parts.append(block.tobytes())
    return xml.encode(), b"".join(parts)


_SIGNAL_FORMATS = {"f4": "FLOAT", "i2": "INT16BIT", "i1": "INT8BIT"}
