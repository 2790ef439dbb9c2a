"""Readouts as paths: from tables of readouts, or from a plain CSV whose columns somebody names."""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from analysis.degradation.readout_paths import Floats, ReadoutPaths, collect_paths
from instruments.records import Table
from services.pipelines.table_source import SourceTable, TableRefused

_OTHER_STRESSES = ("voltage_v", "humidity_percent")
_MOST_ROWS = 2_000_000
NAMES = ("device", "time", "value", "temperature")
_TIME_UNITS_H = {"h": 1.0, "min": 1 / 60, "s": 1 / 3600, "d": 24.0}


@dataclass(frozen=True)
class ParameterPaths:
    """The readouts of one parameter.

    Attributes:
        parameter, unit: its name, and the unit of its values.
        paths: by device.
        low_limit, high_limit: in that unit; ``None`` where there is none, or not one only.
        devices: by name in the paths the lot, empty where none is told, and the device.
    """

    parameter: str
    unit: str
    paths: ReadoutPaths
    low_limit: float | None
    high_limit: float | None
    devices: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def collect_parameters(sources: Sequence[SourceTable], wanted: Sequence[str] = ()) -> list[ParameterPaths]:
    """Return the readouts of each parameter in ``sources``, those ``wanted`` or all, in the order of their names.

    Raises:
        TableRefused: devices were under several stresses other than temperature, or a parameter is not there.
        BadReadouts: the readouts of a parameter contradict themselves.
    """
    texts = {name: [text for each in sources for text in each.texts(name)] for name in _TEXTS}
    numbers = {name: np.concatenate([each.numbers(name) for each in sources]) for name in _NUMBERS}
    parameters = np.asarray(texts["parameter"], np.str_)
    found = sorted(set(texts["parameter"]))
    missing = [each for each in wanted if each not in found]
    if missing:
        raise TableRefused(f"there are no readouts of {', '.join(missing)}; there are of {', '.join(found)}")
    return [_one(name, parameters == name, texts, numbers) for name in (wanted or found)]


_TEXTS = ("device_id", "parameter", "unit", "stress", "lot_id")
_NUMBERS = ("time_h", "value", "low_limit", "high_limit", "temperature_c", *_OTHER_STRESSES)


def _one(name: str, rows: np.ndarray, texts: Mapping[str, list[str]], numbers: Mapping[str, Floats]) -> ParameterPaths:
    own = np.flatnonzero(rows)
    for stress in _OTHER_STRESSES:
        values = np.unique(numbers[stress][own])
        if np.isfinite(values).sum() > 1:
            raise TableRefused(
                f"the devices of {name} were under {int(np.isfinite(values).sum())} values of {stress}: no "
                "law of it is fitted "
                "here; give the readouts of one condition"
            )
    stresses = sorted({texts["stress"][row] for row in own})
    if len(stresses) > 1:
        raise TableRefused(f"the readouts of {name} are of the stresses {', '.join(map(repr, stresses))}: give one")
    units = sorted({texts["unit"][row] for row in own})
    if len(units) > 1:
        raise TableRefused(f"the readouts of {name} are in {', '.join(units)}: give them in one unit")
    several_lots = len({texts["lot_id"][row] for row in own}) > 1
    labels = [
        f"{texts['lot_id'][row]}/{texts['device_id'][row]}" if several_lots else texts["device_id"][row] for row in own
    ]
    paths = collect_paths(labels, numbers["time_h"][own], numbers["value"][own], numbers["temperature_c"][own])
    named = [(texts["lot_id"][row], texts["device_id"][row]) for row in own]
    low, high = _limit(numbers["low_limit"][own]), _limit(numbers["high_limit"][own])
    return ParameterPaths(name, units[0], paths, low, high, dict(zip(labels, named, strict=True)))


def _limit(values: Floats) -> float | None:
    found = np.unique(values[np.isfinite(values)])
    return float(found[0]) if len(found) == 1 else None


def read_plain_csv(path: Path, columns: Mapping[str, str], unit: str = "1", time_unit: str = "h") -> SourceTable:
    """Return the readouts in the comma-separated file ``path``, whose columns ``columns`` names.

    ``columns`` gives the heading of each of ``device``, ``time`` and ``value``, and of ``temperature`` (°C) where
    there is one; ``unit`` is that of the values, ``time_unit`` h, min, s or d.
    Lines that begin with ``#`` before the headings are remarks (``# simulated: true``); rows are counted after them.

    Raises:
        TableRefused: a column is not there or not named, a cell holds no number, or there are too many rows.
    """
    missing = [name for name in NAMES[:3] if name not in columns]
    unknown = [name for name in columns if name not in NAMES]
    if missing or unknown or time_unit not in _TIME_UNITS_H:
        raise TableRefused(
            f"name the columns {', '.join(NAMES[:3])} and perhaps {NAMES[3]}, the time in {', '.join(_TIME_UNITS_H)}"
        )
    text = path.read_bytes()
    lines = text.decode("utf-8-sig", errors="replace").splitlines()
    told = next((place for place, line in enumerate(lines) if not line.startswith("#")), len(lines))
    pairs = [line.lstrip("# ").partition(":") for line in lines[:told]]
    comments = {name.strip().lower(): value.strip() for name, _, value in pairs}
    rows = list(csv.reader(lines[told:]))
    if len(rows) > _MOST_ROWS:
        raise TableRefused(f"{path.name} has {len(rows)} rows; {_MOST_ROWS} are the most")
    heads = [head.strip() for head in rows[0]] if rows else []
    for heading in columns.values():
        if heads.count(heading) != 1:
            raise TableRefused(
                f"{path.name} has {heads.count(heading)} columns {heading!r}; it has {', '.join(heads)[:200]}"
            )
    place = {name: heads.index(heading) for name, heading in columns.items()}
    cells = [row for row in rows[1:] if any(cell.strip() for cell in row)]
    time = _numbers(path, cells, place["time"], columns["time"]) * _TIME_UNITS_H[time_unit]
    table = Table(
        name=path.stem,
        kind="readout",
        columns={
            "device_id": np.asarray([row[place["device"]].strip() for row in cells], np.str_),
            "time_h": time,
            "parameter": np.full(len(cells), columns["value"]),
            "value": _numbers(path, cells, place["value"], columns["value"]),
            "unit": np.full(len(cells), unit),
            "temperature_c": _numbers(path, cells, place["temperature"], columns["temperature"])
            if "temperature" in place
            else np.full(len(cells), np.nan),
        },
        units={"time_h": "h", "temperature_c": "°C"},
        vendor_metadata={"comments": comments},
    )
    said = ",".join(f"{name}={heading}" for name, heading in sorted(columns.items()))
    return SourceTable(table, path.name, hashlib.sha256(text).hexdigest(), f"named-columns/1 ({said}; {time_unit})")


def _numbers(path: Path, cells: Sequence[Sequence[str]], place: int, heading: str) -> Floats:
    values = np.full(len(cells), np.nan)
    for number, row in enumerate(cells):
        if place >= len(row):
            raise TableRefused(f"{path.name}: row {number + 2} has no column {heading!r}")
        text = row[place].strip()
        if text in ("", "NA", "NaN", "nan"):
            continue
        try:
            values[number] = float(text)
        except ValueError:
            raise TableRefused(f"{path.name}: row {number + 2} has {text[:20]!r} for {heading!r}, no number") from None
    return values
