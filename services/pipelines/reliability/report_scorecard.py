"""The scorecard of a report: its headline numbers with intervals, judged against targets and the last report."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from services.pipelines.reliability.report_requests import ReportContent

MET, NOT_SHOWN, MISSED = "met", "not shown", "missed"
NO_TARGET, NO_DATA = "no target", "no data"
NONE = "\N{EN DASH}"
_AS_SEEN = frozenset({"latent_risk", "excursions"})
"""Rows that no assumption of the report is in."""


def figure(value: float | None) -> str:
    """Return a number to three significant figures as people read it; a dash for none."""
    if value is None:
        return NONE
    if value != 0 and not 1e-3 <= abs(value) < 1e10:
        return f"{value:.2e}"
    text = f"{value:,.{max(0, 2 - _magnitude(value))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else _rounded(value)


def _magnitude(value: float) -> int:
    return int(f"{abs(value):.2e}".partition("e")[2]) if value else 0


def _rounded(value: float) -> str:
    digits = _magnitude(value)
    step = 10 ** max(0, digits - 2)
    return f"{round(value / step) * step:,.0f}"


def hours(value: float) -> str:
    """Return hours as people read them, whole thousands apart."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,g}"


def percent(level: float) -> str:
    """Return a level as a percentage."""
    return f"{100 * level:g} %"


def make_scorecard(sections: Mapping[str, Any], content: ReportContent, previous: Any) -> list[dict[str, Any]]:
    """Return the rows of the scorecard; ``previous`` is the last report's scorecard, if there is one."""
    targets = content.targets
    rows = [
        _rate(sections["rates"], content, targets.fit),
        _early_life(sections["early_life"], targets.early_life_ppm),
        _mission(sections["rates"], content, targets.mission_ppm),
        _fallout(sections["screening"], targets.fallout_ppm),
        _burn_in(sections["burn_in"], targets.burn_in_ppm),
        _latent_risk(sections["latent_risk"]),
        _excursions(sections["excursions"], targets.open_excursions),
    ]
    if previous is None:
        return [row | {"trend": {"text": "first report"}} for row in rows]
    last = {row["key"]: row for row in previous["scorecard"]}
    alike = _asked_alike(previous["question"], content)
    return [row | {"trend": _trend(row, last.get(row["key"]), alike=alike or row["key"] in _AS_SEEN)} for row in rows]


def _asked_alike(question: Mapping[str, Any], content: ReportContent) -> bool:
    """Whether the last report was made under the same assumptions; targets are none."""
    try:
        before = ReportContent.model_validate(question)
    except ValidationError:  # of another version
        return False
    return before.model_copy(update={"targets": content.targets}) == content


def _empty(
    key: str, label: str, unit: str, section: Mapping[str, Any], where: str, target: float | None
) -> dict[str, Any]:
    return {
        "key": key, "label": label, "unit": unit, "value": None, "text": section["empty"], "target": target,
        "verdict": NO_DATA, "section": where,
    }  # fmt: skip


def _bounded(
    key: str, label: str, unit: str, bounds: list[dict[str, Any]], target: float | None, where: str
) -> dict[str, Any]:
    """A row judged by its first one-sided bound: met when the bound is within the target."""
    first = bounds[0]
    failures = first["point"] > 0
    told = ", ".join(f"≤ {figure(each['high'])} ({percent(each['confidence'])})" for each in bounds)
    text = f"{figure(first['point'])} {unit} seen; {told}" if failures else f"{told} {unit}; no failures"
    return {
        "key": key, "label": label, "unit": unit, "value": first["high"], "point": first["point"], "bounds": bounds,
        "text": text, "target": target, "verdict": _judge(first["point"], first["high"], target), "section": where,
    }  # fmt: skip


def _judge(point: float, high: float, target: float | None) -> str:
    if target is None:
        return NO_TARGET
    if high <= target:
        return MET
    return MISSED if point > target else NOT_SHOWN


def _rate(section: Mapping[str, Any], content: ReportContent, target: float | None) -> dict[str, Any]:
    label = f"Failure rate at {content.use_temperature_c:g} °C"
    if "empty" in section:
        return _empty("fit", label, "FIT", section, "rates", target)
    return _bounded("fit", label, "FIT", section["bounds"], target, "rates")


def _early_life(section: Mapping[str, Any], target: float | None) -> dict[str, Any]:
    if "empty" in section:
        return _empty("early_life_ppm", "Early-life failures", "ppm", section, "rates", target)
    label = f"Early-life failures ({hours(section['hours'])} h)"
    return _bounded("early_life_ppm", label, "ppm", section["bounds"], target, "rates")


