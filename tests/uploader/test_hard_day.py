"""The uploader on a hard day: full disks, a service that is away for a week, and a folder that never holds still."""

import os
import sqlite3
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.uploader.delays import MOST_KINDS, Troubles
from services.uploader.journal import Journal, State
from tests.api.conftest import sha256
from tests.uploader.conftest import Bench, FakeTime, answer

DAY_S = 86400.0


class Enough(Exception):  # noqa: N818
    """The watch has run long enough."""


def run_for(bench: Bench, watcher: Any, seconds: float) -> None:
    """Let the watch run by itself for so many seconds of its clock."""
    until = bench.time.now_s + seconds

    def pause(wait_s: float) -> None:
        bench.time.sleep(wait_s)
        if bench.time.now_s >= until:
            raise Enough

    watcher._pause = pause
    with pytest.raises(Enough):
        watcher.run()


def journal_bytes(bench: Bench) -> int:
    return sum(path.stat().st_size for path in bench.journal_path.parent.iterdir())


def fill_disk(journal: Journal) -> None:
    """Let SQLite itself find no room for another page: neither in the file nor, by a checkpoint, in its log."""
    journal._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
    journal._connection.execute(f"PRAGMA max_page_count={pages}")


def test_a_full_disk_under_the_journal_is_waited_out(bench: Bench, journal: Journal) -> None:
    bench.write("before.trc", b"before")
    watcher = bench.watcher(journal, poll_s=60.0)
    bench.settle(watcher)
    fill_disk(journal)
    for number in range(40):
        bench.write(f"{number:03d}-{'x' * 200}.trc", str(number).encode())
    run_for(bench, watcher, 4 * 3600.0)
    assert len(bench.told("journal-trouble")) <= 5, "once an hour"
    reason = bench.told("journal-trouble")[0]["reason"]
    assert reason == ("the journal cannot be written, nothing is lost and it is tried again: database or disk is full")
    assert {path for path, item in journal.known().items() if item.state is State.DONE} == {"before.trc"}
    journal._connection.execute("PRAGMA max_page_count=1000000")
    run_for(bench, watcher, 400.0)
    assert len(bench.told("journal-works")) == 1
    assert len(bench.stored()) == 41
    assert {item.state for item in journal.known().values()} == {State.DONE}


