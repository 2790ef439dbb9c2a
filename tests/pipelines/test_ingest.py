"""Ingest on a real database and store: rows and object together, refusals with reasons, repeated readings replace."""

import uuid
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import select

from db.repositories import jobs
from db.repositories.ingest import DOCUMENT_TABLES
from db.repositories.jobs import LeaseLost
from db.schema.data import data_table, netlist, probing_session, raster, waveform
from db.schema.files import blob, bundle, ingest_event, raw_file
from db.schema.parts import lot, product, unit, wafer
from db.schema.people import audit_event
from db.schema.work import job
from instruments.documents import decode_document
from instruments.errors import ReaderCrashed, UnknownFormat
from instruments.records import Band, FailLog, Raster, Samples, Table
from services.pipelines.context import JobRefused
from services.pipelines.ingestion.ingest import read_subject, run
from tests.pipelines.bench import Bench, make_session, make_waveform, reader, refusing
from tests.workers.scenery import add_ingest, job_row, store_bundle, store_original

COUNTER = b"INPUT(a)\nINPUT(b)\nOUTPUT(y)\ny = NAND(a, b)\n"


def test_samples_and_rows_are_stored_together(bench: Bench, program_id: uuid.UUID) -> None:
    file_id = store_original(bench.engine, bench.blobs, program_id, "a.trc", b"original")
    job_id = add_ingest(bench.engine, program_id, {"raw_file_id": str(file_id)})
    bench.ingest(job_id, reader(make_waveform(averages=7)))
    rows = bench.rows(waveform)
    assert [(row.segment_index, row.sample_count, row.dtype, row.gain, row.averages) for row in rows] == [
        (0, 10, "<i2", 0.5, 7),
        (1, 10, "<i2", 0.5, 7),
    ]
    second = np.frombuffer(bench.blobs.read_range(rows[1].blob_key, rows[1].byte_offset, rows[1].byte_length), "<i2")
    assert second.tolist() == list(range(10, 20))
    assert (rows[1].trigger_offset_s, rows[1].maximum) == (1e-6, 9.5)
    (file,) = bench.rows(raw_file)
    assert (file.state, file.format, file.adapter, file.adapter_version) == ("stored", "format", "adapter", "1")
    (event,) = bench.rows(ingest_event)
    assert (event.outcome, event.record_count, event.warnings, event.job_id) == ("stored", 2, ["odd"], job_id)
    assert [row.action for row in bench.rows(audit_event)] == ["raw_file.stored"]
    assert list(bench.settings.scratch().iterdir()) == []
    assert bench.blobs.read_range(file.blob_key, 0, 8) == b"original"


def test_a_refused_file_is_quarantined_with_every_reason(bench: Bench, program_id: uuid.UUID) -> None:
    reasons = [{"adapter": "a", "version": "1", "reason": "no\0"}, {"adapter": "b", "version": "2", "reason": "nor me"}]
    file_id = store_original(bench.engine, bench.blobs, program_id, "noise", b"noise")
    job_id = add_ingest(bench.engine, program_id, {"raw_file_id": str(file_id)})
    bench.ingest(job_id, refusing(UnknownFormat("nobody", reasons=reasons)))
    (file,) = bench.rows(raw_file)
    assert file.state == "quarantined"
    assert file.quarantine_reasons == [reasons[0] | {"reason": "no\ufffd"}, reasons[1]]
    (event,) = bench.rows(ingest_event)
    assert (event.outcome, event.reasons) == ("quarantined", file.quarantine_reasons)
    assert bench.count(waveform) == 0
    assert job_row(bench.engine, job_id).state == "succeeded"


def test_a_crashed_reader_quarantines_with_its_own_word(bench: Bench, program_id: uuid.UUID) -> None:
    file_id = store_original(bench.engine, bench.blobs, program_id, "bomb", b"bomb")
    job_id = add_ingest(bench.engine, program_id, {"raw_file_id": str(file_id)})
    bench.ingest(job_id, refusing(ReaderCrashed("the reader was ended by SIGSEGV", file="bomb")))
    (file,) = bench.rows(raw_file)
    assert [item["reason"] for item in file.quarantine_reasons] == ["bomb: the reader was ended by SIGSEGV"]


