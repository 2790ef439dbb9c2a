"""Inspections as they were read: which die of which wafer or mask each defect is on, and which dies were looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from instruments.records import Table
from services.pipelines.latent_risk.evidence_records import DieFrame
from services.pipelines.latent_risk.unit_identity import Claim

Die = tuple[int, int]
NO_FRAME = (
    "inspections count dies from their reference die, and no frame (frames.inspection) says how that is the log's"
)
TWICE = "two samples of the inspection have one name"


@dataclass(frozen=True)
class Inspection:
    """One sample of an inspection file: lot (empty if not told), name, defects by id with their die, test plan.

    ``dies`` has ``None`` for a defect without a die and for an id that stands twice; ``plan`` is ``None`` where the
    file does not list the dies that were looked at. ``sample_type`` is WAFER, MASK … as the file says, or empty;
    ``step`` the step of the process after which it was made: defects of two steps are not added up.
    """

    lot: str
    sample: str
    dies: Mapping[int, Die | None]
    plan: frozenset[Die] | None
    sample_type: str = ""
    step: str = ""

    def claim(self, die: Die, frame: DieFrame | None) -> Claim:
        """Return the unit at ``die`` of the wafer; in doubt without a ``frame``."""
        if self.sample_type not in ("", "WAFER"):
            return Claim(
                self.lot, self.sample, doubt=f"the inspection is of a {self.sample_type.lower()}, not of a wafer"
            )
        if frame is None:
            return Claim(self.lot, self.sample, doubt=NO_FRAME)
        return Claim(self.lot, self.sample, *frame.apply(*die))


@dataclass
class Inspections:
    """The samples of a file by name; ``twice`` are names that two samples have."""

    samples: dict[str, Inspection] = field(default_factory=dict)
    twice: set[str] = field(default_factory=set)


def read_inspections(tables: Sequence[Table]) -> Inspections:
    """Return the samples of the tables of defects of one file."""
    found = Inspections()
    for table in tables:
        if table.name in found.samples:
            found.twice.add(table.name)
        found.samples[table.name] = _read(table)
    for name in found.twice:
        del found.samples[name]
    return found


def _read(table: Table) -> Inspection:
    numbers = [int(each) for each in table.columns["defect_id"].tolist()]
    places: list[Die | None] = [None] * len(numbers)
    if {"die_x", "die_y"} <= set(table.columns):
        columns, rows = (table.columns[name].tolist() for name in ("die_x", "die_y"))
        places = [(int(x), int(y)) for x, y in zip(columns, rows, strict=True)]
    dies: dict[int, Die | None] = {}
    for number, place in zip(numbers, places, strict=True):
        dies[number] = None if number in dies else place
    kind, step = _first_word(table, "SampleType").upper(), _first_word(table, "StepID")
    return Inspection(_lot(table), table.name, dies, _plan(table), kind, step)


def _lot(table: Table) -> str:
    named = table.vendor_metadata.get("lot")
    return named.strip() if isinstance(named, str) and named else _first_word(table, "LotID")


def _first_word(table: Table, statement: str) -> str:
    values = _statement(table, statement)
    return str(values[0]).strip() if values else ""


def _plan(table: Table) -> frozenset[Die] | None:
    try:
        numbers = [int(each) for each in _statement(table, "SampleTestPlan")]
    except ValueError:
        return None
    if len(numbers) < 3 or len(numbers) != 1 + 2 * numbers[0]:
        return None
    return frozenset(zip(numbers[1::2], numbers[2::2], strict=True))


def _statement(table: Table, name: str) -> list[Any]:
    statements: Any = table.vendor_metadata.get("statements")
    values = statements.get(name) if isinstance(statements, Mapping) else None
    if values:
        return list(values[0])
    # KLARF 1.8 has fields of the records of the wafer, its lot and the file.
    for place in ("wafer_fields", "lot_fields", "file"):
        fields: Any = table.vendor_metadata.get(place)
        if isinstance(fields, Mapping) and fields.get(name):
            return list(fields[name])
    return []
