"""Which part a result belongs to, and which wafer a part belongs to.

A part begins at its PIR and ends at the next PRR of the same head and site; the results of that head and site between
the two are its own.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from instruments.electrical.tester_log import Integers, LogRecord, ResultBlock, TesterLog
from instruments.errors import CorruptField

ALL = 255
"""HEAD_NUM or SITE_GRP: all of them together."""
NO_PLACE = -32768
"""X_COORD and Y_COORD: there is none."""
BEYOND = 1 << 62
_SAME_ID, _SAME_PLACE = 0x01, 0x02
_NONE: Mapping[str, Any] = {}


@dataclass
class Part:
    """One insertion; ``end`` is beyond the file when the part never ended, ``fields`` are those of its PRR."""

    head: int
    site: int
    begin: int
    end: int
    fields: Mapping[str, Any] = field(default_factory=dict)
    finished: bool = False
    wafer: int = -1
    superseded: bool = False


@dataclass
class Wafer:
    """One wafer; ``end`` is beyond the file when it never ended, ``result`` is the fields of its WRR."""

    head: int
    group: int
    begin: int
    end: int
    start: Mapping[str, Any]
    result: Mapping[str, Any] = field(default_factory=dict)


def find_parts(log: TesterLog) -> list[Part]:
    """Return the parts of ``log`` in the order in which they begin.

    Raises:
        CorruptField: beginnings (PIR) and ends (PRR) do not pair in a log that is not cut; in one that is, a warning.
    """
    parts: list[Part] = []
    open_parts: dict[tuple[int, int], Part] = {}
    unpaired: list[LogRecord] = []
    begun: dict[tuple[int, int], LogRecord] = {}
    for record in log.records:
        if record.name not in ("PIR", "PRR"):
            continue
        key = (int(record.fields.get("HEAD_NUM", 1)), int(record.fields.get("SITE_NUM", 1)))
        if record.name == "PIR":
            if key in open_parts:
                open_parts[key].end = record.position
                unpaired.append(begun[key])
            begun[key], open_parts[key] = record, Part(*key, record.position, BEYOND)
            parts.append(open_parts[key])
            continue
        part = open_parts.pop(key, None)
        if part is None:
            unpaired.append(record)
            part = Part(*key, record.position, record.position)
            parts.append(part)
        part.end, part.fields, part.finished = record.position, record.fields, True
    unpaired += [begun[key] for key in open_parts]
    _accept_unpaired(log, unpaired)
    _mark_superseded(parts)
    return parts


def _accept_unpaired(log: TesterLog, unpaired: list[LogRecord]) -> None:
    if not unpaired:
        return
    # A cut leaves beginnings without an end, never an end without a beginning.
    ended = [record for record in unpaired if record.name == "PRR"]
    if ended or log.complete:
        first = min(ended or unpaired, key=lambda record: record.position)
        where = f"head {first.fields.get('HEAD_NUM', 1)} site {first.fields.get('SITE_NUM', 1)}"
        what = "ends (PRR) and has not begun (PIR)" if ended else "begins (PIR) and never ends (PRR)"
        message = f"a part of {where} {what}"
        raise CorruptField(message, file=log.name, offset=first.position, offset_unit=log.offset_unit)
    log.warnings.append(f"{len(unpaired)} parts begin (PIR) and never end (PRR): they have no bin")


def _mark_superseded(parts: list[Part]) -> None:
    """Mark the parts that a later one says it replaces, by name or by place on the same wafer."""
    by_name: dict[Any, Part] = {}
    by_place: dict[Any, Part] = {}
    for part in parts:
        flags = int(part.fields.get("PART_FLG") or 0)
        name, place = part.fields.get("PART_ID"), place_of(part)
        if flags & _SAME_ID and name in by_name:
            by_name[name].superseded = True
        if flags & _SAME_PLACE and place in by_place:
            by_place[place].superseded = True
        if name:
            by_name[name] = part
        if place is not None:
            by_place[place] = part


def place_of(part: Part) -> tuple[int, int] | None:
    """Return the die's column and row, ``None`` when the file has none."""
    x, y = part.fields.get("X_COORD", NO_PLACE), part.fields.get("Y_COORD", NO_PLACE)
    return None if x is None or y is None or NO_PLACE in (x, y) else (int(x), int(y))


