"""SIMULATED journals of an equipment's traces: own fixtures, as the SECS host keeps them, labelled simulated."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from instruments.records import Table
from instruments.secs.vocabulary import EQUIPMENT_EVENT, EQUIPMENT_TRACE
from instruments.vocabulary import Remarks
from services.pipelines.table_source import SourceTable

START = datetime(2026, 1, 1, tzinfo=UTC)
PERIOD_S = 1.0
SAMPLES = 40
BETWEEN_S = 100
REMARKS = Remarks({"equipment": "ETCH1", "map": {"comment": "simulated"}}, ())


@dataclass(frozen=True)
class RunScene:
    """A run: its number in time, its recipe, and what is wrong (``bump``: samples 20 to 27 are off; ``hole``: NaN)."""

    number: int
    recipe: str = "A"
    fault: str = ""
    unit: str = "mTorr"
    samples: int = SAMPLES


def begin(number: int) -> datetime:
    """Return when the run of this number begins."""
    return START + timedelta(seconds=number * BETWEEN_S)


def make_tables(scenes: Sequence[RunScene], seed: int = 0) -> list[Table]:
    """Return the tables of traces and events of the runs."""
    samples: list[dict[str, object]] = []
    events: list[dict[str, object]] = []
    for scene in scenes:
        message = scene.number * 1000
        at = begin(scene.number)
        events.append(
            _heading(message, at) | _variable("PPID", scene.recipe, "") | {"event_id": "1", "event_name": "Start"}
        )
        values = _values(scene, np.random.default_rng([seed, scene.number]))
        for place, value in enumerate(values):
            row = _heading(message + 1 + place, at + timedelta(seconds=place * PERIOD_S))
            row |= _variable("Pressure", value, scene.unit)
            row |= {"trace_id": "5", "trace_name": "Chamber", "trace_known": True, "period_s": PERIOD_S}
            samples.append(row | {"sample_number": place + 1, "sample_in_group": 0, "samples_in_group": 1})
    return [
        EQUIPMENT_EVENT.make_table("ETCH1 events", _columns(events), REMARKS),
        EQUIPMENT_TRACE.make_table("ETCH1 traces", _columns(samples), REMARKS),
    ]


def make_sources(scenes: Sequence[RunScene], seed: int = 0, file: str = "one") -> list[SourceTable]:
    """Return the same as read from a journal."""
    return [SourceTable(table, f"{file}.secs.jsonl", file, "secs_journal/1") for table in make_tables(scenes, seed)]


def _values(scene: RunScene, numbers: np.random.Generator) -> np.ndarray:
    place = np.arange(scene.samples)
    level = {"A": 20.0, "B": 60.0}[scene.recipe]
    values = level * (1 - np.exp(-place / 5)) + 0.3 * np.sin(place / 3) + numbers.normal(0, 0.2, scene.samples)
    if scene.fault == "bump":
        values[20:28] -= 3.0
    if scene.fault == "hole":
        values[20] = np.nan
    return values


def _heading(message: int, at: datetime) -> dict[str, object]:
    return {"message": message, "time": at.isoformat(), "equipment_time": "", "may_repeat": None}


def _variable(name: str, value: object, unit: str) -> dict[str, object]:
    number = float(value) if isinstance(value, float) else np.nan
    named = {"variable_id": name.lower(), "variable_name": name, "variable_known": True, "position": 0, "path": ""}
    return named | {
        "element": 0,
        "count": 1,
        "format": "F8" if isinstance(value, float) else "A",
        "value_number": number,
        "value_text": str(value),
        "unit": unit,
    }


def _columns(rows: Sequence[dict[str, object]]) -> dict[str, list[object]]:
    return {name: [row[name] for row in rows] for name in rows[0]}
