"""The job ``life-data``: stored tables of lifetimes in, failure probabilities with provenance out."""

from collections.abc import Iterator, Mapping
from typing import Any

from db.repositories.results import NewFinding
from services.pipelines.computation import analyse
from services.pipelines.context import Completion, JobContext
from services.pipelines.reliability.life_requests import LifeRequest, StoredLifeRequest
from services.pipelines.table_job import load_tables, store_document


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``life-data``.

    Raises:
        JobRefused: there is no such table, it holds no lifetimes, or they do not allow a fit.
    """
    from services.pipelines.reliability.life_data import fit_tables  # noqa: PLC0415  (numerics load in workers only)

    payload = context.claimed.payload
    stored = StoredLifeRequest.model_validate(payload["question"])
    sources = load_tables(context, [payload["table_id"], *stored.other_table_ids], "lifetime")
    request = LifeRequest.model_validate(stored.model_dump(exclude={"other_table_ids"}))

    def compute(progress: Any) -> dict[str, Any]:
        progress(0.1, "fitting life models")
        return fit_tables(sources, request)

    document = analyse(context, compute)
    return lambda unit: store_document(unit, context, document, _findings(document))


def _findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield the failure probability that was asked for, then each model's or cause's."""
    headline = document["headline"]
    interval = (headline["low_ppm"], headline["high_ppm"])
    subject = f"failed by {headline['hours']:g} h"
    yield NewFinding("failure_ppm", 1, subject, headline["ppm"], None, interval, {"model": document["model"]})
    fitted = [row for row in document.get("models", ()) if "refused" not in row]
    for rank, row in enumerate(fitted, 1):
        yield NewFinding("life_model", rank, row["name"], row["ppm"], evidence=row)
    for rank, row in enumerate(sorted(document.get("causes", ()), key=lambda each: -float(each["ppm"])), 1):
        yield NewFinding("cause_ppm", rank, row["cause"], row["ppm"])
