"""The models of latent risk that counted at a report's freeze, as the registry tells of them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row

from db.repositories import report_inputs
from db.repositories.report_inputs import Period

KIND = "latent-risk"


def describe_latent_risk(connection: Connection, period: Period) -> dict[str, Any] | None:
    """Return performance, calibration and drift of each model that counted; ``None`` when none did."""
    versions = report_inputs.list_counting_models(connection, period, KIND)
    if not versions:
        return None
    return {"models": [_describe(connection, period, version) for version in versions]}


def _describe(connection: Connection, period: Period, version: Row[Any]) -> dict[str, Any]:
    metrics, calibration = version.metrics, version.calibration
    caught = metrics.get("caught_of_failed", {})
    conventions = version.card.get("conventions", {})
    return {
        "name": version.name,
        "number": version.number,
        "sha256": version.sha256,
        "data_sha256": version.data_sha256,
        "person": version.person,
        "decided_at": _words(version.decided_at),
        "simulated": version.simulated,
        "beats_baselines": version.beats_baselines,
        "units": metrics.get("units", 0),
        "auc": metrics.get("auc"),
        "auc_low": metrics.get("auc_low"),
        "auc_high": metrics.get("auc_high"),
        "brier": metrics.get("brier"),
        "caught_1": caught.get("worst_1_percent"),
        "caught_5": caught.get("worst_5_percent"),
        "error": calibration.get("error"),
        "error_by_chance": calibration.get("error_by_chance"),
        "expected": calibration.get("expected_failures"),
        "seen": calibration.get("failures"),
        "p_value": calibration.get("p_value"),
        "bins": calibration.get("bins", []),
        "bins_method": conventions.get("calibration_error", "bins of equally many units"),
        "drift": _drift(report_inputs.find_last_watch(connection, period, version.id)),
    }


def _drift(watch: Row[Any] | None) -> str:
    if watch is None:
        return "nobody has looked since it counts"
    return (
        f"{watch.verdict} on {_words(watch.created_at)}: features {watch.features}, calibration {watch.calibration} "
        f"({watch.units:,} units)"
    )


def _words(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
