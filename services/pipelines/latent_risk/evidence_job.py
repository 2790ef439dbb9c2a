"""The job ``unit-evidence``: stored answers and outcomes in, a stored table of unit evidence with its sources out."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.blobs import raw_key, record_key
from db.identifiers import uuid7
from db.repositories import assembled_files, audit, unit_evidence
from db.repositories.assembled_files import NewFile
from db.repositories.ingest import PackedBlob, Reading
from db.repositories.results import NewFinding
from db.unit_of_work import UnitOfWork
from instruments.packing import PackedReading
from services.pipelines.computation import analyse
from services.pipelines.context import Completion, JobContext, JobRefused
from services.pipelines.ingestion.ingest import open_reader
from services.pipelines.ingestion.record_rows import make_rows, storable
from services.pipelines.latent_risk import outcome_tables
from services.pipelines.latent_risk.evidence_assembly import Assembly, Freeze, assemble
from services.pipelines.latent_risk.evidence_file import describe_assembly, used_origins, write_assembly
from services.pipelines.latent_risk.evidence_records import MODALITIES, words
from services.pipelines.latent_risk.evidence_requests import AssemblyRequest
from services.pipelines.latent_risk.stored_evidence import Gathered, Stated, StoredEvidence, Times
from services.pipelines.latent_risk.unit_identity import RULE
from services.pipelines.stored_answer import code_version
from services.pipelines.table_job import load_tables, store_document
from services.pipelines.table_source import SourceTable
from services.pipelines.versions import UNIT_EVIDENCE_VERSION

KIND = "unit-evidence"
ALGORITHM = f"unit-evidence/{UNIT_EVIDENCE_VERSION}"
_MOST_OUTCOME_TABLES = 200


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``unit-evidence``.

    Raises:
        JobRefused: no unit has evidence known by the freeze, or something that is named is not there.
        DamagedRecord: stored bytes are not those that were written.
    """
    request = AssemblyRequest.model_validate(context.claimed.payload["question"])
    if request.freeze_at is None:
        raise JobRefused("the question says of no time until which evidence counts")
    freeze = Freeze(
        request.freeze_at,
        frozenset(request.lots),
        tuple(name for name in MODALITIES if not request.modalities or name in request.modalities),
        request.survived_until,
    )
    frames = {name: given.to_frame() for name, given in request.frames if given is not None}
    times = Times({each.file_id: each.known_at for each in request.stated_times})
    masks = {each.inspection_file_id: each.to_mask() for each in request.masks}
    gathered = StoredEvidence(context, freeze, Stated(frames, times, masks)).gather(request.result_ids)
    tables = _load_outcomes(context, request, freeze, times, gathered)
    made: list[Assembly] = []

    def compute(progress: Any) -> dict[str, Any]:
        progress(0.7, "assembling")
        found = assemble(gathered.records, outcome_tables.read_outcomes(tables), freeze, sorted(gathered.shared_lots))
        made.append(found)
        return _describe(found, gathered, tables, request)

    document = analyse(context, compute)
    simulated = bool(document["provenance"]["simulated"])
    file = _read_back(context, f"{request.name}.parquet", write_assembly(made[0], simulated=simulated))
    return lambda unit: _store(unit, context, document, file)


def _load_outcomes(
    context: JobContext, request: AssemblyRequest, freeze: Freeze, times: Times, gathered: Gathered
) -> list[SourceTable]:
    """Return the tables of outcomes that were there at the freeze, or of which a person states that they were."""
    wanted = list(request.outcome_table_ids)
    with context.engine.connect() as connection:
        if not wanted:
            program_id = context.claimed.program_id
            wanted = unit_evidence.list_tables(connection, program_id, outcome_tables.KIND, _MOST_OUTCOME_TABLES + 1)
        if len(wanted) > _MOST_OUTCOME_TABLES:
            raise JobRefused(f"there are more than {_MOST_OUTCOME_TABLES} tables of outcomes: name those that count")
        arrived = unit_evidence.find_arrivals(connection, wanted)
    kept = []
    for identity in wanted:
        file = arrived.get(identity)
        known_at = None if file is None else times.stated.get(file.id, file.arrived_at)
        if known_at is None or known_at <= freeze.at:
            kept.append(identity)
            continue
        told = {"kind": outcome_tables.KIND, "id": str(identity)}
        gathered.not_used.append(told | {"reason": f"known since {words(known_at)}, after the freeze"})
    return load_tables(context, kept, outcome_tables.KIND)


