"""What stands in the lines above the titles of a table, or in its comments: counts, channels, units, titles.

Siglent writes ``Record Length,Analog:14000``, ``Vertical Units,CH1:V`` and ``Source,CH1`` above ``Second,Value``; Rigol
UltraScope and Digilent WaveForms write the number of samples. One that is declared is compared with the rows.
"""

import re
from collections.abc import Sequence

from instruments.adapter import Source
from instruments.errors import CountMismatch, UnsupportedVersion
from instruments.probing.delimited_titles import TIME_UNITS

_COMMENT_MARK = re.compile(r"\s*(#|%|!|//)+\s*")
_DECLARED = re.compile(
    r'\W*(?:record length|number of (?:data )?points|samples(?=:))[\s:=",]*(?:analog\s*:\s*)?(\d{1,12})\W*',
    re.IGNORECASE,
)
_OTHER_TIME = re.compile(
    r"(?<![\w.])(?:ms|us|µs|μs|ns|ps|fs|milliseconds?|microseconds?|nanoseconds?)(?!\w)", re.IGNORECASE
)
_GENERIC = frozenset({"value", "volt", "volts", "ampere", "amp", "amps"})


def declared_rows(source: Source, header: Sequence[str]) -> int | None:
    """Return the number of samples that lines of ``header`` declare, ``None`` when none does.

    Raises:
        CountMismatch: two lines declare different numbers.
    """
    found = {int(match[1]) for line in header if (match := _DECLARED.fullmatch(line))}
    if len(found) > 1:
        message = "the header declares two different numbers of samples"
        raise CountMismatch(message, file=source.name, expected=max(found), found=min(found))
    return found.pop() if found else None


def titles_in_comments(header: Sequence[str]) -> str:
    """Return the last comment without its mark, ``""`` when there is none: it may be the line of titles."""
    comments = [line for line in header if _COMMENT_MARK.match(line)]
    return _COMMENT_MARK.sub("", comments[-1], count=1) if comments else ""


def refuse_other_time(source: Source, header: Sequence[str]) -> None:
    """Refuse comments that name a unit of time which is not the second, where no title says whose it is.

    Raises:
        UnsupportedVersion: there is one.
    """
    for number, line in enumerate(header, 1):
        match = _OTHER_TIME.search(line)
        if match is not None and TIME_UNITS.get(match[0].lower()) != 1.0:
            message = (
                "a comment names a unit of time and nothing says whether it is the first column's; "
                "put a line of titles such as time_s,value above the rows"
            )
            raise UnsupportedVersion(message, file=source.name, offset=number, found=match[0], offset_unit="line")


def names_and_units(notes: Sequence[Sequence[str]], pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return name and unit of each value column, from lines ``Source`` and ``Vertical Units`` where titles say none.

    Args:
        notes: the cells of the lines above the titles.
        pairs: name and unit of each value column as its title has them.
    """
    lines = {line[0].strip().lower(): [cell.strip() for cell in line[1:] if cell.strip()] for line in notes if line}
    sources = lines.get("source", [])
    generic = all(name.lower() in _GENERIC or name.startswith("column ") for name, _ in pairs)
    if len(sources) != len(pairs) or not generic:
        return list(pairs)
    units = dict(cell.split(":", 1) for cell in lines.get("vertical units", []) if ":" in cell)
    plain = [cell for cell in lines.get("vertical units", []) if ":" not in cell]
    if len(plain) == len(pairs) and not units:
        units = dict(zip(sources, plain, strict=True))
    return [(name, unit or units.get(name, "").strip()) for name, (_, unit) in zip(sources, pairs, strict=True)]
