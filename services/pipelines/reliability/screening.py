"""Screening of tested parts: testers' logs and wafer maps in, parts that fall out and why; ``reliability screen``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.pipelines.reliability.part_scores import (
    PartScores,
    describe_scores,
    encode_scores,
    make_score_table,
)
from services.pipelines.reliability.screening_patterns import find_signatures, screen_together
from services.pipelines.reliability.screening_quality import judge_by_labels, judge_by_planting, read_labels
from services.pipelines.reliability.screening_requests import ScreenRequest
from services.pipelines.reliability.screening_rules import (
    Fallout,
    chosen_tests,
    groups_of,
    screen_averages,
    screen_neighbourhoods,
    screen_residuals,
    screen_stacks,
)
from services.pipelines.reliability.tested_parts import TestedParts, TestName, read_parts
from services.pipelines.stored_answer import code_version
from services.pipelines.versions import SCREENING_VERSION

_MANY = 0.01


def screen_paths(
    paths: Sequence[Path], request: ScreenRequest, labels: Path | None = None, scores: Path | None = None
) -> dict[str, Any]:
    """Screen the parts in the files ``paths``; raises what reading them and :func:`screen_parts` raise.

    ``labels`` is a CSV file of parts whose truth is known
    (:func:`services.pipelines.reliability.screening_quality.read_labels`); ``scores`` is where those of every part go.
    """
    parts = read_parts(paths)
    document, found = score_parts(parts, request, read_labels(labels) if labels is not None else None)
    if scores is not None:
        scores.write_bytes(encode_scores(make_score_table(parts, found)))
    return document


def screen_parts(
    parts: TestedParts, request: ScreenRequest, labels: Mapping[tuple[str, str, str], float] | None = None
) -> dict[str, Any]:
    """Return the answer of ``faultlight reliability screen --json`` for ``parts``; raises as :func:`score_parts`."""
    return score_parts(parts, request, labels)[0]


def score_parts(
    parts: TestedParts, request: ScreenRequest, labels: Mapping[tuple[str, str, str], float] | None = None
) -> tuple[dict[str, Any], PartScores]:
    """Return the answer of ``faultlight reliability screen --json`` for ``parts``, and the scores of every part.

    ``labels`` says by lot, wafer and part which are defective (1) or good (0).

    Raises:
        ScreeningError: a test that is asked for does not exist, or no labelled part passed.
        TableRefused: a labelled part was not tested.
    """
    fallout = Fallout(scores=PartScores(parts.count))
    tests = chosen_tests(parts, request)
    _run_screens(parts, request, tests, fallout)
    good, failed = int((parts.failed == 0).sum()), int((parts.failed == 1).sum())
    # Signatures tell of a wafer and take no part out: alone they are no screen.
    done = [row for row in fallout.groups if "refused" not in row and row["screen"] != "signatures"]
    structured = [row for row in fallout.groups if row.get("structured")]
    verdict = "outliers" if fallout.reasons else "none" if done else "refused"
    if verdict == "refused" and any("structured" in row for row in fallout.groups):
        verdict = "structured" if structured else "none"
    document = {
        "verdict": verdict,
        "headline": {
            "quantity": "parts that passed and fall out",
            "out": len(fallout.reasons) if done else None,
            "passed": good,
            "failed": failed,
            "without_verdict": parts.count - good - failed,
            "structured_wafers": len(structured),
        },
        "screens": _by_screen(fallout),
        "outliers": [_outlier(parts, part, fallout.reasons[part]) for part in sorted(fallout.reasons)],
        "groups": fallout.groups,
        "scores": describe_scores(parts, fallout.scores, [test.label for test in tests]),
        "quality": _quality(parts, request, fallout, labels),
        "planted": judge_by_planting(parts, request, tests) if request.planted else None,
        "remarks": [*parts.remarks, *_remarks(fallout, len(tests))],
        "conventions": _conventions(request),
        "provenance": _provenance(parts, request),
    }
    return document, fallout.scores


def count_limits(parts: TestedParts, request: ScreenRequest) -> int:
    """Return how many rows of limits by test and group the answer would have.

    Raises:
        ScreeningError: a test that is asked for does not exist.
    """
    wafers, groups = len(parts.wafers()), len(groups_of(parts, request))
    by_test = {"part-average": groups + 1, "neighbour-residual": wafers}
    return len(chosen_tests(parts, request)) * sum(by_test.get(name, 0) for name in request.screens)


def _run_screens(parts: TestedParts, request: ScreenRequest, tests: list[TestName], fallout: Fallout) -> None:
    by_test = {
        "part-average": screen_averages,
        "neighbour-residual": screen_residuals,
        "multivariate": screen_together,
    }
    by_fails = {
        "bad-neighbourhood": screen_neighbourhoods,
        "stack": screen_stacks,
        "signatures": find_signatures,
    }
    for name, screen in by_test.items():
        if name in request.screens and tests:
            screen(parts, request, tests, fallout)
    for name, look in by_fails.items():
        if name in request.screens:
            look(parts, request, fallout)


def _quality(
    parts: TestedParts,
    request: ScreenRequest,
    fallout: Fallout,
    labels: Mapping[tuple[str, str, str], float] | None,
) -> dict[str, Any] | None:
    return None if labels is None else judge_by_labels(parts, fallout, labels, request.level)


def _by_screen(fallout: Fallout) -> list[dict[str, Any]]:
    rows = []
    for screen in dict.fromkeys(row["screen"] for row in fallout.groups):
        groups = [row for row in fallout.groups if row["screen"] == screen]
        out = sum(any(each["screen"] == screen for each in reasons) for reasons in fallout.reasons.values())
        refused = [row for row in groups if "refused" in row]
        done = len(groups) - len(refused)
        rows.append(
            {
                "screen": screen,
                "out": out if done and screen != "signatures" else None,
                "groups": done,
                "refused": len(refused),
                "first_refusal": refused[0]["refused"] if refused else None,
            }
        )
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
        "multivariate": f"minimum covariance determinant; false alarm {request.false_alarm:g} a group of normal parts, "
        f"and not less rare than {request.sigmas:g} sigmas in one test; of readings and residuals: {request.together}",
        "signatures": "fails dealt out anew over the tested dies; lengths in dies; no part falls out for one",
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