def test_tables_and_rasters_are_stored(bench: Bench, program_id: uuid.UUID) -> None:
    file_id = store_original(bench.engine, bench.blobs, program_id, "k", b"k")
    table = Table("defects", {"x_um": np.array([1.0, np.nan])}, {"x_um": "um"}, "mask_defect")
    grid = Raster("lvi", Samples.of(np.arange(6, dtype="<i2")), 2, 3, (Band("amplitude", "V"),), "signal_map", 0.0, 5.0)
    bench.ingest(add_ingest(bench.engine, program_id, {"raw_file_id": str(file_id)}), reader(table, grid))
    (stored,) = bench.rows(data_table)
    assert (stored.kind, stored.row_count, stored.summary["meta"]["columns"]) == ("mask_defect", 2, {"x_um": "um"})
    data = bench.blobs.read_range(stored.blob_key, stored.byte_offset, stored.byte_length)
    again = decode_document("table", data)
    assert isinstance(again, Table)
    np.testing.assert_array_equal(again.columns["x_um"], table.columns["x_um"])
    (image,) = bench.rows(raster)
    assert (image.kind, image.row_count, image.column_count, image.bands) == ("signal_map", 2, 3, [["amplitude", "V"]])
    assert (image.pitch_x_m, image.affine_um, image.maximum) == (None, None, 5.0)
    assert image.byte_length == 12


