"""Keysight and Agilent Infiniium tables: a line for each property, then ``Data:`` and the samples.

Source: "CSV and TSV Header Format" in the Infiniium programmer's references, and an export of an N8900A. Each property
has one value for each waveform. A row holds time and value of every waveform in turn, or one time and all values, or
values alone. Waveforms that count the time since the first segment are the segments of one. Declared points are
compared with rows and lines, every printed time with ``XOrg + i * XInc``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Source
from instruments.errors import CorruptField, CountMismatch, ReadingLimit, Truncated, UnsupportedVersion
from instruments.probing.delimited_axis import Axis, AxisCheck, compare_with_header, printed_step
from instruments.probing.delimited_cells import trimmed
from instruments.probing.delimited_text import (
    Opening,
    RawCount,
    decode,
    find_opening,
    iterate_blocks,
    row_cells,
    split,
    to_number,
)
from instruments.probing.delimited_titles import (
    TIME_UNITS,
    UNKNOWN_UNIT,
    count_in,
    interval_in,
    metadata_of,
    normal_unit,
    number_in,
)
from instruments.records import Samples, Segment, Waveform

KEPT_BYTES = 16 << 20
"""Text up to this size is parsed once and kept; a longer one is parsed again for each of its columns."""
MAX_SEGMENTED_BYTES = 512 << 20
MAX_HEADER_BYTES = 8 << 20
"""A header with thousands of segments is longer than what is sniffed at."""
_PROPERTY = re.compile(r'\s*"?([A-Za-z][\w ]*?)\s*::?"?[\s,;]*(.*)', re.DOTALL)
_FIRST = ("revision", "type", "start", "points")
_FIRST_LINES = 6
_NEEDED = ("points", "xinc", "xorg")
_KINDS = ("raw", "normal", "interpol", "aver", "high res", "hres")
_SINCE = "time since seg 1"


def is_infiniium(head: bytes) -> bool:
    """Tell whether a file that begins with ``head`` is such a table."""
    lines = decode(head)[0].splitlines()[:_FIRST_LINES]
    found = [match[1].lower() for line in lines if (match := _PROPERTY.match(line))][: len(_FIRST)]
    return len(found) > 1 and tuple(found) == _FIRST[: len(found)]


@dataclass(frozen=True)
class _Layout:
    """Which columns hold what, and what the header says of each waveform.

    Attributes:
        names, units, starts_s: of each waveform (or segment).
        time_columns: the column with the times of each; empty when no times are printed.
        value_columns: the column with the values of each.
        triggers_s: time of each segment since the first; empty when the waveforms are no segments.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    starts_s: tuple[float, ...]
    dt_s: float
    points: int
    time_columns: tuple[int, ...]
    value_columns: tuple[int, ...]
    triggers_s: tuple[float, ...]
    averages: int | None
    warnings: tuple[str, ...] = ()


@dataclass
class _Values:
    """All values after one pass: ``kept`` has shape ``(points, waveforms)``, ``None`` when they are read again."""

    kept: NDArray[np.float64] | None
    ranges: NDArray[np.float64]
    rows: int = 0
    odd: int = 0


def open_infiniium(source: Source) -> Opening:
    """Find header and rows, looking further than the head of ``source`` where the header is longer.

    Raises:
        NotThisFormat: no line of numbers comes early enough.
    """
    if source.size_bytes <= len(source.head):
        return find_opening(source)
    with source.path.open("rb") as file:
        return find_opening(replace(source, head=file.read(MAX_HEADER_BYTES)))


def read_infiniium(source: Source, opening: Opening, raw: RawCount, doubts: tuple[str, ...]) -> tuple[Waveform, ...]:
    """Return the waveforms; ``doubts`` are further warnings about the whole file.

    Raises:
        CorruptField, CountMismatch, Truncated: header, lines, rows and times do not agree.
        UnsupportedVersion, ReadingLimit: what is not read, and what to do instead.
    """
    layout = _lay_out(source, opening)
    if raw.lines != layout.points:
        kind = Truncated if raw.lines < layout.points else CountMismatch
        message = "the header declares another number of points"
        raise kind(message, file=source.name, expected=layout.points, found=raw.lines)
    if layout.triggers_s and source.size_bytes > MAX_SEGMENTED_BYTES:
        message = "the text of segments is too long; save .bin"
        raise ReadingLimit(message, file=source.name, expected=MAX_SEGMENTED_BYTES, found=source.size_bytes)
    values, found = _scan(source, opening, raw, layout)
    warnings = (*layout.warnings, *found, *doubts)
    metadata = {"writer": "keysight infiniium", **metadata_of(opening)}
    again = partial(_again, source, opening)
    return tuple(_waveforms(layout, values, again, metadata, warnings))


