"""What the host asks of an equipment once it is selected: communication, and as configured reports, alarms, spool."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from instruments.errors import InstrumentError
from instruments.secs.equipment_map import EquipmentMap
from instruments.secs.items import (
    Item,
    binary_item,
    boolean_item,
    decode_item,
    encode_item,
    list_item,
    number_item,
    text_item,
)
from services.secs_host.session import NoReply, Session

log = logging.getLogger("faultlight.secs_host")


@dataclass(frozen=True)
class Requests:
    """What to ask for.

    Attributes:
        online: go on-line (S1F17).
        reports: define the configuration's reports, link them to its events and enable these (S2F33, S2F35, S2F37).
        alarms: enable all alarms (S5F3).
        spool: have what was spooled while nobody listened (S6F23).
        id_format: the format of ids that are numbers.
        retry_s: pause before communication is asked for again.
    """

    online: bool = False
    reports: bool = False
    alarms: bool = False
    spool: bool = False
    id_format: str = "U4"
    retry_s: float = 10.0


@dataclass(frozen=True)
class _Step:
    stream: int
    function: int
    body: Item
    accepted: tuple[int, ...]


async def converse(session: Session, requests: Requests, equipment_map: EquipmentMap) -> list[str]:
    """Establish communication, then ask for what is wanted; return what the equipment did not grant, in words.

    Raises:
        LineBroken: the connection is gone.
    """
    while (doubt := await _ask(session, _Step(1, 13, list_item(), (0,)))) is not None:
        log.warning("communication is not established: %s", doubt)
        await asyncio.sleep(requests.retry_s)
    doubts = [await _ask(session, step) for step in _steps(requests, equipment_map)]
    if requests.alarms:
        doubts += await _enable_alarms(session, requests.id_format, equipment_map)
    if requests.spool:
        doubts.append(await _ask(session, _Step(6, 23, number_item("U1", 0), (0, 2))))
    told = [doubt for doubt in doubts if doubt is not None]
    for doubt in told:
        log.warning("not granted: %s", doubt)
    return told


async def _enable_alarms(session: Session, id_format: str, equipment_map: EquipmentMap) -> list[str | None]:
    """Enable all alarms at once, which an empty id means; else, where that is not understood, each that is known."""
    refusal = await _ask(session, _alarm_step(number_item(id_format)))
    if refusal is None or not equipment_map.alarms:
        return [refusal]
    return [await _ask(session, _alarm_step(_id(number, id_format))) for number in equipment_map.alarms]


def _alarm_step(alarm: Item) -> _Step:
    return _Step(5, 3, list_item(binary_item(0x80), alarm), (0,))


def _steps(requests: Requests, equipment_map: EquipmentMap) -> Iterator[_Step]:
    if requests.online:
        yield _Step(1, 17, list_item(), (0, 2))
    if requests.reports and equipment_map.reports:
        yield from _report_steps(requests.id_format, equipment_map)


def _report_steps(id_format: str, equipment_map: EquipmentMap) -> Iterator[_Step]:
    """Forget all reports, define ours, link them, enable their events; the order that SEMI E30 gives."""
    data_id = number_item(id_format, 0)
    reports = [
        list_item(_id(number, id_format), list_item(*(_id(each, id_format) for each in report.variables)))
        for number, report in equipment_map.reports.items()
    ]
    linked = {number: event for number, event in equipment_map.events.items() if event.reports}
    links = [
        list_item(_id(number, id_format), list_item(*(_id(each, id_format) for each in event.reports)))
        for number, event in linked.items()
    ]
    events = [_id(number, id_format) for number in equipment_map.events]
    yield _Step(2, 33, list_item(data_id, list_item()), (0,))
    yield _Step(2, 33, list_item(data_id, list_item(*reports)), (0,))
    if links:
        yield _Step(2, 35, list_item(data_id, list_item(*links)), (0,))
    yield _Step(2, 37, list_item(boolean_item(True), list_item(*events)), (0,))


def _id(text: str, id_format: str) -> Item:
    return number_item(id_format, int(text)) if text.isascii() and text.isdigit() else text_item(text)


async def _ask(session: Session, step: _Step) -> str | None:
    """Return why the equipment did not accept, ``None`` when it did."""
    name = f"S{step.stream}F{step.function}"
    try:
        reply = await session.ask(step.stream, step.function, encode_item(step.body))
        code = _code_of(decode_item(reply.body))
    except NoReply as error:
        return str(error)
    except InstrumentError as error:
        return f"the reply to {name} cannot be read: {error}"
    if code is None:
        return f"the reply to {name} has no code"
    return None if code in step.accepted else f"{name} was answered with code {code}"


def _code_of(item: Item | None) -> int | None:
    """Return the acknowledge code of a reply: the item itself, or the first of a list."""
    if item is not None and item.format == "L" and item.items:
        item = item.items[0]
    if item is None:
        return None
    if item.format == "B" and len(item.data) == 1:
        return item.data[0]
    return int(item.values[0]) if item.format.startswith(("U", "I")) and len(item.values) == 1 else None
