"""What forecasts of degradation say of units: how likely each passes its threshold, and how fast it drifts."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from instruments.records import Table
from services.pipelines.latent_risk.evidence_records import Reading
from services.pipelines.latent_risk.unit_identity import Claim

_NOT_OF_A_RULE = frozenset({"seed", "level", "use_temperature_c", "use_hours", "pseudo"})
_PLAIN = re.compile(r"[^A-Za-z0-9_-]+")
_SCORES = ("crossing", "drift")


def rule_of_forecast(provenance: Mapping[str, Any], document: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what makes two forecasts comparable: algorithm, parameters, thresholds and horizons of what was measured.

    ``document`` has the answer's ``scores`` and ``parameters``.
    """
    asked = {name: value for name, value in provenance["parameters"].items() if name not in _NOT_OF_A_RULE}
    told = [[each["parameter"], each.get("unit"), each.get("threshold")] for each in document["parameters"]]
    return provenance["algorithm"], asked, sorted(told, key=str), document["scores"]["horizon_h"]


def name_features(parameters: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the values of a unit of which these ``parameters`` were read: crossing and drift of each.

    Raises:
        ValueError: two parameters have the same name when all but letters, digits, ``_`` and ``-`` is replaced.
    """
    plain = [_PLAIN.sub("_", each) for each in parameters]
    if len(set(plain)) < len(plain):
        raise ValueError(f"two of the parameters {', '.join(parameters)} have the same name as features")
    return tuple(f"{score}_{name}" for name in plain for score in _SCORES)


def read_unit_scores(table: Table, parameters: Sequence[str]) -> list[Reading]:
    """Return what a stored file of scores says of each unit, values in the order of :func:`name_features`."""
    lots, devices, names = (
        [str(text).strip() for text in table.columns[name]] for name in ("lot_id", "device_id", "parameter")
    )
    scores = [table.columns[name].tolist() for name in _SCORES]
    place = {name: len(_SCORES) * number for number, name in enumerate(parameters)}
    found: dict[tuple[str, str], list[float]] = {}
    for row, key in enumerate(zip(lots, devices, strict=True)):
        values = found.setdefault(key, [math.nan] * (len(_SCORES) * len(parameters)))
        at = place[names[row]]
        values[at : at + len(_SCORES)] = [each[row] for each in scores]
    return [_reading(Claim(lot, serial=device), values) for (lot, device), values in found.items()]


def _reading(claim: Claim, values: list[float]) -> Reading:
    if all(math.isnan(value) for value in values):
        return Reading(claim, reason="its readouts tell of no drift and of no threshold")
    return Reading(claim, tuple(values))
