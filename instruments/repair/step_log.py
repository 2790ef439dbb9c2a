"""Rows of a job log as a table of repair steps: names and units mapped, order and times checked."""

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.commented_table import header_in, with_point
from instruments.errors import CorruptField, InstrumentError, cut_value
from instruments.headings import Meaning
from instruments.records import Table
from instruments.repair.log_rows import Cell, LogRows
from instruments.repair.vocabulary import REPAIR_STEP, STEP_HEADINGS
from instruments.text_lines import head_text
from instruments.units import convert, find_unit
from instruments.vocabulary import Remarks

_TYPES = {column.name: column for column in REPAIR_STEP.columns}
_NOT_NEGATIVE = frozenset(
    name for name in _TYPES if name.endswith(("_s", "_nm", "_uj", "_mw", "_hz", "_cm2", "_na", "_um2"))
) | {"passes", "divider", "pulses_per_pixel", "pitch_x_um", "pitch_y_um", "size_x_um", "size_y_um"}
_WITH_UNIT = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s].*?)\s*$")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_HEAD_NAMES = re.compile(r'<(?:[\w.-]+:)?([\w.-]+)|([\w.:-]+)\s*=\s*["\']|"([^"]+)"\s*:')
TIME_TOLERANCE_S = 1.5


def sniff_log(source: Source, own: frozenset[str], other: frozenset[str], kind: str) -> Sniff:
    """Say whether ``source`` is a log with steps and with columns of ``own``, and none of ``other`` where both fit."""
    if source.is_bundle:
        return Sniff(Confidence.NO, "a bundle is no job log")
    columns = _columns_in_head(source)
    if "step" not in columns:
        return Sniff(Confidence.NO, "no steps are named in the first lines")
    if not columns & own:
        return Sniff(Confidence.NO, f"nothing of a {kind} is named in the first lines")
    if kind != "laser" and columns & other:
        return Sniff(Confidence.NO, "it names a laser's quantities as well and is read as a laser's log")
    return Sniff(Confidence.CERTAIN, f"it has steps with {', '.join(sorted(columns & own))}")


def _columns_in_head(source: Source) -> set[str]:
    """Return the columns of the vocabulary that the beginning of ``source`` names."""
    text = head_text(source.head)
    start = text.lstrip()[:1]
    if start == "<":
        names = {piece for match in _HEAD_NAMES.finditer(text) for piece in match.groups() if piece}
        names = {name.rpartition(":")[2] for name in names}
        # The element of a row is its step, whether or not it gives its number.
        names |= {"step"} if {name.lower() for name in names} & {"entry", "record", "operation"} else set()
    elif start == "{":
        names = {match[3] for match in _HEAD_NAMES.finditer(text) if match[3]}
        names |= {f"pulse_{name}" for name in names} if "pulse" in names else set()
    else:
        names = set(header_in(text))
    found = set()
    for name in names:
        try:
            meaning = STEP_HEADINGS.meaning(name)
        except InstrumentError:
            continue
        found |= {meaning.column} | set(meaning.possible)
    return found - {""}


def make_step_table(source: Source, log: LogRows) -> Table:
    """Return the steps of ``log``.

    Raises:
        UnsupportedVersion: a column of the vocabulary is given in an unknown unit.
        CorruptField: a value is no number, negative where that cannot be, or two columns mean the same; a step has no
            number, or the number of another; a step ends before it begins.
    """
    columns: dict[str, list[Any]] = {}
    other: dict[str, tuple[NDArray[Any], str]] = {}
    meant: dict[str, str] = {}
    warnings = list(log.warnings)
    for name in log.names():
        cells = _cells(log, name)
        meaning = STEP_HEADINGS.meaning(name, log.units.get(name, ""), source.name)
        values = _own_units(meaning, cells)
        if values is not None:
            column, given = values
        elif meaning.column:
            column, given = meaning.column, _convert(source, log, name, meaning, cells)
        else:
            warnings += [meaning.warning] if meaning.warning else []
            other[name] = _keep(cells, meaning.unit_text)
            continue
        if column in meant:
            message = f"the columns {meant[column]} and {name} both mean {column}"
            raise CorruptField(message, file=source.name)
        meant[column] = name
        columns[column] = given
    if "step" not in columns:
        raise CorruptField("the log does not number its steps", file=source.name)
    _check_values(source, log, columns, meant)
    warnings += [*_check_order(source, log, columns), *_check_times(source, log, columns)]
    remarks = Remarks({"log": log.metadata, "columns": meant}, tuple(warnings))
    return REPAIR_STEP.make_table(Path(source.name).stem or source.name, columns, remarks, other)


def _cells(log: LogRows, name: str) -> list[Cell]:
    """Return what each row says under ``name``, numbers with a decimal point unless the column is text."""
    cells = [row.get(name) for row in log.rows]
    column = STEP_HEADINGS.meaning(name, log.units.get(name, "")).column if log.decimal_comma else ""
    if not log.decimal_comma or (column and _TYPES[column].type == "text"):
        return cells
    return [with_point(cell, True) if isinstance(cell, str) else cell for cell in cells]


