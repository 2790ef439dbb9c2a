"""The job ``printability``: a stored layout and a question about its mask's defects in, what prints out."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from db.repositories import audit, ingest, results
from db.repositories.ingest import Subject
from db.repositories.results import NewFinding, NewResult
from db.unit_of_work import UnitOfWork
from services.pipelines.context import Completion, JobContext, JobRefused
from services.pipelines.mask.printability_request import PrintabilityRequest
from services.pipelines.probing.session_job import analyse, code_version

ACTOR = "service:printability"


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``printability``.

    Raises:
        JobRefused: there is no such file, it is no layout, or no defect can be judged.
    """
    from services.pipelines.mask.printability import judge_file  # noqa: PLC0415  (numerics load in workers only)

    payload = context.claimed.payload
    with context.engine.connect() as connection:
        subject = ingest.find_subject(connection, {"raw_file_id": payload["raw_file_id"]})
    if subject is None or subject.program_id != context.claimed.program_id:
        raise JobRefused(f"there is no file {payload['raw_file_id']}")
    request = PrintabilityRequest.model_validate(payload["question"])
    context.settings.scratch().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="printability-", dir=context.settings.scratch()) as folder:
        path = _fetch(context, subject, Path(folder))
        document = analyse(context, lambda progress: judge_file(path, subject.name, request, "auto", progress))
    provenance = document["provenance"] | {
        "inputs": sorted({subject.content_sha256, *document["provenance"]["inputs"]}),
        "content_sha256": subject.content_sha256,
        "code_version": code_version(),
        "simulated": document["simulated"],
    }
    return lambda unit: _write(unit, context, document, provenance)


def _fetch(context: JobContext, subject: Subject, folder: Path) -> Path:
    """Return where the original can be read: in place when the store is local."""
    key = subject.blob_keys[""]
    local = context.blobs.local_path(key)
    if local is not None:
        return local
    target = folder / "original"
    context.blobs.fetch(key, target)
    return target


def _write(unit: UnitOfWork, context: JobContext, document: dict[str, Any], provenance: dict[str, Any]) -> None:
    claimed = context.claimed
    new = NewResult(
        job_key=claimed.job_key,
        job_id=claimed.id,
        program_id=claimed.program_id,
        kind=claimed.kind,
        verdict=document["verdict"],
        body=document,
        provenance=provenance,
        simulated=bool(document["simulated"]),
    )
    result_id = results.insert_result(unit.connection, new, list(_findings(document)))
    entry = audit.AuditEntry(
        "result.stored", "result", result_id, claimed.program_id, after={"job_id": str(claimed.id)}
    )
    audit.record(unit.connection, ACTOR, claimed.request_id, entry)


def _findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield every defect, the most severe first; the score is its severity, the interval that of its worst change."""
    ranked = sorted(document["defects"], key=lambda each: -(each.get("severity") or 0.0))
    for rank, each in enumerate(ranked, 1):
        interval = None
        if each.get("sigma") is not None and each.get("fraction") is not None:
            half = 1.959964 * each["sigma"]
            interval = (max(0.0, each["fraction"] - half), each["fraction"] + half)
        yield NewFinding(
            "printability", rank, each["name"], each.get("severity"), None, interval, evidence=_evidence(each)
        )


def _evidence(each: Mapping[str, Any]) -> dict[str, Any]:
    shown = ("verdict", "reason", "refused", "fraction", "sigma", "outcome", "improvement")
    return {name: each[name] for name in shown if name in each}
