"""The form of an assembly of unit evidence: its fields as a request, what is wrong by field, a request as fields."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

from pydantic import ValidationError

from services.pipelines.latent_risk.evidence_requests import AssemblyRequest, ModalityName

MODALITIES: tuple[str, ...] = get_args(ModalityName)
FRAMES = {"wafer_map": "Wafer maps, from the upper left corner", "inspection": "Inspections, from the reference die"}
_OFFSETS = ("x_offset", "y_offset")
_MASK_NUMBERS = {"columns": 1, "rows": 1, "x_first": 0, "y_first": 0}
_ROW = re.compile(r"(stated|mask)-([0-9]{1,3})-(.+)")
_TIMES = {"freeze_at": "The freeze", "survived_until": "The time until which units had survived"}
SPARE_ROWS = 2
"""Empty rows for files with a stated time, and for masks, beyond those that are filled."""


@dataclass(frozen=True)
class AssemblyDraft:
    """What was entered: the text of each field, what is wrong by field, the request where nothing is."""

    values: Mapping[str, str]
    errors: Mapping[str, str]
    request: AssemblyRequest | None


def read_assembly(form: Mapping[str, str]) -> AssemblyDraft:
    """Return the assembly that the fields describe, or what is wrong with them."""
    values = {name: text.replace("\r\n", "\n").strip() for name, text in form.items()}
    errors: dict[str, str] = {}
    document: dict[str, Any] = {
        "program": values.get("program", ""),
        "lots": _lines(values.get("lots", "")),
        "modalities": [name for name in MODALITIES if values.get(f"modality-{name}")],
        "result_ids": _lines(values.get("results", "")),
        "outcome_table_ids": [name.removeprefix("outcomes-") for name in values if name.startswith("outcomes-")],
        "frames": {name: frame for name in FRAMES if (frame := _read_frame(values, name, errors)) is not None},
        "masks": _read_masks(values, errors),
        "stated_times": _read_stated(values, errors),
    }
    document |= {name: found for name in _TIMES if (found := _read_time(values, name, errors)) is not None}
    document |= {"name": values["name"]} if values.get("name") else {}
    request = None
    try:
        request = AssemblyRequest.model_validate(document)
    except ValidationError as error:
        for each in error.errors():
            name, sentence = _tell(each["loc"], each["type"], each["msg"])
            errors.setdefault(name, sentence)
    return AssemblyDraft(values, errors, None if errors else request)


def _lines(text: str) -> list[str]:
    return [each.strip() for each in re.split(r"[,;\n]", text) if each.strip()]


def _read_time(values: Mapping[str, str], name: str, errors: dict[str, str]) -> datetime | None:
    text = values.get(name, "")
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        errors[name] = f"{_TIMES.get(name, 'This')} is a date and a time such as 2026-03-01T06:00, in UTC."
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _read_whole(values: Mapping[str, str], name: str, default: int, errors: dict[str, str]) -> int:
    text = values.get(name, "")
    try:
        return int(text) if text else default
    except ValueError:
        errors[name] = f"A whole number is needed, not {text[:40]!r}."
        return default


def _read_frame(values: Mapping[str, str], name: str, errors: dict[str, str]) -> dict[str, Any] | None:
    if not values.get(f"{name}-given"):
        return None
    signs = {f"{axis}_sign": -1 if values.get(f"{name}-{axis}_sign") == "-1" else 1 for axis in "xy"}
    offsets = {each: _read_whole(values, f"{name}-{each}", 0, errors) for each in _OFFSETS}
    return {"swap": bool(values.get(f"{name}-swap")), **signs, **offsets}


def _rows(values: Mapping[str, str], kind: str) -> dict[int, dict[str, str]]:
    rows: dict[int, dict[str, str]] = {}
    for name, text in values.items():
        found = _ROW.fullmatch(name)
        if found is not None and found[1] == kind:
            rows.setdefault(int(found[2]), {})[found[3]] = text
    return dict(sorted(rows.items()))


def _read_stated(values: Mapping[str, str], errors: dict[str, str]) -> list[dict[str, Any]]:
    found = []
    for number, row in _rows(values, "stated").items():
        name = f"stated-{number}-known_at"
        if not row.get("file"):
            continue
        if not row.get("known_at"):
            errors[name] = "Since when was this file known?"
            continue
        known_at = _read_time(values, name, errors)
        found += [{"file_id": row["file"], "known_at": known_at}] if known_at is not None else []
    return found


def _read_masks(values: Mapping[str, str], errors: dict[str, str]) -> list[dict[str, Any]]:
    found = []
    for number, row in _rows(values, "mask").items():
        if not row.get("inspection"):
            continue
        lots = _lines(row.get("lots", ""))
        if not lots:
            errors[f"mask-{number}-lots"] = "Which lots has this mask printed?"
        numbers = {
            each: _read_whole(values, f"mask-{number}-{each}", default, errors)
            for each, default in _MASK_NUMBERS.items()
        }
        found.append({"inspection_file_id": row["inspection"], "lots": lots or ["?"], **numbers})
    return found


_FIELDS = {"lots": "lots", "result_ids": "results", "outcome_table_ids": "outcomes", "name": "name",
           "program": "program", "freeze_at": "freeze_at", "survived_until": "survived_until"}  # fmt: skip
_SENTENCES = {
    (
        "name",
        "string_pattern_mismatch",
    ): "The name begins with a letter or digit; after it blanks, dots and dashes too.",
    ("results", "uuid_parsing"): "Ids of results are needed, one a line, as their pages show them.",
    ("program", "string_too_short"): "Choose a program.",
}


def _tell(location: tuple[int | str, ...], kind: str, message: str) -> tuple[str, str]:
    """Return the field that pydantic's error is about, and a sentence about it."""
    text = message.removeprefix("Value error, ").removeprefix("Input ")
    sentence = f"{text[:1].upper()}{text[1:]}."
    if not location:
        return "", sentence
    place = [str(each) for each in location]
    if place[0] == "frames":
        return "-".join(place[1:]), sentence
    if place[0] in ("masks", "stated_times"):
        return "", f"{' '.join(place)}: {text}."
    name = _FIELDS.get(place[0], "")
    return name, _SENTENCES.get((name, kind), sentence)


