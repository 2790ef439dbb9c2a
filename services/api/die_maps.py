"""Dies of a stored tester's log or wafer map by wafer, with bins, verdicts and the readings of one test."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from db.blobs import BlobMissing, BlobStore
from db.pagination import MAX_PAGE, PageRequest
from db.repositories.access import RowNotFound
from db.repositories.catalogue import TABLES, list_page
from db.repositories.tables import StoredTable, find_tables_of_files
from services.api.context import RequestUnit
from services.problems import Problem

if TYPE_CHECKING:
    from services.pipelines.reliability.tested_parts import Integers, TestedParts, TestName
    from services.pipelines.table_source import SourceTable

KINDS = ("test_run", "test_item", "test_part", "test_result", "test_wafer", "wafer_map")
"""Of the tables that know places of dies."""
MOST_BYTES = 128 << 20
"""Of one table: more is not unpacked for a page."""
_RESULT_COLUMNS = frozenset({"part_index", "test_index", "value", "element"})
_ELEMENT = re.compile(r"^(?P<label>.*)\[(?P<element>[0-9]{1,6})\]$")


@dataclass(frozen=True)
class MapRequest:
    """What of a file is wanted: lot and wafer, by default the first; and of which test the readings."""

    lot: str | None = None
    wafer: str | None = None
    test: str | None = None


@dataclass(frozen=True)
class DieMaps:
    """The dies of a file.

    Attributes:
        parts: those that have a place, and those that have none; readings of the test that is asked for alone.
        wafers: rows of the parts with a place, by lot and wafer.
        tests: labels and units of the tests of the file with readings, in order of number.
        chosen: the test that is asked for.
    """

    parts: TestedParts
    wafers: dict[tuple[str, str], Integers]
    tests: list[tuple[str, str]]
    chosen: TestName | None


def load_maps(unit: RequestUnit, blobs: BlobStore, file_id: uuid.UUID, test: str | None) -> DieMaps:
    """Return the dies of the file, with the readings of ``test``.

    Raises:
        RowNotFound: there is no such file with tested dies, or not for the caller.
        Problem: its dies have no places, there is no such test, or a table is too large for a page.
        BlobMissing: stored bytes are not there.
    """
    # Whoever asks for no map need not load what reads files.
    from services.pipelines.reliability.tested_parts import collect_parts  # noqa: PLC0415
    from services.pipelines.table_source import TableRefused  # noqa: PLC0415

    stored = _readable_tables(unit, file_id)
    runs: list[list[StoredTable]] = []
    for each in stored:
        if not runs or each.row.kind in ("test_run", "wafer_map"):
            runs.append([])
        runs[-1].append(each)
    sources: list[SourceTable] = []
    tests: dict[tuple[int, str], tuple[str, str]] = {}
    for run in runs:
        of_run = [_unpack(blobs, each) for each in run if each.row.kind != "test_result"]
        tests |= _list_tests(of_run)
        results = [each for each in run if each.row.kind == "test_result"] if test is not None else []
        sources += of_run + [
            _readings_of(test or "", _unpack(blobs, each, _RESULT_COLUMNS), of_run) for each in results
        ]
    try:
        parts = collect_parts(sources)
    except TableRefused as error:
        raise Problem("invalid-request", str(error)) from error
    placed = np.isfinite(parts.column) & np.isfinite(parts.row)
    wafers = {key: rows[placed[rows]] for key, rows in parts.wafers().items() if placed[rows].any()}
    if not wafers:
        raise Problem("invalid-request", f"none of the {parts.count} parts of this file has a place on a wafer")
    return DieMaps(parts, wafers, [tests[key] for key in sorted(tests)], _chosen(parts, test))


def find_wafer(maps: DieMaps, request: MapRequest) -> tuple[str, str]:
    """Return lot and wafer that are asked for, by default the first; raises a problem when there is no such."""
    for lot, wafer in maps.wafers:
        if request.lot in (None, lot) and request.wafer in (None, wafer):
            return lot, wafer
    raise Problem("not-found", f"the file has no dies of lot {request.lot or 'any'}, wafer {request.wafer or 'any'}")


def describe_wafer(maps: DieMaps, key: tuple[str, str]) -> dict[str, Any]:
    """Return the dies of the wafer ``key`` as columns, row by row."""
    parts, rows = maps.parts, maps.wafers[key]
    rows = rows[np.lexsort((parts.column[rows], parts.row[rows]))]
    values = np.full(parts.count, np.nan)
    if maps.chosen is not None:
        readings = parts.readings[maps.chosen]
        values[readings.part] = readings.value
    failed = parts.failed
    places = rows.tolist()
    return {
        "lot": key[0],
        "wafer": key[1],
        "x": parts.column[rows].astype(int).tolist(),
        "y": parts.row[rows].astype(int).tolist(),
        "part": [parts.part_id[each] for each in places],
        "verdict": ["none" if np.isnan(failed[each]) else "fail" if failed[each] else "pass" for each in places],
        "hard_bin": [parts.hard_bin[each] for each in places],
        "soft_bin": [parts.soft_bin[each] for each in places],
        "value": None if maps.chosen is None else [v if np.isfinite(v) else None for v in values[rows].tolist()],
    }


def summarize_wafers(maps: DieMaps) -> list[dict[str, Any]]:
    """Return lot, wafer and counts of each wafer, in order of name."""
    found = []
    for (lot, wafer), rows in maps.wafers.items():
        failed = maps.parts.failed[rows]
        counts = {"dies": int(rows.size), "passed": int((failed == 0).sum()), "failed": int((failed == 1).sum())}
        found.append({"lot": lot, "wafer": wafer} | counts)
    return found


def _readable_tables(unit: RequestUnit, file_id: uuid.UUID) -> list[StoredTable]:
    found = list_page(unit.connection, unit.caller, TABLES, {"raw_file": file_id}, PageRequest(MAX_PAGE))
    if not found.rows:
        raise RowNotFound("file with tested dies", file_id)
    # Whose one table the caller may read, of the same file he may read all: a file is of one program.
    stored = find_tables_of_files(unit.connection, [file_id], KINDS)
    if not any(each.row.kind in ("test_part", "wafer_map") for each in stored):
        raise RowNotFound("file with tested dies", file_id)
    return stored


def _unpack(blobs: BlobStore, stored: StoredTable, columns: frozenset[str] | None = None) -> SourceTable:
    from instruments.table_codec import decode_table  # noqa: PLC0415  (pyarrow loads where tables are unpacked only)
    from services.pipelines.table_source import SourceTable  # noqa: PLC0415

    row = stored.row
    if row.byte_length > MOST_BYTES:
        raise Problem("invalid-request", f"a table of {row.byte_length:,} bytes is too large to be drawn")
    data = blobs.read_range(row.blob_key, row.byte_offset, row.byte_length)
    if len(data) != row.byte_length:
        raise BlobMissing(row.blob_key)
    adapter = f"{stored.adapter}/{stored.adapter_version}"
    return SourceTable(decode_table(data, columns), stored.file, stored.sha256, adapter)


def _list_tests(sources: Sequence[SourceTable]) -> dict[tuple[int, str], tuple[str, str]]:
    """Return label and unit of each test with readings, by number and name."""
    from services.pipelines.reliability.tested_parts import TestName  # noqa: PLC0415

    found: dict[tuple[int, str], tuple[str, str]] = {}
    for source in sources:
        if source.table.kind == "test_item":
            kinds, names, units = source.texts("kind"), source.texts("name"), source.texts("unit")
            for row, number in enumerate(source.table.columns["test_number"].tolist()):
                if kinds[row] in ("parametric", "multiple"):
                    label = TestName(int(number), names[row], units[row]).label
                    found.setdefault((int(number), names[row]), (label, units[row]))
    return found


def _readings_of(test: str, results: SourceTable, run: Sequence[SourceTable]) -> SourceTable:
    """Return the rows of ``results`` that are of ``test``, as the items of its ``run`` say."""
    # Brackets are an element of an array, or part of a name such as that of a pin.
    matched = _ELEMENT.match(test)
    asked = {test, matched["label"] if matched else test}
    wanted: list[int] = []
    for items in (each for each in run if each.table.kind == "test_item"):
        numbers, names = items.table.columns["test_number"].tolist(), items.texts("name")
        wanted += [
            row
            for row, (number, name) in enumerate(zip(numbers, names, strict=True))
            if asked & {str(number), name, f"{number} {name}".strip()}
        ]
    kept = np.isin(results.table.columns["test_index"], wanted)
    columns = {name: values[kept] for name, values in results.table.columns.items()}
    return replace(results, table=replace(results.table, columns=columns))


def _chosen(parts: TestedParts, test: str | None) -> TestName | None:
    if test is None:
        return None
    known = sorted(parts.readings, key=lambda each: (each.number, each.name, each.element or 0))
    for each in known:
        if test in (each.label, replace(each, element=None).label, each.name, str(each.number)):
            return each
    raise Problem("not-found", f"no die has a reading of a test {test!r}")
