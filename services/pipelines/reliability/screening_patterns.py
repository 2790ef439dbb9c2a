"""Screens of several tests together and of whole wafer maps."""

from typing import Any

import numpy as np

from analysis.screening.covariance import RobustDistances, robust_distances
from analysis.screening.errors import ScreeningError
from analysis.screening.neighbours import neighbour_residuals
from analysis.screening.wafer_signatures import WaferSignatures, wafer_signatures
from services.pipelines.reliability.screening_requests import ScreenRequest
from services.pipelines.reliability.screening_rules import (
    Fallout,
    Key,
    good_readings,
    group_row,
    groups_of,
    wafer_grids,
)
from services.pipelines.reliability.tested_parts import Floats, Integers, TestedParts, TestName


def screen_together(parts: TestedParts, request: ScreenRequest, tests: list[TestName], fallout: Fallout) -> None:
    """Screen by the robust distance over all ``tests`` together: of readings, and of what neighbours leave of them."""
    readings = np.column_stack([good_readings(parts, test) for test in tests])
    labels = [test.label for test in tests]
    if request.together != "residuals":
        for key, members in groups_of(parts, request).items():
            row = group_row("multivariate", key, None) | {"tests": labels, "of": "readings"}
            _screen_distances(fallout, row, members, readings[members], request)
    if request.together == "readings":
        return
    for key, grid, known in wafer_grids(parts, "multivariate", fallout):
        left = [
            neighbour_residuals(grid, readings[known, place], request.residual_reach, request.least_neighbours).values
            for place in range(len(tests))
        ]
        row = group_row("multivariate", key, None) | {"tests": labels, "of": "residuals"}
        _screen_distances(fallout, row, known, np.column_stack(left), request)


def _screen_distances(
    fallout: Fallout, row: dict[str, Any], members: Integers, values: Floats, request: ScreenRequest
) -> None:
    try:
        found = robust_distances(values, request.false_alarm, request.sigmas)
    except ScreeningError as error:
        fallout.groups.append(row | {"refused": str(error)})
        return
    name = "multivariate_ratio" if row["of"] == "readings" else "multivariate_residual_ratio"
    fallout.scores.note_largest(name, members, np.sqrt(found.squared / found.limit))
    _note_distances(fallout, row, members, found)


def _note_distances(fallout: Fallout, row: dict[str, Any], members: Integers, found: RobustDistances) -> None:
    for place in np.flatnonzero(found.outside).tolist():
        reason = {
            "screen": "multivariate",
            "tests": row["tests"],
            "of": row["of"],
            "distance": float(np.sqrt(found.squared[place])),
        }
        fallout.add(members[place], reason | {"limit": float(np.sqrt(found.limit))})
    about = {
        "parts": found.parts,
        "out": int(found.outside.sum()),
        "limit": float(np.sqrt(found.limit)),
        "chi_squared_limit": float(np.sqrt(found.chi_squared_limit)),
        "finite_sample_stretch": found.stretch,
        "centre": found.centre.tolist(),
        "correlation": _correlation(found.covariance).tolist(),
    }
    fallout.groups.append(row | about)


def _correlation(covariance: Floats) -> Floats:
    size = np.sqrt(np.diag(covariance))
    return np.asarray(covariance / np.outer(size, size), np.float64)


def find_signatures(parts: TestedParts, request: ScreenRequest, fallout: Fallout) -> None:
    """Tell of each wafer whether its fails lie by chance; no part falls out for it."""
    for number, (key, grid, known) in enumerate(wafer_grids(parts, "signatures", fallout)):
        generator = np.random.default_rng([request.seed, number])
        try:
            found = wafer_signatures(grid, parts.failed[known], generator, request.rate)
        except ScreeningError as error:
            fallout.groups.append(group_row("signatures", key, None) | {"refused": str(error)})
            continue
        fallout.groups.append(_signature_row(parts, key, known, found))


def _signature_row(parts: TestedParts, key: Key, known: Integers, found: WaferSignatures) -> dict[str, Any]:
    rows = known[found.failing]
    signatures: list[dict[str, Any]] = [
        {"kind": "group", "p_value": found.tests[1].p_value, "parts": [parts.part_id[part] for part in known[each]]}
        for each in found.groups
    ]
    signatures += [
        {
            "kind": each.kind,
            "p_value": each.p_value,
            "parts": [parts.part_id[part] for part in rows[each.members]],
            "about_dies": {name.removesuffix("_um"): value for name, value in each.about.items()},
        }
        for each in (found.found.signatures if found.structured else ())
    ]
    return group_row("signatures", key, None) | {
        "parts": int(np.isfinite(parts.failed[known]).sum()),
        "fails": int(found.failing.size),
        "structured": found.structured,
        "tests": [vars(each) for each in found.tests],
        "signatures": signatures,
        "simulations": found.simulations,
    }
