"""What the lines above the numbers say: the writer, the columns with their units, the time axis, declared counts.

Writers known by their headers: this project (``time_s,reflectance``), LeCroy, Keysight, PicoScope, Rigol, Tektronix,
Rohde & Schwarz, and any table whose first column is a time.
"""

import re
from collections.abc import Sequence

from instruments.adapter import Source
from instruments.errors import CorruptField, CountMismatch, NotThisFormat
from instruments.probing.delimited_cells import STAMP, trimmed
from instruments.probing.delimited_notes import declared_rows, names_and_units, refuse_other_time, titles_in_comments
from instruments.probing.delimited_tektronix import KEYS, read_beside, read_tektronix
from instruments.probing.delimited_text import Opening, split
from instruments.probing.delimited_titles import (
    COUNTER_NAMES,
    TIME_NAMES,
    TIME_UNITS,
    UNITS,
    UNKNOWN_UNIT,
    Heading,
    count_in,
    interval_in,
    metadata_of,
    name_and_unit,
    normal_unit,
    number_in,
)

_CHANNEL_UNIT = re.compile(r"((?:CH|MATH|REF)\d{1,2})(V|A|W)")
_CHANNEL = re.compile(r"(?:CH|MATH|REF|D)\d")
_ULTRASCOPE = re.compile(r"CH ?\d\s*\([A-Za-z]+\)")
COMMENT = re.compile(r"\s*(#(?!\d+[,;\t])|%|!|//)")


def read_heading(source: Source, opening: Opening) -> Heading:
    """Return what the header of ``opening`` says.

    Raises:
        NotThisFormat: the first column is no time, so that this is some other table.
        UnsupportedVersion, CorruptField, CountMismatch: the writer is known, and its header is not right.
    """
    delimiter = opening.dialect.delimiter
    if opening.dialect.first:
        return read_beside(source, opening)
    kept = [line for line in opening.header if not COMMENT.match(line)]
    marked = [line.lstrip()[1:] for line in opening.header if line.lstrip().startswith("#")]
    if not any(line.strip() for line in kept) and {split(line, delimiter)[0].lower() for line in marked} >= KEYS:
        kept = marked  # Tektronix's own header, each line of it behind a #
    if not any(line.strip() for line in kept):
        kept = _commented_titles(source, opening)
    if delimiter == " ":  # "time (ns)" is one title
        kept = [re.sub(r"(?<=[^\s)\]])\s+(?=[(\[])", "", line) for line in kept]
    lines = [split(line, delimiter) for line in kept]
    lines = [line for line in lines if any(line)]
    first = lines[0] if lines else []
    keys = {line[0].lower() for line in lines if line}
    if first and first[0].upper().startswith("LECROY"):
        heading = _lecroy(source, lines)
    elif keys & {"waveform type", "zero index"} or (keys >= KEYS and lines[-1][0].upper() == "TIME"):
        heading = read_tektronix(source, lines, opening)
    elif first and first[0].lower() == "x" and len(lines) > 1 and lines[1][0].lower() == "sequence":
        heading = _rigol(source, lines, opening)
    elif lines and {match["key"].lower() for match in _stamps(lines[-1])} == {"t0", "tinc"}:
        heading = _rigol_stamped(source, lines, opening)
    elif not lines:
        heading = _bare(opening)
    else:
        heading = _table(source, lines, opening)
    values = opening.dialect.columns - (heading.axis != "")
    if values < 1 or len(heading.names) != values:
        message = "the header names another number of columns than the rows have"
        raise CorruptField(message, file=source.name, expected=values, found=len(heading.names))
    return heading


def _commented_titles(source: Source, opening: Opening) -> list[str]:
    """Return the titles if the last comment is a line of them; comments that make seconds doubtful are refused."""
    titles = titles_in_comments(opening.header)
    cells = split(titles, opening.dialect.delimiter)
    if len(cells) == opening.dialect.columns and _axis(cells[0])[0]:
        return [titles]
    refuse_other_time(source, opening.header)
    return []


