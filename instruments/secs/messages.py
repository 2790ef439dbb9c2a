"""SECS-II messages as rows: alarms (S5F1), traces (S6F1), event reports (S6F11, S6F13), and the list of all of them.

A number gets a name only from the configuration, and only where the message fits it: a report that brings more or
fewer values than the configuration lists keeps its values by position, without names. What cannot be read stays in the
list of messages, with the reason.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from instruments.errors import CorruptField, InstrumentError, ReadingLimit
from instruments.secs.clock import read_clock
from instruments.secs.equipment_map import EquipmentMap, Variable
from instruments.secs.items import TEXT_FORMATS, Item, decode_item, identifier_of, show_value, to_sml
from instruments.secs.journal_lines import Received

ALARM_CATEGORIES = {
    1: "personal safety",
    2: "equipment safety",
    3: "parameter control warning",
    4: "parameter control error",
    5: "irrecoverable error",
    6: "equipment status warning",
    7: "attention flags",
    8: "data integrity",
}
MAX_ROWS = 2_000_000
MAX_VECTOR_ROWS = 4096
MAX_SML_CHARACTERS = 2000


class Rows:
    """Rows of a table in the making, column by column."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {}
        self.count = 0

    def add(self, row: dict[str, Any]) -> None:
        """Add one row; every row has the same keys."""
        if self.count == 0:
            self.columns = {name: [] for name in row}
        for name, values in self.columns.items():
            values.append(row[name])
        self.count += 1


@dataclass(frozen=True)
class _Cell:
    """One number, text or empty item of a value."""

    path: str
    element: int
    count: int
    format: str
    number: float
    text: str

    def to_row(self, position: int) -> dict[str, Any]:
        return {
            "position": position,
            "path": self.path,
            "element": self.element,
            "count": self.count,
            "format": self.format,
            "value_number": self.number,
            "value_text": self.text,
        }


_NOTHING = _Cell("", 0, 0, "", math.nan, "").to_row(-1)