def _properties(source: Source, opening: Opening) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    """Return the titles above the properties, if any, and the values of each property."""
    titles: tuple[str, ...] = ()
    found: dict[str, list[str]] = {}
    delimiter = opening.dialect.delimiter if opening.dialect.delimiter != " " else ","
    for line in opening.header:
        match = _PROPERTY.match(line)
        if match is None:
            if not found and line.strip():
                titles = tuple(cell for cell in split(line, delimiter) if cell)
            continue
        key = match[1].lower()
        if key == "units":
            key = "yunits" if "xunits" in found else "xunits"
        if key in found:
            raise CorruptField(f"the header says {match[1]} twice", file=source.name)
        found[key] = trimmed(split(match[2], delimiter))
    return titles, found


def _lay_out(source: Source, opening: Opening) -> _Layout:
    titles, found = _properties(source, opening)
    for key in _NEEDED:
        if not found.get(key):
            raise CorruptField(f"the Infiniium header has no {key}", file=source.name)
    count = len(found["xorg"])
    for key in (*_NEEDED, _SINCE):
        if len(found.get(key, [""])) not in ((count,) if key == _SINCE in found else (1, count)):
            message = f"the header gives {key} for another number of waveforms than xorg"
            raise CountMismatch(message, file=source.name, expected=count, found=len(found[key]))
    _check_kind(source, found)
    points = {count_in(source, text, "Points") for text in found["points"]}
    intervals = {interval_in(source, text, "XInc") for text in found["xinc"]}
    if len(points) > 1 or len(intervals) > 1:
        message = "the waveforms have different lengths or intervals; save each channel in a file of its own"
        raise UnsupportedVersion(message, file=source.name)
    starts = tuple(number_in(source, text, "XOrg") for text in found["xorg"])
    triggers = tuple(number_in(source, text, "Time Since Seg 1") for text in found.get(_SINCE, ()))
    if count > 1 and not triggers and len(set(titles)) != count:
        message = "the header does not say whether its waveforms are channels or segments; save .bin"
        raise UnsupportedVersion(message, file=source.name, expected=f"{count} names", found=",".join(titles)[:80])
    times, values = _columns(source, opening, found, count)
    units = _units(found, count)
    warnings = ["a value column has no unit"] if UNKNOWN_UNIT in units else []
    kind = "".join(found.get("type", [])[:1]).lower()
    if kind.startswith("interpol"):
        warnings.append("the oscilloscope has interpolated between the samples (Type: interpolation)")
    averages = count_in(source, found["count"][0], "Count") if kind.startswith("aver") and found.get("count") else None
    names = tuple(titles) if len(titles) == count else tuple(f"column {index + 1}" for index in range(count))
    return _Layout(
        names, units, starts, intervals.pop(), points.pop(), times, values, triggers, averages, tuple(warnings)
    )


def _check_kind(source: Source, found: dict[str, list[str]]) -> None:
    kinds = {kind.lower() for kind in found.get("type", []) if kind}
    other = sorted(kind for kind in kinds if not kind.startswith(_KINDS))
    if other or len(kinds) != 1:
        message = "the type of the waveform is not read; save .bin"
        expected = "one of raw, normal, interpolate, average"
        raise UnsupportedVersion(message, file=source.name, expected=expected, found=",".join(sorted(kinds))[:60])
    units = {unit.lower() for unit in found.get("xunits", []) if unit}
    if not units or {TIME_UNITS.get(unit) for unit in units} != {1.0}:
        message = "the horizontal unit is not the second; this is no waveform over time"
        raise UnsupportedVersion(message, file=source.name, expected="Second", found=",".join(sorted(units))[:40])


def _units(found: dict[str, list[str]], count: int) -> tuple[str, ...]:
    given = [normal_unit(unit) for unit in found.get("yunits", [])]
    given = [UNKNOWN_UNIT if unit.lower() == UNKNOWN_UNIT else unit for unit in given]
    return tuple(given) if len(given) == count else (given[0] if len(set(given)) == 1 else UNKNOWN_UNIT,) * count


