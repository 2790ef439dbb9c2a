"""The job ``degradation``: stored tables of readouts in, forecasts and times to a threshold with provenance out."""

from collections.abc import Iterator, Mapping
from typing import Any

from db.repositories.results import NewFinding
from instruments.documents import encode_document
from services.pipelines.computation import analyse
from services.pipelines.context import Completion, JobContext
from services.pipelines.reliability.degradation_requests import DegradationRequest, StoredDegradationRequest
from services.pipelines.stored_scores import keep_scores, store_scored
from services.pipelines.table_job import load_tables

MOST_UNITS = 1000
"""Findings of single units; the result itself has all."""


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``degradation``.

    Raises:
        JobRefused: there is no such table, it holds no readouts, or they do not allow an answer.
    """
    from services.pipelines.reliability.degradation import judge_degradation  # noqa: PLC0415  (numerics load in workers only)
    from services.pipelines.reliability.degradation_scores import UnitScores  # noqa: PLC0415

    payload = context.claimed.payload
    stored = StoredDegradationRequest.model_validate(payload["question"])
    sources = load_tables(context, [payload["table_id"], *stored.other_table_ids], "readout")
    request = DegradationRequest.model_validate(stored.model_dump(exclude={"other_table_ids"}))

    scores = UnitScores()

    def compute(progress: Any) -> dict[str, Any]:
        return judge_degradation(sources, request, progress, scores)

    document = analyse(context, compute)
    document["scores"] = scores.describe()
    blob = keep_scores(context, document, encode_document(scores.to_table()))
    return lambda unit: store_scored(unit, context, document, _findings(document), blob)


def _findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield each parameter's best law, and the units that are likeliest to pass the threshold."""
    judged = [each for each in document["parameters"] if each["verdict"] != "refused"]
    laws = [(each["parameter"], row) for each in judged for row in each["laws"][:1] if row["difference"] is not None]
    for rank, (parameter, row) in enumerate(laws, 1):
        yield NewFinding("drift_law", rank, f"{parameter}: {row['name']}", row["weight"], evidence=row)
    units = [
        (each["parameter"], row)
        for each in judged
        if each["crossings"] is not None
        for row in each["crossings"].get("units", ())
    ]
    units.sort(key=lambda each: -float(each[1]["probability"]))
    for rank, (parameter, row) in enumerate(units[:MOST_UNITS], 1):
        interval = (row["low"], row["high"])
        yield NewFinding(
            "threshold_crossing",
            rank,
            f"{row['unit']} {parameter}",
            row["probability"],
            row["probability"],
            interval,
            row,
        )
