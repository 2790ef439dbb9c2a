"""One row of every resource in a program, written straight into the tables."""

import base64
import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import Engine, Table, insert, select

from db.blobs import BlobStore, model_key, raw_key, record_key
from db.identifiers import uuid7
from db.repositories.access import KeyOwner, issue_key
from db.schema import cases, data, events, files, models, monitoring, parts, people, probes, work
from services.webhooks.signing import new_secret
from tests.api.report_rows import add_report

CONTENT = b"the original bytes of a file"


@dataclass(frozen=True)
class Population:
    """The ids of the rows, by the name of their path parameter."""

    program_id: uuid.UUID
    ids: dict[str, uuid.UUID]


def add_row(engine: Engine, table: Table, **values: object) -> uuid.UUID:
    identity = uuid7()
    with engine.begin() as connection:
        connection.execute(insert(table).values(id=identity, **values))
    return identity


def add_program(engine: Engine, name: str) -> uuid.UUID:
    return add_row(engine, people.program, name=name)


def add_account(engine: Engine, name: str, scopes: list[str], roles: dict[uuid.UUID, str]) -> str:
    """Add an account with roles by program; its key."""
    account = add_row(engine, people.account, name=name)
    for program, role in roles.items():
        add_row(engine, people.membership, account_id=account, program_id=program, role=role)
    with engine.begin() as connection:
        return issue_key(connection, KeyOwner(account_id=account), name, scopes).key


def add_instrument_key(engine: Engine, instrument_id: uuid.UUID) -> str:
    with engine.begin() as connection:
        return issue_key(connection, KeyOwner(instrument_id=instrument_id), "tool", ["upload"]).key


def add_file(engine: Engine, blobs: BlobStore, program: uuid.UUID, content: bytes = CONTENT) -> uuid.UUID:
    digest = hashlib.sha256(content).hexdigest()
    key = raw_key(program, digest)
    blobs.put_bytes(key, content)
    values = {"filename": "a.csv", "size_bytes": len(content), "sha256": digest, "blob_key": key}
    return add_row(engine, files.raw_file, program_id=program, **values)


def add_waveform(
    engine: Engine, blobs: BlobStore, raw_file: uuid.UUID, samples: np.ndarray, **values: object
) -> uuid.UUID:
    """Add a waveform with these samples behind 16 other bytes in its blob."""
    with engine.connect() as connection:
        owner = select(files.raw_file.c.program_id).where(files.raw_file.c.id == raw_file)
        program = connection.execute(owner).scalar()
        index = len(connection.execute(select(data.waveform.c.id)).all())
    little = np.ascontiguousarray(samples, samples.dtype.newbyteorder("<"))
    key = record_key(program, uuid7())
    blobs.put_bytes(key, b"\xaa" * 16 + little.tobytes() + b"\xbb" * 16)
    row: dict[str, object] = {
        "program_id": program, "raw_file_id": raw_file, "record_index": index, "name": "C1", "blob_key": key,
        "byte_offset": 16, "byte_length": little.nbytes, "sha256": hashlib.sha256(little.tobytes()).hexdigest(),
        "sample_count": little.size, "dtype": little.dtype.str, "gain": 0.5, "offset": 1.0, "unit": "µV",
        "t0_s": -1e-9, "dt_s": 1e-10,
    }  # fmt: skip
    return add_row(engine, data.waveform, **(row | values))


