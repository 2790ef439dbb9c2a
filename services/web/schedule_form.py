"""The form of a report schedule: its fields from a schedule, a schedule from its fields, what is wrong beside each."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, cast

import orjson
from pydantic import ValidationError

from services.api.report_documents import ScheduleRequest
from services.pipelines.reliability.report_requests import ReportContent
from services.reports.due_times import BadSchedule, check_schedule, find_zone
from services.web.mechanism_form import field_of, fill_mechanisms, read_mechanisms, take_mechanisms

Place = tuple[str, ...]

OWN = ("program", "name", "description", "cron", "time_zone", "catch_up")
_NUMBERS: Mapping[str, Place] = {
    "use_temperature_c": ("use_temperature_c",),
    "mission_h": ("mission_h",),
    "early_life_h": ("early_life", "hours"),
    "early_life_beta": ("early_life", "beta"),
}
TARGETS: Mapping[str, Place] = {
    "target_fit": ("targets", "fit"),
    "target_early_life_ppm": ("targets", "early_life_ppm"),
    "target_mission_ppm": ("targets", "mission_ppm"),
    "target_fallout_ppm": ("targets", "fallout_ppm"),
    "target_burn_in_ppm": ("targets", "burn_in_ppm"),
    "target_open_excursions": ("targets", "open_excursions"),
}
"""Fields that may stay empty: a target that is absent is not judged."""
_PERCENT: Mapping[str, Place] = {"level_percent": ("level",)}
_PERCENTS: Mapping[str, Place] = {"confidences_percent": ("confidences",)}
_LISTS: Mapping[str, Place] = {"lots": ("lots",), "burn_in_h": ("burn_in", "hours")}
_WORDS: Mapping[str, Place] = {"lifetimes": ("lifetimes",)}
PLACES: Mapping[str, Place] = {**_NUMBERS, **TARGETS, **_PERCENT, **_PERCENTS, **_LISTS, **_WORDS}
"""Where in the content the value of each field is."""
_MECHANISMS: Place = ("mechanisms",)
REST = "rest"
"""The field with everything of the content that has no field of its own, as JSON."""
FIELDS = (*OWN, "recipients", *PLACES, REST)
_DEFAULTS = {"cron": "0 6 1 * *", "time_zone": "UTC", "catch_up": "latest"}
_MESSAGES = {
    "string_too_short": "is needed",
    "too_short": "is needed",
    "float_parsing": "is a number",
    "int_parsing": "is a whole number",
    "string_pattern_mismatch": "has letters that are not allowed",
}
"""What is said instead of pydantic's words, by kind of error."""
_SEPARATORS = re.compile(r"[,;\s]+")


@dataclass(frozen=True)
class ScheduleDraft:
    """What was entered: the text of each field, what is wrong by field, the request where nothing is."""

    values: Mapping[str, str]
    errors: Mapping[str, str]
    request: ScheduleRequest | None


