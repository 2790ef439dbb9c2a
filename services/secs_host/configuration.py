"""The host's configuration: a JSON file, ``faultlight.secs-host/1``; see ``docs/guides/connect-equipment.md``."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from instruments.errors import InstrumentError
from instruments.secs.equipment_map import EquipmentMap, read_map
from instruments.secs.items import INTEGER_FORMATS
from services.secs_host.conversation import Requests
from services.secs_host.equipment import Connecting
from services.secs_host.journal import Limits
from services.secs_host.session import Timers

SCHEMA = "faultlight.secs-host/1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class BadConfiguration(Exception):  # noqa: N818
    """The configuration is not right; ``str`` says where and what."""


@dataclass(frozen=True)
class Equipment:
    """One equipment: how it is reached, what is asked of it, what its numbers mean, whose data it is."""

    name: str
    connecting: Connecting
    requests: Requests
    map_document: Any
    equipment_map: EquipmentMap
    program: str | None
    key_file: Path | None
    repeat_window_s: float


@dataclass(frozen=True)
class Configuration:
    """All equipment of one host, and where and how its messages are kept."""

    state_dir: Path
    limits: Limits
    keep_uploaded_s: float
    equipment: tuple[Equipment, ...]


class _Part:
    """One JSON object with the keys it may have; every key that is not asked for is an error."""

    def __init__(self, document: Any, where: str) -> None:
        if not isinstance(document, dict):
            raise BadConfiguration(f"{where} is no JSON object")
        self._rest: dict[str, Any] = dict(document)
        self.where = where

    def bad(self, key: str, expected: str) -> BadConfiguration:
        return BadConfiguration(f"{self.where}.{key} is not {expected}")

    def take(self, key: str, default: Any = None) -> Any:
        return self._rest.pop(key, default)

    def text(self, key: str, default: str | None = None) -> str:
        value = self.take(key, default)
        if not isinstance(value, str) or not value:
            raise self.bad(key, "text")
        return value

    def path(self, key: str, base: Path) -> Path | None:
        return base / self.text(key) if key in self._rest else None

    def number(self, key: str, default: float, *, least: float = 0.0) -> float:
        value = self.take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
            raise self.bad(key, f"a number of at least {least:g}")
        return value

    def whole(self, key: str, default: int | None, low: int, high: int) -> int:
        value = self.take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.bad(key, f"a whole number from {low} to {high}")
        return value

    def flag(self, key: str) -> bool:
        value = self.take(key, False)
        if not isinstance(value, bool):
            raise self.bad(key, "true or false")
        return value

    def finish(self) -> None:
        self._rest.pop("comment", None)
        if self._rest:
            raise BadConfiguration(f"{self.where} has {sorted(self._rest)[0]!r}, which means nothing")


def read_configuration(path: Path) -> Configuration:
    """Return what the file says; paths in it are relative to its folder.

    Raises:
        BadConfiguration: it cannot be read, or something in it is not right.
    """
    document = _load(path)
    part = _Part(document, path.name)
    if (schema := part.take("schema")) != SCHEMA:
        raise BadConfiguration(f"{path.name}: the schema is {schema!r}, this program knows {SCHEMA!r}")
    base = path.resolve().parent
    state_dir = part.path("state_dir", base) or base / "secs-host"
    limits = _limits(_Part(part.take("segment", {}), "segment"))
    keep_uploaded_s = part.number("keep_uploaded_s", 7 * 86400.0)
    entries = part.take("equipment")
    if not isinstance(entries, list) or not entries:
        raise part.bad("equipment", "a list of equipment")
    equipment = tuple(_equipment(_Part(entry, f"equipment[{index}]"), base) for index, entry in enumerate(entries))
    part.finish()
    names = [each.name.lower() for each in equipment]
    if len(set(names)) != len(names):
        raise BadConfiguration("two equipment have the same name")
    return Configuration(state_dir, limits, keep_uploaded_s, equipment)


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise BadConfiguration(f"{path} cannot be read: {error}") from error


def _limits(part: _Part) -> Limits:
    made = Limits(
        messages=part.whole("messages", Limits.messages, 1, 1_000_000),
        body_bytes=part.whole("body_bytes", Limits.body_bytes, 1, 256 << 20),
        age_s=part.number("age_s", Limits.age_s),
    )
    part.finish()
    return made


def _equipment(part: _Part, base: Path) -> Equipment:
    name = part.text("name")
    if not _NAME.fullmatch(name):
        raise part.bad("name", "letters, digits, '.', '_', '-', at most 64")
    part.where = name
    map_document = part.take("map")
    if isinstance(map_document, str):
        map_document = _load(base / map_document)
    try:
        equipment_map = read_map(map_document)
    except InstrumentError as error:
        raise BadConfiguration(f"{name}: {error}") from error
    made = Equipment(
        name=name,
        connecting=_connecting(part),
        requests=_requests(_Part(part.take("requests", {}), f"{name}.requests")),
        map_document=map_document,
        equipment_map=equipment_map,
        program=part.text("program") if "program" in part._rest else None,
        key_file=part.path("key_file", base),
        repeat_window_s=part.number("repeat_window_s", 3600.0),
    )
    part.finish()
    return made


def _connecting(part: _Part) -> Connecting:
    mode = part.text("mode", "active")
    if mode not in ("active", "passive"):
        raise part.bad("mode", "active or passive")
    any_device = "device_id" in part._rest and part._rest["device_id"] is None
    device_id = None if any_device else part.whole("device_id", 0, 0, 0x7FFF)
    if any_device:
        part.take("device_id")
    return Connecting(
        is_active=mode == "active",
        host=part.text("host", None if mode == "active" else "0.0.0.0"),  # noqa: S104
        port=part.whole("port", 5000, 0 if mode == "passive" else 1, 0xFFFF),
        device_id=device_id,
        timers=_timers(_Part(part.take("timers", {}), f"{part.where}.timers")),
        linktest_s=part.number("linktest_s", 30.0, least=0.1),
        confirm_s=part.number("confirm_s", 2.0),
    )


def _timers(part: _Part) -> Timers:
    values: dict[str, Any] = {
        each.name: part.number(each.name, getattr(Timers, each.name), least=0.01)
        for each in fields(Timers)
        if each.name.endswith("_s")
    }
    values["max_message_bytes"] = part.whole("max_message_bytes", Timers.max_message_bytes, 1024, 256 << 20)
    part.finish()
    return Timers(**values)


def _requests(part: _Part) -> Requests:
    id_format = part.text("id_format", "U4")
    if id_format not in INTEGER_FORMATS:
        raise part.bad("id_format", "one of " + ", ".join(INTEGER_FORMATS))
    flags: Mapping[str, bool] = {key: part.flag(key) for key in ("online", "reports", "alarms", "spool")}
    made = Requests(id_format=id_format, retry_s=part.number("retry_s", 10.0, least=0.1), **flags)
    part.finish()
    return made
