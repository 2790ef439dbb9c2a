"""Tektronix ``.isf`` files: a SCPI preamble in text, then one curve in an IEEE 488.2 block or as numbers.

Source: the ``WFMPre``/``WFMOutpre`` and ``CURVe`` commands in the programmer manuals of the TDS, DPO and MSO series.
Keywords are long or short (``YMULT``, ``YMU``). ``value = YZERO + YMULT * (code - YOFF)`` at
``XZERO + XINCR * (i - PT_OFF)``; instruments without ``XZERO`` (TLS 216, early TDS) count from ``PT_OFF`` alone. The
block's length is the count that is independent of ``NR_PT``. Several frames of a FastFrame set in one curve (``NR_FR``)
are refused: whether ``NR_PT`` counts one of them or all is not published.

With ``PT_FMT ENV`` the codes are pairs of extremes, each pair over two sampling intervals: they become two waveforms
and never one with twice the points.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach, RecordDescription, describe_record
from instruments.errors import CorruptField, CountMismatch, NotThisFormat, ReadingLimit, Truncated, UnsupportedVersion
from instruments.records import Record, Samples, Segment, Waveform

BLOCK_SAMPLES = 1 << 20
MAX_TEXT_CURVE_BYTES = 256 << 20
TRAILING_BYTES = 16
"""Line ends, semicolons and blanks after the curve; anything else is not explained."""
CURVE = re.compile(rb"(?:\A|(?<=[;\r\n]))\s*:?CURVE?[ \t]+", re.IGNORECASE)
"""At the beginning of a statement: a waveform's name may hold the word too."""
PREAMBLE = re.compile(rb":?WFM(?:P(?:RE)?|O(?:UTP(?:RE)?)?|I(?:NP(?:RE)?)?)?:", re.IGNORECASE)
UNITS = {"volts": "V", "volt": "V", "amperes": "A", "amps": "A", "watts": "W"}
KEYWORDS = {
    "BYT_NR": "BYT_N",
    "BIT_NR": "BIT_N",
    "ENCDG": "ENC",
    "BN_FMT": "BN_F",
    "BYT_OR": "BYT_O",
    "NR_PT": "NR_P",
    "WFID": "WFI",
    "PT_FMT": "PT_F",
    "XINCR": "XIN",
    "PT_OFF": "PT_O",
    "XZERO": "XZE",
    "XUNIT": "XUN",
    "YMULT": "YMU",
    "YZERO": "YZE",
    "YOFF": "YOF",
    "YUNIT": "YUN",
    "DOMAIN": "DOM",
    "NR_FR": "NR_F",
}
"""Long keyword to the shortest spelling; every spelling in between is one too. ``ENCDG`` is also ``ENCODING``."""

_Blocks = Callable[[], Iterator[NDArray[Any]]]


@dataclass(frozen=True)
class _Preamble:
    """The preamble, decoded; ``start`` is the byte offset of the first code."""

    fields: dict[str, str]
    text: str
    start: int
    bytes_: int
    dtype: np.dtype[Any] | None
    count: int
    gain: float
    offset: float
    dt_s: float
    t0_s: float
    unit: str
    envelope: bool


