"""The job ``printability``: a stored layout and a question about its mask's defects in, what prints out."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from db.repositories.results import NewFinding
from db.unit_of_work import UnitOfWork
from services.pipelines.computation import analyse
from services.pipelines.context import Completion, JobContext
from services.pipelines.mask.printability_request import PrintabilityRequest
from services.pipelines.stored_answer import Answer, code_version, store_answer
from services.pipelines.stored_file import fetch_original, find_file


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``printability``.

    Raises:
        JobRefused: there is no such file, it is no layout, or no defect can be judged.
    """
    from services.pipelines.mask.mask_patterns import PatternFile  # noqa: PLC0415  (numerics load in workers only)
    from services.pipelines.mask.printability import judge_file  # noqa: PLC0415
    from services.pipelines.mask.stored_layouts import OPEN, StoredLayout  # noqa: PLC0415

    payload = context.claimed.payload
    subject = find_file(context, payload["raw_file_id"])
    request = PrintabilityRequest.model_validate(payload["question"])
    context.settings.scratch().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="printability-", dir=context.settings.scratch()) as folder:
        path = fetch_original(context, subject, Path(folder))
        layout = StoredLayout(subject, lambda: path)
        file = PatternFile(path, subject.name, lambda: OPEN.opened(layout))
        document = analyse(context, lambda progress: judge_file(file, request, "auto", progress))
    provenance = document["provenance"] | {
        "inputs": sorted({subject.content_sha256, *document["provenance"]["inputs"]}),
        "content_sha256": subject.content_sha256,
        "code_version": code_version(),
        "simulated": document["simulated"],
    }
    answer = Answer(document, provenance, bool(document["simulated"]), document["verdict"])

    def complete(unit: UnitOfWork) -> None:
        store_answer(unit, context, answer, _findings(document))

    return complete


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
