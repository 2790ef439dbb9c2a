"""Tested parts: testers' logs, wafer maps and readouts as parts with places, verdicts and readings, for screens."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.pipelines.reliability.screening_requests import KINDS
from services.pipelines.table_source import SourceTable, TableRefused, read_tables

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_SHOWN = 5
_STRESSES = (("temperature_c", "°C"), ("voltage_v", "V"), ("humidity_percent", "%RH"))


@dataclass(frozen=True)
class TestName:
    """What tells a test from others; an array's elements are tests of their own. Readouts have no number: -1."""

    number: int
    name: str
    unit: str
    element: int | None = None

    @property
    def label(self) -> str:
        """Number and name as people write them."""
        element = "" if self.element is None else f"[{self.element}]"
        return (self.name if self.number < 0 else f"{self.number} {self.name}".strip()) + element


@dataclass
class Readings:
    """Readings of one test: ``value`` float64 of the parts ``part``, int64 rows of the parts, increasing."""

    part: Integers
    value: Floats


@dataclass
class TestedParts:
    """Parts of all files, one row for the last insertion of each.

    Attributes:
        lot, wafer, part_id: names; the wafer is empty after singulation.
        column, row: float64 ``(parts,)``, place on the wafer in dies; NaN where unknown.
        failed: float64 ``(parts,)``, 1 or 0; NaN without a verdict.
        hard_bin, soft_bin: as the tester numbers them, or a map writes its code; empty where there is none.
        readings: of each parametric test.
        remarks: what was left out, and why.
        sources: one for each file, for the answer's origin.
        simulated: a file says that it is.
    """

    lot: list[str] = field(default_factory=list)
    wafer: list[str] = field(default_factory=list)
    part_id: list[str] = field(default_factory=list)
    column: Floats = field(default_factory=lambda: np.empty(0))
    row: Floats = field(default_factory=lambda: np.empty(0))
    failed: Floats = field(default_factory=lambda: np.empty(0))
    hard_bin: list[str] = field(default_factory=list)
    soft_bin: list[str] = field(default_factory=list)
    readings: dict[TestName, Readings] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    sources: list[SourceTable] = field(default_factory=list)
    simulated: bool = False

    @property
    def count(self) -> int:
        """How many parts."""
        return len(self.lot)

    def wafers(self) -> dict[tuple[str, str], Integers]:
        """Return the rows of the parts of each lot and wafer, in order of name."""
        return _rows_by(list(zip(self.lot, self.wafer, strict=True)))

    def lots(self) -> dict[tuple[str, str], Integers]:
        """Return the rows of the parts of each lot; the wafer of the key is empty."""
        return _rows_by([(lot, "") for lot in self.lot])


def _rows_by(keys: list[tuple[str, str]]) -> dict[tuple[str, str], Integers]:
    found: dict[tuple[str, str], list[int]] = {}
    for place, key in enumerate(keys):
        found.setdefault(key, []).append(place)
    return {key: np.asarray(found[key], np.int64) for key in sorted(found)}


def read_parts(paths: Sequence[Path]) -> TestedParts:
    """Return the parts in the files ``paths``; raises what reading and :func:`collect_parts` raise."""
    return collect_parts(read_tables(paths, *KINDS))


def collect_parts(sources: Sequence[SourceTable]) -> TestedParts:
    """Return the parts of ``sources``, whose tables of one run follow each other, the run first.

    Raises:
        TableRefused: there is no part, a test's unit differs from file to file, or there are logs and maps: both count
            dies from corners of their own; or readouts beside either.
    """
    kinds = {source.table.kind for source in sources}
    if {"test_part", "wafer_map"} <= kinds:
        raise TableRefused("testers' logs and wafer maps count dies from different corners: screen them one by one")
    if "readout" in kinds and kinds & {"test_part", "wafer_map"}:
        raise TableRefused("readouts name devices, logs and maps count parts: screen them one by one")
    parts = TestedParts()
    if "readout" in kinds:
        _add_readouts(parts, [source for source in sources if source.table.kind == "readout"])
    run: dict[str, SourceTable] = {}
    for source in (*sources, None):
        if source is None or source.table.kind in ("test_run", "wafer_map"):
            if "test_part" in run:
                _add_run(parts, run)
            run = {}
        if source is None:
            break
        if source.table.kind == "wafer_map":
            _add_map(parts, source)
        else:
            run[source.table.kind] = source
    if not parts.count:
        raise TableRefused(f"{', '.join(sorted({each.file for each in sources}))}: there is no tested part to screen")
    _refuse_two_units(parts)
    return parts


