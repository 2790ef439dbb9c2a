"""Samples of equipment's traces as runs: stretches of one parameter without a gap, while the same step runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from services.pipelines.table_source import SourceTable, TableRefused


@dataclass(frozen=True, order=True)
class SeriesKey:
    """What a history is of: nothing is compared across keys. ``period_s`` is 0 where it is not known."""

    equipment: str
    trace: str
    parameter: str
    unit: str
    period_s: float
    context: str


@dataclass(frozen=True)
class Run:
    """Consecutive samples: values in the series' unit, and when the host received each, seconds since 1970."""

    values: NDArray[np.float64]
    times_s: NDArray[np.float64]


@dataclass(frozen=True)
class _Samples:
    """Rows of one parameter of one trace of one equipment, in the order of time."""

    times_s: NDArray[np.float64]
    numbers: NDArray[np.float64]
    values: NDArray[np.float64]
    contexts: list[str]
    periods_s: NDArray[np.float64]
    units: list[str]


def read_time(text: str) -> float:
    """Return an ISO time as seconds since 1970, NaN when it is none; UTC where it has no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return float("nan")
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def gather_series(
    sources: Sequence[SourceTable], context: Sequence[str], parameters: Sequence[str], block: int
) -> dict[SeriesKey, list[Run]]:
    """Return the runs of each series of ``sources``, in the order of time; none is longer than twice ``block``.

    ``context`` names the variables whose last value before a sample says what ran; ``parameters`` those that are
    wanted, all that are numbers if empty. A gap in the samples' numbers, a value that is no number and a change of
    context end a run. Samples that are in the files twice count once.

    Raises:
        TableRefused: a context variable is nowhere, or a parameter is.
    """
    distinct = list({each.sha256 + each.table.name: each for each in sources}.values())
    seen: set[str] = set()
    series: dict[SeriesKey, list[Run]] = {}
    for equipment in sorted({_equipment(each) for each in distinct}):
        own = [each for each in distinct if _equipment(each) == equipment]
        tables = [_Rows.of(each) for each in own]
        seen |= {name for rows in tables for name in rows.names if name}
        changes = _changes(tables, context)
        places = [rows.traced() for rows in tables]
        for trace, parameter in sorted({pair for own_places in places for pair in own_places}):
            if parameter in context or (parameters and parameter not in parameters):
                continue
            where = [own_places.get((trace, parameter), []) for own_places in places]
            samples = _collect(list(zip(tables, where, strict=True)), changes)
            for key, run in _cut(samples, (equipment, trace, parameter), block):
                series.setdefault(key, []).append(run)
    missing = next((name for name in (*context, *parameters) if name not in seen), None)
    if missing is not None:
        raise TableRefused(f"no trace or event has a variable {missing}; there are {', '.join(sorted(seen)[:20])}")
    return series


def _equipment(source: SourceTable) -> str:
    return str(source.table.vendor_metadata.get("equipment") or "")


@dataclass(frozen=True)
class _Rows:
    """Columns of a table of traces or events, a row for each value; a sample of a group has its own time and number."""

    traces: list[str]
    names: list[str]
    times_s: NDArray[np.float64]
    order: NDArray[np.float64]
    numbers: NDArray[np.float64]
    values: NDArray[np.float64]
    texts: list[str]
    units: list[str]
    periods_s: NDArray[np.float64]
    scalar: NDArray[np.bool_]

    @staticmethod
    def of(source: SourceTable) -> "_Rows":
        count = source.table.row_count
        names = _named(source, "variable")
        is_trace = source.table.kind == "equipment_trace"
        traces = _named(source, "trace")
        in_group = np.nan_to_num(source.numbers("sample_in_group")) if is_trace else np.zeros(count)
        groups = np.nan_to_num(source.numbers("samples_in_group"), nan=1.0) if is_trace else np.ones(count)
        periods = np.nan_to_num(source.numbers("period_s"))
        received = np.asarray([read_time(text) for text in source.texts("time")], np.float64)
        return _Rows(
            traces if is_trace else [""] * count,
            names,
            received - (groups - 1 - in_group) * periods,
            source.numbers("message"),
            source.numbers("sample_number") - (groups - 1) + in_group,
            source.numbers("value_number"),
            source.texts("value_text"),
            source.texts("unit"),
            periods,
            source.numbers("count") == 1,
        )

    def traced(self) -> dict[tuple[str, str], list[int]]:
        """Return by trace and parameter the rows of single values of which one is a number at least."""
        places: dict[tuple[str, str], list[int]] = {}
        for place, pair in enumerate(zip(self.traces, self.names, strict=True)):
            if self.scalar[place] and np.isfinite(self.times_s[place]) and all(pair):
                places.setdefault(pair, []).append(place)
        return {pair: own for pair, own in places.items() if np.isfinite(self.values[own]).any()}


def _named(source: SourceTable, what: str) -> list[str]:
    """Return the names of variables or traces, their numbers where the configuration has no name."""
    pairs = zip(source.texts(f"{what}_name"), source.texts(f"{what}_id"), strict=True)
    return [name or number for name, number in pairs]


_Change = tuple[float, float, str, str]


def _changes(tables: Sequence[_Rows], context: Sequence[str]) -> list[_Change]:
    """Return (time, message, variable, value) of the context's variables, in the order of time."""
    found = [
        (float(rows.times_s[place]), float(rows.order[place]), name, rows.texts[place])
        for rows in tables
        for place, name in enumerate(rows.names)
        if name in context
    ]
    return sorted(found)


