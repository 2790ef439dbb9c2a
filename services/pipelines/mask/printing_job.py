"""The job ``printing-pictures``: a stored layout, a question about its mask and one of its defects in, pictures out."""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

from db.blobs import record_key
from db.identifiers import uuid7
from db.repositories import tiles
from db.unit_of_work import UnitOfWork
from services.pipelines.computation import Progress, analyse
from services.pipelines.context import Completion, JobContext
from services.pipelines.mask.printability_request import PrintabilityRequest
from services.pipelines.stored_answer import Answer, code_version, store_answer
from services.pipelines.stored_file import fetch_original, find_file


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``printing-pictures``.

    Raises:
        JobRefused: there is no such file or defect, or it cannot be imaged.
    """
    from services.pipelines.mask.mask_patterns import PatternFile  # noqa: PLC0415  (numerics load in workers only)
    from services.pipelines.mask.printing_pictures import Picture, draw_printing  # noqa: PLC0415
    from services.pipelines.mask.stored_layouts import OPEN, StoredLayout  # noqa: PLC0415

    payload = context.claimed.payload
    subject = find_file(context, payload["raw_file_id"])
    request = PrintabilityRequest.model_validate(payload["question"])
    pictures: dict[str, bytes] = {}
    context.settings.scratch().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="printing-", dir=context.settings.scratch()) as folder:
        path = fetch_original(context, subject, Path(folder))
        layout = StoredLayout(subject, lambda: path)
        file = PatternFile(path, subject.name, lambda: OPEN.opened(layout))

        def draw(progress: Progress) -> dict[str, object]:
            document, drawn = draw_printing(file, request, Picture(**payload["picture"]), progress)
            pictures.update(drawn)
            return document

        document = analyse(context, draw)
    packed, index = _pack(pictures)
    stored = tiles.StoredBlob(record_key(subject.program_id, uuid7()), len(packed), hashlib.sha256(packed).hexdigest())
    context.blobs.put_bytes(stored.key, packed)
    document |= {"blob_key": stored.key, "index": {"pictures": index}, "result_id": payload["result_id"]}
    provenance = document.pop("provenance") | {
        "inputs": sorted({subject.content_sha256, *document.get("inputs", [])}),
        "content_sha256": subject.content_sha256,
        "code_version": code_version(),
        "simulated": document["simulated"],
    }
    answer = Answer(document, provenance, bool(document["simulated"]), document["verdict"])

    def complete(unit: UnitOfWork) -> None:
        tiles.insert_blob(unit.connection, stored)
        store_answer(unit, context, answer)

    return complete


def _pack(pictures: Mapping[str, bytes]) -> tuple[bytes, dict[str, list[int]]]:
    """Return all pictures one after another, and where each lies."""
    index, offset = {}, 0
    for name, data in pictures.items():
        index[name] = [offset, len(data)]
        offset += len(data)
    return b"".join(pictures.values()), index