def _add_run(parts: TestedParts, run: dict[str, SourceTable]) -> None:
    table = run["test_part"]
    columns = table.table.columns
    kept = np.flatnonzero(~columns["superseded"] & columns["finished"])
    dropped = table.table.row_count - kept.size
    if dropped:
        parts.remarks.append(
            f"{table.file}: left out {dropped} insertions that a later one replaced or that never ended"
        )
    lot = _named_lot(parts, table.file, run["test_run"].texts("lot_id")[0] if "test_run" in run else "")
    names = run["test_wafer"].texts("wafer_id") if "test_wafer" in run else []
    index = columns["wafer_index"]
    offset = parts.count
    identities = table.texts("part_id")
    passed, failed = columns["passed"], columns["failed"]
    verdict = np.where(failed, 1.0, np.where(passed, 0.0, np.nan))
    parts.lot += [lot] * kept.size
    parts.wafer += [names[index[each]] if 0 <= index[each] < len(names) else "" for each in kept]
    parts.part_id += [identities[each] for each in kept]
    _place(parts, table.numbers("x")[kept], table.numbers("y")[kept], verdict[kept])
    parts.hard_bin += _numbered(table.numbers("hard_bin")[kept])
    parts.soft_bin += _numbered(table.numbers("soft_bin")[kept])
    parts.sources.append(table)
    parts.simulated = parts.simulated or ("test_run" in run and _simulated(run["test_run"]))
    if "test_result" in run and "test_item" in run:
        renumbered = np.full(table.table.row_count, -1, np.int64)
        renumbered[kept] = np.arange(offset, parts.count)
        _add_readings(parts, run["test_result"], run["test_item"], renumbered)


def _named_lot(parts: TestedParts, file: str, lot: str) -> str:
    """Return ``lot``, or the file's name for one without: parts of unknown lots are not pooled."""
    if lot:
        return lot
    remark = f"{file} names no lot: its own name stands for one"
    if remark not in parts.remarks:
        parts.remarks.append(remark)
    return file


def _place(parts: TestedParts, column: Floats, row: Floats, failed: Floats) -> None:
    parts.column = np.concatenate([parts.column, column])
    parts.row = np.concatenate([parts.row, row])
    parts.failed = np.concatenate([parts.failed, failed])


def _add_readings(parts: TestedParts, results: SourceTable, items: SourceTable, renumbered: Integers) -> None:
    columns = results.table.columns
    part, value = renumbered[columns["part_index"]], results.numbers("value")
    index, element = columns["test_index"], np.maximum(np.nan_to_num(results.numbers("element")), 0).astype(np.int64)
    usable = (part >= 0) & ~np.isnan(value)
    numbers, kinds = items.table.columns["test_number"], items.texts("kind")
    names, units = items.texts("name"), items.texts("unit")
    found: dict[TestName, list[Integers]] = {}
    order = np.flatnonzero(usable)
    key = index[order] * (int(element.max(initial=0)) + 1) + element[order]
    order = order[np.argsort(key, kind="stable")]
    edges = np.flatnonzero(np.diff(np.sort(key))) + 1
    for rows in np.split(order, edges) if order.size else ():
        item = int(index[rows[0]])
        several = kinds[item] == "multiple"
        name = TestName(int(numbers[item]), names[item], units[item], int(element[rows[0]]) if several else None)
        found.setdefault(name, []).append(rows)
    repeated = 0
    for name, pieces in found.items():
        rows = np.sort(np.concatenate(pieces))
        # The last of several readings of one part counts, as for a tester's own verdict.
        _, last = np.unique(part[rows][::-1], return_index=True)
        repeated += rows.size - last.size
        kept = rows[::-1][last]
        _append(parts, name, Readings(part[kept], value[kept]))
    if repeated:
        parts.remarks.append(f"{results.file}: {repeated} readings that a later one of the same test and part replaced")


def _append(parts: TestedParts, name: TestName, new: Readings) -> None:
    old = parts.readings.get(name)
    if old is None:
        parts.readings[name] = new
    else:
        old.part, old.value = np.concatenate([old.part, new.part]), np.concatenate([old.value, new.value])


def _add_map(parts: TestedParts, source: SourceTable) -> None:
    """Add the dies of a wafer map: places and verdicts, no readings."""
    quality = [text.lower() for text in source.texts("quality")]
    dies = [place for place, text in enumerate(quality) if text != "reference"]
    verdict = np.asarray([{"pass": 0.0, "fail": 1.0}.get(quality[place], np.nan) for place in dies], np.float64)
    unknown = int(np.isnan(verdict).sum())
    if unknown:
        parts.remarks.append(f"{source.file}: the map does not say of {unknown} dies whether they passed")
    # Turned back to one orientation where the map tells its own: places of a stack must be the same dies.
    turned = "upright_" if {"upright_column", "upright_row"} <= set(source.table.columns) else ""
    column, row = (source.numbers(turned + name)[dies] for name in ("column", "row"))
    lots, wafers = source.texts("lot_id"), source.texts("substrate_id")
    parts.lot += [_named_lot(parts, source.file, lots[place]) for place in dies]
    parts.wafer += [wafers[place] for place in dies]
    parts.part_id += [f"{int(x)},{int(y)}" for x, y in zip(column, row, strict=True)]
    _place(parts, column, row, verdict)
    codes = source.texts("bin_code")
    parts.hard_bin += [codes[place] for place in dies]
    parts.soft_bin += [""] * len(dies)
    parts.sources.append(source)