def fill_assembly(question: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of each field for a question that was asked before, as its job has it."""
    values = {"program": question["program"], "name": question["name"], "lots": "\n".join(question["lots"])}
    values |= {name: question[name] for name in _TIMES if question.get(name)}
    values["results"] = "\n".join(question["result_ids"])
    values |= {f"modality-{name}": "on" for name in question["modalities"]}
    values |= {f"outcomes-{each}": "on" for each in question["outcome_table_ids"]}
    for name, frame in question["frames"].items():
        if frame is not None:
            values |= {f"{name}-given": "on"} | ({f"{name}-swap": "on"} if frame["swap"] else {})
            values |= {f"{name}-{each}": str(frame[each]) for each in ("x_sign", "y_sign", *_OFFSETS)}
    for number, each in enumerate(question["stated_times"]):
        values |= {f"stated-{number}-file": each["file_id"], f"stated-{number}-known_at": each["known_at"]}
    for number, each in enumerate(question["masks"]):
        values |= {f"mask-{number}-inspection": each["inspection_file_id"]}
        values |= {f"mask-{number}-lots": ", ".join(each["lots"])}
        values |= {f"mask-{number}-{name}": str(each[name]) for name in _MASK_NUMBERS}
    return values


def row_numbers(values: Mapping[str, str], kind: str) -> list[int]:
    """Return the numbers of the rows of ``kind``, ``stated`` or ``mask``, to be shown: those filled, and some spare."""
    filled = [number for number, row in _rows(values, kind).items() if any(row.values())]
    first = max(filled, default=-1) + 1
    return [*filled, *range(first, first + SPARE_ROWS)]