def populate(engine: Engine, blobs: BlobStore, program: uuid.UUID) -> Population:
    """Add one row of everything to a program."""
    raw_file = add_file(engine, blobs, program)
    bundle = add_row(engine, files.bundle, program_id=program, name="S", content_sha256="c" * 64)
    session = add_row(
        engine, data.probing_session, program_id=program, bundle_id=bundle, name="S-1", role="suspect",
        technique="LVP", document={"session": "S-1"},
    )  # fmt: skip
    job = add_row(engine, work.job, job_key=uuid.uuid4().hex, program_id=program, kind="localize", queue="cpu",
                  payload={"probing_session_id": str(session)}, requested_by="test")  # fmt: skip
    result = add_row(
        engine, work.result, job_key=uuid.uuid4().hex, job_id=job, program_id=program, kind="localize",
        probing_session_id=session, verdict="located", provenance={"version": "1"},
        body={"verdict": "located", "next_probes": [{"net": "G10", "bits": 0.5}]},
    )  # fmt: skip
    finding = add_row(engine, work.finding, result_id=result, program_id=program, rank=1, kind="suspect",
                      subject="G16", probability=0.97)  # fmt: skip
    product = add_row(engine, parts.product, program_id=program, name="P1")
    lot = add_row(engine, parts.lot, program_id=program, product_id=product, name="L1")
    wafer = add_row(engine, parts.wafer, program_id=program, lot_id=lot, name="W03")
    unit = add_row(engine, parts.unit, program_id=program, product_id=product, wafer_id=wafer, x=4, y=7)
    instrument = add_row(engine, people.instrument, program_id=program, name="scope-1", kind="oscilloscope")
    account = add_row(engine, people.account, name=f"bystander-{program}")
    membership = add_row(engine, people.membership, account_id=account, program_id=program, role="viewer")
    with engine.begin() as connection:
        api_key = issue_key(connection, KeyOwner(instrument_id=instrument), "tool", ["upload"]).id
    samples = np.arange(100, dtype=np.int16)
    ids = {
        "program_id": program, "file_id": raw_file, "bundle_id": bundle, "session_id": session, "job_id": job,
        "result_id": result, "finding_id": finding, "product_id": product, "lot_id": lot, "wafer_id": wafer,
        "unit_id": unit, "instrument_id": instrument, "membership_id": membership, "key_id": api_key,
        "account_id": account, "waveform_id": add_waveform(engine, blobs, raw_file, samples),
        "upload_id": add_upload(engine, program),
    }  # fmt: skip
    ids |= add_probed(engine, blobs, ids, program)
    ids["probe_id"] = add_planned_probe(engine, ids, program)
    own: dict[Table, dict[str, object]] = {
        data.data_table: {"kind": "mask_defect", "row_count": 1},
        data.raster: {"kind": "image", "row_count": 1, "column_count": 4, "bands": [["grey", ""]], "dtype": "<i2",
                      "gain": 1.0, "offset": 0.0},
    }  # fmt: skip
    blobs.put_bytes(record_key(program, raw_file), b'\xaa{"a": 1}\xbb')
    for parameter, table in {
        "netlist_id": data.netlist, "pattern_set_id": data.pattern_set, "fail_log_id": data.fail_log,
        "placement_id": data.placement, "digital_trace_id": data.digital_trace,
        "table_id": data.data_table, "raster_id": data.raster,
    }.items():  # fmt: skip
        ids[parameter] = add_row(
            engine, table, program_id=program, raw_file_id=raw_file, record_index=0, name="r",
            blob_key=record_key(program, raw_file), byte_offset=1, byte_length=8, sha256="0" * 64,
            summary={"count": 1}, **own.get(table, {}),
        )  # fmt: skip
    ids |= _add_monitoring(engine, program, ids) | add_report(engine, blobs, program)
    ids |= add_model(engine, blobs, program, ids, "risk")
    return Population(program, ids | add_case(engine, program, ids))


def add_probed(engine: Engine, blobs: BlobStore, ids: dict[str, uuid.UUID], program: uuid.UUID) -> dict[str, uuid.UUID]:
    """Add a waveform of the session, and the simulation of its one net: 0, 1, 1, 0, in cycles of 25 samples."""
    levels = np.asarray([1.0, 3.0, 3.0, 1.0], "<f4")
    body = {
        "cycle_s": 2.5e-9, "cycles": 4, "edge_sigma_s": 5e-11, "nets": [{"net": "G16", "bits": encode([0b01100000])}],
        "suspects": [], "unknown_nets": [],
        "waveforms": [{"file": "p.csv", "net": "G16", "levels": encode(levels.tobytes())}],
    }  # fmt: skip
    samples = np.repeat(np.asarray([0, 4, 4, 0], np.int16), 25)
    of_session = {"probing_session_id": ids["session_id"], "member_path": "p.csv", "net": "G16", "t0_s": 0.0}
    result = add_row(
        engine, work.result, job_key=uuid.uuid4().hex, job_id=ids["job_id"], program_id=program, kind="simulation",
        probing_session_id=ids["session_id"], verdict="simulated", body=body, provenance={"version": "1"},
    )  # fmt: skip
    return {
        "simulation_id": result,
        "probed_id": add_waveform(engine, blobs, ids["file_id"], samples, **of_session),
    }


def add_planned_probe(engine: Engine, ids: dict[str, uuid.UUID], program: uuid.UUID) -> uuid.UUID:
    values = {"probing_session_id": ids["session_id"], "result_id": ids["result_id"], "planned_by": "account:test"}
    return add_row(engine, probes.planned_probe, program_id=program, **values, net="G11", bits=0.25)


def add_scored_result(engine: Engine, blobs: BlobStore, program: uuid.UUID, job: uuid.UUID) -> uuid.UUID:
    """Add an answer whose scores of all parts are a file."""
    content = b"scores"
    key = record_key(program, uuid7())
    blobs.put_bytes(key, content)
    digest = hashlib.sha256(content).hexdigest()
    body = {"scores": {"blob_key": key, "byte_length": len(content), "sha256": digest}}
    return add_row(
        engine, work.result, job_key=uuid.uuid4().hex, job_id=job, program_id=program, kind="screening", body=body,
        provenance={},
    )  # fmt: skip


def encode(content: bytes | list[int]) -> str:
    return base64.b64encode(bytes(content)).decode()