def test_records_without_a_table_are_refused(
    bench: Bench, program_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(DOCUMENT_TABLES, "table")  # type: ignore[attr-defined]
    file_id = store_original(bench.engine, bench.blobs, program_id, "t", b"t")
    job_id = add_ingest(bench.engine, program_id, {"raw_file_id": str(file_id)})
    bench.ingest(job_id, reader(Table("t", {"a": np.array([1.0])}, {"a": "V"})))
    (file,) = bench.rows(raw_file)
    assert file.quarantine_reasons == [
        {"adapter": "adapter", "version": "1", "reason": "it holds a record of the kind table, which is not stored"}
    ]


def test_a_session_makes_its_unit_and_asks_for_localization(bench: Bench, program_id: uuid.UUID) -> None:
    files = {"session.json": b"{}", "n.bench": b"n", "p.csv": b"p", "w.csv": b"w"}
    bundle_id = store_bundle(bench.engine, bench.blobs, program_id, "S-1", files)
    bench.ingest(add_ingest(bench.engine, program_id, {"bundle_id": str(bundle_id)}), reader(make_session()))
    (session,) = bench.rows(probing_session)
    assert (session.name, session.role, session.simulated, session.bundle_id) == ("S-1", "suspect", True, bundle_id)
    (die,) = bench.rows(unit)
    assert (die.x, die.y, session.unit_id) == (4, 7, die.id)
    assert [bench.count(table) for table in (product, lot, wafer)] == [1, 1, 1]
    (row,) = bench.rows(waveform)
    names = {file.id: file.filename for file in bench.rows(raw_file)}
    assert (row.net, row.probing_session_id, names[row.raw_file_id]) == ("y", session.id, "w.csv")
    (circuit,) = bench.rows(netlist)
    assert (names[circuit.raw_file_id], circuit.summary["kind"]) == ("n.bench", "netlist")
    (follower,) = [found for found in bench.rows(job) if found.kind == "localize"]
    assert follower.payload == {"probing_session_id": str(session.id)}
    assert [due.job_id for due in bench.announced] == [follower.id]
    assert [found.state for found in bench.rows(bundle)] == ["stored"]
    assert {file.state for file in bench.rows(raw_file)} == {"stored"}


def test_a_golden_session_is_not_localized(bench: Bench, program_id: uuid.UUID) -> None:
    bundle_id = store_bundle(bench.engine, bench.blobs, program_id, "S-1", {"session.json": b"{}", "w.csv": b"w"})
    bench.ingest(add_ingest(bench.engine, program_id, {"bundle_id": str(bundle_id)}), reader(make_session("golden")))
    assert [found.kind for found in bench.rows(job)] == ["ingest"]


@pytest.mark.parametrize("logged", [True, False])
def test_a_die_with_a_fail_log_is_localized_before_its_first_probe(
    bench: Bench, program_id: uuid.UUID, logged: bool
) -> None:
    fails = FailLog("f", np.array([0], np.int64), ("y",)) if logged else None
    begun = replace(make_session(), waveforms={}, fails=fails)
    bundle_id = store_bundle(bench.engine, bench.blobs, program_id, "S-1", {"session.json": b"{}"})
    bench.ingest(add_ingest(bench.engine, program_id, {"bundle_id": str(bundle_id)}), reader(begun))
    assert [found.kind for found in bench.rows(job)] == ["ingest", *["localize"] * logged]


def test_a_second_session_of_the_same_die_finds_its_unit(bench: Bench, program_id: uuid.UUID) -> None:
    for name in (b"1", b"2"):
        bundle_id = store_bundle(bench.engine, bench.blobs, program_id, "S", {"session.json": name})
        bench.ingest(add_ingest(bench.engine, program_id, {"bundle_id": str(bundle_id)}), reader(make_session()))
    assert bench.count(probing_session) == 2
    assert [bench.count(table) for table in (product, lot, wafer, unit)] == [1, 1, 1, 1]


def test_reading_again_replaces_rows_and_gives_up_the_object(bench: Bench, program_id: uuid.UUID) -> None:
    bundle_id = store_bundle(bench.engine, bench.blobs, program_id, "S-1", {"session.json": b"{}", "w.csv": b"w"})
    payload = {"bundle_id": str(bundle_id)}
    bench.ingest(add_ingest(bench.engine, program_id, payload), reader(make_session()))
    (before,) = bench.rows(waveform)
    (session,) = bench.rows(probing_session)
    bench.ingest(add_ingest(bench.engine, program_id, payload, "new"), reader(make_session(), version="2"))
    (after,) = bench.rows(waveform)
    assert after.id != before.id
    assert after.blob_key != before.blob_key
    assert [row.id for row in bench.rows(probing_session)] == [session.id]
    with bench.engine.connect() as connection:
        keys = set(connection.execute(select(blob.c.key).where(blob.c.key.like("records/%"))).scalars())
    assert keys == {after.blob_key}
    localizations = [found for found in bench.rows(job) if found.kind == "localize"]
    assert len(localizations) == 2, "other records are another question"


def test_a_refusal_of_what_was_stored_removes_its_records(bench: Bench, program_id: uuid.UUID) -> None:
    bundle_id = store_bundle(bench.engine, bench.blobs, program_id, "S-1", {"session.json": b"{}", "w.csv": b"w"})
    payload = {"bundle_id": str(bundle_id)}
    bench.ingest(add_ingest(bench.engine, program_id, payload), reader(make_session()))
    bench.ingest(add_ingest(bench.engine, program_id, payload, "new"), refusing(UnknownFormat("no", reasons=[])))
    assert [bench.count(table) for table in (waveform, netlist, probing_session)] == [0, 0, 0]
    assert [found.state for found in bench.rows(bundle)] == ["quarantined"]


def test_a_lost_lease_writes_nothing_and_leaves_the_object_to_the_sweep(bench: Bench, program_id: uuid.UUID) -> None:
    file_id = store_original(bench.engine, bench.blobs, program_id, "a.trc", b"original")
    job_id = add_ingest(bench.engine, program_id, {"raw_file_id": str(file_id)})
    context = bench.claim(job_id)
    completion = read_subject(context, reader(make_waveform()))
    assert jobs.release(bench.engine, context.claimed)
    with pytest.raises(LeaseLost):
        bench.finish(context, completion)
    assert bench.count(waveform) == 0
    assert len(list(bench.blobs.list("records"))) == 1
    assert [file.state for file in bench.rows(raw_file)] == ["received"]


def test_what_postgresql_cannot_hold_is_marked_not_fatal(bench: Bench, program_id: uuid.UUID) -> None:
    file_id = store_original(bench.engine, bench.blobs, program_id, "a", b"a")
    job_id = add_ingest(bench.engine, program_id, {"raw_file_id": str(file_id)})
    odd = make_waveform("C\0", 1, vendor_metadata={"model\0": ["µ"], "n": 1})
    bench.ingest(job_id, reader(odd))
    (row,) = bench.rows(waveform)
    assert (row.name, row.vendor_metadata) == ("C\ufffd", {"model\ufffd": ["µ"], "n": 1})


def test_an_unknown_file_is_refused(bench: Bench, program_id: uuid.UUID) -> None:
    context = bench.claim(add_ingest(bench.engine, program_id, {"raw_file_id": str(uuid.uuid4())}))
    with pytest.raises(JobRefused, match="nothing to read"):
        read_subject(context, reader(make_waveform()))


@pytest.mark.parametrize(("data", "state"), [(COUNTER, "stored"), (b"\x00\x01noise" * 100, "quarantined")])
def test_a_real_file_goes_through_the_sandbox(bench: Bench, program_id: uuid.UUID, data: bytes, state: str) -> None:
    file_id = store_original(bench.engine, bench.blobs, program_id, "c.bench", data)
    context = bench.claim(add_ingest(bench.engine, program_id, {"raw_file_id": str(file_id)}))
    bench.finish(context, run(context))
    (file,) = bench.rows(raw_file)
    assert file.state == state
    assert bench.count(netlist) == (1 if state == "stored" else 0)
    if state == "quarantined":
        assert {"bench_netlist", "value_change_dump"} <= {item["adapter"] for item in file.quarantine_reasons}