def _columns(
    source: Source, opening: Opening, found: dict[str, list[str]], count: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the columns of times and values of ``count`` waveforms."""
    columns = opening.dialect.columns
    if columns == 2 * count:
        return tuple(range(0, columns, 2)), tuple(range(1, columns, 2))
    if columns == count + 1 and len(set(found["xorg"])) == 1:
        return (0,) * count, tuple(range(1, columns))
    if columns == count:
        if any(to_number(text, False) != 0 for text in found.get("start", [])):
            message = "the file begins within the waveform (Start) and prints no times; save it with them"
            raise UnsupportedVersion(message, file=source.name, expected=0, found=",".join(found["start"])[:40])
        return (), tuple(range(columns))
    message = "the rows have another number of columns than the header's waveforms need"
    raise CountMismatch(message, file=source.name, expected=f"{count}, {count + 1} or {2 * count}", found=columns)


def _scan(source: Source, opening: Opening, raw: RawCount, layout: _Layout) -> tuple[_Values, tuple[str, ...]]:
    """Parse all rows once: count them, follow every column of times, note the range of every waveform."""
    count = len(layout.value_columns)
    keep = bool(layout.triggers_s) or source.size_bytes <= KEPT_BYTES
    values = _Values(np.empty((layout.points, count)) if keep else None, np.array([[np.inf, -np.inf]] * count))
    checks = _start_checks(source, opening, raw, layout)
    for block in iterate_blocks(source, opening):
        for column, check in checks.items():
            check.follow(block.values[:, column], block.lines)
        data = block.values[:, list(layout.value_columns)]
        if values.rows + len(data) > layout.points:
            break
        if values.kept is not None:
            values.kept[values.rows : values.rows + len(data)] = data
        values.rows += len(data)
        finite = np.isfinite(data)
        values.odd += int(data.size - np.count_nonzero(finite))
        values.ranges[:, 0] = np.minimum(values.ranges[:, 0], np.where(finite, data, np.inf).min(axis=0))
        values.ranges[:, 1] = np.maximum(values.ranges[:, 1], np.where(finite, data, -np.inf).max(axis=0))
    if values.rows != raw.lines:
        raise CountMismatch("lines and rows do not agree", file=source.name, expected=raw.lines, found=values.rows)
    warnings = [f"{values.odd} values are empty or not finite"] if values.odd else []
    for place, column in enumerate(layout.time_columns):
        warnings += _conclude(source, opening, layout, checks.get(column), place)
    return values, tuple(dict.fromkeys(warnings))


def _start_checks(source: Source, opening: Opening, raw: RawCount, layout: _Layout) -> dict[int, AxisCheck]:
    if layout.points < 2:
        return {}
    last = row_cells(raw.last, opening.dialect)
    checks: dict[int, AxisCheck] = {}
    for column in set(layout.time_columns):
        cells = (opening.rows[0][column], last[column] if column < len(last) else "")
        ends = np.array([to_number(cell, opening.dialect.decimal_comma) or 0.0 for cell in cells], np.float64)
        if not np.isfinite(ends).all():
            raise CorruptField("a time is no finite number", file=source.name, found=",".join(cells)[:60])
        checks[column] = AxisCheck(source.name, ends[:1], ends[1:], layout.points)
    return checks


def _conclude(
    source: Source, opening: Opening, layout: _Layout, check: AxisCheck | None, place: int
) -> tuple[str, ...]:
    """Compare the times of one waveform with what the header says of it."""
    column = layout.time_columns[place]
    cells = [row[column] for row in opening.rows]
    comma = opening.dialect.decimal_comma
    first = to_number(cells[0], comma) or 0.0
    step = printed_step(cells, check.largest if check else abs(first), comma)
    warnings = check.conclude(step) if check else ()
    axis = Axis(check.interval if check else None, (first,))
    compare_with_header(source.name, axis, layout.starts_s[place], layout.dt_s, step, layout.points)
    return warnings


def _again(source: Source, opening: Opening, column: int) -> Iterator[NDArray[np.float64]]:
    for block in iterate_blocks(source, opening):
        yield np.ascontiguousarray(block.values[:, column])


def _waveforms(
    layout: _Layout, values: _Values, again: Any, metadata: dict[str, Any], warnings: tuple[str, ...]
) -> Iterator[Waveform]:
    if layout.triggers_s and values.kept is not None:
        segments = tuple(
            Segment(layout.points, start, trigger)
            for start, trigger in zip(layout.starts_s, layout.triggers_s, strict=True)
        )
        groups = [(layout.names[0], Samples.of(values.kept.T.ravel()), segments, values.ranges)]
    else:
        groups = []
        for index, column in enumerate(layout.value_columns):
            if values.kept is not None:
                samples = Samples.of(values.kept[:, index])
            else:
                samples = Samples(np.dtype("<f8"), layout.points, partial(again, column))
            segments = (Segment(layout.points, layout.starts_s[index], 0.0),)
            groups.append((layout.names[index], samples, segments, values.ranges[index : index + 1]))
    for index, (name, samples, segments, ranges) in enumerate(groups):
        low, high = float(ranges[:, 0].min()), float(ranges[:, 1].max())
        yield Waveform(
            name=name,
            samples=samples,
            unit=layout.units[index],
            dt_s=layout.dt_s,
            segments=segments,
            minimum=low if low <= high else None,
            maximum=high if low <= high else None,
            averages=layout.averages,
            vendor_metadata=metadata,
            warnings=warnings,
        )
