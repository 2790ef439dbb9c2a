"""What the jobs that analyse stored probing sessions share: the session, its provenance, and the stored result."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from db.repositories.probing import StoredSession, find_session
from db.repositories.results import NewFinding
from db.unit_of_work import UnitOfWork
from services.pipelines.context import JobContext, JobRefused
from services.pipelines.stored_answer import Answer, code_version, store_answer


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
