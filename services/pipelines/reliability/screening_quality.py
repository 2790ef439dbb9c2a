"""Overkill and escapes of a screen: from parts whose truth is known, or from outliers planted in the readings."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from analysis.reliability.failure_rate import Bounds
from analysis.screening.errors import ScreeningError
from analysis.screening.limits import robust_limits
from analysis.screening.neighbours import neighbour_residuals
from analysis.screening.screen_quality import ScreenQuality, plant_outliers, screen_quality
from services.pipelines.reliability.screening_requests import ScreenRequest
from services.pipelines.reliability.screening_rules import Fallout, good_readings, groups_of, limit_rule, placed
from services.pipelines.reliability.tested_parts import Floats, Integers, TestedParts, TestName
from services.pipelines.table_source import TableRefused

_TRUE, _FALSE = {"1", "true", "yes", "bad", "defective"}, {"0", "false", "no", "good"}


def read_labels(path: Path) -> dict[tuple[str, str, str], float]:
    """Return by lot, wafer and part whether it is defective (1) or good (0), from a CSV file with these headings.

    Raises:
        TableRefused: a heading or a label is missing, a label is unknown, or a part has two.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(line for line in file if not line.startswith("#"))
        missing = {"lot", "wafer", "part", "defective"} - set(reader.fieldnames or ())
        if missing:
            raise TableRefused(
                f"{path.name}: labels need the headings lot, wafer, part, defective; no {', '.join(sorted(missing))}"
            )
        labels: list[tuple[str, str, str, bool]] = []
        for number, row in enumerate(reader, 2):
            word = (row["defective"] or "").strip().lower()
            if word not in _TRUE | _FALSE:
                raise TableRefused(f"{path.name}: row {number} has no label yes or no: {row['part']}")
            labels.append((row["lot"] or "", row["wafer"] or "", row["part"] or "", word in _TRUE))
    return label_parts(labels)


def label_parts(labels: Iterable[tuple[str, str, str, bool]]) -> dict[tuple[str, str, str], float]:
    """Return by lot, wafer and part whether it is defective (1) or good (0); ``labels`` are these and the truth.

    Raises:
        TableRefused: a part has two labels.
    """
    found: dict[tuple[str, str, str], float] = {}
    for lot, wafer, part, defective in labels:
        if (lot, wafer, part) in found:
            raise TableRefused(f"the part {' '.join((lot, wafer, part)).strip()} has two labels")
        found[lot, wafer, part] = float(defective)
    return found


def judge_by_labels(
    parts: TestedParts, fallout: Fallout, labels: Mapping[tuple[str, str, str], float], level: float
) -> dict[str, Any]:
    """Return overkill and escapes of parts that passed, over all and by lot, wafer, screen and test.

    Raises:
        TableRefused: a labelled part was not tested.
    """
    keys = list(zip(parts.lot, parts.wafer, parts.part_id, strict=True))
    unknown = set(labels) - set(keys)
    if unknown:
        raise TableRefused(f"{len(unknown)} labelled parts are in no file, such as {' '.join(min(unknown))}")
    truth = np.asarray([labels.get(key, np.nan) for key in keys])
    truth[parts.failed != 0] = np.nan
    out = np.isin(np.arange(parts.count), list(fallout.reasons))
    rows = [_quality_row({"of": "all"}, screen_quality(truth, out, level), level)]
    for kind, groups in (("lot", parts.lots()), ("wafer", parts.wafers())):
        for key, members in groups.items():
            if np.isfinite(truth[members]).any():
                quality = screen_quality(truth[members], out[members], level)
                rows.append(_quality_row({"of": kind, "lot": key[0], "wafer": key[1]}, quality, level))
    for about, taken in _by_reason(fallout):
        quality = screen_quality(truth, np.isin(np.arange(parts.count), taken), level)
        rows.append(_quality_row(about, quality, level))
    return {"source": "labels", "simulated": parts.simulated, "labelled": int(np.isfinite(truth).sum()), "rows": rows}


def _by_reason(fallout: Fallout) -> list[tuple[dict[str, Any], list[int]]]:
    """Return what each screen took out by itself, and each test of it."""
    found: dict[tuple[str, str], list[int]] = {}
    for row in fallout.groups:
        if "refused" not in row and row["screen"] != "signatures":
            found.setdefault((row["screen"], ""), [])
            if "test" in row:
                found.setdefault((row["screen"], row["test"]), [])
    for part, reasons in fallout.reasons.items():
        for each in reasons:
            for key in {(each["screen"], ""), (each["screen"], each.get("test", ""))}:
                found[key].append(part)
    return [
        ({"of": "test", "screen": screen, "test": test} if test else {"of": "screen", "screen": screen}, taken)
        for (screen, test), taken in found.items()
    ]


