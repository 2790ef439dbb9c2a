"""What is known of units that may fail in the field, one unit a row, as comma-separated text or Parquet.

There is no public standard; these are the columns we document. ``unit_id`` and ``judged_at`` (ISO 8601: when all that
stands in the row was known) are always there. ``outcome`` is ``failed``, ``survived`` or empty, ``known_at`` since
when; ``lot_id`` and ``wafer_id`` say where the unit comes from. Every other column is one feature of one modality,
called ``modality.feature`` with its unit in brackets where it has one: ``electrical.iddq [uA]``,
``neighbourhood.failed``. The usual modalities are ``electrical``, ``degradation``, ``lvp``, ``mask``, ``repair`` and
``neighbourhood``; others are as good. An empty cell is not known. ``lvp.trace_0``, ``lvp.trace_1`` … are samples of one
trace. ``electrical_source`` says where the values of a modality come from, or why it has none. A time without an offset
is UTC. ``# rows: 12`` and ``# failed: 3``, in Parquet metadata of the same names, are checked; the lines in the bytes,
or the row groups of Parquet, are the second count.

A table of outcomes without any feature is read as ``unit_outcome``: what became of units whose evidence is assembled
from what is stored. ``judged_at`` is then until when evidence on the unit counts, for example when it was shipped.
"""

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.commented_table import with_point
from instruments.description import Reach
from instruments.electrical.stress_columns import StressColumns, columns_in_head, read_columns
from instruments.errors import CorruptField, CountMismatch, NotThisFormat
from instruments.headings import Headings
from instruments.records import Record
from instruments.vocabulary import Column, Vocabulary

UNIT_EVIDENCE = Vocabulary(
    "unit_evidence",
    "one unit with what is known of it, and whether it failed in the field",
    (
        Column("unit_id", "text", "", "the unit", required=True),
        Column("judged_at", "text", "", "when all in the row was known, ISO 8601", required=True),
        Column("outcome", "text", "", "failed or survived; empty: not known"),
        Column("known_at", "text", "", "since when the outcome is known, ISO 8601"),
        Column("lot_id", "text", "", "the lot"),
        Column("wafer_id", "text", "", "the wafer"),
        Column("die_x", "number", "", "column of the die on the wafer, as testers' logs count it"),
        Column("die_y", "number", "", "row of the die on the wafer, as testers' logs count it"),
    ),
)
UNIT_OUTCOME = Vocabulary(
    "unit_outcome",
    "one unit with what became of it in the field",
    (
        Column("unit_id", "text", "", "the unit", required=True),
        Column("judged_at", "text", "", "until when evidence on it counts, ISO 8601", required=True),
        Column("outcome", "text", "", "failed or survived; empty: not known", required=True),
        *UNIT_EVIDENCE.columns[3:],
    ),
)
_ALIASES = {
    "serial": ("unit_id",),
    "outcome_known_at": ("known_at",),
    "shipped_at": ("judged_at",),
    "released_at": ("judged_at",),
}
HEADINGS = Headings(UNIT_EVIDENCE, _ALIASES)
OUTCOME_HEADINGS = Headings(UNIT_OUTCOME, _ALIASES)
SOURCE_SUFFIX = "_source"
"""Behind the name of a modality: the column that says where its values come from."""

_FEATURE = re.compile(r"(?P<modality>[a-z][a-z0-9_]*)\.(?P<feature>[^\s.\[\]()]+)\s*(?:\[(?P<unit>[^\[\]]*)\])?")
_SOURCE = re.compile(rf"[a-z][a-z0-9_]*{SOURCE_SUFFIX}")
_OUTCOMES = ("", "failed", "survived")


