"""STDF V4 and V4-2007, plain or gzip, either byte order, as tables of parts, tests, results, bins, wafers and pins.

Source: the public STDF V4 specification and the record lists of V4-2007. Read are all record types of both; records
of other types are counted and said. Refused are version 3, VAX numbers, cut records, several files in one, and parts
whose beginning and end do not pair. The walk over the record headers must end at the last byte and is the first
count; the totals that the tester itself wrote (PCR, HBR, SBR, TSR, WRR, PRR) are the second, and each difference is a
warning with both numbers. A log without the record that ends it (MRR) may be cut: it is read, and says so. Offsets in
a gzip stream are those of what it holds.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach
from instruments.electrical.stdf_fields import Cursor, decode
from instruments.electrical.stdf_layouts import LAYOUTS, V4_2007, Layout
from instruments.electrical.stdf_results import read_functional, read_multiple, read_parametric
from instruments.electrical.stdf_scan import read_scan
from instruments.electrical.stdf_walk import GZIP_MARK, Walk, looks_like_far, opened, unpacked_head, walk
from instruments.electrical.tester_log import LogRecord, ResultBlock, TesterLog
from instruments.electrical.tester_tables import make_tables
from instruments.errors import CorruptField, InstrumentError, Truncated
from instruments.records import Record

_HEADER_BYTES = 4
_FIRST_BYTES = 6
_RESULTS: dict[str, Callable[[Walk], tuple[ResultBlock, int]]] = {
    "PTR": read_parametric,
    "MPR": read_multiple,
    "FTR": read_functional,
}
_NEEDED = {
    "MIR": "START_T",
    "MRR": "FINISH_T",
    "PCR": "PART_CNT",
    "HBR": "HBIN_CNT",
    "SBR": "SBIN_CNT",
    "PMR": "PMR_INDX",
    "PGR": "GRP_INDX",
    "WIR": "START_T",
    "WRR": "PART_CNT",
    "PIR": "SITE_NUM",
    "PRR": "HARD_BIN",
    "TSR": "TEST_NUM",
}
"""The last of the fields that a record cannot do without."""
_ONCE = ("MIR", "MRR")
_SCAN_SETUP = V4_2007 - {"VUR", "STR"}
"""Records of which two editions of V4-2007 differ; nothing in the tables rests on them."""


class StdfAdapter:
    """Reads STDF files into tables of runs, tests, parts, results, bins, wafers and pins."""

    name = "stdf"
    version = "2"
    formats = ("stdf-v4", "stdf-v4-2007")
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for a file attributes record at the beginning of ``source``."""
        if source.is_bundle:
            return Sniff(Confidence.NO, "a bundle is no STDF file")
        if looks_like_far(unpacked_head(source.head)):
            packed = " of a gzip stream" if source.head.startswith(GZIP_MARK) else ""
            return Sniff(Confidence.CERTAIN, f"an STDF file attributes record stands at the beginning{packed}")
        return Sniff(Confidence.NO, "it does not begin with an STDF file attributes record")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the tables of ``source``.

        Raises:
            CorruptField, NotThisFormat, ReadingLimit, Truncated, UnsupportedVersion: and where.
        """
        try:
            with opened(source) as data:
                log = read_log(walk(data, source.name), source.name)
                tables = make_tables(log)
        except InstrumentError as error:
            error.file = error.file or source.name
            raise
        return "stdf-v4-2007" if V4_2007 & log.counts.keys() else "stdf-v4", tables


def read_log(walked: Walk, name: str) -> TesterLog:
    """Decode all records of the file ``name``.

    Raises:
        CorruptField: a record ends inside a field, lacks one that it needs, or stands where it cannot.
        Truncated: there is no record but the first.
        UnsupportedVersion: a scan test is laid out in a way that is not known.
    """
    counts = {layout.name: int(walked.places[key].size) for key, layout in LAYOUTS.items() if key in walked.places}
    unknown = {key: places for key, places in walked.places.items() if key not in LAYOUTS}
    if set(counts) == {"FAR"} and not unknown:
        message = "the file ends after its FAR record"
        raise Truncated(message, file=name, offset=_FIRST_BYTES, expected="records", found=0)
    log = TesterLog(name, {"cpu_type": walked.data[4], "stdf_version": walked.data[5]}, [], [], counts)
    log.warnings += walked.warnings
    _check_order(walked, name)
    _warn_of_unknown(log, unknown)
    longer: Counter[str] = Counter()
    for key, layout in LAYOUTS.items():
        if key in walked.places and layout.name not in _RESULTS and layout.name not in ("FAR", "STR"):
            log.records += _read_records(walked, layout, name, longer)
    log.records.sort(key=lambda record: record.position)
    for label, read in _RESULTS.items():
        if label in counts:
            block, over = read(walked)
            log.blocks.append(block)
            longer[label] += over
    if "STR" in counts:
        block, log.scan_fails, doubts = read_scan(walked, name)
        log.blocks.append(block)
        log.warnings += doubts
    undecoded = Counter(record.name for record in log.records if "undecoded" in record.fields)
    for label, count in sorted(undecoded.items()):
        log.warnings.append(f"{count} {label} records are laid out in a way that is not known and are kept undecoded")
    for label, count in sorted(longer.items()):
        if count:
            log.warnings.append(f"{count} {label} records are longer than the specification's fields; the rest is left")
    return log


def _check_order(walked: Walk, name: str) -> None:
    for label in _ONCE:
        places = walked.of(label)
        if places.size > 1:
            message = f"the file has more than one {label} record"
            raise CorruptField(message, file=name, offset=int(places[1]), expected=1, found=int(places.size))
    end = walked.of("MRR")
    if end.size:
        after = [int(places[places > end[0]][0]) for places in walked.places.values() if places[-1] > end[0]]
        if after:
            message = "a record stands after the MRR record, which ends the file"
            raise CorruptField(message, file=name, offset=min(after))


def _warn_of_unknown(log: TesterLog, unknown: dict[tuple[int, int], Any]) -> None:
    for (first, second), places in sorted(unknown.items()):
        log.counts[f"{first}-{second}"] = int(places.size)
    texts = [
        f"unknown records: {places.size} of type {first}-{second}, the first at byte {places[0]}, are not read"
        for (first, second), places in sorted(unknown.items())
    ]
    log.warn_each(texts)


def _read_records(walked: Walk, layout: Layout, name: str, longer: Counter[str]) -> list[LogRecord]:
    """Decode the records of ``layout``; those whose fields leave something over are counted in ``longer``."""
    made = []
    order = "little" if walked.order == "<" else "big"
    needed = _NEEDED.get(layout.name)
    for position in walked.of(layout.name).tolist():
        length = int.from_bytes(walked.data[position : position + 2], order)  # type: ignore[arg-type]
        start = position + _HEADER_BYTES
        cursor = Cursor(walked.data, (start, start + length), walked.order, layout.name)
        try:
            fields = decode(layout, cursor)
        except CorruptField:
            if layout.name not in _SCAN_SETUP:
                raise
            fields = {"undecoded": bytes(walked.data[start : start + length]).hex()}
        if needed and needed not in fields:
            message = f"the record {layout.name} ends before its {needed}"
            raise CorruptField(message, file=name, offset=position, found=length)
        longer[layout.name] += cursor.position < cursor.end
        made.append(LogRecord(position, layout.name, fields))
    return made