def _describe(
    found: Assembly, gathered: Gathered, tables: list[SourceTable], request: AssemblyRequest
) -> dict[str, Any]:
    origins = used_origins(found)
    comments = [source.table.vendor_metadata.get("comments") or {} for source in tables]
    simulated = any(each.simulated for each in origins) or any(
        str(each.get("simulated", "")).lower() in ("true", "yes", "1") for each in comments
    )
    assert request.freeze_at is not None
    told = describe_assembly(found)
    return {
        "verdict": "assembled",
        "freeze_at": words(request.freeze_at),
        **told,
        "not_used": gathered.not_used,
        "remarks": _remarks(told, request),
        "conventions": {
            "unit": RULE,
            "known": "an answer is known since it was stored; where a person states since when all of its files were "
            "known, since the last of these",
            "in_time": "known by the freeze, until the unit was judged, and before its outcome was known",
            "judged_at": "as the outcome's table says, else when the last of the unit's values was known",
            "several": "of several answers about a unit the one known last in time counts",
            "comparable": "values of one column are made by one rule (algorithm, parameters, tests); other answers are "
            "left out",
        },
        "provenance": {
            "inputs": sorted({digest for each in origins for digest in each.inputs} | {each.sha256 for each in tables}),
            "results": sorted({each.result_id for each in origins}),
            "outcome_files": [each.file for each in tables],
            "parameters": request.model_dump(mode="json"),
            "algorithm": ALGORITHM,
            "code_version": code_version(),
            "device": "cpu",
            "precision": "float64",
            "simulated": simulated,
        },
    }


def _remarks(told: Mapping[str, Any], request: AssemblyRequest) -> list[str]:
    said = []
    counts = told["counts"]
    if not counts["failed"] or not counts["survived"]:
        said.append(
            f"{counts['failed']} units failed and {counts['survived']} survived: they can be scored, nothing can be "
            "learned from them."
        )
    if request.survived_until is not None:
        until = words(request.survived_until)
        said.append(f"Units that passed their test and have no outcome are taken to have survived until {until}.")
    if request.stated_times:
        said.append(
            f"A person states since when {len(request.stated_times)} files were known; their answers were made later, "
            "with parameters that were chosen then."
        )
    if counts["outcome_without_evidence"]:
        said.append(f"{counts['outcome_without_evidence']} units with an outcome have no evidence that came in time.")
    return said


@dataclass(frozen=True)
class _File:
    """The table as an original file, and what its own adapter reads in it."""

    name: str
    data: bytes
    sha256: str
    reading: PackedReading
    packed: PackedBlob


def _read_back(context: JobContext, name: str, data: bytes) -> _File:
    """Read the table as if it had been uploaded, and put both into the blob store."""
    context.progress(0.97, "reading the table back")
    sha256 = hashlib.sha256(data).hexdigest()
    scratch = context.settings.scratch()
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="evidence-", dir=scratch) as folder:
        path = Path(folder) / "table.parquet"
        path.write_bytes(data)
        reading = open_reader(context.settings)(path, name, Path(folder) / "packed")
        samples = reading.samples_path.read_bytes()
    program_id = context.claimed.program_id
    packed = PackedBlob(record_key(program_id, uuid7()), len(samples), hashlib.sha256(samples).hexdigest())
    context.blobs.put_bytes(raw_key(program_id, sha256), data)
    context.blobs.put_bytes(packed.key, samples)
    return _File(name, data, sha256, reading, packed)


def _store(unit: UnitOfWork, context: JobContext, document: dict[str, Any], file: _File) -> None:
    """Write file, table and result in the transaction that ends the job; the same table is stored once."""
    program_id = context.claimed.program_id
    new = NewFile(program_id, file.name, len(file.data), file.sha256, raw_key(program_id, file.sha256))
    subject = assembled_files.insert_file(unit.connection, new)
    table_id = assembled_files.find_table(unit.connection, new)
    if table_id is None:
        rows = make_rows(file.reading, subject, file.packed.key, None)
        table_id = assembled_files.insert_table(unit.connection, subject, file.packed, rows, _reading(context, file))
        after = {"sha256": file.sha256, "size_bytes": len(file.data), "job_id": str(context.claimed.id)}
        entry = audit.AuditEntry("file.assembled", "raw_file", subject.raw_file_id, program_id, after=after)
        audit.record(unit.connection, f"service:{KIND}", context.claimed.request_id, entry)
    told = {
        "id": str(table_id),
        "file_id": str(subject.raw_file_id),
        "name": file.name,
        "sha256": file.sha256,
        "bytes": len(file.data),
    }
    store_document(unit, context, document | {"table": told}, _findings(document))


def _reading(context: JobContext, file: _File) -> Reading:
    return Reading(
        outcome="stored",
        job_id=context.claimed.id,
        format=file.reading.format,
        adapter=file.reading.adapter,
        adapter_version=file.reading.adapter_version,
        record_count=len(file.reading.records),
        warnings=storable(file.reading.warnings),
    )


def _findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield each modality with the part of the units that have it."""
    units = int(document["counts"]["units"])
    for rank, each in enumerate(document["modalities"], 1):
        evidence = {"units": each["units"], "records": len(each["records"]), "missing": each["missing"]}
        yield NewFinding("modality", rank, each["modality"], each["units"] / units, evidence=evidence)
