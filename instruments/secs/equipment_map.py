"""What the numbers of an equipment mean: the documented configuration, ``faultlight.secs-equipment/1``.

```json
{"schema": "faultlight.secs-equipment/1",
 "events": {"1001": {"name": "MillingStarted", "reports": ["1"]}},
 "reports": {"1": {"name": "Beam", "variables": ["2001", "2002"]}},
 "variables": {"2001": {"name": "BeamCurrent", "unit": "nA"}, "2002": {"name": "Clock", "clock": true}},
 "alarms": {"17": "Chamber pressure high"},
 "traces": {"5": {"name": "Beam", "variables": ["2001"], "period_s": 1.0}}}
```

Every id is written as text. All parts may be left out, and a name may stand for ``{"name": …}``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from instruments.errors import CorruptField, UnsupportedVersion

SCHEMA = "faultlight.secs-equipment/1"


@dataclass(frozen=True)
class Variable:
    """A variable: its unit as in the tables, and whether it holds the equipment's time."""

    name: str
    unit: str = ""
    clock: bool = False


@dataclass(frozen=True)
class Event:
    """A collection event, and the reports that the host links to it when it sets them up."""

    name: str
    reports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """A report: its variables in the order of their values."""

    name: str
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trace:
    """A trace: its variables in the order of their values, and the time from sample to sample."""

    name: str
    variables: tuple[str, ...] = ()
    period_s: float | None = None


@dataclass(frozen=True)
class Alarm:
    """An alarm."""

    name: str


@dataclass(frozen=True)
class EquipmentMap:
    """The configuration of one equipment; all parts are by id."""

    events: Mapping[str, Event] = field(default_factory=dict)
    reports: Mapping[str, Report] = field(default_factory=dict)
    variables: Mapping[str, Variable] = field(default_factory=dict)
    alarms: Mapping[str, Alarm] = field(default_factory=dict)
    traces: Mapping[str, Trace] = field(default_factory=dict)


def read_map(document: Any) -> EquipmentMap:
    """Return the configuration in ``document``, which came as JSON; ``None`` is one that knows nothing.

    Raises:
        UnsupportedVersion: the schema is another one.
        CorruptField: something is not as described above; the message says where.
    """
    if document is None:
        return EquipmentMap()
    if not isinstance(document, dict):
        raise CorruptField("the configuration of the equipment is no JSON object")
    schema = document.get("schema")
    if schema != SCHEMA:
        raise UnsupportedVersion("the configuration's schema is not known", expected=SCHEMA, found=str(schema))
    known = {"schema", "events", "reports", "variables", "alarms", "traces", "comment"}
    unknown = sorted(set(document) - known)
    if unknown:
        raise CorruptField(f"the configuration has a part {unknown[0]!r}", expected=", ".join(sorted(known)))
    made = EquipmentMap(
        events=_part(document, "events", _event),
        reports=_part(document, "reports", _report),
        variables=_part(document, "variables", _variable),
        alarms=_part(document, "alarms", _alarm),
        traces=_part(document, "traces", _trace),
    )
    for number, event in made.events.items():
        missing = next((each for each in event.reports if each not in made.reports), None)
        if missing is not None:
            raise CorruptField(f"event {number} names report {missing}, which the configuration does not define")
    return made


def _part(document: Mapping[str, Any], name: str, read: Callable[[Mapping[str, Any], str], Any]) -> dict[str, Any]:
    part = document.get(name, {})
    if not isinstance(part, dict):
        raise CorruptField(f"{name} is no JSON object")
    made = {}
    for number, value in part.items():
        where = f"{name}.{number}"
        entry = {"name": value} if isinstance(value, str) else value
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not entry["name"]:
            raise CorruptField(f"{where} has no name")
        made[str(number).strip()] = read(entry, where)
    return made


def _check_keys(entry: Mapping[str, Any], where: str, *allowed: str) -> None:
    unknown = sorted(set(entry) - {"name", "comment", *allowed})
    if unknown:
        raise CorruptField(f"{where} has {unknown[0]!r}, which means nothing", expected=", ".join(("name", *allowed)))


def _ids(entry: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    ids = entry.get(key, [])
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise CorruptField(f"{where}.{key} is no list of ids as text")
    return tuple(each.strip() for each in ids)


def _event(entry: Mapping[str, Any], where: str) -> Event:
    _check_keys(entry, where, "reports")
    return Event(entry["name"], _ids(entry, "reports", where))


def _report(entry: Mapping[str, Any], where: str) -> Report:
    _check_keys(entry, where, "variables")
    return Report(entry["name"], _ids(entry, "variables", where))


def _alarm(entry: Mapping[str, Any], where: str) -> Alarm:
    _check_keys(entry, where)
    return Alarm(entry["name"])


def _variable(entry: Mapping[str, Any], where: str) -> Variable:
    _check_keys(entry, where, "unit", "clock")
    unit, clock = entry.get("unit", ""), entry.get("clock", False)
    if not isinstance(unit, str) or not isinstance(clock, bool):
        raise CorruptField(f"{where}: unit is text and clock is true or false")
    return Variable(entry["name"], unit, clock)


def _trace(entry: Mapping[str, Any], where: str) -> Trace:
    _check_keys(entry, where, "variables", "period_s")
    period = entry.get("period_s")
    if period is not None and (isinstance(period, bool) or not isinstance(period, int | float) or not period > 0):
        raise CorruptField(f"{where}.period_s is no positive number")
    return Trace(entry["name"], _ids(entry, "variables", where), None if period is None else float(period))
