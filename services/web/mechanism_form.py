"""Mechanisms of a report as rows of fields: from its content, back again, what is wrong by field, adding and removing.

A field's name is ``mechanism-<row>-<part>``; parts of coefficients and conditions end with their name in the API.
"""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from services.pipelines.reliability.report_requests import LawName
from services.web.mechanism_terms import LAWS, OF_THE_REPORT, TOLD_BY_TABLES, LawTerms, Quantity

MOST_MECHANISMS = 50
ACTIONS = re.compile(r"add-mechanism|show-mechanisms|remove-mechanism-(\d{1,2})")
"""What buttons among the rows do, none of which saves anything."""
_FIELD = re.compile(r"mechanism-(\d{1,2})-(.+)", re.DOTALL)
_DEFAULT_LAW: LawName = "arrhenius"
_NEW = {"law": _DEFAULT_LAW}
_COEFFICIENT_PARTS = {"coefficient": "value", "error": "standard_error", "source": "source"}
_CONDITION_PARTS = ("use", "stress")
Row = dict[str, str]


@dataclass(frozen=True)
class Asked:
    """A coefficient or condition that a row asks for; ``strange``: its law has none of this name."""

    name: str
    quantity: Quantity
    hint: str = ""
    strange: bool = False


@dataclass(frozen=True)
class ShownMechanism:
    """A row as the page shows it: the beginning of its fields' names, their text by part, what its law asks for."""

    prefix: str
    number: int
    values: Mapping[str, str]
    law: LawTerms
    coefficients: Sequence[Asked]
    use: Sequence[Asked]
    stress: Sequence[Asked]


