"""The power fails between any two steps of a watch: whatever is done after it ends with one file, stored once."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from db.schema.files import bundle, raw_file
from db.schema.work import job
from services.uploader.journal import Journal, State
from tests.uploader.conftest import Bench

STEPS = ("see", "hashed", "uploading", "done", "remember", "forget", "note", "prune", "back", "gone", "drop", "recall")
MOST_CUTS = 200


class PowerCut(BaseException):
    """Not to be caught by anything that handles errors."""


class Fuse:
    """Blows at the ``left``-th step; a blown one stays so."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.blown = False

    def pass_through(self) -> None:
        self.left -= 1
        if self.left < 0:
            self.blown = True
            raise PowerCut


def wire_fuse(bench: Bench, journal: Journal, fuse: Fuse) -> None:
    """Put the fuse before every step of the journal and every request: it blows after the one before, too."""

    def fused(step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            fuse.pass_through()
            return step(*arguments)

        return run

    for name in STEPS:
        setattr(journal, name, fused(getattr(journal, name)))

    def act(request: httpx.Request, deliver: Callable[[], httpx.Response]) -> httpx.Response:
        fuse.pass_through()
        return deliver()

    bench.wire.act = act


def watch_once(bench: Bench, fuse: Fuse) -> None:
    """A process: it opens the journal, watches until all is sent or the power fails, and leaves no trace but files."""
    journal = Journal(bench.journal_path)
    if fuse.left < MOST_CUTS:
        wire_fuse(bench, journal, fuse)
    watcher = bench.watcher(journal, settle_s=5.0)
    try:
        bench.settle(watcher, steps=3)
    except PowerCut:
        pass
    finally:
        bench.wire.act = None
        journal._connection.close()


def write_file(bench: Bench, number: int) -> None:
    bench.write("a.trc", f"waveform {number}".encode())


def write_session(bench: Bench, number: int) -> None:
    bench.write("s/p1.csv", f"probe {number}".encode())
    bench.write("s/c17.bench", f"netlist {number}".encode())
    document = {"number": number, "netlist": "c17.bench", "waveforms": [{"file": "p1.csv"}]}
    bench.write("s/session.json", json.dumps(document).encode())


@pytest.mark.parametrize(("write", "files", "bundles"), [(write_file, 1, 0), (write_session, 3, 1)])
def test_a_cut_between_any_two_steps_ends_with_one_file(
    bench: Bench, write: Callable[[Bench, int], None], files: int, bundles: int
) -> None:
    for cut in range(MOST_CUTS):
        write(bench, cut)
        fuse = Fuse(cut)
        watch_once(bench, fuse)
        watch_once(bench, Fuse(MOST_CUTS))
        journal = Journal(bench.journal_path)
        assert journal.was_damaged is None
        assert {item.state for item in journal.known().values()} == {State.DONE}
        assert journal._connection.execute("SELECT count(*) FROM unfinished").fetchone() == (0,)
        journal.close()
        bench.journal_path.unlink()
        with bench.api.engine.connect() as connection:
            found = [
                int(connection.execute(select(func.count()).select_from(table)).scalar_one())
                for table in (raw_file, bundle, job)
            ]
        assert found == [files * (cut + 1), bundles * (cut + 1), cut + 1]
        if not fuse.blown:
            break
    assert cut > 10
    assert not fuse.blown, "every step had its cut"
