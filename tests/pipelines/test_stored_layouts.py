"""Layouts are traced once for all jobs of a program, and stay open from one job to the next."""

import os
import signal
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from db.repositories import traced_layouts
from db.repositories.tiles import StoredBlob
from db.schema.data import traced_layout as traces
from services.pipelines.mask import layout_nets, stored_layouts
from services.pipelines.mask.layout_requests import NetsRequest, PlacesRequest, WindowRequest
from tests.instruments.mask.test_nets import SMALL
from tests.pipelines.bench import Bench
from tests.pipelines.test_layout_jobs import run, wires
from tests.workers.scenery import make_program, store_original

PLACES = [{"x_um": 50, "y_um": 2.5, "sigma_x_nm": 100, "sigma_y_nm": 100}]


@pytest.fixture
def layout(bench: Bench, program_id: uuid.UUID) -> uuid.UUID:
    return store_original(bench.engine, bench.blobs, program_id, "wires.gds", wires())


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The layouts that are opened, of none that was open before."""
    names: list[str] = []
    original = layout_nets.open_layout

    def note(path: Any, name: str) -> Any:
        names.append(name)
        return original(path, name)

    monkeypatch.setattr(stored_layouts, "OPEN", stored_layouts.OpenLayouts())
    monkeypatch.setattr(stored_layouts, "open_layout", note)
    yield names
    stored_layouts.OPEN.close()


def ask(bench: Bench, program_id: uuid.UUID, layout: uuid.UUID, process: Any = SMALL) -> Any:
    places: Any = PLACES
    return run(bench, program_id, "places", layout, PlacesRequest(process=process, places=places))


def forget_open() -> None:
    """As another worker, which has nothing open."""
    stored_layouts.OPEN.close()


def test_a_layout_is_traced_once_for_all_jobs(
    bench: Bench, program_id: uuid.UUID, layout: uuid.UUID, opened: list[str]
) -> None:
    first = ask(bench, program_id, layout)
    forget_open()
    renamed = SMALL | {"name": "other", "source": "the same rules under another name"}
    second = ask(bench, program_id, layout, renamed)
    nets = run(bench, program_id, "nets", layout, NetsRequest(process=SMALL))
    assert opened == ["wires.gds"]
    assert second.body["process"]["name"] == "other"
    assert second.body | {"process": first.body["process"]} == first.body
    assert len(nets.body["nets"]) == 5
    (kept,) = bench.rows(traces)
    assert bench.blobs.exists(kept.blob_key)


def test_other_rules_and_other_versions_are_traced_anew(
    bench: Bench, program_id: uuid.UUID, layout: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(bench, program_id, layout)
    ask(bench, program_id, layout, SMALL | {"vias": []})
    monkeypatch.setattr(stored_layouts, "LAYOUT_VERSION", "next")
    ask(bench, program_id, layout)
    assert [each.version == "next" for each in bench.rows(traces)] == [False, False, True]
    other = make_program(bench.engine, "other")
    there = store_original(bench.engine, bench.blobs, other, "wires.gds", wires())
    ask(bench, other, there)
    assert bench.count(traces) == 4


def test_what_is_damaged_is_traced_anew(
    bench: Bench, program_id: uuid.UUID, layout: uuid.UUID, opened: list[str]
) -> None:
    first = ask(bench, program_id, layout)
    (kept,) = bench.rows(traces)
    bench.blobs.put_bytes(kept.blob_key, b"spoilt")
    forget_open()
    assert ask(bench, program_id, layout).body == first.body
    (kept,) = bench.rows(traces)
    bench.blobs.delete(kept.blob_key)
    assert ask(bench, program_id, layout).body == first.body
    assert bench.rows(traces) != [kept]
    assert opened == ["wires.gds"] * 2


def test_two_jobs_at_once_trace_once(
    bench: Bench, program_id: uuid.UUID, layout: uuid.UUID, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    monkeypatch.setattr(stored_layouts, "_PAUSE_S", 0.02)
    answers: list[Any] = []
    begun, may_go = threading.Event(), threading.Event()
    ask_open = stored_layouts.OpenLayouts.ask

    def held(self: Any, stored: Any, question: Any) -> Any:
        begun.set()
        assert may_go.wait(20)
        return ask_open(self, stored, question)

    monkeypatch.setattr(stored_layouts.OpenLayouts, "ask", held)
    first, second = (threading.Thread(target=lambda: answers.append(ask(bench, program_id, layout))) for _ in range(2))
    first.start()
    assert begun.wait(20)
    second.start()
    may_go.set()
    first.join(20)
    second.join(20)
    assert [each.body["places"] for each in answers] == [answers[0].body["places"]] * 2
    assert (opened, bench.count(traces)) == (["wires.gds"], 1)


def test_the_second_to_store_stores_nothing(bench: Bench, program_id: uuid.UUID) -> None:
    """Without the lock, as when the connection that held it was lost."""
    new = [
        traced_layouts.NewTrace(program_id, "key", "0" * 64, "1", StoredBlob(f"records/{name}", 1, "0" * 64))
        for name in "ab"
    ]
    with bench.engine.begin() as connection:
        assert [traced_layouts.insert_trace(connection, each) for each in new] == [True, False]
        assert traced_layouts.find_trace(connection, program_id, "key") == new[0].stored
        assert traced_layouts.find_trace(connection, make_program(bench.engine, "other"), "key") is None
        assert connection.execute(select(func.count()).select_from(traces)).scalar_one() == 1


def test_windows_share_an_open_layout_that_may_die(
    bench: Bench, program_id: uuid.UUID, layout: uuid.UUID, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = WindowRequest(window_um=[0, 0, 10, 10])
    first, second = (run(bench, program_id, "window", layout, asked) for _ in range(2))
    assert opened == ["wires.gds"]
    (engine,) = stored_layouts.OPEN._open.values()
    assert engine._process is not None
    os.killpg(engine._process.pid, signal.SIGKILL)
    third = run(bench, program_id, "window", layout, asked)
    assert first.body == second.body == third.body
    assert opened == ["wires.gds"] * 2
    monkeypatch.setattr(stored_layouts, "MOST_OPEN", 1)
    other = store_original(bench.engine, bench.blobs, program_id, "other.gds", wires() + bytes(2048))
    run(bench, program_id, "window", other, asked)
    assert (opened[2:], len(stored_layouts.OPEN._open)) == (["other.gds"], 1)