def _add_readouts(parts: TestedParts, sources: Sequence[SourceTable]) -> None:
    """Add devices under stress, one part for each device of a lot in all tables; each readout is a test."""
    devices: dict[tuple[str, str], int] = {}
    found: dict[TestName, dict[int, float]] = {}
    failed: list[float] = []
    repeated = 0
    for source in sources:
        lots, names, conditions = source.texts("lot_id"), source.texts("device_id"), _conditions(source)
        parameters, units = source.texts("parameter"), source.texts("unit")
        verdicts, hours, values = _readout_verdicts(source), source.numbers("time_h"), source.numbers("value")
        for row in range(source.table.row_count):
            key = _named_lot(parts, source.file, lots[row]), names[row]
            part = devices.setdefault(key, len(devices))
            if part == len(failed):
                failed.append(np.nan)
            # One failing readout fails the device; a passing one counts until then.
            failed[part] = float(np.fmax(failed[part], verdicts[row]))
            test = TestName(-1, f"{parameters[row]} at {hours[row]:g} h{conditions[row]}", units[row])
            readings = found.setdefault(test, {})
            repeated += part in readings
            if np.isfinite(values[row]):
                readings[part] = float(values[row])
        parts.sources.append(source)
        parts.simulated = parts.simulated or _says_simulated(source)
    if repeated:
        parts.remarks.append(f"{repeated} readouts that a later one of the same device, time and parameter replaced")
    parts.lot, parts.part_id = [lot for lot, _ in devices], [name for _, name in devices]
    parts.wafer, parts.hard_bin, parts.soft_bin = ([""] * len(devices) for _ in range(3))
    nowhere = np.full(len(devices), np.nan)
    _place(parts, nowhere, nowhere, np.asarray(failed, np.float64))
    for test, readings in found.items():
        order = sorted(readings)
        parts.readings[test] = Readings(np.asarray(order, np.int64), np.asarray([readings[each] for each in order]))


def _readout_verdicts(source: SourceTable) -> Floats:
    """Return of each readout 1 (failed), 0 or NaN: as its result says, else by its limits where it has any."""
    low, high, value = (source.numbers(name) for name in ("low_limit", "high_limit", "value"))
    judged = (np.isfinite(low) | np.isfinite(high)) & ~np.isnan(value)
    by_limits = np.where(judged, ((value < low) | (value > high)).astype(np.float64), np.nan)
    said = np.asarray([{"pass": 0.0, "fail": 1.0}.get(text.lower(), np.nan) for text in source.texts("result")])
    return np.asarray(np.where(np.isnan(said), by_limits, said), np.float64)


def _conditions(source: SourceTable) -> list[str]:
    """Return what each row says of its stress, to be told behind the readout's name: stresses are not pooled."""
    numbers = [(source.numbers(name), unit) for name, unit in _STRESSES]
    found = []
    for row, stress in enumerate(source.texts("stress")):
        said = [stress] * bool(stress) + [f"{each[row]:g} {unit}" for each, unit in numbers if np.isfinite(each[row])]
        found.append(f", {' '.join(said)}" if said else "")
    return found


def _says_simulated(source: SourceTable) -> bool:
    comments: Any = source.table.vendor_metadata.get("comments")
    return isinstance(comments, dict) and str(comments.get("simulated", "")).lower() in ("true", "yes", "1")


def _numbered(values: Floats) -> list[str]:
    return [f"{value:g}" if np.isfinite(value) else "" for value in values.tolist()]


def _simulated(run: SourceTable) -> bool:
    """Whether a text record of the log says ``simulated: true``."""
    records: Any = run.table.vendor_metadata.get("records")
    texts = records.get("DTR", []) if isinstance(records, dict) else []
    return any("simulated: true" in str(each).lower() for each in texts)


def _refuse_two_units(parts: TestedParts) -> None:
    units: dict[tuple[int, str, int | None], set[str]] = {}
    for test in parts.readings:
        units.setdefault((test.number, test.name, test.element), set()).add(test.unit)
    several = [f"{key[0]} {key[1]}: {', '.join(sorted(each))}" for key, each in units.items() if len(each) > 1]
    if several:
        raise TableRefused(f"tests are in several units, which cannot be pooled: {'; '.join(several[:_SHOWN])}")
