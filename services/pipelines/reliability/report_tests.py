"""The stress tests behind a report: rows of lifetimes by condition, with what each test is for."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.reliability.errors import LifeDataError
from analysis.reliability.life_data import Floats, LifeData, Truncation, collapse
from analysis.reliability.readouts import part_failed
from services.pipelines.reliability.life_data import build_life_data, lifetime_columns
from services.pipelines.reliability.report_requests import ReportContent, StressNames
from services.pipelines.table_source import SourceTable, TableRefused

PURPOSES = ("rate", "early_life", "burn_in", "other")
_SHOWN_LOTS = 6


@dataclass(frozen=True)
class Condition:
    """What the devices of a test were under; ``None`` where no table tells. Temperature of the junction in C."""

    stress: str
    temperature_c: float | None
    voltage_v: float | None
    humidity_percent: float | None

    @property
    def label(self) -> str:
        """The condition as people write it."""
        numbers = [
            (self.temperature_c, "°C"),
            (self.voltage_v, "V"),
            (self.humidity_percent, "% RH"),
        ]
        return " ".join(
            [self.stress or "(no name)", *(f"{value:g} {unit}" for value, unit in numbers if value is not None)]
        )


@dataclass(frozen=True)
class StressTest:
    """All devices under one condition.

    Attributes:
        condition: what they were under.
        purpose: one of :data:`PURPOSES`.
        lots, files: names, in order.
        data: their lifetimes.
        caused: the same with modes of failure as causes, which only competing risks ask for: they cost an integral
            over each readout.
        modes: failures of each mode; an empty name for those without one.
        repeated: rows of devices, by lot and name, that are there already: counted again, they make rates too low.
        shared_lots: lots that are in several files, of which a device has no name, so that nobody can say whether its
            devices are counted twice; an empty name for devices of no named lot.
    """

    condition: Condition
    purpose: str
    lots: tuple[str, ...]
    files: tuple[str, ...]
    data: LifeData
    caused: LifeData
    modes: dict[str, int]
    repeated: int = 0
    shared_lots: tuple[str, ...] = ()

    @property
    def devices(self) -> int:
        """How many devices."""
        return int(self.data.devices)

    @property
    def failures(self) -> int:
        """How many failed."""
        return int(self.data.failures)

    @property
    def device_hours(self) -> float:
        """Hours under stress, up to when each device was last known to be alive, or failed."""
        return float(((self.data.lower - self.data.entry) * self.data.count).sum())

    @property
    def last_h(self) -> float:
        """Hours that the last device was watched."""
        return float(np.where(np.isinf(self.data.upper), self.data.lower, self.data.upper).max())

    @property
    def endings(self) -> list[tuple[float, int]]:
        """Hours at which watching ended, with devices.

        A device that failed counts until the first such hours that are not before its failure, or until its failure
        where no other was watched so long: of the tests that it can have been in, the shortest.
        """
        alive = self.data.right
        ends = np.unique(self.data.lower[alive])
        failed = self.data.upper[~alive]
        places = np.searchsorted(ends, failed)
        hours = self.data.lower.copy()
        hours[~alive] = [ends[place] if place < ends.size else end for place, end in zip(places, failed, strict=True)]
        found = [(float(each), int(self.data.count[hours == each].sum())) for each in np.unique(hours)]
        return [each for each in found if each[0] > 0]

    @property
    def no_rate(self) -> str:
        """Why failures over device hours are no rate here; empty where they are one."""
        if np.isfinite(self.data.exit).any():
            return "devices are in the tables only because they failed (exit_h): hours of the others are not known"
        if self.failures and not self.device_hours:
            return f"all {self.failures} failures came before the first readout: there are no device hours"
        return self._repeated

    @property
    def no_part(self) -> str:
        """Why failures over devices are no part of all that began here; empty where they are one."""
        if self.data.truncated.any():
            return "devices were not watched from the start (entry_h), or only those that failed (exit_h)"
        return self._repeated

    @property
    def _repeated(self) -> str:
        if not self.repeated:
            return ""
        return f"{self.repeated} devices are there again, by lot and name: name the files that count (`files`)"


def gather_tests(sources: Sequence[SourceTable], content: ReportContent) -> tuple[list[StressTest], list[str]]:
    """Return the tests in ``sources``, and what was left out of them and why."""
    left_out: list[str] = []
    sound = [source for source in sources if _is_sound(source, left_out)]
    if not sound:
        return [], left_out
    columns, modes = lifetime_columns(sound)
    texts = {
        name: [text for source in sound for text in source.texts(name)] for name in ("lot_id", "stress", "device_id")
    }
    places_of_sources = [place for place, source in enumerate(sound) for _ in range(source.table.row_count)]
    numbers = {
        name: np.concatenate([source.numbers(name) for source in sound])
        for name in ("temperature_c", "voltage_v", "humidity_percent")
    }
    kept = _in_scope(texts["lot_id"], columns["count"], content, left_out)
    places: dict[Condition, list[int]] = {}
    for row in np.flatnonzero(kept):
        values = [_known(numbers[name][row]) for name in ("temperature_c", "voltage_v", "humidity_percent")]
        places.setdefault(Condition(texts["stress"][row], *values), []).append(int(row))
    tests = []
    for condition in sorted(places, key=lambda each: (each.stress.lower(), *(_sortable(v) for v in _values(each)))):
        rows = np.asarray(places[condition])
        own = [modes[row] for row in rows]
        limits = Truncation(columns["entry"][rows], columns["exit"][rows])
        lower, upper, count = (columns[name][rows] for name in ("lower", "upper", "count"))
        repeated, shared = _count_again(
            [(texts["lot_id"][row], texts["device_id"][row], places_of_sources[row]) for row in rows]
        )
        tests.append(
            StressTest(
                condition=condition,
                purpose=purpose_of(condition.stress, content.stresses),
                lots=tuple(sorted({texts["lot_id"][row] for row in rows} - {""})),
                files=tuple(dict.fromkeys(sound[places_of_sources[row]].file for row in rows)),
                data=collapse(lower, upper, count, limits),
                caused=collapse(lower, upper, count, limits, cause=own),
                modes=_count_modes(upper, count, own),
                repeated=repeated,
                shared_lots=shared,
            )
        )
    return tests, left_out


def _count_again(rows: Sequence[tuple[str, str, int]]) -> tuple[int, tuple[str, ...]]:
    """Return the rows of devices that are there already, and the lots of which that cannot be told.

    ``rows`` have lot, device and place of the file; a device is known by both names.
    """
    named = Counter((lot, device) for lot, device, _ in rows if lot and device)
    files: dict[str, set[int]] = {}
    nameless = set()
    for lot, device, place in rows:
        files.setdefault(lot, set()).add(place)
        if not (lot and device):
            nameless.add(lot)
    shared = sorted(lot for lot in nameless if len(files[lot]) > 1)
    return sum(number - 1 for number in named.values()), tuple(shared)


def _is_sound(source: SourceTable, left_out: list[str]) -> bool:
    try:
        build_life_data([source])
    except (LifeDataError, TableRefused) as error:
        left_out.append(f"{source.file}: {error}")
        return False
    return True


def _in_scope(lots: Sequence[str], count: Floats, content: ReportContent, left_out: list[str]) -> Any:
    if not content.lots:
        return np.ones(len(lots), np.bool_)
    wanted = set(content.lots)
    kept = np.asarray([lot in wanted for lot in lots])
    missing = sorted(wanted - set(lots))
    if (~kept).any():
        left_out.append(f"{count[~kept].sum():g} devices of lots that the report does not ask for")
    if missing:
        left_out.append(f"there are no devices of {', '.join(missing)}")
    return kept


def purpose_of(stress: str, names: StressNames) -> str:
    """Return what a test under ``stress`` is for, one of :data:`PURPOSES`."""
    if not stress:
        return names.unnamed
    for purpose in ("rate", "early_life", "burn_in"):
        if stress.lower() in {each.lower() for each in getattr(names, purpose)}:
            return purpose
    return "other"


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _values(condition: Condition) -> Iterable[float | None]:
    return condition.temperature_c, condition.voltage_v, condition.humidity_percent


def _sortable(value: float | None) -> float:
    return -1e300 if value is None else value


def _count_modes(upper: Floats, count: Floats, modes: Sequence[str | None]) -> dict[str, int]:
    found: dict[str, int] = {}
    for end, number, mode in zip(upper, count, modes, strict=True):
        if np.isfinite(end) and number > 0:
            found[mode or ""] = found.get(mode or "", 0) + int(number)
    return dict(sorted(found.items()))


def describe_tests(tests: Sequence[StressTest], content: ReportContent) -> list[dict[str, Any]]:
    """Return the table of tests: lots, devices, hours, failures by readout."""
    rows = []
    for test in tests:
        try:
            steps = [vars(step) for step in part_failed(test.data, content.level)] if test.failures else []
            reason = None
        except LifeDataError as error:
            steps, reason = [], str(error)
        rows.append(
            {
                "condition": test.condition.label,
                "purpose": test.purpose,
                "lots": list(test.lots),
                "lots_text": _lots(test.lots),
                "files": list(test.files),
                "devices": test.devices,
                "failures": test.failures,
                "modes": test.modes,
                "device_hours": test.device_hours,
                "hours": test.last_h,
                "readouts": steps,
                "readouts_refused": reason,
                "remark": _remark(test),
            }
        )
    return rows


def _remark(test: StressTest) -> str:
    """What may make the numbers of a test wrong, and what to do about it; empty where nothing is known to."""
    if test.repeated:
        return test.no_part
    if not test.shared_lots:
        return ""
    lots = _lots([lot or "devices without a lot" for lot in test.shared_lots])
    return (
        f"{lots}: in several of the files, without names of devices. Each row counts: where a file repeats the devices "
        "of another, hours are counted twice and rates are too low; name the files that count (`files`)"
    )


def _lots(lots: Sequence[str]) -> str:
    if not lots:
        return "not told"
    shown = ", ".join(lots[:_SHOWN_LOTS])
    return shown if len(lots) <= _SHOWN_LOTS else f"{shown} and {len(lots) - _SHOWN_LOTS} more"
