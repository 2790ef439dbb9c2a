"""The job ``process-traces``: stored journals of equipment in, the runs that are unlike those before them out."""

from collections.abc import Iterator, Mapping
from typing import Any

from db.repositories.results import NewFinding
from services.pipelines.computation import analyse
from services.pipelines.context import Completion, JobContext
from services.pipelines.probing.trace_request import KINDS, TraceRequest
from services.pipelines.table_job import load_tables_of_files, store_document

MOST_FINDINGS = 1000


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``process-traces``.

    Raises:
        JobRefused: a file has no traces or events, or they cannot be checked as asked.
    """
    from services.pipelines.probing.process_traces import check_traces  # noqa: PLC0415  (numerics load in workers only)

    payload = context.claimed.payload
    request = TraceRequest.model_validate(payload["question"])
    context.progress(0.01, "loading the tables")
    sources = load_tables_of_files(context, payload["file_ids"], KINDS)
    document = analyse(context, lambda progress: check_traces(sources, request, progress))
    return lambda unit: store_document(unit, context, document, _findings(document))


def _findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield the runs that are alarms, the strangest first, under their parameter."""
    alarms = [run for run in document["runs"] if run["alarm"]]
    for rank, run in enumerate(alarms[:MOST_FINDINGS], 1):
        yield NewFinding("trace_anomaly", rank, run["parameter"], run["score"], evidence=run)
