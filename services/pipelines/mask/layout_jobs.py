"""The jobs about stored layouts and inspections: nets, places, windows, tiles, overlays and signatures."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.blobs import record_key
from db.identifiers import uuid7
from db.repositories import tiles
from db.repositories.ingest import Subject
from db.repositories.results import NewFinding
from db.unit_of_work import UnitOfWork
from services.pipelines.computation import Progress, analyse
from services.pipelines.context import Completion, JobContext
from services.pipelines.stored_answer import Answer as StoredAnswer
from services.pipelines.stored_answer import code_version, store_answer
from services.pipelines.stored_file import fetch_original, find_file

if TYPE_CHECKING:
    from services.pipelines.mask.stored_layouts import StoredLayout

MOST_FINDINGS = 5000


@dataclass(frozen=True)
class _Asked:
    """A question about a file, with another one where it needs two; files are fetched where they are needed."""

    context: JobContext
    subjects: Sequence[Subject]
    question: Mapping[str, Any]
    folder: Path

    @property
    def name(self) -> str:
        """What the file is called."""
        return self.subjects[0].name

    def fetch(self, place: int = 0) -> Path:
        """Return the original of the first file, or of the other one, as a file."""
        return fetch_original(self.context, self.subjects[place], self.folder, f"original-{place}")

    @property
    def layout(self) -> "StoredLayout":
        """The first file as a layout."""
        from services.pipelines.mask.stored_layouts import StoredLayout  # noqa: PLC0415  (numerics load in workers)

        return StoredLayout(self.subjects[0], self.fetch)


Answer = Callable[[_Asked, Progress], dict[str, Any]]


def _run(
    context: JobContext, answer: Answer, findings: Callable[[Mapping[str, Any]], Iterator[NewFinding]]
) -> Completion:
    payload = context.claimed.payload
    question = payload["question"]
    subjects = [find_file(context, payload["raw_file_id"])]
    if "inspection_file_id" in question:
        subjects.append(find_file(context, question["inspection_file_id"]))
    scratch = context.settings.scratch()
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="layout-", dir=scratch) as name:
        folder = Path(name)
        asked = _Asked(context, subjects, question, folder)
        document = analyse(context, lambda progress: answer(asked, progress))
        packed = document.pop("packed", None)
        blob = None if packed is None else _store(context, subjects[0], Path(packed))
    if blob is not None:
        document["blob_key"] = blob.key
    provenance = dict(document.pop("provenance", {})) | {
        "inputs": sorted({each.content_sha256 for each in subjects}),
        "content_sha256": subjects[0].content_sha256,
        "code_version": code_version(),
        "simulated": False,
    }
    return lambda unit: _write(unit, context, (document, provenance), blob, findings(document))


def _store(context: JobContext, subject: Subject, path: Path) -> tiles.StoredBlob:
    data = path.read_bytes()
    stored = tiles.StoredBlob(record_key(subject.program_id, uuid7()), len(data), hashlib.sha256(data).hexdigest())
    context.blobs.put_file(stored.key, path, move=True)
    return stored


def _write(
    unit: UnitOfWork,
    context: JobContext,
    answer: tuple[dict[str, Any], dict[str, Any]],
    blob: tiles.StoredBlob | None,
    findings: Iterator[NewFinding],
) -> None:
    document, provenance = answer
    if blob is not None:
        tiles.insert_blob(unit.connection, blob)
    store_answer(unit, context, StoredAnswer(document, provenance, False, document["verdict"]), findings)


def _no_findings(_document: Mapping[str, Any]) -> Iterator[NewFinding]:
    return iter(())


def run_nets(context: JobContext) -> Completion:
    """Handle a job of the kind ``nets``; raises ``JobRefused`` where the layout cannot be traced."""

    def answer(asked: _Asked, progress: Progress) -> dict[str, Any]:
        from services.pipelines.mask import layout_nets  # noqa: PLC0415  (numerics load in workers only)
        from services.pipelines.mask.stored_layouts import traced_layout  # noqa: PLC0415

        traced = traced_layout(context, asked.layout, asked.question, progress)
        document = layout_nets.nets_document(traced, inner=bool(asked.question["inner"]))
        doubtful = any(each["kind"] in ("joined-names", "divided-name") for each in document["warnings"])
        return document | {"verdict": "doubtful" if doubtful else "traced"}

    return _run(context, answer, _no_findings)


def run_places(context: JobContext) -> Completion:
    """Handle a job of the kind ``places``; raises ``JobRefused`` where the layout cannot be traced."""

    def answer(asked: _Asked, progress: Progress) -> dict[str, Any]:
        from services.pipelines.mask import layout_nets  # noqa: PLC0415  (numerics load in workers only)
        from services.pipelines.mask.stored_layouts import traced_layout  # noqa: PLC0415

        places = [layout_nets.Place(**each) for each in asked.question["places"]]
        traced = traced_layout(context, asked.layout, asked.question, progress)
        progress(0.7, "asking what lies under the places")
        document = layout_nets.places_document(traced, places)
        outside = sum(not each["inside"] for each in document["places"])
        return document | {"verdict": "outside" if outside == len(places) else "placed"}

    return _run(context, answer, _place_findings)


def _place_findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield of every place the likeliest net."""
    for rank, place in enumerate(document["places"][:MOST_FINDINGS], 1):
        best = max(place["nets"], key=lambda each: float(each["probability"]), default=None)
        if best is not None:
            where = {key: place[key] for key in ("name", "x_um", "y_um", "sigma_nm")} | {"layer": best["layer"]}
            yield NewFinding("place", rank, best["name"], None, best["probability"], evidence=where)