def _mission(section: Mapping[str, Any], content: ReportContent, target: float | None) -> dict[str, Any]:
    label = f"Failing in {hours(content.mission_h)} h of use"
    if "empty" in section:
        return _empty("mission_ppm", label, "ppm", section, "rates", target)
    return _bounded("mission_ppm", label, "ppm", section["mission"]["bounds"], target, "rates")


def _interval_row(
    key: str, label: str, found: Mapping[str, Any], level: float, target: float | None, where: str
) -> dict[str, Any]:
    text = f"{figure(found['ppm'])} ppm ({figure(found['low_ppm'])} to {figure(found['high_ppm'])}, {percent(level)})"
    return {
        "key": key, "label": label, "unit": "ppm", "value": found["ppm"], "point": found["ppm"],
        "low": found["low_ppm"], "high": found["high_ppm"], "level": level, "text": text, "target": target,
        "verdict": _judge(found["ppm"], found["high_ppm"], target), "section": where,
    }  # fmt: skip


def _fallout(section: Mapping[str, Any], target: float | None) -> dict[str, Any]:
    if "empty" in section:
        return _empty("fallout_ppm", "Screening fallout", "ppm", section, "screening", target)
    found = section["worst"]["ppm"]
    label = f"Screening fallout ({section['worst']['name']})"
    if found is None:
        return _empty("fallout_ppm", label, "ppm", {"empty": "No part passed."}, "screening", target)
    return _interval_row("fallout_ppm", label, found, found["level"], target, "screening")


def _burn_in(section: Mapping[str, Any], target: float | None) -> dict[str, Any]:
    label = "Field failures after burn-in"
    if "empty" in section:
        return _empty("burn_in_ppm", label, "ppm", section, "burn_in", target)
    judged = [
        (test, test["escapes"][min(1, len(test["escapes"]) - 1)]) for test in section["tests"] if "escapes" in test
    ]
    if not judged:
        reasons = "; ".join(f"{test['condition']}: {test['refused']}" for test in section["tests"])
        return _empty("burn_in_ppm", label, "ppm", {"empty": reasons}, "burn_in", target)
    test, worst = max(judged, key=lambda each: float(each[1]["ppm"]))
    label = f"Field failures after {hours(worst['hours'])} h of burn-in"
    return _interval_row("burn_in_ppm", label, worst, test["level"], target, "burn_in")


def _latent_risk(section: Mapping[str, Any]) -> dict[str, Any]:
    if "empty" in section:
        return _empty("latent_risk", "Latent-risk model", "", section, "latent_risk", None)
    models = section["models"]
    told = [
        f"{each['name']} {each['number']}: AUC {figure(each['auc'])}, calibration error {figure(each['error'])}"
        for each in models
    ]
    return {
        "key": "latent_risk", "label": "Latent-risk model", "unit": "", "value": models[0]["error"],
        "text": "; ".join(told), "target": None, "verdict": NO_TARGET, "section": "latent_risk",
    }  # fmt: skip


def _excursions(section: Mapping[str, Any], target: int | None) -> dict[str, Any]:
    label = "Excursions in the period"
    if "empty" in section:
        return _empty("excursions", label, "", section, "excursions", target)
    count = len(section["events"])
    text = f"{count}; {section['open_cases']} failure-analysis cases open"
    verdict = NO_TARGET if target is None else MET if count <= target else MISSED
    return {
        "key": "excursions", "label": label, "unit": "", "value": float(count), "text": text, "target": target,
        "verdict": verdict, "section": "excursions",
    }  # fmt: skip


def _trend(row: Mapping[str, Any], before: Mapping[str, Any] | None, *, alike: bool) -> dict[str, Any]:
    """What has become of a number since the last report; within both intervals there is no change to speak of.

    Numbers of two questions are not compared, nor those of two labels.
    """
    if before is None or before["value"] is None:
        return {"text": "no number before"}
    if row["value"] is None:
        return {"text": f"was {figure(before['value'])}", "before": before["value"]}
    if not alike or before["label"] != row["label"]:
        return {"text": f"was {figure(before['value'])}, asked otherwise", "before": before["value"]}
    old, new = float(before["value"]), float(row["value"])
    if old == new:
        return {"text": "as before", "before": old}
    change = f" ({100 * (new / old - 1):+.0f} %)" if old else ""
    within = "low" in row and "low" in before and row["low"] <= before["high"] and before["low"] <= row["high"]
    word = "up from" if new > old else "down from"
    note = ", intervals overlap" if within else ""
    return {"text": f"{word} {figure(old)}{change}{note}", "before": old}
