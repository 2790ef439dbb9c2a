"""Tektronix tables of samples: the header above the columns, or beside them as the TDS series writes it.

Above: lines of key and value, then ``TIME,<channel>,…``. Where there is a ``Zero Index``, sample ``i`` is at
``(i - Zero Index) * Sample Interval``; else the first time printed is that of the first sample. Beside: key, value and
an empty cell, then time and value of a sample, in each line. Both say ``Sample Interval`` and ``Record Length``, which
are compared with the times and the rows.
"""

import re

from instruments.adapter import Source
from instruments.errors import CorruptField, UnsupportedVersion
from instruments.probing.delimited_cells import trimmed
from instruments.probing.delimited_text import Opening, to_number
from instruments.probing.delimited_titles import (
    UNKNOWN_UNIT,
    Heading,
    count_in,
    interval_in,
    metadata_of,
    normal_unit,
    number_in,
)

KEYS = frozenset({"record length", "sample interval"})
_LINE = re.compile(r"D\d{1,2}")


def read_tektronix(source: Source, lines: list[list[str]], opening: Opening) -> Heading:
    """Return what the ``lines`` above the columns say.

    Raises:
        CorruptField: one that is needed is missing or not right.
        UnsupportedVersion: I and Q, extrema, logic lines beside analog values, another axis than time.
    """
    keys = {line[0].lower(): line[1] if len(line) > 1 else "" for line in lines}
    for key in sorted(KEYS):
        if not keys.get(key):
            raise CorruptField(f"the Tektronix header has no {key.title()}", file=source.name)
    titles = trimmed(lines[-1])
    if not titles or titles[0].upper() != "TIME":
        found = titles[0][:40] if titles else ""
        raise CorruptField("the Tektronix columns do not begin with TIME", file=source.name, found=found)
    names = tuple(titles[1:])
    kind = (keys.get("waveform type") or ("DIGITAL" if all(map(_LINE.fullmatch, names)) else "ANALOG")).upper()
    _check_kind(source, keys, kind, names)
    interval = interval_in(source, keys["sample interval"], "Sample Interval")
    if keys.get("zero index"):
        t0_s = -number_in(source, keys["zero index"], "Zero Index") * interval
    else:
        t0_s = _first_time(source, opening)
    units = ("logic level",) * len(names) if kind == "DIGITAL" else _units(lines, len(names))
    return Heading(
        "tektronix",
        names,
        units,
        t0_s=t0_s,
        dt_s=interval,
        rows=count_in(source, keys["record length"], "Record Length"),
        digital=kind == "DIGITAL",
        metadata=metadata_of(opening),
        warnings=("a value column has no unit",) if UNKNOWN_UNIT in units else (),
    )


def _check_kind(source: Source, keys: dict[str, str], kind: str, names: tuple[str, ...]) -> None:
    iq = any(key.startswith("iq_") for key in keys)
    beside = any(name.upper() == "TIME" or not name for name in names)
    if iq or beside or kind not in ("ANALOG", "DIGITAL"):
        found = "interleaved I and Q" if iq else "two tables beside one another" if beside else kind[:40]
        message = "this kind of Tektronix text waveform is not supported; export the .wfm file"
        raise UnsupportedVersion(message, file=source.name, expected="ANALOG or DIGITAL", found=found)
    if keys.get("point format", "Y").upper() not in ("Y", ""):
        message = "the point format is not supported"
        raise UnsupportedVersion(message, file=source.name, expected="Y", found=keys["point format"][:20])
    if keys.get("horizontal units", "s").lower() != "s":
        found = keys["horizontal units"][:20]
        raise UnsupportedVersion("the horizontal unit is not the second", file=source.name, expected="s", found=found)


def _units(lines: list[list[str]], count: int) -> tuple[str, ...]:
    """Return the unit of each column; one unit for several columns is that of none of them for sure but the first."""
    given = next((trimmed(line[1:]) for line in lines if line[0].lower() == "vertical units"), [])
    given = given if len(given) == count else [*given[:1], *[""] * (count - 1)][:count] or [""] * count
    return tuple(normal_unit(unit) for unit in given)


def _first_time(source: Source, opening: Opening) -> float:
    time = to_number(opening.rows[0][0], opening.dialect.decimal_comma)
    if time is None:
        raise CorruptField("the first time is no number", file=source.name, found=opening.rows[0][0][:40])
    return time


def read_beside(source: Source, opening: Opening) -> Heading:
    """Return what the cells left of the samples say.

    Raises:
        CorruptField: one that is needed is missing or not right.
        UnsupportedVersion: extrema, or another axis than time.
    """
    pairs = [line.split(opening.dialect.delimiter)[:2] for line in opening.header]
    keys = {pair[0].strip().lower(): pair[1].strip() for pair in pairs if len(pair) > 1 and pair[0].strip()}
    if keys.get("pt fmt", "Y").upper() != "Y":
        message = "the point format is not supported"
        raise UnsupportedVersion(message, file=source.name, expected="Y", found=keys["pt fmt"][:20])
    if keys.get("horizontal units", "s").lower() != "s":
        found = keys["horizontal units"][:20]
        raise UnsupportedVersion("the horizontal unit is not the second", file=source.name, expected="s", found=found)
    return Heading(
        "tektronix",
        (keys.get("source") or "column 2",),
        (normal_unit(keys.get("vertical units", "")),),
        t0_s=_first_time(source, opening),
        dt_s=interval_in(source, keys["sample interval"], "Sample Interval"),
        rows=count_in(source, keys["record length"], "Record Length"),
        metadata=metadata_of(opening),
    )
