"""The table of constants with a laboratory's own in place, and what an answer says it has used of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.repair.constants import Constant, ConstantsRefused, ConstantTable
from analysis.repair.default_constants import default_table, unit_of
from services.pipelines.repair.repair_constants import GivenConstant


def make_table(given: Sequence[GivenConstant]) -> ConstantTable:
    """Return the table of defaults with ``given`` in place; raises ``ConstantsRefused``."""
    rows: dict[str, Constant] = {}
    for item in given:
        if item.key in rows:
            raise ConstantsRefused(f"the constant {item.key} is given twice")
        fields: dict[str, Any] = {"kind": item.kind, "label": item.label}
        rows[item.key] = Constant(item.key, item.value, unit_of(item.key), item.spread, source=item.source, **fields)
    return default_table().replaced(rows)


def describe_constants(used: Mapping[str, Constant]) -> list[dict[str, Any]]:
    """Return the constants that an answer has used, each with its unit, spread, label and source."""
    return [
        {
            "key": row.key,
            "value": row.value,
            "unit": row.unit,
            "spread": row.spread,
            "kind": row.kind,
            "label": row.label,
            "source": row.source,
        }
        for row in used.values()
    ]