def _lecroy(source: Source, lines: list[list[str]]) -> Heading:
    """``LECROYmodel,serial`` / ``Segments,n,SegmentSize,m`` / titles / ``#1,date,offset`` each / ``Time,Ampl``."""
    metadata = {"instrument": lines[0][0][len("LECROY") :], "serial": lines[0][1] if len(lines[0]) > 1 else ""}
    sizes = next((line for line in lines if line[0].lower() == "segments"), None)
    if sizes is None or len(sizes) < 4:
        raise CorruptField("the LeCroy header does not say Segments and SegmentSize", file=source.name)
    segments = count_in(source, sizes[1], "Segments")
    size = count_in(source, sizes[3], "SegmentSize")
    triggers = [line for line in lines if line[0].startswith("#")]
    if len(triggers) != segments:
        message = "the LeCroy header has another number of trigger lines than Segments"
        raise CountMismatch(message, file=source.name, expected=segments, found=len(triggers))
    offsets = tuple(number_in(source, line[2], "a trigger time") if len(line) > 2 else None for line in triggers)
    titles = lines[-1]
    if titles[0].lower() != "time":
        raise CorruptField("the LeCroy columns do not begin with Time", file=source.name, found=titles[0][:40])
    metadata["trigger_times"] = [line[1] for line in triggers if len(line) > 1]  # type: ignore[assignment]
    names = tuple(trimmed(titles[1:]))
    warnings = ("the LeCroy text gives no vertical unit",)
    return Heading(
        "lecroy",
        names,
        (UNKNOWN_UNIT,) * len(names),
        rows=segments * size,
        segments=segments,
        trigger_offsets_s=offsets,
        metadata=metadata,
        warnings=warnings,
    )


def _rigol(source: Source, lines: list[list[str]], opening: Opening) -> Heading:
    """``X,CH1,…,Start,Increment`` / ``Sequence,Volt,…,start,increment``: the first column counts from 0."""
    titles, units = trimmed(lines[0]), trimmed(lines[1])
    if [title.lower() for title in titles[-2:]] != ["start", "increment"] or len(units) != len(titles):
        message = "the Rigol header has a sequence number but no Start and Increment"
        raise CorruptField(message, file=source.name, found=",".join(lines[0])[:80])
    return Heading(
        "rigol",
        tuple(titles[1:-2]),
        tuple(normal_unit(unit) for unit in units[1:-2]),
        axis="counter",
        t0_s=number_in(source, units[-2], "Start"),
        dt_s=interval_in(source, units[-1], "Increment"),
        metadata=metadata_of(opening),
    )


def _stamps(cells: Sequence[str]) -> list[re.Match[str]]:
    return [match for cell in cells if (match := STAMP.fullmatch(cell))]


def _rigol_stamped(source: Source, lines: list[list[str]], opening: Opening) -> Heading:
    """``Time(s),CH1V,…,t0 = -5e-06, tInc = 1e-09``: newer instruments; a few leave the column of times out."""
    stamps = {match["key"].lower(): match["number"] for match in _stamps(lines[-1])}
    titles = trimmed(["" if STAMP.fullmatch(cell) else cell for cell in lines[-1]])
    timed = bool(titles) and _axis(titles[0]) == ("time", "s")
    if not timed and not (titles and _CHANNEL.match(titles[0])):
        found = titles[0][:40] if titles else ""
        message = "the first column is neither a time in seconds nor a channel"
        raise CorruptField(message, file=source.name, found=found)
    pairs = [name_and_unit(_CHANNEL_UNIT.sub(r"\1(\2)", title)) for title in titles[timed:]]
    units = tuple(normal_unit(unit) for _, unit in pairs)
    return Heading(
        "rigol",
        tuple(name for name, _ in pairs),
        units,
        axis="time" if timed else "",
        t0_s=number_in(source, stamps["t0"], "t0"),
        dt_s=interval_in(source, stamps["tinc"], "tInc"),
        rows=declared_rows(source, opening.header),
        metadata=metadata_of(opening),
        warnings=("a value column has no unit",) if UNKNOWN_UNIT in units else (),
    )


def _bare(opening: Opening) -> Heading:
    """Rohde & Schwarz payload tables have no header: one value a line, or a time in seconds and values."""
    columns = opening.dialect.columns
    metadata = metadata_of(opening)
    if columns == 1:
        warnings = ("the file has no header: time axis, unit and where an acquisition begins are unknown",)
        return Heading("bare", ("column 1",), (UNKNOWN_UNIT,), axis="", metadata=metadata, warnings=warnings)
    names = tuple(f"column {index}" for index in range(2, columns + 1))
    warnings = ("the file has no header: the first column is taken for seconds, the unit is unknown",)
    return Heading("bare", names, (UNKNOWN_UNIT,) * len(names), metadata=metadata, warnings=warnings)


