"""Screening of a report: parts that passed their tests and fall out, by screen, lot, wafer and test."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.reliability.failure_rate import fraction_bounds
from analysis.screening.errors import ScreeningError
from services.pipelines.reliability.report_requests import ReportContent
from services.pipelines.reliability.screening import screen_parts
from services.pipelines.reliability.tested_parts import collect_parts
from services.pipelines.table_source import SourceTable, TableRefused

MOST_GROUPS = 15
_NAMES = {"wafer_map": "wafer maps", "readout": "readouts"}
"""Kinds of tables that are screened apart from testers' logs: they name dies and tests in ways of their own."""


def report_screening(sources: Sequence[SourceTable], content: ReportContent) -> dict[str, Any]:
    """Return the fallout of the screens that ``content`` asks for, over testers' logs and over wafer maps."""
    if content.screen is None:
        return {"empty": "This report asks for no screening."}
    if not sources:
        return {"empty": "No tester's log and no wafer map has come in the period of this report."}
    alike: dict[str, list[SourceTable]] = {}
    for source in sources:
        alike.setdefault(_NAMES.get(source.table.kind, "testers' logs"), []).append(source)
    runs = [_screen(name, alike[name], content) for name in sorted(alike)]
    simulated = any(run["simulated"] for run in runs)
    done = [run for run in runs if "refused" not in run]
    if not done:
        reason = "; ".join(f"{run['name']}: {run['refused']}" for run in runs)
        return {"empty": reason, "runs": runs, "simulated": simulated}
    return {"runs": runs, "worst": _worst_run(done), "simulated": simulated}


def _worst_run(done: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The kind of tables with the most fallout: a die may be in several, under other names, so they are not added."""
    run = max(done, key=lambda each: each["ppm"]["ppm"] if each["ppm"] is not None else -1.0)
    return {"name": run["name"], "ppm": run["ppm"]}


def _screen(name: str, sources: Sequence[SourceTable], content: ReportContent) -> dict[str, Any]:
    assert content.screen is not None
    files = sorted({source.file for source in sources})
    known: dict[str, Any] = {"name": name, "files": files, "simulated": False}
    try:
        parts = collect_parts(sources)
        known["simulated"] = parts.simulated
        answer = screen_parts(parts, content.screen)
    except (ScreeningError, TableRefused) as error:
        return known | {"refused": str(error)}
    headline = answer["headline"]
    if answer["verdict"] == "refused" or headline["out"] is None:
        reasons = sorted({row["first_refusal"] for row in answer["screens"] if row["first_refusal"]})
        return known | {"refused": "; ".join(reasons) or "no screen could be run"}
    return known | {
        "out": headline["out"],
        "passed": headline["passed"],
        "failed": headline["failed"],
        "without_verdict": headline["without_verdict"],
        "structured_wafers": headline["structured_wafers"],
        "ppm": _part(headline["out"], headline["passed"], content.level),
        "screens": [
            {**row, "ppm": _part(row["out"], headline["passed"], content.level) if row["out"] is not None else None}
            for row in answer["screens"]
        ],
        "lots": _by_lot(answer["outliers"]),
        "groups": _worst(answer["groups"]),
        "remarks": answer["remarks"][:MOST_GROUPS],
        "more_remarks": max(0, len(answer["remarks"]) - MOST_GROUPS),
        "conventions": answer["conventions"],
    }


def _part(out: int, passed: int, level: float) -> dict[str, Any] | None:
    """The fallout in ppm of the parts that passed, with its interval; ``None`` when none passed."""
    if not passed:
        return None
    bounds = fraction_bounds(out, passed, level, "two" if out else "one")
    return {
        "ppm": 1e6 * bounds.point, "low_ppm": 1e6 * bounds.low, "high_ppm": 1e6 * bounds.high, "level": level,
        "sides": bounds.sides, "method": bounds.method,
    }  # fmt: skip


def _by_lot(outliers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = Counter((part["lot"], part["wafer"]) for part in outliers)
    ranked = sorted(found.items(), key=lambda each: (-each[1], each[0]))
    return [{"lot": lot, "wafer": wafer, "out": out} for (lot, wafer), out in ranked[:MOST_GROUPS]]


def _worst(groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The groups and tests with the most parts that fall out."""
    some = [row for row in groups if row.get("out")]
    ranked = sorted(some, key=lambda row: (-row["out"], row["screen"], _test_of(row), row["lot"], row["wafer"]))
    return [
        {
            "screen": row["screen"], "test": _test_of(row), "lot": row["lot"], "wafer": row["wafer"],
            "out": row["out"], "parts": row.get("parts"),
        }
        for row in ranked[:MOST_GROUPS]
    ]  # fmt: skip


def _test_of(row: Mapping[str, Any]) -> str:
    """The test of a group, or the tests that are judged together."""
    return str(row.get("test") or ", ".join(map(str, row.get("tests", ()))))