class TektronixIsfAdapter:
    """Reads one curve, block by block, as native codes."""

    name = "tektronix_isf"
    version = "5"
    formats = ("tektronix-isf",)
    reach = Reach.HEADER

    def sniff(self, source: Source) -> Sniff:
        """Look for the preamble and the curve in the head."""
        if not _begins_with_preamble(source):
            return Sniff(Confidence.NO, "the file does not begin with a waveform preamble")
        if CURVE.search(source.head) is None:
            return Sniff(Confidence.LIKELY, "a waveform preamble without a curve")
        return Sniff(Confidence.CERTAIN, "a waveform preamble and a curve")

    def describe(self, source: Source) -> tuple[str, Iterable[RecordDescription]]:
        """Return what the waveforms of ``source`` are, by the preamble and, of a block, its length.

        Raises:
            CorruptField, UnsupportedVersion, CountMismatch, Truncated, ReadingLimit: as ``read``.
        """
        preamble = _read_preamble(source)
        _check_extent(source, preamble)
        dtype = np.dtype("<f8") if preamble.dtype is None else preamble.dtype.newbyteorder("<")
        records = _waveforms(source, preamble, dtype, partial(_read_blocks, source, preamble))
        return "tektronix-isf", tuple(map(describe_record, records))

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the waveform of ``source``, or two for an envelope: minimum and maximum.

        Raises:
            CorruptField, UnsupportedVersion: a keyword is missing, or its value is not right or not supported.
            CountMismatch, Truncated: the curve does not hold NR_PT codes, or the file ends before it does.
            ReadingLimit: a curve in text is too long.
        """
        preamble = _read_preamble(source)
        _check_extent(source, preamble)
        if preamble.dtype is None:
            codes = _read_numbers(source, preamble)
            blocks: _Blocks = partial(iter, (codes,))
            dtype: np.dtype[Any] = codes.dtype
        else:
            blocks = partial(_read_blocks, source, preamble)
            dtype = preamble.dtype.newbyteorder("<")
        doubts = _check_pairs(preamble, blocks()) if preamble.envelope else ()
        return "tektronix-isf", tuple(
            record.measured(*doubts) for record in _waveforms(source, preamble, dtype, blocks)
        )


def _begins_with_preamble(source: Source) -> bool:
    return bool(PREAMBLE.match(source.head[:200].lstrip()) or re.match(rb"\s*:?BYT_NR? ", source.head[:200]))


def _waveforms(source: Source, preamble: _Preamble, dtype: np.dtype[Any], blocks: _Blocks) -> Iterator[Waveform]:
    if not preamble.envelope:
        yield _waveform(source, preamble, Samples(dtype, preamble.count, blocks), "waveform")
        return
    for kind, lower in (("envelope_min", preamble.gain > 0), ("envelope_max", preamble.gain < 0)):
        yield _waveform(source, preamble, Samples(dtype, preamble.count // 2, partial(_extremes, blocks, lower)), kind)


def _waveform(source: Source, preamble: _Preamble, samples: Samples, kind: str) -> Waveform:
    identity = preamble.fields.get("WFID", "")
    name = identity.split(",")[0].strip() or PurePosixPath(source.name).stem or "waveform"
    return Waveform(
        name=name,
        samples=samples,
        unit=preamble.unit,
        dt_s=preamble.dt_s * (2 if preamble.envelope else 1),
        segments=(Segment(samples.count, preamble.t0_s, 0.0),),
        gain=preamble.gain,
        offset=preamble.offset,
        kind=kind,
        vendor_metadata={"preamble": preamble.text, "fields": dict(preamble.fields)},
        warnings=tuple(_remarks(preamble)),
    )


def _remarks(preamble: _Preamble) -> Iterator[str]:
    if preamble.envelope:
        yield "an envelope: pairs of extremes over two sampling intervals each"
    if "XZERO" not in preamble.fields:
        yield "there is no XZERO: the times count from PT_OFF alone, as those of instruments without it"


def parse_statements(text: str) -> Iterator[tuple[str, str]]:
    """Yield the keywords of a preamble in their long spelling, with their values without quotation marks."""
    for statement in re.findall(r'(?:[^;"]|"[^"]*")+', text):
        keyword, _, value = (
            statement.strip().rpartition(":")[2].partition(" ") if '"' not in statement else (_quoted(statement))
        )
        yield _long_keyword(keyword.strip().upper()), value.strip().strip('"').strip()


def _fields(source: Source, text: str) -> dict[str, str]:
    """Return the keywords of the preamble ``text``; it belongs to one curve, and says each thing once."""
    fields: dict[str, str] = {}
    for keyword, value in parse_statements(text):
        if keyword.startswith("CURV") and '"' not in keyword:
            raise CorruptField("a curve's name stands before the curve", file=source.name, found=keyword[:40])
        known = fields.setdefault(keyword, value)
        if keyword in KEYWORDS and known != value:
            message = f"the preamble gives two values of {keyword}; it may be that of two curves"
            raise CorruptField(message, file=source.name, expected=known[:40], found=value[:40])
    return fields


def _quoted(statement: str) -> tuple[str, str, str]:
    before, _, rest = statement.partition('"')
    return before.strip().rpartition(":")[2], "", rest.rpartition('"')[0]


def _long_keyword(keyword: str) -> str:
    if keyword == "ENCODING":
        return "ENCDG"
    for long, short in KEYWORDS.items():
        if long.startswith(keyword) and keyword.startswith(short):
            return long
    return keyword


def _read_preamble(source: Source) -> _Preamble:
    if not _begins_with_preamble(source):
        raise NotThisFormat("the file does not begin with a waveform preamble", file=source.name)
    found = CURVE.search(source.head)
    if found is None:
        raise CorruptField("there is no curve after the waveform preamble", file=source.name)
    text = source.head[: found.start()].decode("latin-1").strip().rstrip(";")
    fields = _fields(source, text)
    _check_fields(source, fields, found.start())
    if fields.get("XUNIT", "s").lower() != "s" or fields.get("DOMAIN", "TIME").upper() != "TIME":
        message = "the horizontal axis is no time; this is no waveform over time"
        raise UnsupportedVersion(message, file=source.name, expected="s", found=fields.get("XUNIT", "")[:20])
    point_format = fields["PT_FMT"].upper()
    envelope = point_format in ("ENV", "ENVE", "ENVELOPE")
    if not envelope and point_format != "Y":
        raise UnsupportedVersion("the point format is not supported", file=source.name, found=point_format[:20])
    binary = fields["ENCDG"].upper().startswith("BIN")
    if not binary and not fields["ENCDG"].upper().startswith("ASC"):
        raise UnsupportedVersion("the encoding is not supported", file=source.name, found=fields["ENCDG"][:20])
    gain, interval = _number(source, fields, "YMULT"), _number(source, fields, "XINCR")
    if gain == 0 or interval <= 0:
        raise CorruptField("YMULT or XINCR is not right", file=source.name, found=f"{gain}, {interval}")
    start, length = _block_header(source, found.end()) if binary else (found.end(), source.size_bytes - found.end())
    point_offset = _number(source, fields, "PT_OFF") if fields.get("PT_OFF") else 0.0
    offset = _number(source, fields, "YZERO") - gain * _number(source, fields, "YOFF")
    t0_s = (_number(source, fields, "XZERO") if "XZERO" in fields else 0.0) - interval * point_offset
    if not all(map(math.isfinite, (offset, t0_s, 2 * interval))):
        message = "the preamble's numbers are too large: an offset, a time or an interval made of them is not finite"
        raise CorruptField(message, file=source.name, found=f"offset {offset}, start {t0_s} s, interval {interval} s")
    return _Preamble(
        fields=fields,
        text=text,
        start=start,
        bytes_=length,
        dtype=_dtype(source, fields) if binary else None,
        count=_count(source, fields, "NR_PT"),
        gain=gain,
        offset=offset,
        dt_s=interval,
        t0_s=t0_s,
        unit=UNITS.get(fields.get("YUNIT", "").lower(), fields.get("YUNIT")) or "unknown",
        envelope=envelope,
    )


def _check_fields(source: Source, fields: dict[str, str], place: int) -> None:
    """Refuse a preamble without what a curve needs, or of several curves; ``place`` is where the curve stands."""
    for key in ("BYT_NR", "ENCDG", "BN_FMT", "BYT_OR", "NR_PT", "PT_FMT", "XINCR", "YMULT", "YOFF", "YZERO"):
        if not fields.get(key):
            raise CorruptField(f"the preamble has no {key}", file=source.name, offset=place)
    counted = "XZERO" not in fields and fields.get("PT_OFF", "0").strip("+-0.") != ""
    if not fields.get("XZERO") and not counted:
        raise CorruptField("the preamble has no XZERO", file=source.name, offset=place)
    if fields.get("NR_FR", "1") not in ("0", "1"):
        message = "the curve is of several frames of a FastFrame set; save the .wfm file"
        raise UnsupportedVersion(message, file=source.name, expected="1", found=fields["NR_FR"][:20])


def _number(source: Source, fields: dict[str, str], key: str) -> float:
    try:
        value = float(fields[key])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise CorruptField(f"{key} is no number", file=source.name, found=fields[key][:40])
    return value


def _count(source: Source, fields: dict[str, str], key: str) -> int:
    if not fields[key].isdecimal() or int(fields[key]) < 1:
        raise CorruptField(f"{key} is no count", file=source.name, found=fields[key][:40])
    return int(fields[key])


def _dtype(source: Source, fields: dict[str, str]) -> np.dtype[Any]:
    kinds = {"RI": "i", "RP": "u", "FP": "f", "FPB": "f"}
    orders = {"MSB": ">", "LSB": "<"}
    kind, order = kinds.get(fields["BN_FMT"].upper()), orders.get(fields["BYT_OR"].upper())
    width = _count(source, fields, "BYT_NR")
    if kind is None or order is None or width not in ((4, 8) if kind == "f" else (1, 2, 4)):
        found = f"{fields['BN_FMT']}, {fields['BYT_OR']}, {width}"
        raise UnsupportedVersion("the binary format is not supported", file=source.name, found=found[:60])
    return np.dtype(f"{order}{kind}{width}")


def _block_header(source: Source, place: int) -> tuple[int, int]:
    """Return where the codes of ``#<digits><length>`` begin, and their length in bytes."""
    with source.path.open("rb") as file:
        file.seek(place)
        header = file.read(12)
    digits = header[1:2]
    if header[:1] != b"#" or not digits.isdigit() or digits == b"0":
        message = "the curve is no block of known length"
        raise CorruptField(message, file=source.name, offset=place, expected="#", found=repr(header[:4]))
    length = header[2 : 2 + int(digits)]
    if len(length) < int(digits):
        raise Truncated("the file ends inside the curve's length", file=source.name, offset=place)
    if not length.isdigit():
        raise CorruptField("the curve's length is no number", file=source.name, offset=place, found=repr(length))
    return place + 2 + int(digits), int(length)