def _table(source: Source, lines: list[list[str]], opening: Opening) -> Heading:
    """Titles, perhaps with units in them or on the line below; earlier lines are notes."""
    columns = opening.dialect.columns
    full = [trimmed(line) for line in lines]
    candidates = [index for index, line in enumerate(full) if line and _axis(line[0])[0]]
    if not candidates:
        found = lines[-1][0][:40]
        raise NotThisFormat("the first column is not a time", file=source.name, expected="a time", found=found)
    place = candidates[0]
    titles, above = full[place], full[place - 1] if place else []
    if _are_units(titles):  # the names, if there are any, stand above the units
        named = len(above) == len(titles) and above[0] in ("", "X", "Time")
        names = above[1:] if named else [f"column {index}" for index in range(2, len(titles) + 1)]
        full[place : place + 1] = [["Time", *names], titles]
        titles = full[place]
    below = full[place + 1] if place + 1 < len(full) else []
    if place + 2 < len(full):
        message = "there are lines between the titles and the numbers that are not understood"
        raise NotThisFormat(message, file=source.name, found=",".join(full[place + 2])[:60])
    pairs = [name_and_unit(title) for title in titles]
    if below:
        pairs = [
            (name, unit or (below[index] if index < len(below) else "")) for index, (name, unit) in enumerate(pairs)
        ]
    if len(pairs) != columns:
        message = "the header names another number of columns than the rows have"
        raise CorruptField(message, file=source.name, expected=columns, found=len(pairs))
    pairs[1:] = names_and_units(full[:place], pairs[1:])
    axis, unit = _axis(titles[0])
    scale, warnings = _time_scale(source, titles, axis, (unit or (below[0] if below else "")).strip("()[] "))
    units = tuple(normal_unit(unit) for _, unit in pairs[1:])
    if UNKNOWN_UNIT in units:
        warnings.append("a value column has no unit")
    return Heading(
        writer=_writer(titles, below),
        names=tuple(name or f"column {index}" for index, (name, _) in enumerate(pairs[1:], 2)),
        units=units,
        axis=axis,
        time_scale_s=scale,
        rows=declared_rows(source, opening.header),
        metadata=metadata_of(opening),
        warnings=tuple(warnings),
    )


def _time_scale(source: Source, titles: Sequence[str], axis: str, unit: str) -> tuple[float, list[str]]:
    """Return the seconds of a printed unit of the first column, and what was assumed."""
    if axis == "counter":
        return 1.0, ["the first column counts samples: the time axis is unknown"]
    if not unit:
        if titles[0].lower() == "x" and not all(map(_ULTRASCOPE.fullmatch, titles[1:])):
            raise NotThisFormat("the first column has no unit of time", file=source.name, found=titles[0])
        return 1.0, ["the time column has no unit; seconds are assumed"]
    known = TIME_UNITS.get(unit) or TIME_UNITS.get(unit.lower())
    if known is None:
        raise NotThisFormat("the first column is not a time", file=source.name, expected="a time", found=unit[:40])
    return known, []


def _are_units(titles: Sequence[str]) -> bool:
    """Tell whether the line of titles is one of units alone, such as ``Second,Volt,Volt``."""
    return titles[0].lower() in TIME_UNITS and len(titles) > 1 and all(title.lower() in UNITS for title in titles[1:])


def _axis(title: str) -> tuple[str, str]:
    """Return what a first column called ``title`` holds, ``""`` for neither time nor counter, and its unit."""
    name, unit = name_and_unit(title)
    if title.lower() in ("second", "seconds", "s", "time (s)"):
        return "time", "s"
    if name.lower() in TIME_NAMES or (title.lower().startswith("in ") and unit.lower() in TIME_UNITS):
        return "time", unit
    return ("counter", "") if name.lower() in COUNTER_NAMES else ("", "")


def _writer(titles: Sequence[str], below: Sequence[str]) -> str:
    if titles[0].lower() == "x-axis":
        return "keysight"
    if titles[0].lower() == "x":
        return "rigol"
    if below and below[0].startswith("("):
        return "picoscope"
    if [title.lower() for title in titles] == ["time_s", "reflectance"]:
        return "faultlight"
    return "table"
