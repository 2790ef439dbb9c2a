"""The jobs of latent risk: learning a version of a model, scoring units by one, watching one for drift."""

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Row

from db.blobs import model_key
from db.repositories import models
from db.repositories.access import Conflict
from db.repositories.models import NewVersion, NewWatch
from db.repositories.results import NewFinding
from db.repositories.tiles import StoredBlob
from db.unit_of_work import UnitOfWork
from services.pipelines.computation import analyse
from services.pipelines.context import Completion, DamagedRecord, JobContext, JobRefused
from services.pipelines.latent_risk.risk_requests import (
    DriftRequest,
    ScoringRequest,
    StoredScoringRequest,
    StoredTrainingRequest,
    TrainingRequest,
)
from services.pipelines.stored_answer import Answer, code_version, store_answer
from services.pipelines.table_job import load_tables, store_document
from services.pipelines.table_source import SourceTable

KIND = "latent-risk"
"""Of the models in the registry."""

TRAINING, SCORING, DRIFT = "latent-risk-training", "latent-risk-scoring", "latent-risk-drift"
"""Kinds of jobs and of their results."""

EVIDENCE = "unit_evidence"
_MOST_FINDINGS = 200


def run_training(context: JobContext) -> Completion:
    """Handle a job of the kind ``latent-risk-training``: its version is a candidate, nothing more.

    Raises:
        JobRefused: there is no such table, or it does not allow a model; the reason says why.
    """
    from services.pipelines.latent_risk.risk_training import train_tables  # noqa: PLC0415 (numerics in workers only)

    payload = context.claimed.payload
    stored = StoredTrainingRequest.model_validate(payload["question"])
    sources = _load(context, [payload["table_id"], *stored.other_table_ids])
    request = TrainingRequest.model_validate(stored.model_dump(exclude={"model", "other_table_ids"}))
    made: list[bytes] = []

    def compute(progress: Any) -> dict[str, Any]:
        learned = train_tables(sources, request, progress)
        made.append(learned.data)
        return learned.document

    document = analyse(context, compute)
    data = made[0]
    digest = hashlib.sha256(data).hexdigest()
    blob = StoredBlob(model_key(context.claimed.program_id, digest), len(data), digest)
    context.blobs.put_bytes(blob.key, data)
    return lambda unit: _store_version(unit, context, stored.model, document, blob)


def _load(context: JobContext, identities: list[Any]) -> list[SourceTable]:
    return load_tables(context, identities, EVIDENCE)


def _store_version(
    unit: UnitOfWork, context: JobContext, name: str, document: dict[str, Any], blob: StoredBlob
) -> None:
    evaluation = dict(document["evaluation"])
    calibration = evaluation.pop("calibration")
    new = NewVersion(
        program_id=context.claimed.program_id,
        name=name,
        kind=KIND,
        job_id=context.claimed.id,
        algorithm=document["algorithm"],
        code_version=code_version(),
        data_sha256=document["data_sha256"],
        stored=blob,
        beats_baselines=bool(evaluation["beats_baselines"]),
        simulated=bool(document["provenance"]["simulated"]),
        metrics=evaluation,
        calibration=calibration,
        card={key: value for key, value in document.items() if key != "verdict"},
        created_by=context.claimed.requested_by,
    )
    try:
        version = models.insert_version(unit.connection, new)
    except Conflict as error:
        raise JobRefused(str(error)) from error
    told = {"model": {"name": name, "version": version.number, "version_id": str(version.id), "sha256": blob.sha256}}
    store_document(unit, context, document | told, _findings_of_training(document))


