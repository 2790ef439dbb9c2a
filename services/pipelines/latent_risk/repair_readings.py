"""What judged repairs say of units: how many there were on each, how they went, and how such repairs go."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from services.pipelines.latent_risk.evidence_records import DieFrame, Reading
from services.pipelines.latent_risk.inspections import TWICE, Inspections
from services.pipelines.latent_risk.unit_identity import Claim

FEATURES = ("repairs", "not_held_part", "least_success_rate")
_NEITHER = "the log names no unit of the run, and it is joined to no defect of an inspection with dies"
_CONTRADICTION = "the log names another unit than the die of the run's defect"


def rule_of_outcomes(provenance: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what makes two judgements of repairs comparable: algorithm, version and criteria."""
    return provenance["algorithm"], provenance["algorithm_version"], provenance["parameters"]["criteria"]


def read_outcomes(document: Mapping[str, Any], inspections: Inspections, frame: DieFrame | None) -> list[Reading]:
    """Return what the runs of ``document`` say of each unit; ``inspections`` are those that the runs are joined to.

    A run's unit is what its log names, or the die of its defect; where both are known and differ, neither.
    ``not_held_part`` is of the runs whose outcome is known; ``least_success_rate`` the lowest rate of the tools and
    recipes used. A unit without a run is not known: logs may lack runs.
    """
    rates = {str(row["group"]): float(row["probability"]) for row in document["by_recipe"]}
    runs: dict[Claim, list[Mapping[str, Any]]] = {}
    for run in document["runs"]:
        for claim in _claims(run, inspections, frame):
            runs.setdefault(claim, []).append(run)
    return [Reading(claim, _values(several, rates)) for claim, several in runs.items()]


def _values(runs: list[Mapping[str, Any]], rates: Mapping[str, float]) -> tuple[float, ...]:
    known = [bool(run["held"]) for run in runs if run["held"] is not None]
    not_held = known.count(False) / len(known) if known else math.nan
    named = [f"{run['tool']} / {run['recipe']}" if run["recipe"] else str(run["tool"]) for run in runs]
    return float(len(runs)), not_held, min((rates[name] for name in named if name in rates), default=math.nan)


def _claims(run: Mapping[str, Any], inspections: Inspections, frame: DieFrame | None) -> Iterator[Claim]:
    named = _named(run.get("unit") or {})
    found = _of_defect(run, inspections, frame)
    if named is None and found is None:
        yield Claim(doubt=_NEITHER)
    elif named is None or found is None:
        yield named or found or Claim(doubt=_NEITHER)
    elif found.doubt or named.die is None or named.die == found.die:
        yield named
    else:
        yield Claim(named.lot, named.wafer, doubt=_CONTRADICTION)


def _named(unit: Mapping[str, str]) -> Claim | None:
    if not unit.get("serial") and not ("die_x" in unit and "die_y" in unit):
        return None
    try:
        x, y = (int(float(unit[name])) if name in unit else None for name in ("die_x", "die_y"))
    except ValueError:
        x = y = None
    return Claim(unit.get("lot_id", ""), unit.get("wafer_id", ""), x, y, unit.get("serial", ""))


def _of_defect(run: Mapping[str, Any], inspections: Inspections, frame: DieFrame | None) -> Claim | None:
    """Return the unit of the defect that the run is joined to, ``None`` where it has none."""
    if not run.get("defect_name"):
        return None
    sample, _, number = str(run["defect_name"]).rpartition(" ")
    if sample in inspections.twice:
        return Claim(doubt=TWICE)
    inspection = inspections.samples.get(sample)
    die = None if inspection is None or not number.isdigit() else inspection.dies.get(int(number))
    return None if inspection is None or die is None else inspection.claim(die, frame)
