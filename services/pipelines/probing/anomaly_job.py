"""The job ``anomaly``: a stored suspect session and golden ones in, a result with its findings and provenance out."""

from collections.abc import Iterator, Mapping
from typing import Any

from db.repositories.results import NewFinding
from services.pipelines.computation import analyse
from services.pipelines.context import Completion, JobContext
from services.pipelines.probing.session_job import describe_inputs, find_stored, store_result
from services.pipelines.probing.stored_session import rebuild_session

_TOLD = ("different", "no-signal")


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``anomaly``.

    Raises:
        JobRefused: there is no such session, or the sessions cannot be compared.
    """
    from services.pipelines.probing.golden_comparison import compare_sessions  # noqa: PLC0415  (numerics load in workers only)

    payload = context.claimed.payload
    context.progress(0.02, "loading the sessions")
    suspect = find_stored(context, payload["probing_session_id"])
    golden = [find_stored(context, identity) for identity in payload["golden_session_ids"]]
    sessions = [rebuild_session(each, context.blobs) for each in (suspect, *golden)]
    document = analyse(context, lambda progress: compare_sessions(sessions[0], sessions[1:], progress))
    provenance = {
        **document["provenance"],
        **describe_inputs([suspect, *golden]),
        "golden_content_sha256": [each.subject.content_sha256 for each in golden],
        "simulated": document["simulated"],
    }
    return lambda unit: store_result(unit, context, suspect, (document, provenance), _findings(document))


def _findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield what differs: nets, places of maps, and the likeliest cell of a scan chain."""
    nets = [net for net in document["nets"] if net["verdict"] in _TOLD]
    for rank, net in enumerate(nets, 1):
        yield NewFinding("net_difference", rank, net["net"], net["largest_z"], evidence=net)
    places = [(each["map"], place) for each in document["maps"] for place in each["differences"]]
    for rank, (name, place) in enumerate(places, 1):
        yield NewFinding("map_difference", rank, name, place["height_sigma"], evidence=place)
    cells = (document["scan_chain"] or {}).get("cells") or []
    ranked = sorted(cells, key=lambda cell: -float(cell["posterior"]))[:5]
    for rank, cell in enumerate(ranked, 1):
        yield NewFinding("chain_break", rank, cell["cell"], probability=cell["posterior"], evidence=cell)
