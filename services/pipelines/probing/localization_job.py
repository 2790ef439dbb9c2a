"""The job ``localize``: a stored probing session in, a result with its findings and provenance out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from db.repositories.probing import StoredSession
from db.repositories.results import NewFinding
from instruments.records import ProbingSession
from services.pipelines.computation import analyse
from services.pipelines.context import Completion, JobContext
from services.pipelines.probing.session_job import describe_inputs, find_stored, store_result
from services.pipelines.probing.stored_session import rebuild_session
from services.pipelines.versions import LOCALIZATION_VERSION

_OWN_KEYS = {
    "suspect": ("net", "posterior"),
    "waveform": ("net", "p_faulty", "snr"),
    "next_probe": ("net", "bits"),
}


class Report(Protocol):
    """What a localization returns."""

    def to_document(self) -> dict[str, Any]:
        """Return the answer of ``faultlight localize --json``."""


Localize = Callable[[ProbingSession, Callable[[float, str], None], Sequence[ProbingSession]], Report]


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``localize``."""
    return localize_stored(context, _load_localization())


def _load_localization() -> Localize:
    from services.pipelines.probing.localization import localize  # noqa: PLC0415  (numerics load in analysis workers only)

    return localize


def localize_stored(context: JobContext, localize: Localize) -> Completion:
    """Localize the session that the job names with ``localize``; return what writes the result.

    ``at_power_session_ids`` of the payload are sessions of the same unit at another laser power.

    Raises:
        JobRefused: there is no such session, or its data do not allow a localization.
    """
    payload = context.claimed.payload
    context.progress(0.02, "loading the session")
    stored = find_stored(context, payload["probing_session_id"])
    at_power = [find_stored(context, identity) for identity in payload.get("at_power_session_ids", ())]
    session, *others = (rebuild_session(each, context.blobs) for each in (stored, *at_power))
    document = analyse(context, lambda progress: localize(session, progress, others).to_document())
    provenance = _provenance([stored, *at_power], document)
    return lambda unit: store_result(unit, context, stored, (document, provenance), _findings(document))


def _provenance(stored: Sequence[StoredSession], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the answer depends on; what the analysis itself reports (device, precision, …) is kept."""
    return {
        "algorithm_version": LOCALIZATION_VERSION,
        "parameters": {},
        "device": None,
        "precision": None,
        **document.get("provenance", {}),
        **describe_inputs(stored),
        "simulated": any(each.row.simulated for each in stored),
    }


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