def _at(source: Source, log: LogRows, row: int, message: str, found: Any) -> CorruptField:
    shown = found if isinstance(found, int | float) else cut_value(found, 60)
    if log.place_unit == "line":
        return CorruptField(message, file=source.name, offset=log.places[row], found=shown, offset_unit="line")
    return CorruptField(f"{message} in step {log.places[row]} of the file", file=source.name, found=shown)


def _own_units(meaning: Meaning, cells: list[Cell]) -> tuple[str, list[Any]] | None:
    """Return the column and its values when every value carries a unit of its own, such as ``0.1 ms``."""
    if not meaning.possible:
        return None
    texts = [cell for cell in cells if cell not in (None, "")]
    matches = [_WITH_UNIT.match(text) if isinstance(text, str) else None for text in texts]
    units = [find_unit(match[2]) if match else None for match in matches]
    if not units or None in units:
        return None
    for column in meaning.possible:
        wanted = find_unit(_TYPES[column].unit)
        if wanted and all(unit is not None and unit.dimension == wanted.dimension for unit in units):
            made = iter(
                [
                    convert(float(match[1]), unit, wanted)
                    for match, unit in zip(matches, units, strict=True)
                    if match is not None and unit is not None
                ]
            )
            return column, [None if cell in (None, "") else next(made) for cell in cells]
    return None


def _convert(source: Source, log: LogRows, name: str, meaning: Meaning, cells: list[Cell]) -> list[Any]:
    kind = _TYPES[meaning.column].type
    made: list[Any] = []
    for row, cell in enumerate(cells):
        if kind == "text":
            made.append(None if cell is None else str(cell))
            continue
        number = _number(cell)
        if number is None and cell not in (None, ""):
            raise _at(source, log, row, f"{name} is no number", cell)
        if kind == "integer":
            if number is None or number != int(number):
                raise _at(source, log, row, f"{name} is no whole number", "" if cell is None else cell)
            made.append(int(number))
        else:
            made.append(None if number is None else meaning.scaled(number))
    return made


def _number(cell: Cell) -> float | None:
    if isinstance(cell, bool) or cell is None:
        return None
    if isinstance(cell, str) and not _NUMBER.fullmatch(cell.strip()):
        return None
    value = float(cell)
    return value if math.isfinite(value) else None


def _keep(cells: list[Cell], unit: str) -> tuple[NDArray[Any], str]:
    """Return a vendor's own column: numbers when all are, else text."""
    given = [cell for cell in cells if cell not in (None, "")]
    numbers = [_number(cell) for cell in given]
    if given and None not in numbers:
        values = iter(numbers)
        return np.asarray([np.nan if cell in (None, "") else next(values) for cell in cells], np.float64), unit
    texts = ["" if cell is None else str(cell) for cell in cells]
    return np.asarray(texts, np.dtypes.StringDType()), unit


def _check_values(source: Source, log: LogRows, columns: dict[str, list[Any]], meant: dict[str, str]) -> None:
    for column in columns.keys() & _NOT_NEGATIVE:
        for row, value in enumerate(columns[column]):
            if value is not None and value < 0:
                raise _at(source, log, row, f"{meant[column]} is negative", value)


def _check_order(source: Source, log: LogRows, columns: dict[str, list[Any]]) -> Iterator[str]:
    """Steps of one job have numbers of their own; that they come in order is only usual."""
    jobs = columns.get("job", [""] * len(log.rows))
    slices = columns.get("slice", [None] * len(log.rows))
    seen: set[tuple[Any, Any, int]] = set()
    last: dict[tuple[Any, Any], int] = {}
    late = 0
    for row, (job, part, step) in enumerate(zip(jobs, slices, columns["step"], strict=True)):
        if (job, part, step) in seen:
            raise _at(source, log, row, "two steps have the same number", step)
        seen.add((job, part, step))
        late += step < last.get((job, part), step)
        last[job, part] = step
    if late:
        yield f"{late} steps have a lower number than the step before"


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment


def _check_times(source: Source, log: LogRows, columns: dict[str, list[Any]]) -> Iterator[str]:
    """Times that can be compared must not run backwards within a step; between steps that is a doubt."""
    starts = [_moment(text) for text in columns.get("started", [None] * len(log.rows))]
    ends = [_moment(text) for text in columns.get("ended", [None] * len(log.rows))]
    for column, moments in (("started", starts), ("ended", ends)):
        texts = columns.get(column, [])
        unread = sum(1 for text, moment in zip(texts, moments, strict=False) if text and moment is None)
        if unread:
            yield f"{unread} times in {column} are not ISO 8601 and were not checked"
        if any(moment is not None and moment.tzinfo is None for moment in moments):
            yield f"times in {column} have no time zone"
    last, backward, longer = None, 0, 0
    durations = columns.get("time_s", [None] * len(log.rows))
    for row, (start, end, duration) in enumerate(zip(starts, ends, durations, strict=True)):
        if start is not None and end is not None and (start.tzinfo is None) == (end.tzinfo is None):
            if end < start:
                raise _at(source, log, row, "the step ends before it begins", columns["ended"][row])
            longer += duration is not None and duration > (end - start).total_seconds() + TIME_TOLERANCE_S
        if start is not None and last is not None and (start.tzinfo is None) == (last.tzinfo is None):
            backward += start < last
        last = start or last
    if backward:
        yield f"{backward} steps begin before the step above them"
    if longer:
        yield f"{longer} steps took longer than from their begin to their end"
