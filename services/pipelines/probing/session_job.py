"""What the jobs that analyse stored probing sessions share: the session, progress, refusals, and the stored result."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from db.repositories.probing import StoredSession, find_session
from db.repositories.results import NewFinding
from db.unit_of_work import UnitOfWork
from instruments.errors import InstrumentError
from services.pipelines.context import JobContext, JobRefused
from services.pipelines.ingestion.record_rows import storable
from services.pipelines.stored_answer import Answer, code_version, store_answer

Progress = Callable[[float, str], None]


def find_stored(context: JobContext, identity: object) -> StoredSession:
    """Return the session of the job's program.

    Raises:
        JobRefused: the program has no such session.
    """
    with context.engine.connect() as connection:
        stored = find_session(connection, uuid.UUID(str(identity)))
    if stored is None or stored.row.program_id != context.claimed.program_id:
        raise JobRefused(f"there is no probing session {identity}")
    return stored


def analyse(context: JobContext, compute: Callable[[Progress], Mapping[str, Any]]) -> dict[str, Any]:
    """Return the document that ``compute`` makes, storable; its progress 0..1 is most of the job's.

    Raises:
        JobRefused: the data do not allow the analysis; the reason is the analysis' own sentence.
    """

    def progress(fraction: float, message: str) -> None:
        context.progress(0.05 + 0.9 * min(1.0, max(0.0, fraction)), message)

    try:
        document = compute(progress)
    except (InstrumentError, ValueError) as error:
        raise JobRefused(str(error)) from error
    context.progress(0.97, "storing the result")
    stored: dict[str, Any] = storable(dict(document))
    return stored


def describe_inputs(stored: Sequence[StoredSession]) -> dict[str, Any]:
    """Return the provenance of a result that depends on these sessions; the first is the one it is about."""
    return {
        "inputs": sorted({digest for each in stored for digest in each.subject.file_sha256.values()}),
        "content_sha256": stored[0].subject.content_sha256,
        "adapters": {each.adapter: each.adapter_version for each in stored if each.adapter is not None},
        "code_version": code_version(),
    }


def store_result(
    unit: UnitOfWork,
    context: JobContext,
    stored: StoredSession,
    answer: tuple[dict[str, Any], dict[str, Any]],
    findings: Iterable[NewFinding],
) -> None:
    """Write ``answer``, which is the document and its provenance, as the job's result on the session ``stored``."""
    document, provenance = answer
    answered = Answer(document, provenance, bool(provenance["simulated"]), document["verdict"], stored.row.id)
    store_answer(unit, context, answered, findings)
