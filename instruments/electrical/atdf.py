"""ATDF, the text form of STDF V4, into the same tables.

Variants: any delimiter (the character after ``FAR:A``), scaled and unscaled values, records that go on in lines that
begin with a blank, LF and CR LF. Kept: as for STDF; values and limits stay in the unit that the file writes. Second
count: lines that begin a record in the raw bytes against the records decoded, and the tester's own totals. Refused: a
last record that is cut, fields of the wrong type, flags without a meaning, other versions than 4.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach
from instruments.electrical.atdf_fields import FIELDS, Line, convert, flags_of, part_flags, with_options
from instruments.electrical.tester_log import LogRecord, ResultBlock, TesterLog
from instruments.electrical.tester_tables import make_tables
from instruments.errors import (
    CorruptField,
    CountMismatch,
    NotThisFormat,
    ReadingLimit,
    Truncated,
    UnsupportedVersion,
)
from instruments.records import Record

MAX_BYTES = 256 << 20
_MARK = b"FAR:A"
_RECORD = re.compile(rb"^[A-Z]{3}:", re.MULTILINE)
_NAME_LENGTH = 3
_KINDS = {"PTR": "parametric", "MPR": "multiple", "FTR": "functional"}
_EXTRAS = {
    "cycle": "CYCL_CNT",
    "relative_address": "REL_VADR",
    "repeat_count": "REPT_CNT",
    "failing_pins": "NUM_FAIL",
    "fail_x": "XFAIL_AD",
    "fail_y": "YFAIL_AD",
    "vector_offset": "VECT_OFF",
}
_OF_RECORD = frozenset(
    {"TEST_NUM", "HEAD_NUM", "SITE_NUM", "RESULT", "RTN_RSLT", "VERDICT", "ALARMS", "COMPARE", *_EXTRAS.values()}
)
"""Fields that belong to the single record and define nothing."""


class AtdfAdapter:
    """Reads a tester's text log into tables: run, items, parts, results, wafers, bins, pins."""

    name = "atdf"
    version = "3"
    formats = ("atdf",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for ``FAR:A`` and a delimiter at the beginning of ``source``."""
        head = source.head.removeprefix(b"\xef\xbb\xbf")
        if head.startswith(_MARK) and len(head) > len(_MARK) and not head[5:6].isalnum():
            return Sniff(Confidence.CERTAIN, "the file begins with the FAR record of ATDF")
        return Sniff(Confidence.NO, "the file does not begin with FAR:A")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the tables of ``source``.

        Raises:
            Truncated, CorruptField, CountMismatch, UnsupportedVersion, NotThisFormat, ReadingLimit: and why.
        """
        if source.size_bytes > MAX_BYTES:
            message = "the file is too large to be read whole"
            raise ReadingLimit(message, file=source.name, expected=MAX_BYTES, found=source.size_bytes)
        data = (source.path.read_bytes() if not source.is_bundle else b"").removeprefix(b"\xef\xbb\xbf")
        if not self.sniff(source).confidence or not data.startswith(_MARK):
            raise NotThisFormat("the file does not begin with FAR:A", file=source.name, offset=0)
        lines = _split(source, data)
        return "atdf", make_tables(_read_log(source, lines))


def _split(source: Source, data: bytes) -> list[Line]:
    """Return the records of ``data``, their continuation lines joined.

    Raises:
        CorruptField: a line is neither a record nor the continuation of one.
        Truncated: the last record has no end of line and does not end the log.
        CountMismatch: the records are not as many as their beginnings in the raw bytes.
    """
    delimiter = chr(data[len(_MARK)])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    texts: list[str] = []
    numbers: list[int] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.rstrip("\r")
        if not line.strip():
            continue
        if line[0] == " " and texts:
            texts[-1] += line[1:]
        elif line[_NAME_LENGTH : _NAME_LENGTH + 1] == ":" and line[:_NAME_LENGTH].isupper():
            texts.append(line)
            numbers.append(number)
        else:
            message = "the line is neither a record nor the continuation of one"
            raise CorruptField(message, file=source.name, offset=number, found=line[:40], offset_unit="line")
    if not text.endswith(("\n", "\r")) and not texts[-1].startswith("MRR:"):
        message = "the file ends inside its last record"
        raise Truncated(message, file=source.name, offset=numbers[-1], found=texts[-1][:40], offset_unit="line")
    counted = len(_RECORD.findall(data))
    if counted != len(texts):
        message = "the records are not as many as the lines that begin one"
        raise CountMismatch(message, file=source.name, expected=counted, found=len(texts))
    return [
        Line(number, line[:_NAME_LENGTH], _cells(line, delimiter)) for number, line in zip(numbers, texts, strict=True)
    ]


def _cells(line: str, delimiter: str) -> tuple[str, ...]:
    """Return the fields of a record; that of a DTR is all its text, delimiters too."""
    rest = line[_NAME_LENGTH + 1 :]
    return (rest,) if line.startswith("DTR") else tuple(rest.split(delimiter))


def _read_log(source: Source, lines: list[Line]) -> TesterLog:
    form = convert(lines[0], source.name)
    if form.get("STDF_VER", 4) != 4:
        message = "this version of STDF is not read"
        found = form["STDF_VER"]
        raise UnsupportedVersion(message, file=source.name, offset=1, expected=4, found=found, offset_unit="line")
    counts = Counter(line.name for line in lines)
    if counts["FAR"] > 1:
        message = "the file has more than one FAR record; it is several files in one"
        raise CorruptField(message, file=source.name, expected=1, found=counts["FAR"])
    records: list[LogRecord] = []
    tests: dict[str, list[tuple[Line, dict[str, Any]]]] = {name: [] for name in _KINDS}
    warnings = []
    for line in lines:
        if line.name == "GDR":
            records.append(LogRecord(line.number, "GDR", {"GEN_DATA": list(line.fields)}))
        elif line.name in FIELDS:
            fields = convert(line, source.name)
            if line.name in tests:
                tests[line.name].append((line, fields))
                continue
            if line.name == "PRR":
                fields["PART_FLG"] = part_flags(fields, line, source.name)
            records.append(LogRecord(line.number, line.name, fields))
    unknown = {name: count for name, count in counts.items() if name not in FIELDS and name != "GDR"}
    for name, count in sorted(unknown.items()):
        warnings.append(f"{count} records of the unknown type {name} are not read")
    blocks = [_block(name, entries, source.name) for name, entries in tests.items() if entries]
    log = TesterLog(source.name, form, records, blocks, dict(counts))
    log.offset_unit = "line"
    log.warnings += warnings
    return log


def _block(name: str, entries: list[tuple[Line, dict[str, Any]]], file: str) -> ResultBlock:
    flags = [flags_of(fields, line, file) for line, fields in entries]
    seen: set[int] = set()
    places: dict[str, int] = {}
    definitions: list[dict[str, Any]] = []
    chosen: list[int] = []
    for _, fields in entries:
        own = {key: value for key, value in fields.items() if key not in _OF_RECORD}
        if name != "FTR":
            own = with_options(own, first=fields["TEST_NUM"] not in seen)
            seen.add(fields["TEST_NUM"])
        place = places.setdefault(repr(own), len(definitions))
        if place == len(definitions):
            definitions.append(own)
        chosen.append(place)
    values, states, elements = _elements(name, entries)

    def column(field: str) -> Any:
        return np.asarray([fields[field] for _, fields in entries], np.int64)

    extras = {
        key: np.asarray([fields.get(field, np.nan) for _, fields in entries], np.float64)
        for key, field in _EXTRAS.items()
        if name == "FTR"
    }
    return ResultBlock(
        kind=_KINDS[name],
        position=np.asarray([line.number for line, _ in entries], np.int64),
        number=column("TEST_NUM"),
        head=column("HEAD_NUM"),
        site=column("SITE_NUM"),
        test_flags=np.asarray([test for test, _ in flags], np.int64),
        parameter_flags=np.asarray([parameter for _, parameter in flags], np.int64),
        definition=np.asarray(chosen, np.int64),
        definitions=definitions,
        elements=np.asarray(elements, np.int64),
        values=np.asarray(values, np.float64),
        states=np.asarray(states, np.int64),
        extras=extras,
    )


def _elements(name: str, entries: list[tuple[Line, dict[str, Any]]]) -> tuple[list[float], list[int], list[int]]:
    """Return the values and pin states of all elements, and how many each record has."""
    values: list[float] = []
    states: list[int] = []
    elements: list[int] = []
    for _, fields in entries:
        own = fields.get("RTN_RSLT") if name == "MPR" else None
        own = own or [fields.get("RESULT", np.nan)]
        returned = fields.get("RTN_STAT", ()) if name == "MPR" else ()
        values += own
        states += returned if len(returned) == len(own) else [-1] * len(own)
        elements.append(len(own))
    return values, states, elements