def fill_form(schedule: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the text of each field for ``schedule``, or for a new one."""
    content = ReportContent.model_validate(schedule["content"] if schedule is not None else {})
    own = schedule if schedule is not None else _DEFAULTS
    values = {name: str(own.get(name, "")) for name in OWN}
    values["recipients"] = "\n".join(schedule["recipients"]) if schedule is not None else ""
    whole = content.model_dump(mode="json")
    for name, place in PLACES.items():
        values[name] = _write(name, _take(whole, place))
    values |= fill_mechanisms(whole["mechanisms"])
    rest = content.model_dump(mode="json", exclude_defaults=True)
    for place in (*PLACES.values(), _MECHANISMS):
        _remove(rest, place)
    values[REST] = orjson.dumps(rest, option=orjson.OPT_INDENT_2).decode() if rest else ""
    return values


def overlay_fields(values: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return ``values`` with the fields that ``given`` has, as an address does; rows of mechanisms replace all rows."""
    mechanisms = take_mechanisms(given)
    kept = values if not mechanisms else {name: text for name, text in values.items() if name in FIELDS}
    return {**kept, **mechanisms, **{name: given[name] for name in FIELDS if name in given}}


def read_draft(form: Mapping[str, str]) -> ScheduleDraft:
    """Return the schedule that the fields describe, or what is wrong with them."""
    values = {name: form.get(name, "").replace("\r\n", "\n").strip() for name in FIELDS} | take_mechanisms(form)
    errors: dict[str, str] = {}
    document: dict[str, Any] = {name: values[name] for name in OWN}
    document["recipients"] = _split(values["recipients"])
    document["content"] = _read_content(values, errors)
    errors |= _judge_times(values)
    request = None
    try:
        request = ScheduleRequest.model_validate(document)
    except ValidationError as error:
        # What the model says of the content as a whole has been said of the fields, where these are wrong.
        found = [each for each in error.errors() if each["loc"] != ("content",) or not errors]
        for each in found:
            name, where = _field_of(each["loc"])
            errors.setdefault(name, where + _tell(name, each["type"], each["msg"]))
    return ScheduleDraft(values, errors, None if errors else request)


def _read_content(values: Mapping[str, str], errors: dict[str, str]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    try:
        found = orjson.loads(values[REST]) if values[REST] else {}
        if isinstance(found, dict):
            content = found
        else:
            errors[REST] = "is an object of JSON, in braces"
    except orjson.JSONDecodeError as error:
        errors[REST] = f"is no JSON: {error.msg}, line {error.lineno}"
    if "mechanisms" in content:
        errors.setdefault(REST, "mechanisms has fields of its own")
    mechanisms = read_mechanisms(values, errors)
    if mechanisms is not None:
        content["mechanisms"] = mechanisms
    for name, place in PLACES.items():
        if _take(content, place) is not None:
            errors.setdefault(REST, f"{'.'.join(place)} has a field of its own")
        value = _read(name, values[name])
        if value is not None:
            _put(content, place, value)
    return content


def _judge_times(values: Mapping[str, str]) -> dict[str, str]:
    try:
        find_zone(values["time_zone"])
    except BadSchedule as error:
        return {"time_zone": str(error)}
    try:
        check_schedule(values["cron"], values["time_zone"])
    except BadSchedule as error:
        return {"cron": str(error)}
    return {}


def _field_of(location: tuple[int | str, ...]) -> tuple[str, str]:
    """Return the field that an error is about, and what stands before its message."""
    if location[0] != "content":
        name = str(location[0])
        return name, ""
    path = tuple(str(each) for each in location[1:])
    if path[:1] == _MECHANISMS and (field := field_of(path[1:])) is not None:
        return field, ""
    for name, place in PLACES.items():
        if path[: len(place)] == place:
            return name, ""
    return REST, f"{'.'.join(path)}: " if path else ""


def _tell(name: str, kind: str, message: str) -> str:
    """Return what is wrong with the field ``name`` as its name is followed by it; ``kind`` is pydantic's."""
    if name in _PERCENT or (name in _PERCENTS and kind != "too_short"):
        return "is a percentage between 0 and 100"
    if name == "recipients" and kind == "string_pattern_mismatch":
        return "is no address of e-mail"
    text = message.removeprefix("Value error, ").removeprefix("Input ")
    return _MESSAGES.get(kind, text[:1].lower() + text[1:])


def _split(text: str) -> list[str]:
    return [each for each in _SEPARATORS.split(text) if each]


def _read(name: str, text: str) -> Any:
    """Return the value of a field for the content: numbers stay text, which the content's model reads or refuses."""
    if name in TARGETS:
        return text or None
    if name in _PERCENT:
        return _part(text)
    if name in _PERCENTS:
        return [_part(each) for each in _split(text)]
    if name in _LISTS:
        return [each.strip() for each in re.split(r"[,;\n]", text) if each.strip()]
    return text


def _part(percent: str) -> float | str:
    """Return a percentage as a part of one, exactly as decimals say it; what is no number as it is."""
    try:
        return float(Decimal(percent.removesuffix("%").strip()) / 100)
    except InvalidOperation:
        return percent


def _write(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in _PERCENT:
        return _percent(value)
    if name in _PERCENTS:
        return ", ".join(_percent(each) for each in value)
    if name in _LISTS:
        return ", ".join(_number(each) for each in value)
    return _number(value)


def _number(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)


def _percent(part: float) -> str:
    return f"{(Decimal(repr(part)) * 100).normalize():f}"


def _take(document: Mapping[str, Any], place: Place) -> Any:
    found: Any = document
    for name in place:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _put(document: dict[str, Any], place: Place, value: Any) -> None:
    for name in place[:-1]:
        inner = document.setdefault(name, {})
        if not isinstance(inner, dict):
            return  # the model says what is wrong with it
        document = cast("dict[str, Any]", inner)
    document[place[-1]] = value


def _remove(document: dict[str, Any], place: Place) -> None:
    if len(place) == 1:
        document.pop(place[0], None)
    elif place[0] in document:
        _remove(document[place[0]], place[1:])
        if not document[place[0]]:
            del document[place[0]]