def _quality_row(about: dict[str, Any], quality: ScreenQuality, level: float) -> dict[str, Any]:
    counts = {name: value for name, value in asdict(quality).items() if name not in ("escapes", "overkill")}
    return (
        about
        | counts
        | {"escapes": _interval(quality.escapes), "overkill": _interval(quality.overkill), "level": level}
    )


def _interval(bounds: Bounds | None) -> dict[str, Any] | None:
    if bounds is None:
        return None
    return {"part": bounds.point, "low": bounds.low, "high": bounds.high, "method": bounds.method}


def judge_by_planting(parts: TestedParts, request: ScreenRequest, tests: Sequence[TestName]) -> dict[str, Any]:
    """Return the escapes of outliers planted in each test of each group, by screen: a simulation on real readings.

    In each test in turn, ``request.planted`` good parts of a group are moved by ``request.planted_sigmas`` of its
    robust sigmas up or down; limits are made anew from the readings with them. What else falls out bounds overkill.
    """
    rule, rows = limit_rule(request), []
    generator = np.random.default_rng(request.seed)
    for test in tests:
        values = good_readings(parts, test)
        for key, members in groups_of(parts, request).items():
            about = {"lot": key[0], "wafer": key[1], "test": test.label}
            try:
                shift = request.planted_sigmas * robust_limits(values[members], rule).sigma_high
                moved, chosen = plant_outliers(values[members], request.planted, shift, generator)
                rows += [
                    _planted_row(about | {"screen": screen}, found, chosen, request.level)
                    for screen, found in _taken(parts, members, moved, request)
                ]
            except ScreeningError as error:
                rows.append(about | {"refused": str(error)})
    return {
        "source": f"{request.planted} parts moved by {request.planted_sigmas:g} robust sigmas in each test and group",
        "simulated": True,
        "rows": rows,
        "totals": _totals(rows, request.level),
        "overkill": "not known without labels; the fallout of the other parts is its upper bound",
    }


def _taken(parts: TestedParts, members: Integers, moved: Floats, request: ScreenRequest) -> list[tuple[str, Floats]]:
    """Return by screen 1 for the members that fall out, 0 for those that stay, NaN for those that were not read."""
    rule, found = limit_rule(request), []
    outside = robust_limits(moved, rule).outside(moved)
    if "part-average" in request.screens:
        found.append(("part-average", np.where(np.isfinite(moved), outside, np.nan)))
    if "neighbour-residual" in request.screens and request.group == "wafer":
        grid, known = placed(parts, members)
        places = np.searchsorted(members, known)
        left = neighbour_residuals(grid, moved[places], request.residual_reach, request.least_neighbours).values
        whole = np.full(members.size, np.nan)
        # A part without a residual cannot fall out: it counts as one that stays.
        whole[places] = np.where(np.isfinite(moved[places]), robust_limits(left, rule).outside(left), np.nan)
        found.append(("neighbour-residual", whole))
    return found


def _planted_row(about: dict[str, Any], taken: Floats, chosen: Integers, level: float) -> dict[str, Any]:
    read = np.isfinite(taken)
    truth = np.where(read, 0.0, np.nan)
    truth[chosen] = 1.0
    quality = screen_quality(truth, taken == 1, level)
    row = _quality_row(about, quality, level)
    row["others_out"], row["others"] = row.pop("killed"), row.pop("good")
    row["overkill_at_most"] = row.pop("overkill")
    return row


def _totals(rows: Sequence[Mapping[str, Any]], level: float) -> list[dict[str, Any]]:
    """Pool the groups of each screen."""
    totals = []
    for screen in dict.fromkeys(row["screen"] for row in rows if "screen" in row):
        of = [row for row in rows if row.get("screen") == screen]
        planted, escaped, others, out = (
            sum(int(row[name]) for row in of) for name in ("defective", "escaped", "others", "others_out")
        )
        truth = np.repeat([1.0, 1.0, 0.0, 0.0], [escaped, planted - escaped, others - out, out])
        taken = np.repeat([False, True, False, True], [escaped, planted - escaped, others - out, out])
        quality = screen_quality(truth, taken, level)
        totals.append(
            {"screen": screen, "planted": planted, "escaped": escaped, "escapes": _interval(quality.escapes),
             "others": others, "others_out": out, "overkill_at_most": _interval(quality.overkill), "level": level}
        )  # fmt: skip
    return totals
