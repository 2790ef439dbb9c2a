"""The job ``population-outliers``: stored sessions of many dies in, the dies that stand out with their scores out."""

from collections.abc import Iterator, Mapping
from typing import Any

from db.repositories.results import NewFinding
from db.unit_of_work import UnitOfWork
from services.pipelines.computation import Progress, analyse
from services.pipelines.context import Completion, JobContext
from services.pipelines.probing.population_request import PopulationRequest
from services.pipelines.probing.session_job import describe_inputs, find_stored
from services.pipelines.probing.stored_session import rebuild_session
from services.pipelines.stored_answer import Answer, store_answer

_READING = 0.5
"""Part of the job that is reading the sessions."""


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``population-outliers``.

    Raises:
        JobRefused: a session is not there, or the sessions cannot be compared.
    """
    from services.pipelines.probing.population_levels import read_levels  # noqa: PLC0415  (numerics load in workers only)
    from services.pipelines.probing.population_outliers import find_outliers  # noqa: PLC0415

    payload = context.claimed.payload
    request = PopulationRequest.model_validate(payload["question"])
    known = set(payload["reference_session_ids"])
    context.progress(0.01, "looking up the sessions")
    stored = [find_stored(context, identity) for identity in (*payload["session_ids"], *sorted(known))]

    def compute(progress: Progress) -> dict[str, Any]:
        read = []
        for place, each in enumerate(stored):
            progress(_READING * place / len(stored), f"reading session {place + 1} of {len(stored)}")
            session = rebuild_session(each, context.blobs)
            read.append(read_levels(session, reference=str(each.row.id) in known))
        return find_outliers(read, request, lambda part, told: progress(_READING + (1 - _READING) * part, told))

    document = analyse(context, compute)
    provenance = {
        **document["provenance"],
        **describe_inputs(stored),
        "contents_sha256": [each.subject.content_sha256 for each in stored],
        "session_ids": [str(each.row.id) for each in stored],
        "simulated": document["simulated"],
    }

    def complete(unit: UnitOfWork) -> None:
        answer = Answer(document, provenance, bool(document["simulated"]), document["verdict"])
        store_answer(unit, context, answer, _findings(document))

    return complete


def _findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield the dies that stand out, the strangest first."""
    outliers = [die for die in document["dies"] if die["verdict"] == "outlier"]
    for rank, die in enumerate(outliers, 1):
        yield NewFinding("population_outlier", rank, die["name"], die["score"], evidence=die)
