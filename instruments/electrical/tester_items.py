"""Which test with which limits a result belongs to.

The first record of a test number sets the test's defaults; a later record's own limits, scales and units hold for
that record alone; what it leaves off, or flags as invalid, is the default's. A test without a limit is not a test
whose limit is not known. Where testers give one number to tests of several names, a record that names its test gets
what it leaves off from the first record of that name.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from instruments.electrical.tester_log import Integers, ResultBlock

_NULL = "\x00"
_TEXTS = {
    "name": "TEST_TXT",
    "unit": "UNITS",
    "input_unit": "UNITS_IN",
    "result_format": "C_RESFMT",
    "low_format": "C_LLMFMT",
    "high_format": "C_HLMFMT",
}
_NUMBERS = {
    "result_scale": ("RES_SCAL", 0x01),
    "low_scale": ("LLM_SCAL", 0x50),
    "high_scale": ("HLM_SCAL", 0xA0),
    "low_spec": ("LO_SPEC", 0x04),
    "high_spec": ("HI_SPEC", 0x08),
    "input_start": ("START_IN", 0x02),
    "input_step": ("INCR_IN", 0x02),
}
"""Column to the field, and the bits of OPT_FLAG that make it invalid."""
_LIMITS = {"low": ("LO_LIMIT", 0x40, 0x10), "high": ("HI_LIMIT", 0x80, 0x20)}
"""Side to the field, the bit for no limit at all, and the bit for the default's limit."""
_WITHOUT_LIMITS = frozenset({"functional", "scan"})
_PTR_RESERVED = 0x02
GIVEN, NONE, UNKNOWN = "given", "none", "unknown"


@dataclass(frozen=True)
class Item:
    """One test with one set of limits; ``values`` are by column of the vocabulary."""

    kind: str
    number: int
    is_default: bool
    values: Mapping[str, Any]
    pins: tuple[int, ...] = ()


@dataclass
class Items:
    """All items in the order of their first use; ``of_record[kind]`` has the item of each record of that kind."""

    items: list[Item] = field(default_factory=list)
    of_record: dict[str, Integers] = field(default_factory=dict)
    several_names: list[int] = field(default_factory=list)


def resolve(blocks: list[ResultBlock]) -> Items:
    """Return the items of all results of ``blocks``."""
    made = Items()
    for block in blocks:
        _resolve_block(block, made)
    return made


def _resolve_block(block: ResultBlock, made: Items) -> None:
    width = len(block.definitions) + 1
    pairs, first, inverse = np.unique(block.number * width + block.definition, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    defaults: dict[int, dict[str, Any]] = {}
    by_name: dict[tuple[int, str], dict[str, Any]] = {}
    names: dict[int, set[str]] = {}
    places: dict[tuple[Any, ...], int] = {}
    item_of_pair = np.zeros(pairs.size, np.int64)
    for pair in order.tolist():
        number, definition = divmod(int(pairs[pair]), width)
        own = block.definitions[definition]
        is_default = number not in defaults
        name = str(own.get(_TEXTS["name"], "")).rstrip(" \x00")
        values = effective(block.kind, own, by_name.get((number, name), defaults.get(number)))
        defaults.setdefault(number, values)
        if name:
            by_name.setdefault((number, name), values)
            names.setdefault(number, set()).add(name)
        key = (number, *values.values())
        if key not in places:
            places[key] = len(made.items)
            shown = {name: value for name, value in values.items() if name != "pins"}
            made.items.append(Item(block.kind, number, is_default, shown, values["pins"]))
        item_of_pair[pair] = places[key]
    made.of_record[block.kind] = item_of_pair[inverse.reshape(-1)] if pairs.size else np.empty(0, np.int64)
    made.several_names += [number for number, texts in names.items() if len(texts) > 1]


def effective(kind: str, own: Mapping[str, Any], default: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what holds for a record that says ``own`` of its test, by column of the vocabulary.

    ``default`` is what holds for the first record of the number, ``None`` for that record itself. Numbers that are
    not known are ``None``, ``pins`` is a tuple.
    """
    values: dict[str, Any] = {}
    for column, name in _TEXTS.items():
        text = own.get(name, "")
        inherited = default[column] if default and not text else ""
        values[column] = "" if text == _NULL else text.rstrip(" \x00") or inherited
    without = kind in _WITHOUT_LIMITS
    options = None if without else own.get("OPT_FLAG")
    for column, (name, invalid) in _NUMBERS.items():
        if kind == "parametric" and invalid == _PTR_RESERVED:
            values[column] = None
            continue
        value = own.get(name)
        usable = options is not None and not options & invalid and value is not None and math.isfinite(value)
        values[column] = value if usable else (default[column] if default else None)
    for side, limit in _LIMITS.items():
        state, value = (NONE, None) if without else _limit(limit, own, options)
        if state == UNKNOWN and default:
            state, value = default[f"{side}_limit_state"], default[f"{side}_limit"]
        values[f"{side}_limit_state"], values[f"{side}_limit"] = state, value
    pins = own.get("RTN_INDX") if kind == "multiple" else None
    values["pins"] = tuple(pins) if pins else (default["pins"] if default else ())
    return values


def _limit(limit: tuple[str, int, int], own: Mapping[str, Any], options: int | None) -> tuple[str, float | None]:
    """Return what the record itself says of a limit; unknown where it leaves it to the default."""
    name, absent, invalid = limit
    value = own.get(name)
    if options is not None and options & absent:
        return NONE, None
    if options is None or options & invalid or value is None or math.isnan(value):
        return UNKNOWN, None
    return GIVEN, float(value)
