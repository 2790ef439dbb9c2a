"""Writers of oscilloscope files for the tests; every field can be replaced."""

import struct
from collections.abc import Sequence
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
    patches: Sequence[tuple[int, str, Any]] = (),
) -> bytes:
    """A Tektronix .wfm file; ``patches`` are (byte offset, struct format, value) before the checksum is made."""
    base = 166 if version == 1 else 168
    view = 60 if version == 3 else 56
    explicit, implicit = base, base + 2 * (100 + view)
    update = implicit + 2 * (76 + view) + 24
    curve = update + 24
    precharge, data = b"\x55" * 4 * codes.itemsize, codes.astype(codes.dtype.newbyteorder(order)).tobytes()
    block = bytearray(curve + 30)

    def put(offset: int, layout: str, *values: Any) -> None:
        struct.pack_into(order + layout, block, offset, *values)

    block[:2] = b"\x0f\x0f" if order == "<" else b"\xf0\xf0"
    block[2:10] = f":WFM#00{version}".encode()
    whole = len(precharge) + len(data) + 8
    put(10, "BiBi", 6, curve + 30 + whole + 8 - 15, codes.itemsize, curve + 30)
    block[40:44] = b"Ref1"
    put(76, "H", curve + 30 - 78)
    put(122, "i", data_type)
    put(142, "I", 1)
    put(explicit, "ddI", 0.5, 2.0, 0)
    block[explicit + 20 : explicit + 21] = b"V"
    put(explicit + 72, "ii", code, 0)
    put(implicit, "ddI", 1e-9, -5e-8, codes.size)
    block[implicit + 20 : implicit + 20 + len(unit)] = unit
    put(update, "Iddi", 0, 0.25, 0.0, 0)
    end = len(precharge) + len(data)
    put(curve, "IihIIIII", 0, 0, 0, 0, len(precharge), end, end + 8, end + 8)
    for offset, layout, value in patches:
        put(offset, layout, value)
    body = bytes(block) + precharge + data + b"\xaa" * 8
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
) -> bytes:
    """One waveform of a float container: a header and (buffer type, samples) each."""
    count = buffers[0][1].size if points is None else points
    header = struct.pack(
        "<5If3d2I16s16s24s16sdI",
        140,
        kind,
        len(buffers),
        count,
        7,
        1.0,
        0.0,
        interval,
        -1e-6,
        x_unit,
        1,
        b"2026-11-24",
        b"10:00:00",
        b"MODEL:SERIAL",
        label,
        time_tag,
        segment,
    )
    parts = [header]
    for buffer_type, samples in buffers:
        data = samples.astype("<u1" if buffer_type == 6 else "<f4").tobytes()
        parts.append(struct.pack("<IHHI", 12, buffer_type, 1 if buffer_type == 6 else 4, len(data)) + data)
    return b"".join(parts)


def container(waveforms: Sequence[bytes], cookie: bytes = b"AG10", declared: int | None = None) -> bytes:
    """A Keysight or Rigol float container."""
    size = 12 + sum(len(waveform) for waveform in waveforms)
    return cookie + struct.pack("<2I", size if declared is None else declared, len(waveforms)) + b"".join(waveforms)


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


def rohde_schwarz(values: NDArray[np.float32], leading: int = 2, **changes: str) -> tuple[bytes, bytes]:
    """Settings and samples of a capture of ``values`` (float32), after ``leading`` settling samples."""
    fields = {
        "SignalResolution": "1e-9",
        "RecordLength": str(values.size),
        "SignalHardwareRecordLength": str(values.size + leading),
        "LeadingSettlingSamples": str(leading),
        "XStart": "-1e-6",
        "XStop": repr(-1e-6 + values.size * 1e-9),
        "HardwareXStart": repr(-1e-6 - leading * 1e-9),
        "TraceType": "eRS_TRACE_TYPE_NORMAL",
        "BaseUnit": "eRS_UNIT_LEVEL_V",
        "Source": "eRS_SIGNAL_SOURCE_CH2_TR1",
        "MultiChannelExport": "eRS_ONOFF_OFF",
        "SignalFormat": "eRS_SIGNAL_FORMAT_FLOAT",
        "NumberOfAcquisitions": "1",
        "VerticalScale": "0.4",
    } | changes
    props = "".join(f'<Prop Name="{key}" Value="{value}"/>' for key, value in fields.items())
    xml = f'<?xml version="1.0"?>\n<Database FWVersion="4" SaveItemType="Data"><Group>{props}</Group></Database>'
    data = np.concatenate([np.zeros(leading, np.float32), values]).astype("<f4").tobytes()
    return xml.encode(), struct.pack("<2I", 4, values.size + leading) + data
