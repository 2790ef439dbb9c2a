"""The job ``localize-batch``: sessions and fail logs of one product in, suspects and recurring nets out."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Row

from db.repositories.probing import find_fail_logs
from db.repositories.results import NewFinding
from db.unit_of_work import UnitOfWork
from instruments.records import FailLog
from services.pipelines.computation import Progress, analyse
from services.pipelines.context import Completion, JobContext, JobRefused
from services.pipelines.probing.session_job import describe_inputs, find_stored
from services.pipelines.probing.stored_session import decode_row, rebuild_session
from services.pipelines.stored_answer import Answer, store_answer


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``localize-batch``.

    Raises:
        JobRefused: a session or fail log is not there, or they are not of one product.
    """
    from services.pipelines.probing import batch_localization  # noqa: PLC0415  (numerics load in workers only)

    payload = context.claimed.payload
    context.progress(0.01, "loading the sessions")
    stored = [find_stored(context, identity) for identity in payload["probing_session_ids"]]
    sessions = [rebuild_session(each, context.blobs) for each in stored]
    rows = _find_logs(context, payload["fail_log_ids"])
    logs = [decode_row(row, "fail_log", FailLog, context.blobs) for row in rows]

    def compute(progress: Progress) -> dict[str, Any]:
        for other in sessions[1:]:
            batch_localization.check_same_product(sessions[0], other)
        return batch_localization.localize_batch(
            sessions[0],
            [
                *(batch_localization.die_of(session) for session in sessions),
                *(batch_localization.Die(log.name, None, log) for log in logs),
            ],
            false_discovery_rate=float(payload["false_discovery_rate"]),
            device=str(payload["device"]),
            progress=progress,
        )

    document = analyse(context, compute)
    origins = [
        *({"probing_session_id": str(each.row.id), "fail_log_id": None} for each in stored),
        *({"probing_session_id": None, "fail_log_id": str(row.id)} for row in rows),
    ]
    for die, origin in zip(document["dies"], origins, strict=True):
        die.update(origin)
    simulated = any(each.row.simulated for each in stored)
    provenance = {
        **document["provenance"],
        **describe_inputs(stored),
        "contents_sha256": [each.subject.content_sha256 for each in stored],
        "fail_logs_sha256": [row.sha256 for row in rows],
        "simulated": simulated,
    }

    def complete(unit: UnitOfWork) -> None:
        answer = Answer(document, provenance, simulated, document["verdict"])
        store_answer(unit, context, answer, _findings(document))

    return complete


def _find_logs(context: JobContext, identities: Sequence[str]) -> list[Row[Any]]:
    """Return the rows of the fail logs, of the job's program."""
    wanted = [uuid.UUID(identity) for identity in identities]
    with context.engine.connect() as connection:
        found = find_fail_logs(connection, wanted)
    for identity in wanted:
        if identity not in found or found[identity].program_id != context.claimed.program_id:
            raise JobRefused(f"there is no fail log {identity}")
    return [found[identity] for identity in wanted]


def _findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield the recurring nets, and the first suspect of each die under the die's name."""
    for rank, item in enumerate(document["recurrences"], 1):
        yield NewFinding("recurring_net", rank, item["net"], item["log10_e"], item["part"], evidence=item)
    for rank, die in enumerate(document["dies"], 1):
        first = die["suspects"][0] if die["suspects"] else None
        evidence = {"suspect": first} | {key: die[key] for key in ("verdict", "probing_session_id", "fail_log_id")}
        yield NewFinding("die", rank, die["name"], die["bits"], first and first["posterior"], evidence=evidence)