def _collect(tables: Sequence[tuple[_Rows, list[int]]], changes: Sequence[_Change]) -> _Samples:
    """Return the samples in these places of the tables, each once, with what ran at the time."""
    found = {}
    for rows, places in tables:
        for place in places:
            identity = (float(rows.times_s[place]), float(rows.order[place]), _number(rows.numbers[place]))
            found[identity] = (rows, place)
    state: dict[str, str] = {}
    at, contexts = 0, []
    ordered = sorted(found)
    for time_s, message, _ in ordered:
        while at < len(changes) and changes[at][:2] <= (time_s, message):
            state[changes[at][2]] = changes[at][3]
            at += 1
        contexts.append(", ".join(f"{name}={state[name]}" for name in sorted(state)))
    picked = [found[identity] for identity in ordered]
    return _Samples(
        np.asarray([time_s for time_s, _, _ in ordered]),
        np.asarray([rows.numbers[place] for rows, place in picked]),
        np.asarray([rows.values[place] for rows, place in picked]),
        contexts,
        np.asarray([rows.periods_s[place] for rows, place in picked]),
        [rows.units[place] for rows, place in picked],
    )


def _number(value: float) -> float:
    """Return a number that sorts and equals itself: -1 where the equipment gave none."""
    return float(value) if np.isfinite(value) else -1.0


def _cut(samples: _Samples, names: tuple[str, str, str], block: int) -> list[tuple[SeriesKey, Run]]:
    """Return the runs, each with its series, in the order of time."""
    runs = []
    count = samples.values.size
    start = 0
    for place in range(1, count + 1):
        if place < count and _goes_on(samples, place):
            continue
        if np.isfinite(samples.values[start]):
            key = SeriesKey(*names, samples.units[start], float(samples.periods_s[start]), samples.contexts[start])
            pieces = np.array_split(np.arange(start, place), max(1, (place - start) // block))
            runs += [(key, Run(samples.values[piece], samples.times_s[piece])) for piece in pieces]
        start = place
    return runs


def _goes_on(samples: _Samples, place: int) -> bool:
    """Return whether the sample at ``place`` follows the one before without a gap, in the same series."""
    before = place - 1
    same = (
        samples.contexts[place] == samples.contexts[before]
        and samples.units[place] == samples.units[before]
        and samples.periods_s[place] == samples.periods_s[before]
    )
    finite = bool(np.isfinite(samples.values[place]) and np.isfinite(samples.values[before]))
    if not (same and finite):
        return False
    step = samples.numbers[place] - samples.numbers[before]
    if not np.isfinite(step):
        period_s = samples.periods_s[place]
        return bool(abs(samples.times_s[place] - samples.times_s[before] - period_s) < period_s / 2)
    return bool(step == 1)