def _findings_of_training(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield the area under the ROC curve of the model and of each plain one, on the units held out."""
    found = document["evaluation"]
    for rank, each in enumerate([{"name": "late fusion", **found}, *found["baselines"]], 1):
        interval = (each["auc_low"], each["auc_high"])
        told = {name: each[name] for name in ("log_loss", "units", "failed")}
        yield NewFinding("held_out_auc", rank, each["name"], each["auc"], interval=interval, evidence=told)


def run_scoring(context: JobContext) -> Completion:
    """Handle a job of the kind ``latent-risk-scoring``.

    Raises:
        JobRefused: there is no such table or version, or the evidence does not fit the model.
    """
    from services.pipelines.latent_risk.risk_scoring import score_tables  # noqa: PLC0415

    payload = context.claimed.payload
    stored = StoredScoringRequest.model_validate(payload["question"])
    version = find_asked(context, payload["version_id"])
    sources = _load(context, [payload["table_id"], *stored.other_table_ids])
    request = ScoringRequest(most_units=stored.most_units)
    data = fetch_weights(context, version)
    document = analyse(context, lambda _progress: score_tables(sources, data, request))
    document["model"] |= _name(version)
    return lambda unit: store_document(unit, context, document, _findings_of_scores(document))


def _findings_of_scores(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield the most suspected units with what each modality adds."""
    for rank, each in enumerate(document["units"][:_MOST_FINDINGS], 1):
        total = sum(each["log_odds"].values())
        evidence = {name: each[name] for name in ("set", "log_odds", "modalities", "sources")}
        yield NewFinding(
            "latent_risk", rank, each["unit"], total, each["probability"], (each["low"], each["high"]), evidence
        )


def run_drift(context: JobContext) -> Completion:
    """Handle a job of the kind ``latent-risk-drift``: what is seen is kept, and drift is an event.

    Raises:
        JobRefused: there is no such table or version, or the evidence does not fit the model.
    """
    from services.pipelines.latent_risk.risk_scoring import drift_tables  # noqa: PLC0415

    payload = context.claimed.payload
    asked = DriftRequest.model_validate(payload["question"])
    version = find_asked(context, payload["version_id"])
    sources = _load(context, [payload["table_id"], *asked.other_table_ids])
    data = fetch_weights(context, version)
    document = analyse(context, lambda _progress: drift_tables(sources, data))
    document["model"] |= _name(version)
    return lambda unit: _store_watch(unit, context, version, document)


def _store_watch(unit: UnitOfWork, context: JobContext, version: Row[Any], document: dict[str, Any]) -> None:
    provenance = document["provenance"]
    answer = Answer(document, provenance, bool(provenance["simulated"]), document["verdict"])
    findings = [
        NewFinding("psi", rank, each["name"], each["psi"], evidence=each)
        for rank, each in enumerate(document["stability"][:_MOST_FINDINGS], 1)
    ]
    result_id = store_answer(unit, context, answer, findings)
    new = NewWatch(
        context.claimed.program_id,
        version.id,
        uuid.UUID(str(context.claimed.payload["table_id"])),
        result_id,
        document["verdict"],
        document["features"],
        document["calibration"]["verdict"],
        int(document["units"]),
    )
    worst = [each["name"] for each in document["stability"] if each["verdict"] == "drifted"][:5]
    told = {"model": version.name, "version": version.number, "most_drifted": worst}
    models.insert_watch(unit.connection, new, told | {"reason": document["calibration"]["reason"]})


def _name(version: Row[Any]) -> dict[str, Any]:
    return {"name": version.name, "version": version.number, "version_id": str(version.id), "state": version.state}


def find_asked(context: JobContext, version_id: object) -> Row[Any]:
    """Return the version that a job asks for.

    Raises:
        JobRefused: the program has no such version of a model of latent risk.
    """
    with context.engine.connect() as connection:
        found = models.read_version(connection, context.claimed.program_id, uuid.UUID(str(version_id)))
    if found is None or found.kind != KIND:
        raise JobRefused(f"there is no version {version_id} of a model of latent risk")
    return found


def fetch_weights(context: JobContext, version: Row[Any]) -> bytes:
    """Return the bytes of the file of ``version``.

    Raises:
        DamagedRecord: they are not those that were written.
    """
    data = context.blobs.read_range(version.blob_key, 0, version.byte_length)
    if hashlib.sha256(data).hexdigest() != version.sha256:
        raise DamagedRecord(f"the stored bytes of model version {version.id} are not those that were written")
    return data
