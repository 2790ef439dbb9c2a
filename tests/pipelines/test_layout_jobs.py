"""The jobs about stored layouts and inspections: the same answers as offline, stored once with their provenance."""

import json
import uuid
from typing import Any

import pytest
from sqlalchemy import Engine, select

from db.blobs import BlobStore
from db.repositories import jobs, tiles
from db.schema.files import blob
from db.schema.work import finding, result
from instruments.errors import CorruptField
from services.pipelines.context import JobRefused
from services.pipelines.kinds import HANDLERS
from services.pipelines.mask import layout_jobs
from services.pipelines.mask.layout_nets import asked_process
from services.pipelines.mask.layout_requests import (
    MatchRequest,
    NetsRequest,
    OverlayRequest,
    PlacesRequest,
    SignaturesRequest,
    TilesRequest,
    WindowRequest,
)
from tests.instruments.mask import layout_writer as write
from tests.instruments.mask.klarf_writer import flat
from tests.instruments.mask.test_nets import SMALL, text_at
from tests.pipelines.bench import Bench
from tests.workers.scenery import make_program, store_original

ROWS = ["1 50 1.5 0 0 1.6 3 1", "2 50 6.5 0 0 1.3 0 1", "3 50 5.5 0 0 0.3 3 1"]


def wires() -> bytes:
    """Five level wires of 1 um on 2 um pitch, two of them with the same label."""
    shapes = [write.box(1, 0, 2000 * row, 100_000, 2000 * row + 1000) for row in range(5)]
    labels = [text_at(1, "W0" if row == 4 else f"W{row}", 10, 2000 * row + 500) for row in range(5)]
    return write.library(write.structure("TOP", *shapes, *labels))


@pytest.fixture
def layout(bench: Bench, program_id: uuid.UUID) -> uuid.UUID:
    return store_original(bench.engine, bench.blobs, program_id, "wires.gds", wires())


def run(bench: Bench, program_id: uuid.UUID, kind: str, file_id: uuid.UUID, question: Any) -> Any:
    """Insert, claim, handle and finish a job; its result."""
    payload = {"raw_file_id": str(file_id), "question": question.model_dump(mode="json")}
    new = jobs.NewJob(uuid.uuid4().hex, program_id, kind, "cpu", payload, "test")
    with bench.engine.begin() as connection:
        job_id, _ = jobs.insert(connection, new)
    context = bench.claim(job_id)
    module, _, name = HANDLERS[kind].partition(":")
    assert module == layout_jobs.__name__
    bench.finish(context, getattr(layout_jobs, name)(context))
    (row,) = [each for each in bench.rows(result) if each.job_id == job_id]
    return row


def test_nets_and_places_are_those_of_the_stored_layout(bench: Bench, program_id: uuid.UUID, layout: uuid.UUID) -> None:
    nets = run(bench, program_id, "nets", layout, NetsRequest(process=SMALL))
    assert (nets.verdict, nets.body["layout"], len(nets.body["nets"])) == ("doubtful", "wires.gds", 5)
    assert {each["kind"] for each in nets.body["warnings"]} == {"divided-name", "layer-without-shapes"}
    assert nets.provenance["algorithm_version"]
    assert len(nets.provenance["inputs"]) == 1
    asked = PlacesRequest(process=SMALL, places=[{"x_um": 50, "y_um": 2.5, "sigma_x_nm": 100, "sigma_y_nm": 100}])  # type: ignore[list-item]
    places = run(bench, program_id, "places", layout, asked)
    (found,) = bench.rows(finding)
    assert (places.verdict, found.subject, found.kind) == ("placed", "W1", "place")
    assert found.probability == pytest.approx(1.0, abs=1e-5)


def test_defects_become_findings(bench: Bench, program_id: uuid.UUID, layout: uuid.UUID) -> None:
    inspection = store_original(bench.engine, bench.blobs, program_id, "d.klarf", flat(ROWS).encode())
    asked = OverlayRequest(process=SMALL, inspection_file_id=inspection, settings={"sigma_nm": 20})
    row = run(bench, program_id, "overlay", layout, asked)
    found = sorted(bench.rows(finding), key=lambda each: each.rank)
    assert (row.verdict, row.body["inspection"], len(row.provenance["inputs"])) == ("critical", "d.klarf", 2)
    assert [each.evidence["nuisance"] for each in found] == [False, False, True]
    assert found[0].interval_low <= found[0].score <= found[0].interval_high


