"""Screening of tested parts: testers' logs and wafer maps in, parts that fall out and why; ``reliability screen``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.pipelines.screening_requests import ScreenRequest
from services.pipelines.screening_rules import (
    Fallout,
    chosen_tests,
    screen_averages,
    screen_neighbourhoods,
    screen_residuals,
    screen_stacks,
)
from services.pipelines.session_job import code_version
from services.pipelines.tested_parts import TestedParts, read_parts
from services.pipelines.versions import SCREENING_VERSION

_MANY = 0.01


def screen_paths(paths: Sequence[Path], request: ScreenRequest) -> dict[str, Any]:
    """Screen the parts in the files ``paths``; raises what reading them and :func:`screen_parts` raise."""
    return screen_parts(read_parts(paths), request)


def screen_parts(parts: TestedParts, request: ScreenRequest) -> dict[str, Any]:
    """Return the answer of ``faultlight reliability screen --json`` for ``parts``.

    Raises:
        ScreeningError: a test that is asked for does not exist.
    """
    fallout = Fallout()
    tests = chosen_tests(parts, request)
    if "part-average" in request.screens:
        screen_averages(parts, request, tests, fallout)
    if "neighbour-residual" in request.screens:
        screen_residuals(parts, request, tests, fallout)
    if "bad-neighbourhood" in request.screens:
        screen_neighbourhoods(parts, request, fallout)
    if "stack" in request.screens:
        screen_stacks(parts, request, fallout)
    good, failed = int((parts.failed == 0).sum()), int((parts.failed == 1).sum())
    done = [row for row in fallout.groups if "refused" not in row]
    verdict = "refused" if not done else "outliers" if fallout.reasons else "none"
    return {
        "verdict": verdict,
        "headline": {
            "quantity": "parts that passed and fall out",
            "out": len(fallout.reasons) if done else None,
            "passed": good,
            "failed": failed,
            "without_verdict": parts.count - good - failed,
        },
        "screens": _by_screen(fallout),
        "outliers": [_outlier(parts, part, fallout.reasons[part]) for part in sorted(fallout.reasons)],
        "groups": fallout.groups,
        "remarks": [*parts.remarks, *_remarks(fallout, len(tests))],
        "conventions": _conventions(request),
        "provenance": _provenance(parts, request),
    }


def _by_screen(fallout: Fallout) -> list[dict[str, Any]]:
    rows = []
    for screen in dict.fromkeys(row["screen"] for row in fallout.groups):
        groups = [row for row in fallout.groups if row["screen"] == screen]
        out = sum(any(each["screen"] == screen for each in reasons) for reasons in fallout.reasons.values())
        refused = [row for row in groups if "refused" in row]
        done = len(groups) - len(refused)
        rows.append(
            {"screen": screen, "out": out if done else None, "groups": done, "refused": len(refused),
             "first_refusal": refused[0]["refused"] if refused else None}
        )  # fmt: skip
    return rows


def _outlier(parts: TestedParts, part: int, reasons: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "lot": parts.lot[part],
        "wafer": parts.wafer[part],
        "part": parts.part_id[part],
        "x": _whole(parts.column[part]),
        "y": _whole(parts.row[part]),
        "reasons": reasons,
    }


def _whole(value: float) -> int | None:
    return int(value) if value == value else None  # noqa: PLR0124  (NaN is no place)


def _remarks(fallout: Fallout, tests: int) -> list[str]:
    found = [] if tests else ["No part has a reading: only the screens by failing dies apply."]
    for row in fallout.groups:
        name = f"{row.get('test', row['screen'])} of {row['lot'] or 'all lots'} {row['wafer']}".strip()
        if row.get("coarse"):
            found.append(f"{name}: only {row['distinct_readings']} different readings; the limits lie on their steps.")
        if row.get("out_by_other_quartiles"):
            other = ", ".join(f"{rule} {count}" for rule, count in row["out_by_other_quartiles"].items())
            found.append(
                f"{name}: {row['out']} fall out with {row['quartiles']} quartiles, but {other}; "
                "no standard names the rule."
            )
        if row.get("out", 0) > max(1, _MANY * row.get("parts", 0)) and "test" in row:
            found.append(
                f"{name}: {row['out']} of {row['parts']} parts fall out, too many for outliers of one population; "
                "look at the distribution before parts are scrapped."
            )
    return found


def _conventions(request: ScreenRequest) -> dict[str, Any]:
    return {
        "robust_mean": "median",
        "robust_sigma": f"(Q3 - Q1) / {request.divisor:g}",
        "quartiles": request.quartiles,
        "limits": f"{request.sigmas:g} robust sigmas, {request.shape}; a part on a limit stays",
        "parts_used": "last insertion of parts that passed",
        "dynamic_group": request.group,
        "residual": f"reading less the median of good dies within {request.residual_reach} dies",
        "bad_neighbourhood": f"{request.fail_threshold:g} weighted failing dies within {request.fail_reach} dies, "
        "scaled to a full set at the edge",
        "stack": "Poisson-binomial tail of each place, Benjamini-Hochberg over places",
    }


def _provenance(parts: TestedParts, request: ScreenRequest) -> dict[str, Any]:
    return {
        "inputs": sorted({source.sha256 for source in parts.sources}),
        "files": [source.file for source in parts.sources],
        "adapters": sorted({source.adapter for source in parts.sources}),
        "parameters": request.model_dump(mode="json"),
        "algorithm": f"screening/{SCREENING_VERSION}",
        "code_version": code_version(),
        "device": "cpu",
        "precision": "float64",
        "simulated": parts.simulated,
    }
