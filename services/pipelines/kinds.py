"""Job kinds: which handler runs which, and what happens to the subject of a job that died. Handlers load lazily."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from sqlalchemy import Connection

from db.repositories import ingest
from services.pipelines.context import Completion, JobContext, JobRefused

Handler = Callable[[JobContext], Completion]

HANDLERS = {
    "ingest": "services.pipelines.ingestion.ingest:run",
    "anomaly": "services.pipelines.probing.anomaly_job:run",
    "averaging": "services.pipelines.probing.averaging_job:run",
    "convert": "services.pipelines.mask.conversion_job:run",
    "degradation": "services.pipelines.reliability.degradation_job:run",
    "handoff": "services.pipelines.repair.repair_jobs:run_handoff",
    "latent-risk-drift": "services.pipelines.latent_risk.risk_jobs:run_drift",
    "latent-risk-scoring": "services.pipelines.latent_risk.risk_jobs:run_scoring",
    "latent-risk-training": "services.pipelines.latent_risk.risk_jobs:run_training",
    "life-data": "services.pipelines.reliability.life_job:run",
    "localize-batch": "services.pipelines.probing.batch_localization_job:run",
    "localize": "services.pipelines.probing.localization_job:run",
    "match": "services.pipelines.mask.layout_jobs:run_match",
    "nets": "services.pipelines.mask.layout_jobs:run_nets",
    "overlay": "services.pipelines.mask.layout_jobs:run_overlay",
    "places": "services.pipelines.mask.layout_jobs:run_places",
    "screening": "services.pipelines.reliability.screening_job:run",
    "signatures": "services.pipelines.mask.layout_jobs:run_signatures",
    "simulation": "services.pipelines.probing.simulation_job:run",
    "tiles": "services.pipelines.mask.layout_jobs:run_tiles",
    "unit-evidence": "services.pipelines.latent_risk.evidence_job:run",
    "window": "services.pipelines.mask.layout_jobs:run_window",
    "metrology": "services.pipelines.repair.repair_jobs:run_metrology",
    "monitor": "services.pipelines.monitoring.monitor_job:run",
    "population-outliers": "services.pipelines.probing.population_job:run",
    "printability": "services.pipelines.mask.printability_job:run",
    "process-traces": "services.pipelines.probing.trace_job:run",
    "repair-advice": "services.pipelines.repair.repair_jobs:run_advice",
    "report": "services.pipelines.reliability.report_job:run",
    "printing-pictures": "services.pipelines.mask.printing_job:run",
    "repair-learning": "services.pipelines.repair.repair_jobs:run_learning",
    "repair-outcome": "services.pipelines.repair.repair_jobs:run_outcome",
    "reference": "services.pipelines.monitoring.reference_job:run",
    "noop": "services.pipelines.kinds:run_nothing",
}
"""Job kind to ``module:function``; a new analysis adds one line."""


def handler(kind: str) -> Handler:
    """Return the handler of ``kind``.

    Raises:
        JobRefused: this version knows no such kind.
    """
    place = HANDLERS.get(kind)
    if place is None:
        raise JobRefused(f"this worker knows no job of the kind {kind!r}; it knows {', '.join(sorted(HANDLERS))}")
    module, _, function = place.partition(":")
    found: Handler = getattr(import_module(module), function)
    return found


def bury(connection: Connection, kind: str, payload: dict[str, Any], error: dict[str, Any]) -> None:
    """Give the subject of a dead job its end, in the transaction that buries the job: a file is quarantined."""
    if kind == "ingest":
        ingest.quarantine_after_death(connection, payload, error)


def run_nothing(_context: JobContext) -> Completion:
    """Do nothing: the kind ``noop`` measures what a job costs and shows that workers are alive."""
    return lambda _unit: None
