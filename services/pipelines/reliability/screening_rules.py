"""Each screen over tested parts: which fall out and why, or why the screen was refused for a group."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis.screening.errors import ScreeningError
from analysis.screening.limits import LimitRule, PartLimits, robust_limits, static_limits
from analysis.screening.neighbours import DieGrid, bad_neighbourhoods, neighbour_residuals, stacked_fails
from services.pipelines.reliability.part_scores import PartScores
from services.pipelines.reliability.screening_requests import ScreenRequest
from services.pipelines.reliability.tested_parts import Floats, Integers, TestedParts, TestName

Key = tuple[str, str]


@dataclass
class Fallout:
    """What the screens found.

    Attributes:
        reasons: by part (row of the parts) why it falls out.
        groups: one row for each screen, group and test: limits and counts, or the refusal.
        scores: how far each part is from the others, whether it falls out or not.
    """

    reasons: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    groups: list[dict[str, Any]] = field(default_factory=list)
    scores: PartScores = field(default_factory=PartScores)

    def add(self, part: int, reason: dict[str, Any]) -> None:
        """Note that ``part`` falls out for ``reason``."""
        self.reasons.setdefault(int(part), []).append(reason)


def limit_rule(request: ScreenRequest) -> LimitRule:
    """Return how limits are made."""
    return LimitRule(request.sigmas, request.divisor, request.quartiles, request.shape, request.least_parts)


def chosen_tests(parts: TestedParts, request: ScreenRequest) -> list[TestName]:
    """Return the tests that are asked for, in order of number.

    Raises:
        ScreeningError: a name is no test of the parts.
    """
    tests = sorted(parts.readings, key=lambda each: (each.number, each.name, each.element or 0))
    if not request.tests:
        return tests
    known = {text for each in tests for text in (str(each.number), each.name, each.label)}
    for name in request.tests:
        if name not in known:
            raise ScreeningError(f"no part has a reading of a test {name!r}")
    wanted = set(request.tests)
    return [each for each in tests if wanted & {str(each.number), each.name, each.label}]


def good_readings(parts: TestedParts, test: TestName) -> Floats:
    """Return the readings of ``test`` by part, NaN for parts that failed, have no verdict or were not read."""
    values = np.full(parts.count, np.nan)
    readings = parts.readings[test]
    values[readings.part] = readings.value
    values[parts.failed != 0] = np.nan
    return values


def screen_averages(parts: TestedParts, request: ScreenRequest, tests: list[TestName], fallout: Fallout) -> None:
    """Screen by dynamic limits of each group, and by static limits where there are lots enough."""
    rule, groups, lots = limit_rule(request), groups_of(parts, request), parts.lots()
    for test in tests:
        values = good_readings(parts, test)
        for key, members in groups.items():
            row = group_row("part-average", key, test) | {"limits": "dynamic"}
            limits = _screen_limits(fallout, row, members, values[members], rule)
            if limits is not None:
                fallout.scores.note_average(members, limits.distance(values[members]))
        row = group_row("part-average", ("", ""), test) | {"limits": "static"}
        try:
            found = static_limits([values[members] for members in lots.values()], rule, request.least_lots)
        except ScreeningError as error:
            fallout.groups.append(row | {"refused": str(error)})
            continue
        row |= {"lots": len(found.lots), "centres_apart_sigmas": found.centres_apart}
        _note_outside(fallout, row, np.arange(parts.count), values, found.limits)


def groups_of(parts: TestedParts, request: ScreenRequest) -> dict[Key, Integers]:
    """Return the rows of the parts of each group that dynamic limits are from."""
    return parts.wafers() if request.group == "wafer" else parts.lots()


def group_row(screen: str, key: Key, test: TestName | None) -> dict[str, Any]:
    """Return the beginning of a group's row: what was screened."""
    row: dict[str, Any] = {"screen": screen, "lot": key[0], "wafer": key[1]}
    return row if test is None else row | {"test": test.label, "unit": test.unit}


def _screen_limits(
    fallout: Fallout, row: dict[str, Any], members: Integers, values: Floats, rule: LimitRule
) -> PartLimits | None:
    """Note what is outside of the limits of ``values`` and return them, ``None`` where there are none."""
    try:
        limits = robust_limits(values, rule)
    except ScreeningError as error:
        fallout.groups.append(row | {"refused": str(error)})
        return None
    _note_outside(fallout, row, members, values, limits)
    return limits


def _note_outside(fallout: Fallout, row: dict[str, Any], members: Integers, values: Floats, limits: PartLimits) -> None:
    outside = np.flatnonzero(limits.outside(values))
    distances = limits.distance(values[outside])
    about = {name: row[name] for name in ("screen", "test", "unit", "limits") if name in row}
    for place, distance in zip(outside.tolist(), distances.tolist(), strict=True):
        value = float(values[place])
        reason = about | {
            "value": value if np.isfinite(value) else str(value),
            "low": limits.low,
            "high": limits.high,
            "sigmas": distance if np.isfinite(distance) else str(distance),
        }
        fallout.add(members[place], reason)
    fallout.groups.append(row | {"out": int(outside.size)} | _limits_document(limits))