def test_a_journal_that_fails_after_each_step_never_says_more_than_is_true(
    bench: Bench, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full at the very moment at which one step is to be kept, each in turn."""
    steps = ("see", "hashed", "uploading", "done", "remember", "forget", "note")
    for number, name in enumerate(steps):
        bench.write(f"{name}.bin", os.urandom((70_000 if number % 2 else 10) + number))
        failures = [True, True]
        keep = getattr(journal, name)

        def fail(*arguments: Any, keep: Any = keep, failures: list[bool] = failures) -> None:
            if failures:
                failures.pop()
                raise sqlite3.OperationalError("database or disk is full")
            keep(*arguments)

        watcher = bench.watcher(journal, poll_s=5.0)
        with monkeypatch.context() as patch:
            patch.setattr(journal, name, fail)
            run_for(bench, watcher, 60.0)
            done = {path for path, item in journal.known().items() if item.state is State.DONE}
            sums = {sha256((bench.folder / path).read_bytes()) for path in done}
            assert sums <= set(bench.stored())
        run_for(bench, bench.watcher(journal), 600.0)
        assert {item.state for item in journal.known().values()} == {State.DONE}, name
        assert len(bench.stored()) == number + 1
        assert bench.open_uploads() == 0


def test_a_full_disk_at_the_service_is_waited_out(bench: Bench, journal: Journal) -> None:
    for number in range(20):
        bench.write(f"{number:02d}.trc", str(number).encode())

    def act(request: httpx.Request, deliver: Any) -> httpx.Response:
        if request.method == "POST":
            return answer(507, {"Retry-After": "60"}, "insufficient-storage")
        return deliver()

    bench.wire.act = act
    watcher = bench.watcher(journal, poll_s=60.0)
    run_for(bench, watcher, 6 * 3600.0)
    assert bench.stored() == {}
    assert not bench.told("refused")
    assert State.DONE not in {item.state for item in journal.known().values()}
    assert bench.wire.seen.count("POST") < 6 * 60, "no more than the service asks for, and not for each file"
    assert len(bench.events) - len(bench.told("seen")) < 60
    assert "507" in journal.notes()["trouble"]
    bench.wire.act = None
    run_for(bench, watcher, 3600.0)
    assert len(bench.stored()) == 20
    assert journal.notes()["trouble"] == ""


def test_three_bad_files_do_not_hold_up_the_others(bench: Bench, journal: Journal) -> None:
    """Files that the service always fails on come after those that it has not failed on."""
    for number in range(5):
        bench.write(f"{number}.bad", b"bad")
    for number in range(20):
        bench.write(f"good-{number}.trc", f"good {number}".encode())

    def act(request: httpx.Request, deliver: Any) -> httpx.Response:
        bad = request.method == "POST" and request.headers.get("Upload-Length") == "3"
        return answer(500, problem="internal-error") if bad else deliver()

    bench.wire.act = act
    run_for(bench, bench.watcher(journal, poll_s=30.0), 3600.0)
    assert len(bench.stored()) == 20


def test_a_service_that_is_away_for_a_week(bench: Bench, journal: Journal) -> None:
    """The journal grows with the files and not with the tries, and the log with the hours and not with either.

    It refuses connections, is away in two ways by turns, and is another; each for days on end.
    """
    tried, asked_of = [0], [""]

    def act(request: httpx.Request, deliver: Any) -> httpx.Response:
        tried[0] += 1
        if asked_of[0] == "another":
            return answer(502)
        if asked_of[0] == "changes its mind" and tried[0] % 2:
            raise httpx.ReadTimeout(f"no answer in {tried[0]} ms")
        raise httpx.ConnectError("connection refused")

    bench.wire.act = act
    watcher = bench.watcher(journal, poll_s=240.0)
    for number in range(8):
        bench.write(f"{number:02d}.trc", str(number).encode())
    run_for(bench, watcher, 3600.0)
    begun_bytes = journal_bytes(bench)
    for away, days in (("refuses", 3), ("changes its mind", 2), ("another", 2)):
        asked_of[0], begun_lines, begun_tries = away, len(bench.events), tried[0]
        run_for(bench, watcher, days * DAY_S)
        assert len(bench.events) - begun_lines <= days * 24 * 2 + 2, away
        tries = tried[0] - begun_tries
        assert days * 24 * 60 / 5 <= tries <= days * 24 * 60, "at least every five minutes, and no hammering"
    assert journal_bytes(bench) <= begun_bytes + (4 << 20) + (1 << 16), "SQLite's log takes 4 MB before it is folded in"
    backlog = journal.backlog()
    assert (backlog.waiting_files, backlog.waiting_bytes) == (8, 8)
    bench.wire.act = None
    run_for(bench, watcher, 400.0)
    assert len(bench.stored()) == 8


@pytest.mark.parametrize("jump_s", [-10 * 365 * 86400.0, -3600.0, 3600.0, 20 * 365 * 86400.0])
def test_a_wall_clock_that_jumps_loses_and_repeats_nothing(bench: Bench, jump_s: float) -> None:
    wall = [1_790_000_000.0]
    journal = Journal(bench.journal_path, lambda: wall[0])
    watcher = bench.watcher(journal)
    kept = bench.write("kept.trc", b"1")
    gone = bench.write("gone.trc", b"2")
    bench.settle(watcher)
    gone.unlink()
    bench.write("waits.trc", b"3")
    watcher.step()
    wall[0] += jump_s
    os.utime(bench.write("stamped.trc", b"4"), (max(0.0, wall[0]), max(0.0, wall[0])))
    bench.settle(watcher)
    age_s = journal.backlog().oldest_waiting_s
    assert age_s is None
    assert len(bench.stored()) == 4
    requests = len(bench.wire.seen)
    bench.time.now_s += 2 * 86400.0
    bench.settle(watcher)
    wall[0] -= jump_s
    bench.settle(watcher)
    assert len(bench.wire.seen) == requests
    assert kept.exists()
    assert len(bench.told("sent")) == 4
    journal.close()


def churn(bench: Bench, rounds: int) -> Iterator[None]:
    """A folder as a bad day has it: files that grow, are renamed, replaced, emptied, removed, and become folders."""
    for number in range(rounds):
        growing = bench.folder / "growing.trc"
        with growing.open("ab") as file:
            file.write(os.urandom(100))
        bench.write("replaced.tmp", os.urandom(50)).replace(bench.folder / "replaced.trc")
        new = bench.write(f"new-{number}.part", os.urandom(30))
        yield
        new.rename(bench.folder / f"new-{number}.trc")
        if number % 3 == 1:
            (bench.folder / f"new-{number - 1}.trc").rename(bench.folder / f"old-{number - 1}.trc")
        if number % 3 == 2:
            (bench.folder / f"new-{number - 1}.trc").unlink()
            (bench.folder / f"new-{number - 1}.trc").mkdir()
            bench.write(f"new-{number - 1}.trc/inside.trc", os.urandom(20))
        yield


def test_a_folder_that_never_holds_still(bench: Bench, journal: Journal) -> None:
    """Whatever is stored was once a whole file of the folder, and what is there in the end is stored."""
    states: set[str] = set()
    watcher = bench.watcher(journal, settle_s=5.0)

    def note_contents() -> None:
        for path in bench.folder.rglob("*.trc"):
            if path.is_file():
                states.add(sha256(path.read_bytes()))

    for _ in churn(bench, 15):
        note_contents()
        watcher.step()
        bench.time.now_s += 4.0
        watcher.step()
        bench.time.now_s += 2.0
    bench.settle(watcher)
    there = {sha256(path.read_bytes()) for path in bench.folder.rglob("*.trc") if path.is_file()}
    assert there <= set(bench.stored()) <= states
    assert {item.state for item in journal.known().values() if item.gone_at is None} == {State.DONE}
    assert bench.open_uploads() == 0


def test_a_file_still_written_keeps_its_last_state_only(bench: Bench, journal: Journal) -> None:
    """An instrument that writes a header, pauses for longer than the settle time, and goes on."""
    watcher = bench.watcher(journal)
    path = bench.write("a.trc", b"header")
    bench.settle(watcher)
    with path.open("ab") as file:
        file.write(b" and data")
    bench.settle(watcher)
    assert set(bench.stored()) == {sha256(b"header"), sha256(b"header and data")}
    item = journal.find("a.trc")
    assert item is not None
    assert (item.state, item.sha256) == (State.DONE, sha256(b"header and data"))


def test_troubles_are_told_once_an_hour_and_of_a_bounded_number_of_kinds() -> None:
    time = FakeTime()
    troubles = Troubles(time.clock)
    assert [troubles.is_news(text) for text in ("a 1", "a 2", "b", "a 3")] == [True, False, True, False]
    told = sum(troubles.is_news("c" * number) for number in range(1, 100))
    assert told == MOST_KINDS - 2
    time.now_s += 3600.0
    assert troubles.is_news("a 4")
    troubles.settle()
    assert troubles.is_news("a 5")
