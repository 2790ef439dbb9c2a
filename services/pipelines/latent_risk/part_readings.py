"""What scores of screened parts say of units: how far each is from the others, and how its wafer's neighbours fared."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from instruments.records import Table
from services.pipelines.latent_risk.evidence_records import Frames, Reading
from services.pipelines.latent_risk.unit_identity import Claim

ELECTRICAL = ("average_sigmas", "average_rms_sigmas", "residual_sigmas", "multivariate_ratio")
NEIGHBOURHOOD = ("failed_around", "stack_failed_part")
_NOT_OF_A_RULE = frozenset({"seed", "planted", "planted_sigmas", "level"})
NO_FRAME = (
    "places of wafer maps count from their own corner, and no frame (frames.wafer_map) says how that is the log's"
)
_NO_PLACE = "the part has a wafer but no place on it, and its number on the wafer is no serial"
_NOT_SCORED = "the screens have no score of the part"


def rule_of_electrical(provenance: dict[str, Any], scores: dict[str, Any]) -> tuple[Any, ...]:
    """Return what makes electrical scores of two screenings comparable: algorithm, parameters, tests."""
    asked = {name: value for name, value in provenance["parameters"].items() if name not in _NOT_OF_A_RULE}
    return provenance["algorithm"], asked, sorted(scores["tests"]), scores["places_from"] == "none"


def rule_of_neighbourhood(provenance: dict[str, Any]) -> tuple[Any, ...]:
    """Return what makes scores of neighbourhoods comparable: algorithm and which neighbours count how much."""
    asked = provenance["parameters"]
    names = ("fail_reach", "diagonal_weight", "least_wafers")
    return provenance["algorithm"], {name: asked[name] for name in names}


def read_parts_scores(table: Table, places_from: str, frames: Frames) -> tuple[list[Reading], list[Reading]]:
    """Return the electrical readings and those of the neighbourhood of each part in a stored file of scores.

    ``places_from`` is ``log``, ``map`` or ``none``: from where its places are counted. Parts that failed their test
    have one reading that says so in the first list.
    """
    columns = table.columns
    claims = _claims(table, places_from, frames)
    nothing = np.full(table.row_count, np.nan)
    given = {name: np.asarray(columns.get(name, nothing), np.float64) for name in (*ELECTRICAL, *NEIGHBOURHOOD)}
    # Two robust distances of one part: the farther one tells.
    residuals = np.asarray(columns.get("multivariate_residual_ratio", nothing), np.float64)
    given["multivariate_ratio"] = np.fmax(given["multivariate_ratio"], residuals)
    electrical = np.column_stack([given[name] for name in ELECTRICAL]).tolist()
    around = np.column_stack([given[name] for name in NEIGHBOURHOOD]).tolist()
    failed = np.asarray(columns["failed"], np.float64).tolist()
    first: list[Reading] = []
    second: list[Reading] = []
    for row, claim in enumerate(claims):
        if failed[row] == 1:
            first.append(Reading(claim, passed_test=False))
            continue
        passed = True if failed[row] == 0 else None
        first.append(replace(_reading(claim, electrical[row]), passed_test=passed))
        second.append(_reading(claim, around[row]))
    return first, second


def _reading(claim: Claim, values: list[float]) -> Reading:
    if all(math.isnan(value) for value in values):
        return Reading(claim, reason=_NOT_SCORED)
    return Reading(claim, tuple(values))


def _claims(table: Table, places_from: str, frames: Frames) -> list[Claim]:
    lots, wafers, names = (
        [str(text).strip() for text in table.columns[name]] for name in ("lot_id", "wafer_id", "part_id")
    )
    xs, ys = (np.asarray(table.columns[name], np.float64).tolist() for name in ("x", "y"))
    frame = frames.get("wafer_map")
    claims = []
    for row, lot in enumerate(lots):
        placed = bool(wafers[row]) and math.isfinite(xs[row]) and math.isfinite(ys[row])
        if places_from == "map":
            # Parts of a map have no name but their place.
            if not placed or frame is None:
                claims.append(Claim(lot, wafers[row], doubt=NO_FRAME if placed else _NO_PLACE))
                continue
            x, y = frame.apply(int(xs[row]), int(ys[row]))
            claims.append(Claim(lot, wafers[row], x, y))
        elif placed:
            claims.append(Claim(lot, wafers[row], int(xs[row]), int(ys[row])))
        elif wafers[row]:
            # A part's number on a wafer counts from 1 on each: it is no serial.
            claims.append(Claim(lot, wafers[row], doubt=_NO_PLACE))
        else:
            claims.append(Claim(lot, serial=names[row]))
    return claims