def test_a_window_and_tiles_are_drawn_and_found(bench: Bench, program_id: uuid.UUID, layout: uuid.UUID) -> None:
    window = run(bench, program_id, "window", layout, WindowRequest(window_um=[0, 0, 10, 10]))
    assert [each["area_um2"] for each in window.body["layers"]] == [pytest.approx(50.0)]
    row = run(bench, program_id, "tiles", layout, TilesRequest(levels=2))
    assert (row.verdict, row.body["layers"]) == ("drawn", [{"layer": 1, "datatype": 0, "tiles": 5}])
    with bench.engine.connect() as connection:
        tile = tiles.find_tile(connection, row.id, "1/0", "1/1/1")
        assert tile is not None
        assert tiles.find_tile(connection, row.id, "1/0", "5/0/0") is None
        assert tiles.find_tile(connection, uuid.uuid4(), "1/0", "1/1/1") is None
        kept = connection.execute(select(blob.c.size_bytes).where(blob.c.key == tile.blob_key)).scalar_one()
    assert kept >= tile.offset + tile.length
    assert bench.blobs.read_range(tile.blob_key, tile.offset, tile.length).startswith(b"\x89PNG")


def test_signatures_are_asked_of_an_inspection(bench: Bench, program_id: uuid.UUID) -> None:
    rows = [f"{k + 1} {500 + k % 3} {100 + k // 3} 0 0 0.5 3 1" for k in range(9)]
    inspection = store_original(bench.engine, bench.blobs, program_id, "d.klarf", flat(rows).encode())
    row = run(bench, program_id, "signatures", inspection, SignaturesRequest(radius_um=15_000, simulations=99))
    assert (row.verdict, row.body["kinds"]) == ("structured", [bench.rows(finding)[0].subject])
    far = [f"{k + 1} {100 * k} {70 * k} 0 0 0.5 3 1" for k in range(9)]
    first, second = (
        store_original(bench.engine, bench.blobs, program_id, name, (flat(far) + end).encode())
        for name, end in (("a.klarf", ""), ("b.klarf", "\n"))
    )
    asked = MatchRequest(inspection_file_id=second, sigma_nm=[100, 100])
    row = run(bench, program_id, "match", first, asked)
    assert (row.verdict, row.body["counts"]["common"], row.body["inspections"]) == ("common", 9, ["a.klarf", "b.klarf"])
    assert {each.subject for each in bench.rows(finding) if each.kind == "match"} == {str(k + 1) for k in range(9)}


def test_what_cannot_be_answered_is_refused_and_nothing_is_stored(
    bench: Bench, program_id: uuid.UUID, layout: uuid.UUID
) -> None:
    asked: tuple[tuple[str, Any, str], ...] = (
        ("nets", NetsRequest(), "no shape of TOP is on a conductor of the process sky130"),
        ("overlay", OverlayRequest(inspection_file_id=uuid.uuid4()), "there is no file"),
        ("overlay", OverlayRequest(inspection_file_id=layout, settings={"turn": 1}), "settings have an unknown key"),
    )
    for kind, question, words in asked:
        with pytest.raises(JobRefused) as caught:
            run(bench, program_id, kind, layout, question)
        assert words in str(caught.value)
    assert not bench.rows(result)


@pytest.mark.parametrize(
    ("process", "words"),
    [
        ("/etc/passwd", "there is no such process (expected sky130, found /etc/passwd)"),
        ({"schema": "x"}, "process.schema is not right"),
    ],
)
def test_a_process_is_known_or_a_document_and_never_a_file(process: Any, words: str) -> None:
    with pytest.raises(CorruptField) as caught:
        asked_process(process)
    assert words in str(caught.value)


def test_a_file_of_another_program_does_not_exist(
    bench: Bench, engine: Engine, blobs: BlobStore, program_id: uuid.UUID
) -> None:
    other = store_original(engine, blobs, make_program(engine, "other"), "wires.gds", wires())
    with pytest.raises(JobRefused, match="there is no file"):
        run(bench, program_id, "nets", other, NetsRequest(process=json.loads(json.dumps(SMALL))))