def _check_extent(source: Source, preamble: _Preamble) -> None:
    """Compare NR_PT with the block's length, and that with the file's; of a curve in text, see that it is not long."""
    if preamble.dtype is None:
        if preamble.bytes_ > MAX_TEXT_CURVE_BYTES:
            limit, found = MAX_TEXT_CURVE_BYTES, preamble.bytes_
            raise ReadingLimit("the curve in text is too long", file=source.name, expected=limit, found=found)
    else:
        _check_block(source, preamble, preamble.dtype.itemsize)
    if preamble.envelope and preamble.count % 2:
        raise CountMismatch("an envelope has an odd number of codes", file=source.name, found=preamble.count)


def _check_block(source: Source, preamble: _Preamble, width: int) -> None:
    end = preamble.start + preamble.bytes_
    if preamble.bytes_ != preamble.count * width:
        message = "the curve's length is not NR_PT codes of BYT_NR bytes"
        expected = preamble.count * width
        raise CountMismatch(message, file=source.name, expected=expected, found=preamble.bytes_)
    if source.size_bytes < end:
        message = "the file ends inside the curve"
        raise Truncated(message, file=source.name, offset=source.size_bytes, expected=end, found=source.size_bytes)
    with source.path.open("rb") as file:
        file.seek(end)
        rest = file.read(TRAILING_BYTES + 1)
    if len(rest) > TRAILING_BYTES or rest.strip(b"\r\n\t ;\x00"):
        message = "the file goes on after its curve"
        raise CountMismatch(message, file=source.name, offset=end, expected=end, found=source.size_bytes)