def run_window(context: JobContext) -> Completion:
    """Handle a job of the kind ``window``; raises ``JobRefused`` where the layout cannot be read."""

    def answer(asked: _Asked, progress: Progress) -> dict[str, Any]:
        from services.pipelines.mask.layout_nets import provenance  # noqa: PLC0415  (see above)
        from services.pipelines.mask.layout_window import window_document  # noqa: PLC0415
        from services.pipelines.mask.stored_layouts import OPEN  # noqa: PLC0415

        question = asked.question
        left, bottom, right, top = question["window_um"]
        layers, clip, cell = question["layers"], question["clip"], question["cell"]
        progress(0.1, "reading the layout")
        document = OPEN.ask(
            asked.layout,
            lambda engine: window_document(engine, (left, bottom, right, top), layers, clip=clip, cell=cell),
        )
        return document | {"verdict": "drawn" if document["layers"] else "empty", "provenance": provenance({})}

    return _run(context, answer, _no_findings)


def run_tiles(context: JobContext) -> Completion:
    """Handle a job of the kind ``tiles``; raises ``JobRefused`` where the layout cannot be read."""

    def answer(asked: _Asked, progress: Progress) -> dict[str, Any]:
        from services.pipelines.mask.layout_nets import provenance  # noqa: PLC0415  (see above)
        from services.pipelines.mask.layout_tiles import pack_tiles  # noqa: PLC0415
        from services.pipelines.mask.stored_layouts import OPEN  # noqa: PLC0415

        document = OPEN.ask(
            asked.layout, lambda engine: pack_tiles(engine, asked.folder / "tiles", asked.question, progress)
        )
        return document | {"verdict": "drawn" if document["layers"] else "empty", "provenance": provenance({})}

    return _run(context, answer, _no_findings)


def run_overlay(context: JobContext) -> Completion:
    """Handle a job of the kind ``overlay``; raises ``JobRefused`` where layout and defects do not go together."""

    def answer(asked: _Asked, progress: Progress) -> dict[str, Any]:
        from services.pipelines.mask.defect_overlay import overlay_document  # noqa: PLC0415  (see above)
        from services.pipelines.mask.defect_tables import read_defects  # noqa: PLC0415
        from services.pipelines.mask.overlay_settings import SCHEMA, read_settings  # noqa: PLC0415
        from services.pipelines.mask.stored_layouts import traced_layout  # noqa: PLC0415

        settings = read_settings({"schema": SCHEMA} | dict(asked.question["settings"]), "settings")
        inspection = asked.subjects[1].name
        progress(0.05, "reading the defects")
        tables = read_defects(asked.fetch(1), inspection)
        traced = traced_layout(context, asked.layout, asked.question, progress)
        progress(0.7, "laying the defects on the layout")
        return overlay_document(traced, tables, settings, inspection)

    return _run(context, answer, _defect_findings)


def _defect_findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield every defect, the most critical first."""
    for rank, each in enumerate(document["defects"][:MOST_FINDINGS], 1):
        low = high = None
        if each["criticality"] is not None:
            half = 1.959964 * each["criticality_sigma"]
            low, high = max(0.0, each["criticality"] - half), min(1.0, each["criticality"] + half)
        shown = ("sample", "x_um", "y_um", "size_um", "tone", "mode", "layer", "nuisance", "inside")
        yield NewFinding(
            "defect",
            rank,
            str(each["defect_id"]),
            each["criticality"],
            each["criticality"],
            None if low is None or high is None else (low, high),
            evidence={name: each[name] for name in shown},
        )


def run_match(context: JobContext) -> Completion:
    """Handle a job of the kind ``match``; raises ``JobRefused`` where the two cannot be compared."""

    def answer(asked: _Asked, progress: Progress) -> dict[str, Any]:
        from services.pipelines.mask.defect_signatures import MatchOptions, match_files  # noqa: PLC0415  (see above)

        values = {name: value for name, value in asked.question.items() if name != "inspection_file_id"}
        first, second = values.pop("sigma_nm")
        options = MatchOptions(sigma_nm=(first, second), **values)
        progress(0.1, "reading the defects")
        first_file, second_file = ((asked.fetch(place), asked.subjects[place].name) for place in (0, 1))
        return match_files(first_file, second_file, options)

    return _run(context, answer, _match_findings)


def _match_findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield the pairs of the most probable assignment, the likeliest first."""
    pairs = [each for each in document["matches"] if each["assigned"]]
    for rank, each in enumerate(pairs[:MOST_FINDINGS], 1):
        yield NewFinding("match", rank, str(each["first"]), None, each["probability"], evidence=each)


def run_signatures(context: JobContext) -> Completion:
    """Handle a job of the kind ``signatures``; raises ``JobRefused`` where the file holds too little."""

    def answer(asked: _Asked, progress: Progress) -> dict[str, Any]:
        from services.pipelines.mask.defect_signatures import SignatureOptions, signatures_document  # noqa: PLC0415
        from services.pipelines.mask.defect_tables import read_defects  # noqa: PLC0415

        values = dict(asked.question)
        pitch = values.pop("field_um")
        options = SignatureOptions(**values, field_um=None if pitch is None else (pitch[0], pitch[1]))
        progress(0.1, "reading the defects")
        tables = read_defects(asked.fetch(), asked.name)
        progress(0.2, "comparing with maps by chance")
        return signatures_document(tables, options, asked.name)

    return _run(context, answer, _signature_findings)


def _signature_findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield the signatures of every sample in the order in which they were found."""
    found = [(sample["sample"], each) for sample in document["samples"] for each in sample["signatures"]]
    for rank, (sample, each) in enumerate(found, 1):
        evidence = {"sample": sample, "p_value": each["p_value"], "about": each["about"], "defects": each["defects"]}
        yield NewFinding("signature", rank, each["kind"], float(len(each["defects"])), None, evidence=evidence)