def assign_results(parts: list[Part], block: ResultBlock) -> Integers:
    """Return the place in ``parts`` of each record of ``block``, -1 where there is none."""
    found = np.full(block.position.size, -1, np.int64)
    by_key: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for index, part in enumerate(parts):
        by_key[part.head, part.site].append(index)
    for (head, site), indices in by_key.items():
        which = np.flatnonzero((block.head == head) & (block.site == site))
        begins = np.asarray([parts[index].begin for index in indices], np.int64)
        ends = np.asarray([parts[index].end for index in indices], np.int64)
        place = np.searchsorted(begins, block.position[which], "right") - 1
        inside = (place >= 0) & (block.position[which] < ends[np.maximum(place, 0)])
        found[which] = np.where(inside, np.asarray(indices, np.int64)[np.maximum(place, 0)], -1)
    return found


def find_wafers(log: TesterLog, parts: list[Part]) -> list[Wafer]:
    """Return the wafers of ``log`` and set each part's; adds a warning where WIR and WRR do not pair."""
    wafers: list[Wafer] = []
    open_wafers: dict[tuple[int, int], int] = {}
    lost = unended = regrouped = 0
    for record in log.records:
        if record.name not in ("WIR", "WRR"):
            continue
        key = (int(record.fields.get("HEAD_NUM", 1)), _group(record))
        if record.name == "WIR":
            if key in open_wafers:
                wafers[open_wafers[key]].end = record.position
                unended += 1
            open_wafers[key] = len(wafers)
            wafers.append(Wafer(*key, record.position, BEYOND, record.fields))
        elif (opened := _opened(open_wafers, key)) is not None:
            regrouped += opened != key
            wafer = wafers[open_wafers.pop(opened)]
            wafer.end, wafer.result = record.position, record.fields
        else:
            lost += 1
            wafers.append(Wafer(*key, record.position, record.position, _NONE, record.fields))
    if lost:
        log.warnings.append(f"{lost} wafers have a result (WRR) but no beginning (WIR)")
    if regrouped:
        log.warnings.append(f"{regrouped} wafers end (WRR) with another site group than they began with (WIR)")
    if open_wafers or unended:
        log.warnings.append(f"{len(open_wafers) + unended} wafers begin (WIR) and never end (WRR)")
    _assign_wafers(log, parts, wafers)
    return wafers


def _opened(open_wafers: Mapping[tuple[int, int], int], key: tuple[int, int]) -> tuple[int, int] | None:
    """Return the head and group of the wafer that ends: that of ``key``, or the only one that is open on its head."""
    of_head = [(head, group) for head, group in open_wafers if head == key[0]]
    return key if key in open_wafers else of_head[0] if len(of_head) == 1 else None


def _group(record: LogRecord) -> int:
    group = record.fields.get("SITE_GRP")
    return ALL if group is None else int(group)


def _assign_wafers(log: TesterLog, parts: list[Part], wafers: list[Wafer]) -> None:
    """Give each part the last wafer of its head and site group that began before the part ended."""
    sites: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    for record in log.of("SDR"):
        key = (int(record.fields.get("HEAD_NUM", 1)), _group(record))
        sites[key].update(int(site) for site in record.fields.get("SITE_NUM") or ())
    groups: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for index, wafer in enumerate(wafers):
        groups[wafer.head, wafer.group].append(index)
    begins = {key: np.asarray([wafers[index].begin for index in indices]) for key, indices in groups.items()}
    for part in parts:
        at = part.end if part.finished else part.begin
        for (head, group), indices in groups.items():
            if head != part.head or (group != ALL and part.site not in sites.get((head, group), {part.site})):
                continue
            place = int(np.searchsorted(begins[head, group], at, "right")) - 1
            if place >= 0 and at < wafers[indices[place]].end:
                part.wafer = indices[place]