def _read_blocks(source: Source, preamble: _Preamble) -> Iterator[NDArray[Any]]:
    native = preamble.dtype
    if native is None:
        return
    left = preamble.count
    with source.path.open("rb") as file:
        file.seek(preamble.start)
        while left:
            block: NDArray[Any] = np.fromfile(file, native, min(left, BLOCK_SAMPLES))
            if not block.size:
                return
            left -= block.size
            yield block.astype(native.newbyteorder("<"), copy=False)


def _read_numbers(source: Source, preamble: _Preamble) -> NDArray[np.float64]:
    """Return the codes of a curve in text."""
    with source.path.open("rb") as file:
        file.seek(preamble.start)
        data = file.read()
    cells = data.strip(b"\r\n\t ;\x00").split(b",")
    if len(cells) != preamble.count:
        kind = Truncated if len(cells) < preamble.count else CountMismatch
        message = "the curve does not hold NR_PT numbers"
        raise kind(message, file=source.name, expected=preamble.count, found=len(cells))
    if data[-1:] not in (b"\n", b"\r", b";", b" "):
        raise Truncated("the curve's last number has no end", file=source.name, offset=source.size_bytes)
    try:
        return np.array([float(cell) for cell in cells])
    except ValueError as error:
        raise CorruptField(f"the curve holds something else than numbers: {error}", file=source.name) from error


def _extremes(blocks: _Blocks, lower: bool) -> Iterator[NDArray[Any]]:
    choose = np.minimum if lower else np.maximum
    for block in blocks():
        yield choose(block[::2], block[1::2])


def _check_pairs(preamble: _Preamble, blocks: Iterator[NDArray[Any]]) -> tuple[str, ...]:
    """Pairs of a computed trace may be in either order: each is put in order, and that is said."""
    rising = falling = 0
    for block in blocks:
        rising += int((block[::2] < block[1::2]).sum())
        falling += int((block[::2] > block[1::2]).sum())
    if rising and falling:
        return (f"{min(rising, falling)} of {preamble.count // 2} pairs were in the other order",)
    return ()