def take_mechanisms(form: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of mechanisms among those of a form or an address, their rows numbered from 0."""
    return _join(_split({name: text.replace("\r\n", "\n").strip() for name, text in form.items()}))


def fill_mechanisms(mechanisms: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the text of each field for the mechanisms of a content as JSON."""
    rows = []
    for each in mechanisms:
        row: Row = {"name": each["name"], "law": each["law"], "modes": "\n".join(each["modes"])}
        for name, found in each["coefficients"].items():
            row[f"coefficient-{name}"] = _write(found["value"])
            row[f"error-{name}"] = _write(found["standard_error"]) if found["standard_error"] else ""
            row[f"source-{name}"] = found["source"]
        for part in _CONDITION_PARTS:
            row |= {f"{part}-{name}": _write(value) for name, value in each[part].items()}
        rows.append(row)
    return _join(rows)


def change_rows(values: Mapping[str, str], action: str) -> dict[str, str]:
    """Return the fields after a button of :data:`ACTIONS`; with another law go the fields that only the old one has."""
    rows = _split(values)
    found = ACTIONS.fullmatch(action)
    for row in rows:
        _forget_law_before(row)
    if found is not None and found[1] is not None and int(found[1]) < len(rows):
        del rows[int(found[1])]
    if action == "add-mechanism" and len(rows) < MOST_MECHANISMS:
        rows.append(dict(_NEW))
    return _join(rows or [{"name": "all", **_NEW}])


def _forget_law_before(row: Row) -> None:
    before, now = LAWS.get(cast("LawName", row.get("shown"))), _law(row)
    if before is None or before is now:
        return
    gone = {f"{part}-{name}" for part in _COEFFICIENT_PARTS for name in before.coefficients.keys() - now.coefficients}
    gone |= {f"{part}-{name}" for part in _CONDITION_PARTS for name in before.conditions.keys() - now.conditions}
    for part in gone:
        row.pop(part, None)


def show_mechanisms(values: Mapping[str, str]) -> list[ShownMechanism]:
    """Return the rows that ``values`` describe."""
    return [_show(number, row) for number, row in enumerate(_split(values))]


def _show(number: int, row: Row) -> ShownMechanism:
    law = _law(row)
    use = {name: each for name, each in law.conditions.items() if name != OF_THE_REPORT}
    coefficients = [
        Asked(name, each, "needed" if each.default is None else f"empty: {each.default:.4g}, which nobody measured")
        for name, each in law.coefficients.items()
    ]
    stress = [
        Asked(name, each, "empty: as the tables tell" if name in TOLD_BY_TABLES else "needed: no table tells it")
        for name, each in law.conditions.items()
    ]
    asked_of_use = [Asked(name, each, "needed") for name, each in use.items()]
    return ShownMechanism(
        prefix=f"mechanism-{number}",
        number=number + 1,
        values=defaultdict(str, row),
        law=law,
        coefficients=[*coefficients, *_others(row, _COEFFICIENT_PARTS, law.coefficients, {})],
        use=[*asked_of_use, *_others(row, ("use",), use, law.conditions)],
        stress=[*stress, *_others(row, ("stress",), law.conditions, law.conditions)],
    )


def _others(
    row: Row, parts: Sequence[str] | Mapping[str, str], asked: Mapping[str, Quantity], of_law: Mapping[str, Quantity]
) -> list[Asked]:
    """Return what the row has besides what its law asks for, so that nothing that was stored is lost unseen."""
    found = _names(row, parts, filled=True)
    return [
        Asked(name, of_law.get(name, Quantity(name)), strange=name not in of_law) for name in found if name not in asked
    ]


def _names(row: Row, parts: Sequence[str] | Mapping[str, str], *, filled: bool) -> list[str]:
    names = (part.partition("-") for part, text in row.items() if text or not filled)
    return list(dict.fromkeys(name for part, _, name in names if part in parts and name))


def read_mechanisms(values: Mapping[str, str], errors: dict[str, str]) -> list[dict[str, Any]] | None:
    """Return the mechanisms of the content, ``None`` without a row; note in ``errors`` what is wrong by field."""
    rows = _split(values)
    if not rows:
        return None
    found = []
    for number, row in enumerate(rows):
        wrong: dict[str, str] = {}
        found.append(_read(row, wrong))
        errors |= {f"mechanism-{number}-{part}": sentence for part, sentence in wrong.items()}
    _compare(rows, errors)
    return found


def _read(row: Row, wrong: dict[str, str]) -> dict[str, Any]:
    law = _law(row)
    if row.get("law") not in LAWS:
        wrong["law"] = "Choose a law of this list."
    if not row.get("name"):
        wrong["name"] = "A mechanism needs a name, by which the report calls it."
    mechanism: dict[str, Any] = {"name": row.get("name", ""), "law": row.get("law", ""), "modes": _modes(row)}
    mechanism["coefficients"] = _read_coefficients(row, law, wrong)
    for part in _CONDITION_PARTS:
        mechanism[part] = _read_conditions(row, law, part, wrong)
    return mechanism


def _read_coefficients(row: Row, law: LawTerms, wrong: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in dict.fromkeys([*law.coefficients, *_names(row, _COEFFICIENT_PARTS, filled=True)]):
        texts = {part: row.get(f"{part}-{name}", "") for part in _COEFFICIENT_PARTS}
        quantity = law.coefficients.get(name)
        place = f"coefficient-{name}"
        if quantity is None:
            wrong[place] = f"The law {law.title} has no coefficient {name}: empty its fields."
        elif not texts["coefficient"]:
            if texts["error"] or texts["source"]:
                wrong[place] = "Give the value that the standard error and the source are of, or empty them."
            elif quantity.default is None:
                wrong[place] = f"{quantity.label} is needed: the law {law.title} has no default of it."
        else:
            value = _number(texts["coefficient"], quantity, place, wrong)
            error = _number(texts["error"] or "0", Quantity("The standard error"), f"error-{name}", wrong)
            if error is not None and error < 0:
                wrong[f"error-{name}"] = "The standard error is 0 or more."
            found[name] = {"value": value, "standard_error": error, "source": texts["source"]}
    return found


def _read_conditions(row: Row, law: LawTerms, part: str, wrong: dict[str, str]) -> dict[str, float | None]:
    found = {}
    told = TOLD_BY_TABLES if part == "stress" else {OF_THE_REPORT}
    for name in dict.fromkeys([*law.conditions, *_names(row, (part,), filled=True)]):
        text, place, quantity = row.get(f"{part}-{name}", ""), f"{part}-{name}", law.conditions.get(name)
        if quantity is None:
            wrong[place] = f"The law {law.title} has no condition {name}: empty this field."
        elif text:
            found[name] = _number(text, quantity, place, wrong)
        elif name not in told:
            where = "in use" if part == "use" else "under stress"
            wrong[place] = f"{quantity.label} {where} is needed: no table tells it."
    return found


def _number(text: str, quantity: Quantity, place: str, wrong: dict[str, str]) -> float | None:
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        wrong[place] = f"{quantity.label} is a number with a decimal point, not {text[:40]!r}."
        return None
    if quantity.above_zero and not value > 0:
        wrong[place] = f"{quantity.label} is above 0."
    return value


def _compare(rows: Sequence[Row], errors: dict[str, str]) -> None:
    """Note names and modes that come twice, and a second mechanism that would take all that is left over."""
    names: dict[str, int] = {}
    modes: dict[str, int] = {}
    rest: int | None = None
    for number, row in enumerate(rows):
        prefix, name = f"mechanism-{number}", row.get("name", "")
        if name and names.setdefault(name, number) != number:
            errors.setdefault(f"{prefix}-name", f"Mechanism {names[name] + 1} has this name already.")
        own = [mode.lower() for mode in _modes(row)]
        for mode in own:
            if own.count(mode) > 1 or modes.setdefault(mode, number) != number:
                whose = modes.get(mode, number) + 1
                errors.setdefault(f"{prefix}-modes", f"The failure mode {mode!r} is mechanism {whose}'s already.")
        if not own and rest is not None:
            errors.setdefault(
                f"{prefix}-modes", f"Name its failure modes: mechanism {rest + 1} takes every mode that is left over."
            )
        rest = number if not own and rest is None else rest


def field_of(path: Sequence[str]) -> str | None:
    """Return the field that ``path`` within a content's ``mechanisms`` leads to, ``None`` where it is none alone."""
    match list(path):
        case [number, ("name" | "law" | "modes") as part, *_]:
            return f"mechanism-{number}-{part}"
        case [number, "coefficients", name, *inner]:
            places = {place: part for part, place in _COEFFICIENT_PARTS.items()}
            return f"mechanism-{number}-{places.get(inner[0] if inner else 'value', 'coefficient')}-{name}"
        case [number, ("use" | "stress") as part, name, *_]:
            return f"mechanism-{number}-{part}-{name}"
    return None


def _law(row: Row) -> LawTerms:
    name = row.get("law")
    return LAWS[cast("LawName", name)] if name in get_args(LawName) else LAWS[_DEFAULT_LAW]


def _modes(row: Row) -> list[str]:
    return [each.strip() for each in row.get("modes", "").split("\n") if each.strip()]


def _split(values: Mapping[str, str]) -> list[Row]:
    """Return the rows in their order, each with its text by part."""
    rows: dict[int, Row] = {}
    for name, text in values.items():
        if found := _FIELD.fullmatch(name):
            rows.setdefault(int(found[1]), {})[found[2]] = text
    return [rows[number] for number in sorted(rows)]


def _join(rows: Sequence[Row]) -> dict[str, str]:
    return {f"mechanism-{number}-{part}": text for number, row in enumerate(rows) for part, text in row.items()}


def _write(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value)