class MessageReader:
    """Sorts messages of one equipment into rows; ``add`` each, then take the rows and the warnings."""

    def __init__(self, equipment_map: EquipmentMap) -> None:
        self._map = equipment_map
        self.events = Rows()
        self.alarms = Rows()
        self.traces = Rows()
        self.messages = Rows()
        self.doubts: dict[str, int] = {}
        """How many messages each doubt is about."""

    def add(self, message: Received) -> None:
        """Add one message.

        Raises:
            ReadingLimit: there are more values than a table may have.
        """
        doubts: list[str] = []
        item: Item | None = None
        if message.repeat_of is not None:
            read_as = "repeat"
        else:
            try:
                item = decode_item(message.body)
                read_as = self._sort(message, item, doubts)
            except ReadingLimit:
                raise
            except InstrumentError as error:
                read_as = "malformed"
                doubts.append(f"{name_of(message)} cannot be read: {error}")
        if message.may_repeat is not None:
            doubts.append("a message has the same content as one whose acknowledgement may have been lost")
        for doubt in dict.fromkeys(_class_of(each) for each in doubts):
            self.doubts[doubt] = self.doubts.get(doubt, 0) + 1
        text = to_sml(item) if read_as == "other" else message.body.hex() if read_as == "malformed" else ""
        self._list(message, read_as, doubts, text)

    def _list(self, message: Received, read_as: str, doubts: list[str], text: str) -> None:
        shortened = text if len(text) <= MAX_SML_CHARACTERS else text[:MAX_SML_CHARACTERS] + "…"
        self.messages.add(
            {
                "message": message.number,
                "time": message.at,
                "connection": message.connection,
                "session_id": message.session_id,
                "stream": message.stream,
                "function": message.function,
                "wants_reply": message.wants_reply,
                "system_bytes": f"{message.system_bytes:08x}",
                "body_bytes": len(message.body),
                "read_as": read_as,
                "repeat_of": message.repeat_of if message.repeat_of is not None else message.may_repeat,
                "doubt": "; ".join(dict.fromkeys(doubts)),
                "text": shortened,
            }
        )

    def _sort(self, message: Received, item: Item | None, doubts: list[str]) -> str:
        kind = (message.stream, message.function)
        if kind == (5, 1):
            self._add_alarm(message, item, doubts)
            return "alarm"
        if kind == (6, 1):
            self._keep(self.traces, list(self._trace_rows(message, item, doubts)))
            return "trace"
        if kind in ((6, 11), (6, 13)):
            self._keep(self.events, list(self._event_rows(message, item, doubts)))
            return "event"
        return "other"

    def _keep(self, rows: Rows, made: list[dict[str, Any]]) -> None:
        if rows.count + len(made) > MAX_ROWS:
            raise ReadingLimit("the journal holds too many values", expected=MAX_ROWS, found=rows.count + len(made))
        for row in made:
            rows.add(row)

    def _add_alarm(self, message: Received, item: Item | None, doubts: list[str]) -> None:
        code_item, id_item, text_item = _parts(item, 3, "an alarm report")
        code = _byte(code_item)
        number = _identifier(id_item, "the alarm's id")
        alarm = self._map.alarms.get(number)
        if alarm is None:
            doubts.append(f"alarm {number} is not in the configuration")
        category = code & 0x7F
        row = _message_row(message, "") | {
            "alarm_id": number,
            "is_set": code >= 0x80,
            "alarm_code": code,
            "category": category,
            "category_name": ALARM_CATEGORIES.get(category, ""),
            "alarm_text": text_item.text() if text_item.format in TEXT_FORMATS else to_sml(text_item),
            "alarm_name": alarm.name if alarm else "",
            "alarm_known": alarm is not None,
        }
        self._keep(self.alarms, [row])

    def _event_rows(self, message: Received, item: Item | None, doubts: list[str]) -> Iterator[dict[str, Any]]:
        data_item, id_item, reports = _parts(item, 3, "an event report")
        number = _identifier(id_item, "the event's id")
        event = self._map.events.get(number)
        if event is None:
            doubts.append(f"event {number} is not in the configuration")
        common = {
            "event_id": number,
            "event_name": event.name if event else "",
            "event_known": event is not None,
            "data_id": identifier_of(data_item) or to_sml(data_item),
        }
        read = [self._report(each, message.function == 13, doubts) for each in _list_of(reports, "the reports")]
        heading = _message_row(message, self._clock(read)) | common
        if not read:
            yield heading | _report_row("", "", known=False) | _variable_row("", None) | _NOTHING
        for report in read:
            head = heading | _report_row(report.number, report.name, known=report.known)
            if not report.values:
                yield head | _variable_row("", None) | _NOTHING
            for position, (variable_id, value) in enumerate(report.values):
                named = _variable_row(variable_id, self._map.variables.get(variable_id))
                for cell in _cells(value):
                    yield head | named | cell.to_row(position)

    def _report(self, item: Item, annotated: bool, doubts: list[str]) -> "_ReadReport":
        id_item, list_item = _parts(item, 2, "a report")
        number = _identifier(id_item, "the report's id")
        values = _list_of(list_item, "the values of a report")
        known = self._map.reports.get(number)
        if annotated:
            pairs = [_parts(each, 2, "an annotated value") for each in values]
            named = [(_identifier(first, "the variable's id"), second) for first, second in pairs]
            return _ReadReport(number, known.name if known else "", known is not None, named)
        if known is None:
            doubts.append(f"report {number} is not in the configuration")
        elif len(known.variables) != len(values):
            doubts.append(
                f"report {number} has {len(values)} values where the configuration has {len(known.variables)}"
            )
        fits = known is not None and len(known.variables) == len(values)
        ids = known.variables if known is not None and fits else ("",) * len(values)
        return _ReadReport(number, known.name if known else "", fits, list(zip(ids, values, strict=True)))

    def _clock(self, reports: list["_ReadReport"]) -> str:
        for report in reports:
            for variable_id, value in report.values:
                variable = self._map.variables.get(variable_id)
                if variable is not None and variable.clock and value.format in TEXT_FORMATS:
                    return read_clock(value.text())
        return ""

    def _trace_rows(self, message: Received, item: Item | None, doubts: list[str]) -> Iterator[dict[str, Any]]:
        id_item, sample_item, time_item, values_item = _parts(item, 4, "a trace")
        number = _identifier(id_item, "the trace's id")
        values = _list_of(values_item, "the values of a trace")
        trace = self._map.traces.get(number)
        size = len(trace.variables) if trace else 0
        fits = size > 0 and len(values) > 0 and len(values) % size == 0
        if trace is None:
            doubts.append(f"trace {number} is not in the configuration")
        elif not fits:
            doubts.append(f"trace {number} has {len(values)} values where the configuration has {size} variables")
        size = size if fits else max(1, len(values))
        clock = read_clock(time_item.text()) if time_item.format in TEXT_FORMATS else ""
        sample = sample_item.values[0] if len(sample_item.values) == 1 else math.nan
        heading = _message_row(message, clock) | {
            "trace_id": number,
            "trace_name": trace.name if trace else "",
            "trace_known": fits,
            "sample_number": sample,
            "period_s": trace.period_s if trace else None,
            "samples_in_group": len(values) // size if fits else 1,
        }
        if not values:
            yield heading | {"sample_in_group": 0} | _variable_row("", None) | _NOTHING
        for index, value in enumerate(values):
            variable_id = trace.variables[index % size] if trace and fits else ""
            head = heading | {"sample_in_group": index // size}
            named = _variable_row(variable_id, self._map.variables.get(variable_id))
            for cell in _cells(value):
                yield head | named | cell.to_row(index % size)


@dataclass(frozen=True)
class _ReadReport:
    number: str
    name: str
    known: bool
    values: list[tuple[str, Item]]


def name_of(message: Received) -> str:
    """Return how people call a message, for example ``S6F11``."""
    return f"S{message.stream}F{message.function}"


def _class_of(doubt: str) -> str:
    """Return a doubt without the place in the message, so that doubts of a kind are counted together."""
    return doubt.split(" cannot be read:", 1)[0] + (" cannot be read" if " cannot be read:" in doubt else "")


def _message_row(message: Received, equipment_time: str) -> dict[str, Any]:
    return {
        "message": message.number,
        "time": message.at,
        "equipment_time": equipment_time,
        "may_repeat": message.may_repeat,
    }


def _report_row(number: str, name: str, *, known: bool) -> dict[str, Any]:
    return {"report_id": number, "report_name": name, "report_known": known}


def _variable_row(number: str, variable: Variable | None) -> dict[str, Any]:
    return {
        "variable_id": number,
        "variable_name": variable.name if variable else "",
        "variable_known": variable is not None,
        "unit": variable.unit if variable else "",
    }


def _parts(item: Item | None, count: int, what: str) -> tuple[Item, ...]:
    if item is None or item.format != "L" or len(item.items) != count:
        found = "nothing" if item is None else f"{item.format}[{item.count}]"
        raise CorruptField(f"{what} is no list of {count}", expected=f"L[{count}]", found=found)
    return item.items


def _list_of(item: Item, what: str) -> tuple[Item, ...]:
    if item.format != "L":
        raise CorruptField(f"{what} are no list", expected="L", found=item.format)
    return item.items


def _byte(item: Item) -> int:
    if item.format == "B" and len(item.data) == 1:
        return item.data[0]
    if item.format == "U1" and len(item.values) == 1:
        return int(item.values[0])
    raise CorruptField("the alarm's code is no byte", expected="B[1]", found=f"{item.format}[{item.count}]")


def _identifier(item: Item, what: str) -> str:
    number = identifier_of(item)
    if not number:
        raise CorruptField(f"{what} is no number and no text", found=f"{item.format}[{item.count}]")
    return number


def _cells(item: Item, path: str = "") -> Iterator[_Cell]:
    """Yield what a value holds, down to single numbers and texts."""
    if item.format == "L":
        if not item.items:
            yield _Cell(path, 0, 0, "L", math.nan, "")
        for index, each in enumerate(item.items):
            yield from _cells(each, f"{path}.{index}" if path else str(index))
    elif item.format in TEXT_FORMATS:
        yield _Cell(path, 0, min(1, item.count), item.format, math.nan, item.text())
    elif item.format == "B":
        number = float(item.data[0]) if len(item.data) == 1 else math.nan
        yield _Cell(path, 0, item.count, "B", number, item.data.hex())
    elif item.count == 0 or item.count > MAX_VECTOR_ROWS:
        text = json.dumps([show_value(value) for value in item.values]) if item.values else ""
        yield _Cell(path, 0, item.count, item.format, math.nan, text)
    else:
        for element, value in enumerate(item.values):
            yield _Cell(path, element, item.count, item.format, float(value), show_value(value))
