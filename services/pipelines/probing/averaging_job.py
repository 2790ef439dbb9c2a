"""The job ``averaging``: a stored probing session in, whether its probes need more averages out."""

from collections.abc import Iterator, Mapping
from typing import Any

from db.repositories.results import NewFinding
from services.pipelines.computation import analyse
from services.pipelines.context import Completion, JobContext
from services.pipelines.probing.session_job import describe_inputs, find_stored, store_result
from services.pipelines.probing.stored_session import rebuild_session


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``averaging``.

    Raises:
        JobRefused: there is no such session, or its probes cannot be judged.
    """
    from services.pipelines.probing.averaging import judge_session  # noqa: PLC0415  (numerics load in workers only)

    payload = context.claimed.payload
    context.progress(0.02, "loading the session")
    stored = find_stored(context, payload["probing_session_id"])
    session, wrong = rebuild_session(stored, context.blobs), float(payload["wrong"])
    document = analyse(context, lambda progress: judge_session(session, wrong, progress))
    provenance = document["provenance"] | describe_inputs([stored]) | {"simulated": document["simulated"]}
    return lambda unit: store_result(unit, context, stored, (document, provenance), _findings(document))


def _findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield every probe in its order, with how sure it is of what its net does."""
    for rank, probe in enumerate(document["probes"], 1):
        sure = max((item["posterior"] for item in probe["behaviours"]), default=probe["elsewhere"])
        snr = (probe["snr"] or {}).get("estimate")
        yield NewFinding("averaging", rank, probe["net"], snr, sure, evidence=probe)