def add_model(
    engine: Engine, blobs: BlobStore, program: uuid.UUID, ids: dict[str, uuid.UUID], name: str
) -> dict[str, uuid.UUID]:
    """Add a model whose second version counts, in place of the first, and whose third is a candidate."""
    mine = {"program_id": program}
    model = add_row(engine, models.model, **mine, name=name, kind="latent-risk", created_by="account:ada")
    weights = b"weights"
    digest = hashlib.sha256(weights).hexdigest()
    blobs.put_bytes(model_key(program, digest), weights)
    kept = {
        "job_id": ids["job_id"], "algorithm": "latent-risk/1", "code_version": "1", "data_sha256": "d" * 64,
        "sha256": digest, "blob_key": model_key(program, digest), "byte_length": len(weights), "beats_baselines": True,
        "simulated": False, "metrics": {"auc": 0.9}, "calibration": {"error": 0.01}, "card": {"format": "x"},
        "created_by": "account:ada",
    }  # fmt: skip
    now = datetime.now(UTC)
    states = (("retired", now), ("promoted", now), ("candidate", None))
    first, second, third = (
        add_row(
            engine, models.model_version, **mine, **kept, model_id=model, number=number, state=state, promoted_at=at
        )
        for number, (state, at) in enumerate(states, 1)
    )
    decided = {**mine, "model_id": model, "kind": "promoted", "person": "account:ada"}
    add_row(engine, models.model_decision, **decided, version_id=first)
    add_row(engine, models.model_decision, **decided, version_id=second, replaced_version_id=first)
    add_row(
        engine, models.model_watch, **mine, version_id=second, table_id=ids["table_id"], result_id=ids["result_id"],
        verdict="stable", features="stable", calibration="unknown", units=10,
    )  # fmt: skip
    return {"model_id": model, "version_id": third}


def add_case(
    engine: Engine, program: uuid.UUID, ids: dict[str, uuid.UUID], *, closed: bool = False
) -> dict[str, uuid.UUID]:
    """Add a concluded case with a step, a sample and a piece of evidence; a closed one's step has ended."""
    now = datetime.now(UTC)
    mine = {"program_id": program, "recorded_by": "account:test"}
    case = add_row(
        engine, cases.fa_case, program_id=program, title="Dead on arrival", mechanism="short", root_cause="process",
        conclusion="bridge", state="closed" if closed else "open", closed_at=now if closed else None,
    )  # fmt: skip
    return {
        "case_id": case,
        "step_id": add_row(engine, cases.case_step, **mine, case_id=case, kind="intake", person="ada", began_at=now),
        "sample_id": add_row(engine, cases.case_sample, **mine, case_id=case, name="lamella"),
        "evidence_id": add_row(engine, cases.case_evidence, **mine, case_id=case, raw_file_id=ids["file_id"]),
        "decision_id": add_row(
            engine, cases.case_decision, program_id=program, case_id=case, kind="reopened", person="ada", conclusion={}
        ),
    }


def _add_monitoring(engine: Engine, program: uuid.UUID, ids: dict[str, uuid.UUID]) -> dict[str, uuid.UUID]:
    """Add a control chart with a reading, limits and an event of it, and a webhook with the event's delivery."""
    mine = {"program_id": program}
    chart = add_row(
        engine, monitoring.control_chart, **mine, instrument_id=ids["instrument_id"], node="G16", quantity="amplitude",
        unit="V", setup={"averages": 1000}, simulated=False, evaluation=None,
    )  # fmt: skip
    now = datetime.now(UTC)
    add_row(
        engine, monitoring.reference_reading, **mine, chart_id=chart, raw_file_id=ids["file_id"], record_index=0,
        value=0.5, observed_at=now, result_id=ids["result_id"],
    )  # fmt: skip
    baseline = add_row(
        engine, monitoring.chart_baseline, **mine, chart_id=chart, state="frozen", to_at=now, centre=0.5, sigma=0.1,
        method="given", frozen_at=now, parameters={"rules": [1]}, requested_by="account:ada",
    )  # fmt: skip
    event = add_row(
        engine, events.event, **mine, kind="instrument.out_of_control", event_key=uuid.uuid4().hex,
        instrument_id=ids["instrument_id"], subject_type="control_chart", subject_id=chart, data={"rule": "nelson-1"},
        occurred_at=now,
    )  # fmt: skip
    webhook = add_webhook(engine, program)
    delivery = add_row(
        engine, events.webhook_delivery, **mine, subscription_id=webhook, event_id=event, next_attempt_at=now
    )
    return {
        "chart_id": chart, "baseline_id": baseline, "event_id": event, "webhook_id": webhook, "delivery_id": delivery,
    }  # fmt: skip


def add_webhook(engine: Engine, program: uuid.UUID) -> uuid.UUID:
    """Add a webhook that nobody has sent anything to."""
    values = {"url": "https://hooks.example/", "kinds": [], "secret": new_secret(), "created_by": "account:ada"}
    return add_row(engine, events.webhook_subscription, program_id=program, **values)


def add_upload(engine: Engine, program: uuid.UUID, instrument: uuid.UUID | None = None) -> uuid.UUID:
    """Add an upload that nobody has sent a byte of."""
    values = {
        "actor": "account:admin", "instrument_id": instrument, "filename": "a", "length_bytes": 10,
        "expires_at": datetime.now(UTC) + timedelta(days=1),
    }  # fmt: skip
    return add_row(engine, files.upload, program_id=program, **values)
