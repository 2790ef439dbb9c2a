"""TDMS raw data as acquisition hardware (NI DAQmx) writes them: buffers of one card each, rows of all its channels.

Source: "The NI TDMS File Format", and for what it leaves out the public threads of npTDMS: the type codes of scalers
are their own (#74, #132), digital lines have the header ``0x126A`` and one byte for the bitmap (#111). What nobody
has explained is refused: a sample format bitmap that is not zero (#242), several scalers of one channel (#125),
buffers whose channels differ in length.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from instruments.errors import CorruptField, UnsupportedVersion
from instruments.probing.tdms_blocks import Runs, count_chunks
from instruments.probing.tdms_cursor import Cursor

FORMAT_CHANGING, DIGITAL_LINE = 0x1269, 0x126A
DAQMX_HEADERS = frozenset({FORMAT_CHANGING, DIGITAL_LINE})
SCALER_TYPES = {0: "u1", 1: "i1", 2: "u2", 3: "i2", 4: "u4", 5: "i4", 6: "u8", 7: "i8", 8: "f4", 9: "f8"}
MAXIMUM_BUFFERS = 4096


@dataclass(frozen=True)
class Scaler:
    """Where a channel's value stands in a row of a buffer: its type, buffer, byte, for a digital line its bit."""

    type_text: str
    buffer: int
    byte: int
    scale_id: int
    bit: int | None


@dataclass(frozen=True)
class DaqmxIndex:
    """The scaler of a channel, and the bytes in a row of each buffer."""

    scaler: Scaler
    widths: tuple[int, ...]


def read_daqmx_index(cursor: Cursor, header: int, path: str) -> DaqmxIndex:
    """Read what follows the number of values in the raw data index of the object ``path``.

    Raises:
        CorruptField, UnsupportedVersion: see the module's text.
    """
    place = cursor.offset
    scalers = cursor.u32()
    if scalers != 1:
        message = f"the DAQmx channel {path[:80]} has several scalers"
        raise UnsupportedVersion(message, offset=place, expected=1, found=scalers)
    code, buffer, position = cursor.u32(), cursor.u32(), cursor.u32()
    digital = header == DIGITAL_LINE
    bitmap = cursor.u8() if digital else cursor.u32()
    scale_id = cursor.u32()
    if code not in SCALER_TYPES:
        raise UnsupportedVersion("the type of a DAQmx scaler is not read", offset=place + 4, found=code)
    if bitmap:
        message = "a DAQmx scaler has a sample format bitmap, whose meaning is not documented"
        raise UnsupportedVersion(message, offset=place + 16, expected=0, found=bitmap)
    place = cursor.offset
    count = cursor.u32()
    if not buffer < count <= MAXIMUM_BUFFERS:
        raise CorruptField("the number of DAQmx buffers", offset=place, expected=f"> {buffer}", found=count)
    widths = tuple(cursor.u32() for _ in range(count))
    kind = np.dtype(SCALER_TYPES[code])
    byte, bit = (position // 8, position % 8) if digital else (position, None)
    if byte + kind.itemsize > widths[buffer]:
        message = "a DAQmx scaler lies outside its row"
        raise CorruptField(message, offset=place, expected=widths[buffer], found=byte + kind.itemsize)
    return DaqmxIndex(Scaler(kind.str[1:], buffer, byte, scale_id, bit), widths)


def lay_out_daqmx(
    indices: Mapping[str, tuple[DaqmxIndex, int]], span: tuple[int, int], order: str, file: str
) -> Iterator[tuple[str, Scaler, Runs]]:
    """Yield where the values of each channel lie.

    Args:
        indices: for each channel its index and the number of its values in a chunk.
        span: byte offsets of the beginning and the end of the raw data.
        order: ``"<"`` or ``">"``.
        file: the file's name for messages.

    Raises:
        CorruptField, UnsupportedVersion: channels contradict each other.
        CountMismatch: the raw data are not a whole number of chunks.
    """
    start, end = span
    widths = next(iter(indices.values()))[0].widths
    rows = [0] * len(widths)
    taken: set[tuple[int, int, int | None]] = set()
    for path, (index, count) in indices.items():
        scaler = index.scaler
        if index.widths != widths:
            raise CorruptField(f"the DAQmx channel {path[:80]} has other widths than the first", offset=start)
        if rows[scaler.buffer] not in (0, count):
            message = "channels of one DAQmx buffer have different numbers of values"
            raise UnsupportedVersion(message, offset=start, expected=rows[scaler.buffer], found=count)
        rows[scaler.buffer] = count
        size = np.dtype(scaler.type_text).itemsize if scaler.bit is None else 1
        cells = {(scaler.buffer, scaler.byte + k, scaler.bit) for k in range(size)}
        if cells & taken or (scaler.bit is None and any((b, k, None) in taken for b, k, _ in cells)):
            raise CorruptField(f"the DAQmx channel {path[:80]} overlaps another one", offset=start)
        taken |= cells
    chunk_bytes = sum(count * width for count, width in zip(rows, widths, strict=True))
    chunks = count_chunks(end - start, chunk_bytes, start, file)
    begins = np.cumsum([0, *(count * width for count, width in zip(rows, widths, strict=True))]).tolist()
    single = sum(1 for count in rows if count) == 1
    for path, (index, count) in indices.items():
        scaler = index.scaler
        dtype = np.dtype("u1") if scaler.bit is not None else np.dtype(f"{order}{scaler.type_text}")
        if scaler.bit is not None and order == ">" and scaler.type_text not in ("u1", "i1"):
            raise UnsupportedVersion("a big-endian digital line of several bytes", offset=start)
        begin, width = start + begins[scaler.buffer] + scaler.byte, widths[scaler.buffer]
        for chunk in range(1 if single else chunks):
            number = count * chunks if single else count
            place = begin + chunk * chunk_bytes
            yield path, scaler, Runs(place, dtype.itemsize, width, number, dtype, number)