def _limits_document(limits: PartLimits) -> dict[str, Any]:
    return {
        "parts": limits.parts,
        "robust_mean": limits.centre,
        "robust_sigma_low": limits.sigma_low,
        "robust_sigma_high": limits.sigma_high,
        "low": limits.low,
        "high": limits.high,
        "shape": limits.shape,
        "quartiles": limits.rule.quartiles,
        "skewness_errors": limits.skewness_errors,
        "distinct_readings": limits.distinct,
        "coarse": limits.coarse,
        "out_by_other_quartiles": limits.other_rules,
    }


def placed(parts: TestedParts, members: Integers) -> tuple[DieGrid, Integers]:
    """Return the grid of the ``members`` that have a place, and their rows.

    Raises:
        ScreeningError: none has, or two share one.
    """
    known = members[np.isfinite(parts.column[members]) & np.isfinite(parts.row[members])]
    if not known.size:
        raise ScreeningError(f"none of the {members.size} parts has a place on a wafer")
    return DieGrid(parts.column[known].astype(np.int64), parts.row[known].astype(np.int64)), known


def wafer_grids(parts: TestedParts, screen: str, fallout: Fallout) -> Iterator[tuple[Key, DieGrid, Integers]]:
    """Yield each wafer's grid and the rows of its parts; note in ``fallout`` those without places."""
    for key, members in parts.wafers().items():
        try:
            grid, known = placed(parts, members)
        except ScreeningError as error:
            fallout.groups.append(group_row(screen, key, None) | {"refused": str(error)})
            continue
        yield key, grid, known


def screen_residuals(parts: TestedParts, request: ScreenRequest, tests: list[TestName], fallout: Fallout) -> None:
    """Screen by part averages of what a die's good neighbours do not explain."""
    rule = limit_rule(request)
    readings = {test: good_readings(parts, test) for test in tests}
    for key, grid, known in wafer_grids(parts, "neighbour-residual", fallout):
        for test in tests:
            found = neighbour_residuals(grid, readings[test][known], request.residual_reach, request.least_neighbours)
            row = group_row("neighbour-residual", key, test)
            lonely = int((np.isfinite(readings[test][known]) & np.isnan(found.values)).sum())
            row |= {"too_few_neighbours": lonely}
            limits = _screen_limits(fallout, row, known, found.values, rule)
            if limits is not None:
                fallout.scores.note_largest("residual_sigmas", known, limits.distance(found.values))


def screen_neighbourhoods(parts: TestedParts, request: ScreenRequest, fallout: Fallout) -> None:
    """Screen good dies by the failing dies around them."""
    for key, grid, known in wafer_grids(parts, "bad-neighbourhood", fallout):
        found = bad_neighbourhoods(
            grid, parts.failed[known], request.fail_threshold, request.fail_reach, request.diagonal_weight
        )
        fallout.scores.note_largest("failed_around", known, np.where(found.tested > 0, found.score, np.nan))
        for place in np.flatnonzero(found.flagged).tolist():
            reason = {"screen": "bad-neighbourhood", "score": float(found.score[place])}
            fallout.add(known[place], reason | {"threshold": found.threshold, "tested": int(found.tested[place])})
        counts = {"parts": int((parts.failed[known] == 0).sum()), "failed": int((parts.failed[known] == 1).sum())}
        fallout.groups.append(group_row("bad-neighbourhood", key, None) | counts | {"out": int(found.flagged.sum())})


def screen_stacks(parts: TestedParts, request: ScreenRequest, fallout: Fallout) -> None:
    """Screen good dies at places that fail through the wafers of their lot."""
    by_lot: dict[str, list[tuple[DieGrid, Integers]]] = {}
    for key, grid, known in wafer_grids(parts, "stack", fallout):
        by_lot.setdefault(key[0], []).append((grid, known))
    for lot, wafers in by_lot.items():
        row = group_row("stack", (lot, ""), None) | {"wafers": len(wafers)}
        try:
            found = stacked_fails(
                [(grid, parts.failed[known]) for grid, known in wafers], request.rate, request.least_wafers
            )
        except ScreeningError as error:
            fallout.groups.append(row | {"refused": str(error)})
            continue
        numbers = {tuple(place): number for number, place in enumerate(found.place.tolist())}
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(found.wafers > 1, found.fails / (found.wafers - 1), np.nan)
        out = 0
        for grid, known in wafers:
            good = np.flatnonzero(parts.failed[known] == 0)
            places = zip(grid.column[good].tolist(), grid.row[good].tolist(), strict=True)
            at = np.asarray([numbers[place] for place in places], np.int64)
            fallout.scores.note_largest("stack_failed_part", known[good], share[at])
            for part, number in zip(known[good].tolist(), at.tolist(), strict=True):
                if not found.suspect[number]:
                    continue
                out += 1
                fallout.add(
                    part,
                    {"screen": "stack", "fails": int(found.fails[number]), "wafers": int(found.wafers[number]),
                     "p_value": float(found.p_value[number])},
                )  # fmt: skip
        fallout.groups.append(
            row | {"places": int(found.suspect.sum()), "parts": int(found.wafers.sum() - found.fails.sum()), "out": out}
        )