class UnitEvidenceAdapter:
    """Reads what is known of units into a ``unit_evidence`` table, or outcomes alone into a ``unit_outcome`` table."""

    name = "unit_evidence"
    version = "2"
    formats = ("unit_evidence",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for a unit, a time of judgement and a feature in the header of ``source``."""
        found = columns_in_head(source, HEADINGS, frozenset({"unit_id", "judged_at"}))
        if isinstance(found, Sniff):
            return found
        if found >= {"unit_id", "judged_at"}:
            return Sniff(Confidence.CERTAIN, "the header has a unit and when it was judged")
        return Sniff(Confidence.NO, "no unit_id and judged_at in the header")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return what is known of the units of ``source``, or only what became of them.

        Raises:
            CorruptField, CountMismatch, NotThisFormat, ReadingLimit, UnsupportedVersion: and why.
        """
        columns = read_columns(source, HEADINGS)
        columns.metadata.setdefault("comments", columns.metadata.get("schema", {}))
        columns.require(("unit_id", "judged_at"))
        judged = _read_times(columns, "judged_at")
        for name in {"die_x", "die_y"} & columns.numbers.keys():
            values = columns.numbers[name]
            columns.refuse(np.isfinite(values) & (values != np.floor(values)), f"{name} is no whole number", name)
        if "outcome" in columns:
            outcome = columns.texts["outcome"] = np.strings.lower(np.strings.strip(columns.texts["outcome"]))
            wrong = np.asarray([text not in _OUTCOMES for text in outcome.tolist()], np.bool_)
            columns.refuse(wrong, "the outcome is none of failed, survived and nothing", "outcome")
        if "known_at" in columns:
            known = _read_times(columns, "known_at")
            columns.refuse(known < judged, "the outcome was known before the unit was judged", "known_at")
        _check_failed(columns)
        has_features = _read_features(columns)
        return "unit_evidence", (columns.to_table(HEADINGS if has_features else OUTCOME_HEADINGS),)


def _read_times(columns: StressColumns, name: str) -> NDArray[np.float64]:
    """Return seconds since 1970, missing NaN; the texts become ISO 8601 with an offset."""
    seconds, texts, plain = [], [], 0
    for row, text in enumerate(columns.texts[name].tolist()):
        if not text:
            seconds.append(math.nan)
            texts.append("")
            continue
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            raise columns.place(f"{name} is no time as of ISO 8601", row, text) from None
        plain += time.tzinfo is None
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
        try:
            seconds.append(time.timestamp())
        except (OverflowError, ValueError):
            raise columns.place(f"{name} is no time that can be counted", row, text) from None
        texts.append(time.isoformat())
    if plain:
        columns.warnings.append(f"{plain} times of {name} have no offset and are taken as UTC")
    columns.texts[name] = np.asarray(texts, np.dtypes.StringDType())
    return np.asarray(seconds, np.float64)


def _check_failed(columns: StressColumns) -> None:
    declared = columns.metadata.get("comments", {}).get("failed")
    if declared is None:
        return
    failed = sum(text == "failed" for text in columns.texts["outcome"].tolist()) if "outcome" in columns else 0
    if declared != str(failed):
        message = "the table does not hold as many failed units as it says"
        raise CountMismatch(message, file=columns.file, expected=declared[:20], found=failed)


def _read_features(columns: StressColumns) -> bool:
    """Make numbers of the features, named ``modality.feature``; other columns stay as they are.

    Return whether there are any: a table without tells outcomes only, and is refused where it has none either.
    """
    named: dict[str, tuple[NDArray[np.float64], str]] = {}
    strangers: list[str] = []
    for heading, (values, _) in list(columns.other.items()):
        match = _FEATURE.fullmatch(heading.strip())
        if match is None:
            strangers.append(heading)
            continue
        name = f"{match['modality']}.{match['feature']}"
        if name in named:
            raise CorruptField(f"two columns are {name}", file=columns.file)
        named[name] = (_numbers(columns, name, values), match["unit"] or "")
        del columns.other[heading]
    if not named and "outcome" not in columns:
        raise NotThisFormat("the table has no feature of a modality, such as electrical.iddq", file=columns.file)
    columns.warnings += [
        f"the column {heading[:60]} is no modality.feature and no evidence"
        for heading in strangers
        if _SOURCE.fullmatch(heading) is None
    ]
    columns.other |= named
    return bool(named)


def _numbers(columns: StressColumns, name: str, values: NDArray[np.generic]) -> NDArray[np.float64]:
    if values.dtype.kind != "T":
        numbers = np.asarray(values, np.float64)
        if np.isinf(numbers).any():
            row = int(np.argmax(np.isinf(numbers)))
            raise columns.place(f"{name} is no number", row, float(numbers[row]))
        return numbers
    read = []
    for row, cell in enumerate(values.tolist()):
        try:
            value = float(with_point(cell, columns.decimal_comma)) if cell else math.nan
        except ValueError:
            value = math.inf
        if cell and (not math.isfinite(value) or "_" in cell):
            raise columns.place(f"{name} is no number", row, cell)
        read.append(value)
    return np.asarray(read, np.float64)
