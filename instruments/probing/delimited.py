"""Waveforms as delimited text: a time column and value columns, of this project or of an oscilloscope's export.

Three independent facts must agree before a file is believed: the lines counted on its bytes, the rows parsed, and
the count in its header where there is one. The time column is checked cell by cell against ``t0 + i * dt``; printed
times are rounded, and what rounding explains is accepted, a missing or repeated sample is not.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach
from instruments.errors import CorruptField, CountMismatch, InstrumentError, NotThisFormat, Truncated
from instruments.probing.delimited_axis import (
    Axis,
    AxisCheck,
    check_counter,
    compare_with_header,
    printed_step,
    stretched,
)
from instruments.probing.delimited_heading import read_heading
from instruments.probing.delimited_infiniium import is_infiniium, open_infiniium, read_infiniium
from instruments.probing.delimited_text import (
    Opening,
    RawCount,
    count_lines,
    find_opening,
    iterate_blocks,
    row_cells,
    to_number,
)
from instruments.probing.delimited_titles import Heading
from instruments.probing.delimited_two_byte import is_two_byte, narrow, narrow_head
from instruments.records import Record, Samples, Segment, Waveform

_SEND_PAIR = (
    "if the first column is no time, which nothing in the file says, send the settings and samples that the "
    "oscilloscope keeps (of Rohde & Schwarz .bin and .Wfm.bin, as one bundle)"
)
KEPT_BYTES = 16 << 20
"""Text up to this size is parsed once and kept; a longer one is parsed again for each of its columns."""


class DelimitedAdapter:
    """Reads a table of regularly sampled values into one waveform for each value column."""

    name = "delimited"
    version = "9"
    formats = ("delimited",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for a header that names a time, and for rows of numbers below it."""
        if source.is_bundle:
            return Sniff(Confidence.NO, "a bundle is not a table")
        if is_infiniium(source.head):
            return Sniff(Confidence.LIKELY, "properties of a waveform, as Keysight Infiniium writes them")
        try:
            if is_two_byte(source):
                source = narrow_head(source)
            opening = find_opening(source)
            heading = read_heading(source, opening)
        except InstrumentError as error:
            level = Confidence.NO if isinstance(error, NotThisFormat) else Confidence.LIKELY
            return Sniff(level, error.message)
        if heading.writer == "bare":
            return Sniff(Confidence.POSSIBLE, "rows of numbers without a header")
        return Sniff(Confidence.LIKELY, f"rows of numbers below the header of a waveform ({heading.writer})")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return a waveform for each value column of ``source``.

        Raises:
            NotThisFormat: the table has no time column.
            CorruptField, Truncated: a row is not right, or the times are not evenly spaced, with the line.
            CountMismatch: rows, lines and the header's count do not agree.
            UnsupportedVersion: the writer is known and this variant of its files is not.
        """
        if is_infiniium(source.head):
            opening = open_infiniium(source)
            raw = count_lines(source, opening)
            return "delimited", read_infiniium(source, opening, raw, _check_end(source, opening, raw))
        if is_two_byte(source):
            with tempfile.TemporaryDirectory(prefix="faultlight-text-") as folder:
                return "delimited", _read_table(narrow(source, Path(folder), KEPT_BYTES))
        return "delimited", _read_table(source)


def _read_table(source: Source) -> tuple[Waveform, ...]:
    opening = find_opening(source)
    heading = read_heading(source, opening)
    raw = count_lines(source, opening)
    if heading.writer == "bare" and raw.lines < 2:
        message = "a single line without a header is no waveform"
        raise NotThisFormat(message, file=source.name, expected="2 lines or more", found=raw.lines)
    heading = _part_acquisitions(source, opening, heading, raw)
    _check_count(source, heading, raw)
    warnings = [*heading.warnings, *_check_end(source, opening, raw)]
    table = _scan(source, opening, heading, raw)
    warnings += [*table.axis.warnings, *table.remarks()]
    if heading.writer == "rigol" and heading.dt_s is None and table.axis.dt_s:
        doubt = stretched(table.axis.dt_s, table.rows)
        warnings += [doubt] if doubt else []
    if heading.digital:
        return (_lines_waveform(heading, table, tuple(warnings)),)
    return tuple(_waveforms(heading, table, tuple(warnings)))


@dataclass
class _Table:
    """The rows of a file after one pass over all of them.

    ``kept`` has them all, ``None`` when they are too many; ``blocks`` gives them again.
    """

    rows: int
    axis: Axis
    ranges: NDArray[np.float64]
    kept: NDArray[np.float64] | None
    source: Source
    opening: Opening
    empty: int = 0
    not_a_number: int = 0
    infinite: int = 0

    def blocks(self) -> Iterator[NDArray[np.float64]]:
        """Yield the rows, all columns."""
        if self.kept is not None:
            yield self.kept
            return
        for block in iterate_blocks(self.source, self.opening):
            yield block.values

    def remarks(self) -> Iterator[str]:
        """Yield what is odd about the values."""
        if self.empty:
            yield f"{self.empty} empty cells are not-a-number here"
        if self.not_a_number > self.empty:
            yield f"{self.not_a_number - self.empty} values are not a number"
        if self.infinite:
            yield f"{self.infinite} values are infinite (out of range)"


def _check_count(source: Source, heading: Heading, raw: RawCount) -> None:
    if heading.rows is None or raw.lines == heading.rows:
        return
    kind = Truncated if raw.lines < heading.rows else CountMismatch
    raise kind("the header declares another number of rows", file=source.name, expected=heading.rows, found=raw.lines)


def _part_acquisitions(source: Source, opening: Opening, heading: Heading, raw: RawCount) -> Heading:
    """Return ``heading`` with as many segments as there are acquisitions in a history without a header.

    Only times that begin again tell them apart; whether each is regular, and all are alike, is checked with the times.
    """
    if heading.writer != "bare" or heading.axis != "time" or raw.lines < 4:
        return heading
    cells = (opening.rows[0][0], opening.rows[1][0], (row_cells(raw.last, opening.dialect) or [""])[0])
    first, second, last = (to_number(cell, opening.dialect.decimal_comma) for cell in cells)
    if first is None or second is None or last is None or last >= first + (raw.lines - 1) * (second - first) / 2:
        return heading
    restarts, previous = 0, np.empty(0)
    for block in iterate_blocks(source, opening):
        times = np.concatenate((previous, block.values[:, 0]))
        restarts += int(np.count_nonzero(np.diff(times) < 0))
        previous = times[-1:]
    segments = restarts + 1
    if raw.lines % segments or raw.lines // segments < 2:
        return heading
    warning = "the times begin again: each acquisition is a segment, and when it was triggered is not known"
    return replace(
        heading, segments=segments, trigger_offsets_s=(None,) * segments, warnings=(*heading.warnings, warning)
    )


def _check_end(source: Source, opening: Opening, raw: RawCount) -> tuple[str, ...]:
    """A last line without a line end may be cut: where all rows are printed alike, it must be like them."""
    if raw.ended:
        return ()
    shapes = {tuple(_shape(cell) for cell in row) for row in opening.rows[: raw.lines - 1]}
    cells = row_cells(raw.last, opening.dialect)[: opening.dialect.columns]
    if len(shapes) == 1 and raw.lines > 3 and tuple(_shape(cell) for cell in cells) not in shapes:
        line = len(opening.header) + raw.lines
        message = "the file ends inside its last row"
        raise Truncated(message, file=source.name, offset=line, found=raw.last[:80], offset_unit="line")
    return ("the last line has no line end; its last value may be cut",)


def _shape(text: str) -> str:
    """Return ``text`` with every digit as 9 and without signs: the format that it was printed in."""
    return re.sub(r"(^|(?<=[,;\seEdD]))[+-]", "", re.sub(r"\d", "9", text))


def _scan(source: Source, opening: Opening, heading: Heading, raw: RawCount) -> _Table:
    """Parse all rows once: count them, follow the time axis, and note the range of every column."""
    columns = opening.dialect.columns
    if raw.lines % heading.segments:
        message = "the rows do not divide into the segments"
        raise CountMismatch(message, file=source.name, expected=heading.segments, found=raw.lines)
    check = _start_check(source, opening, heading, raw)
    ranges = np.array([[np.inf, -np.inf]] * columns)
    table = _Table(0, Axis(None, (None,)), ranges, None, source, opening)
    kept: list[NDArray[np.float64]] = []
    first: float | None = None
    for block in iterate_blocks(source, opening):
        values = block.values
        if heading.axis == "counter":
            first = float(values[0, 0]) if first is None else first
            check_counter(source.name, values[:, 0], block.lines, first + table.rows)
        elif heading.axis and check is None and not np.isfinite(values[:, 0]).all():
            raise CorruptField("a time is no finite number", file=source.name, found=float(values[0, 0]))
        elif check is not None:
            check.follow(values[:, 0], block.lines)
        data = values[:, 1:] if heading.axis else values
        table.rows += len(values)
        table.empty += block.empty
        low, high = data.min(axis=0), data.max(axis=0)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):  # not-a-number comes through
            finite = np.isfinite(data)
            table.not_a_number += int(np.isnan(data).sum())
            table.infinite += int(np.isinf(data).sum())
            low = np.where(finite, data, np.inf).min(axis=0)
            high = np.where(finite, data, -np.inf).max(axis=0)
        ranges[-data.shape[1] :, 0] = np.minimum(ranges[-data.shape[1] :, 0], low)
        ranges[-data.shape[1] :, 1] = np.maximum(ranges[-data.shape[1] :, 1], high)
        if source.size_bytes <= KEPT_BYTES:
            kept.append(values)
    if table.rows != raw.lines:
        message = "lines and rows do not agree"
        raise CountMismatch(message, file=source.name, expected=raw.lines, found=table.rows)
    table.kept = np.concatenate(kept) if kept else None
    table.axis = _conclude(source, opening, heading, check, first)
    return table


def _start_check(source: Source, opening: Opening, heading: Heading, raw: RawCount) -> AxisCheck | None:
    """Return a check of the time column, ``None`` without one or with a single row a segment."""
    size = raw.lines // heading.segments
    if heading.axis != "time" or size < 2:
        return None
    if heading.segments == 1:
        comma = opening.dialect.decimal_comma
        last_row = row_cells(raw.last, opening.dialect) or [""]
        ends = [to_number(cell, comma) for cell in (opening.rows[0][0], last_row[0])]
        if None not in ends and np.isfinite(np.array(ends, np.float64)).all():
            first, last = np.array(ends, np.float64).reshape(2, 1)
            return AxisCheck(source.name, first, last, size)
    starts, lasts = np.zeros(heading.segments), np.zeros(heading.segments)
    row = 0
    for block in iterate_blocks(source, opening):
        times = block.values[:, 0]
        index = np.arange(row, row + times.size)
        row += times.size
        inside = index < size * heading.segments
        for place, target in ((0, starts), (size - 1, lasts)):
            here = inside & (index % size == place)
            target[index[here] // size] = times[here]
    return AxisCheck(source.name, starts, lasts, size)


def _conclude(source: Source, opening: Opening, heading: Heading, check: AxisCheck | None, first: float | None) -> Axis:
    if heading.axis == "counter" and first is not None:
        if heading.dt_s is None or heading.t0_s is None:
            return Axis(None, (None,))
        return Axis(heading.dt_s, (heading.t0_s + first * heading.dt_s,))
    if not heading.axis:
        return Axis(heading.dt_s, (heading.t0_s,))
    scale = heading.time_scale_s
    if check is None:
        dt_s = heading.dt_s
        warnings: tuple[str, ...] = () if dt_s is not None else ("a single sample has no sampling interval",)
        only = float(next(iterate_blocks(source, opening)).values[0, 0]) * scale
        return Axis(dt_s, (only,) * heading.segments, warnings)
    cells = [row[0] for row in opening.rows if row]
    step = printed_step(cells, check.largest, opening.dialect.decimal_comma)
    try:
        warnings = check.conclude(step)
    except CorruptField as error:
        if heading.writer == "bare":
            error.message = f"{error.message}; {_SEND_PAIR}"
        raise
    axis = Axis(check.interval * scale, tuple(float(start) * scale for start in check.starts), warnings)
    if heading.dt_s is None or heading.t0_s is None:
        return axis
    compare_with_header(source.name, axis, heading.t0_s, heading.dt_s, step * scale, check.size)
    return Axis(heading.dt_s, (heading.t0_s,), warnings)


def _segments(heading: Heading, table: _Table) -> tuple[Segment, ...]:
    size = table.rows // heading.segments
    starts = table.axis.starts_s
    return tuple(
        Segment(size, start, trigger) for start, trigger in zip(starts, heading.trigger_offsets_s, strict=True)
    )


def _waveforms(heading: Heading, table: _Table, warnings: tuple[str, ...]) -> Iterator[Waveform]:
    skipped = int(heading.axis != "")
    for index, (name, unit) in enumerate(zip(heading.names, heading.units, strict=True)):
        column = index + skipped
        low, high = (float(value) for value in table.ranges[column])
        if table.kept is not None:
            samples = Samples.of(table.kept[:, column])
        else:
            samples = Samples(np.dtype("<f8"), table.rows, partial(_column, table, column))
        yield Waveform(
            name=name,
            samples=samples,
            unit=unit,
            dt_s=table.axis.dt_s,
            segments=_segments(heading, table),
            minimum=low if low <= high else None,
            maximum=high if low <= high else None,
            vendor_metadata={"writer": heading.writer, **heading.metadata},
            warnings=warnings,
        )


def _column(table: _Table, column: int) -> Iterator[NDArray[np.float64]]:
    for values in table.blocks():
        yield np.ascontiguousarray(values[:, column])


def _lines_waveform(heading: Heading, table: _Table, warnings: tuple[str, ...]) -> Waveform:
    """Return parallel lines as one waveform of words; ``_D<number>`` in a column's name is its bit."""
    bits = line_bits(heading.names)
    dtype = np.dtype(f"<u{next(size for size in (1, 2, 4, 8) if 8 * size > max(bits))}")
    for values in table.blocks():
        if not np.isin(values[:, 1:], (0.0, 1.0)).all():
            raise CorruptField("a logic level is neither 0 nor 1", file=table.source.name)
    blocks = partial(_words, table, bits, dtype)
    extremes = [(int(words.min()), int(words.max())) for words in blocks() if words.size]
    return Waveform(
        name=heading.names[0].rpartition("_D")[0] or "lines",
        samples=Samples(dtype, table.rows, blocks),
        unit=heading.units[0],
        dt_s=table.axis.dt_s,
        segments=_segments(heading, table),
        minimum=float(min(low for low, _ in extremes)),
        maximum=float(max(high for _, high in extremes)),
        kind="digital_lines",
        vendor_metadata={
            "writer": heading.writer,
            "lines": dict(zip(heading.names, bits, strict=True)),
            **heading.metadata,
        },
        warnings=warnings,
    )


def line_bits(names: tuple[str, ...]) -> tuple[int, ...]:
    """Return the bit of each line: the number after ``_D`` or ``D`` in its name, or else its place from the left."""
    numbers = [name.rpartition("_D")[2].removeprefix("D") for name in names]
    if all(number.isascii() and number.isdigit() and int(number) < 64 for number in numbers):
        bits = tuple(int(number) for number in numbers)
        if len(set(bits)) == len(bits):
            return bits
    return tuple(range(len(names)))


def _words(table: _Table, bits: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    for values in table.blocks():
        words = np.zeros(len(values), dtype)
        for column, bit in enumerate(bits, 1):
            words |= values[:, column].astype(dtype) << np.array(bit, dtype)
        yield words
