"""The job ``localize``: a stored probing session in, a result with its findings and provenance out."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from db.repositories import audit, results
from db.repositories.probing import StoredSession, find_session
from db.repositories.results import NewFinding, NewResult
from db.unit_of_work import UnitOfWork
from instruments.errors import InstrumentError
from instruments.records import ProbingSession
from services.pipelines.context import Completion, JobContext, JobRefused
from services.pipelines.record_rows import storable
from services.pipelines.stored_session import rebuild_session
from services.pipelines.versions import LOCALIZATION_VERSION

ACTOR = "service:localize"
_OWN_KEYS = {
    "suspect": ("net", "posterior"),
    "waveform": ("net", "p_faulty", "snr"),
    "next_probe": ("net", "bits"),
}


class Report(Protocol):
    """What a localization returns."""

    def to_document(self) -> dict[str, Any]:
        """Return the answer of ``faultlight localize --json``."""


Localize = Callable[[ProbingSession, Callable[[float, str], None]], Report]


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``localize``."""
    return localize_stored(context, _load_localization())


def _load_localization() -> Localize:
    from services.pipelines.localization import localize  # noqa: PLC0415  (numerics load in analysis workers only)

    return lambda session, progress: localize(session, progress=progress)


def localize_stored(context: JobContext, localize: Localize) -> Completion:
    """Localize the session that the job names with ``localize``; return what writes the result.

    Raises:
        JobRefused: there is no such session, or its data do not allow a localization.
    """
    context.progress(0.02, "loading the session")
    session_id = uuid.UUID(str(context.claimed.payload["probing_session_id"]))
    with context.engine.connect() as connection:
        stored = find_session(connection, session_id)
    if stored is None:
        raise JobRefused(f"there is no probing session {session_id}")
    session = rebuild_session(stored, context.blobs)

    def progress(fraction: float, message: str) -> None:
        context.progress(0.05 + 0.9 * min(1.0, max(0.0, fraction)), message)

    try:
        document = localize(session, progress).to_document()
    except (InstrumentError, ValueError) as error:
        raise JobRefused(str(error)) from error
    context.progress(0.97, "storing the result")
    return lambda unit: _write(unit, context, stored, storable(document))


def _write(unit: UnitOfWork, context: JobContext, stored: StoredSession, document: dict[str, Any]) -> None:
    claimed = context.claimed
    new = NewResult(
        job_key=claimed.job_key,
        job_id=claimed.id,
        program_id=claimed.program_id,
        kind=claimed.kind,
        verdict=document["verdict"],
        body=document,
        provenance=_provenance(stored, document),
        simulated=stored.row.simulated,
        probing_session_id=stored.row.id,
    )
    result_id = results.insert_result(unit.connection, new, list(_findings(document)))
    entry = audit.AuditEntry(
        "result.stored", "result", result_id, claimed.program_id, after={"job_id": str(claimed.id)}
    )
    audit.record(unit.connection, ACTOR, claimed.request_id, entry)


def _provenance(stored: StoredSession, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the answer depends on; what the analysis itself reports (device, precision, …) is kept."""
    return {
        "algorithm_version": LOCALIZATION_VERSION,
        "parameters": {},
        "device": None,
        "precision": None,
        **document.get("provenance", {}),
        "inputs": sorted(stored.subject.file_sha256.values()),
        "content_sha256": stored.subject.content_sha256,
        "adapters": {stored.adapter: stored.adapter_version} if stored.adapter is not None else {},
        "code_version": code_version(),
        "simulated": stored.row.simulated,
    }


def code_version() -> str:
    """Return the version of the installed distribution, ``unknown`` when it runs from a bare checkout."""
    try:
        return version("faultlight")
    except PackageNotFoundError:
        return "unknown"


def _findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield the suspects, the waveforms and the next probes, each ranked as the answer has them."""
    for rank, item in enumerate(document["candidates"], 1):
        yield NewFinding("suspect", rank, item["net"], probability=item["posterior"], evidence=_rest("suspect", item))
    for rank, item in enumerate(document["waveforms"], 1):
        evidence = _rest("waveform", item)
        yield NewFinding("waveform", rank, item["net"], item.get("snr"), item["p_faulty"], evidence=evidence)
    for rank, item in enumerate(document["next_probes"], 1):
        yield NewFinding("next_probe", rank, item["net"], item.get("bits"), evidence=_rest("next_probe", item))


def _rest(kind: str, item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in _OWN_KEYS[kind]}
