"""From a new adapter's version to new records, and a sweep that takes what was given up and nothing else."""

import os
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from db.blobs import BlobStore
from db.repositories import jobs
from db.schema.data import netlist, waveform
from db.schema.files import ingest_event, raw_file
from instruments.errors import UnknownFormat
from instruments.registry import Registry
from services.pipelines.context import JobContext
from services.pipelines.ingestion.ingest import run
from services.scheduler.rereading import request_rereading
from services.scheduler.sweep import sweep_blobs
from tests.pipelines.bench import Bench, make_session, make_waveform, reader, refusing
from tests.workers.scenery import add_ingest, store_bundle, store_original

NETLIST = b"INPUT(a)\nINPUT(b)\nOUTPUT(y)\ny = NAND(a, b)\n"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load(strict=True)


def reread(bench: Bench, registry: Registry) -> int:
    """What the scheduler asks for, done by a worker with today's adapters; how many files that were."""
    requested = request_rereading(bench.engine, bench.settings, registry.versions(), registry.fingerprint())
    while (claimed := jobs.claim_next(bench.engine, ["ingest"], "test", 60)) is not None:
        context = JobContext(claimed, bench.settings, bench.engine, bench.blobs, bench.announced.append)
        bench.finish(context, run(context))
    return requested


def test_what_an_older_version_read_is_read_again_by_todays(
    bench: Bench, program_id: uuid.UUID, registry: Registry
) -> None:
    file_id = store_original(bench.engine, bench.blobs, program_id, "n.bench", NETLIST)
    old = reader(make_session().netlist, version="0")  # type: ignore[arg-type]

    def read_by_older(*arguments: object) -> object:
        packed = old(*arguments)  # type: ignore[arg-type]
        return type(packed)(**(vars(packed) | {"adapter": "bench_netlist"}))

    bench.ingest(add_ingest(bench.engine, program_id, {"raw_file_id": str(file_id)}), read_by_older)  # type: ignore[arg-type]
    (before,) = bench.rows(netlist)
    assert reread(bench, registry) == 1
    (after,) = bench.rows(netlist)
    (file,) = bench.rows(raw_file)
    assert after.id != before.id
    assert (file.state, file.adapter, file.adapter_version) == (
        "stored", "bench_netlist", registry.adapters["bench_netlist"].version,
    )  # fmt: skip
    assert [event.adapter_version for event in bench.rows(ingest_event)] == ["0", file.adapter_version]
    assert bench.blobs.read_range(file.blob_key, 0, 1000) == NETLIST
    assert reread(bench, registry) == 0, "nothing has changed since"


def test_what_older_adapters_refused_is_stored_once_one_can_read_it(
    bench: Bench, program_id: uuid.UUID, registry: Registry
) -> None:
    file_id = store_original(bench.engine, bench.blobs, program_id, "n.bench", NETLIST)
    noise_id = store_original(bench.engine, bench.blobs, program_id, "noise", b"\x00\x01" * 500)
    for identity in (file_id, noise_id):
        refusal = UnknownFormat("no", reasons=[{"adapter": "lecroy_trc", "version": "0", "reason": "not mine"}])
        bench.ingest(add_ingest(bench.engine, program_id, {"raw_file_id": str(identity)}), refusing(refusal))
    assert {file.state for file in bench.rows(raw_file)} == {"quarantined"}
    assert reread(bench, registry) == 2
    files = {file.id: file for file in bench.rows(raw_file)}
    assert (files[file_id].state, files[file_id].quarantine_reasons) == ("stored", None)
    assert files[noise_id].state == "quarantined"
    assert {reason["adapter"] for reason in files[noise_id].quarantine_reasons} == set(registry.adapters)
    assert reread(bench, registry) == 0


def make_old(bench: Bench) -> None:
    past = time.time() - 7200
    root = bench.blobs.local_path(next(iter(bench.blobs.list("raw"))).key)
    assert root is not None
    for path in root.parents[2].rglob("*"):
        if path.is_file():
            os.utime(path, (past, past))


def test_the_sweep_takes_what_was_given_up_and_no_live_object(
    bench: Bench, engine: Engine, blobs: BlobStore, program_id: uuid.UUID
) -> None:
    """Originals, bundles, records, a repeated reading and a lost one: all old, only the two orphans go."""
    single = store_original(engine, blobs, program_id, "a.trc", b"original")
    bundle = store_bundle(engine, blobs, program_id, "S", {"session.json": b"{}", "w.csv": b"w"})
    bench.ingest(add_ingest(engine, program_id, {"raw_file_id": str(single)}), reader(make_waveform()))
    bench.ingest(add_ingest(engine, program_id, {"bundle_id": str(bundle)}), reader(make_session()))
    bench.ingest(add_ingest(engine, program_id, {"bundle_id": str(bundle)}, "new"), reader(make_session()))
    blobs.put_bytes(f"records/{program_id}/of-a-worker-that-was-killed", b"samples")
    live = {row.blob_key for table in (raw_file, waveform, netlist) for row in bench.rows(table)}
    everything = {info.key for info in blobs.list()}
    make_old(bench)
    assert sweep_blobs(engine, blobs, 3 * 3600) == 0, "nothing is old enough"
    assert sweep_blobs(engine, blobs, 3600) == 2
    left = {info.key for info in blobs.list()}
    assert left == live
    assert len(everything - left) == 2
    for row in bench.rows(waveform):
        assert len(blobs.read_range(row.blob_key, row.byte_offset, row.byte_length)) == row.byte_length
    assert sweep_blobs(engine, blobs, 0) == 0


def test_an_object_that_is_written_again_while_the_sweep_looks_stays(
    bench: Bench, engine: Engine, blobs: BlobStore, program_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload of the same bytes puts the object anew, between the sweep's question and its answer."""
    from db.repositories import sweep as questions

    key = f"raw/{program_id}/{'0' * 64}"
    blobs.put_bytes(key, b"x")
    make_old(bench)
    ask = questions.find_orphans

    def find_orphans(*arguments: object) -> set[str]:
        orphans = ask(*arguments)  # type: ignore[arg-type]
        blobs.put_bytes(key, b"x")
        return orphans

    monkeypatch.setattr(questions, "find_orphans", find_orphans)
    assert sweep_blobs(engine, blobs, 3600) == 0
    info = blobs.describe(key)
    assert info is not None
    assert info.modified_at > datetime.now(UTC) - timedelta(minutes=5)
