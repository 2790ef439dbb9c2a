"""A watched folder from the first look to the last file, on the real API and a clock that moves when told."""

import json
import os
import sqlite3
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from db.schema.files import bundle, raw_file
from services.uploader.content import Content
from services.uploader.journal import Journal, State
from services.uploader.scan import Look, Scan
from services.uploader.transfer import SMALL_BYTES
from tests.api.conftest import StartApi, sha256
from tests.uploader.conftest import PROGRAM, Bench, answer, make_bench

SESSION = {"schema": "faultlight.probing-session/1", "netlist": "c17.bench", "waveforms": [{"file": "p1.csv"}]}


def states(journal: Journal) -> dict[str, State]:
    return {path: item.state for path, item in journal.known().items()}


def test_a_file_is_sent_once_when_it_is_finished(bench: Bench, journal: Journal) -> None:
    watcher = bench.watcher(journal)
    path = bench.write("sub/a.trc", b"begin")
    for _ in range(4):
        watcher.step()
        bench.time.now_s += 9.0
        with path.open("ab") as file:
            file.write(b" more")
    watcher.step()
    assert bench.wire.seen == []
    assert states(journal) == {"sub/a.trc": State.SEEN}
    bench.time.now_s += 10.0
    watcher.step()
    assert bench.stored() == {sha256(path.read_bytes()): ("a.trc", path.stat().st_size)}
    assert states(journal) == {"sub/a.trc": State.DONE}
    requests = len(bench.wire.seen)
    bench.settle(watcher)
    assert len(bench.wire.seen) == requests
    assert [event for event, _ in bench.events] == ["seen", "sent"]


def test_a_restart_sends_nothing_again(bench: Bench, journal: Journal) -> None:
    bench.write("a.trc", b"1")
    bench.settle(bench.watcher(journal))
    requests = len(bench.wire.seen)
    bench.settle(bench.watcher(journal))
    assert len(bench.wire.seen) == requests


def test_a_restart_does_not_hash_again(bench: Bench, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write("a.trc", b"1")
    bench.write("s/session.json", b"{}")
    bench.write("s/p1.csv", b"2")
    bench.wire.act = lambda request, deliver: answer(503, problem="unavailable")
    bench.settle(bench.watcher(journal))
    assert all(item.sha256 for item in journal.known().values())
    bench.wire.act = None
    monkeypatch.setattr(Content, "digest", lambda *arguments: pytest.fail("hashed again"))
    bench.settle(bench.watcher(journal), steps=1)
    assert set(bench.stored()) == {sha256(data) for data in (b"1", b"{}", b"2")}


def test_a_slow_folder_is_looked_at_less_often(bench: Bench, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = bench.watcher(journal, poll_s=5.0)
    scan = Scan.run

    def slow(self: Scan) -> Look:
        bench.time.now_s += 3.0
        return scan(self)

    def pause(seconds: float) -> None:
        bench.time.slept.append(seconds)
        raise KeyboardInterrupt

    watcher._pause = pause
    with pytest.raises(KeyboardInterrupt):
        watcher.run()
    monkeypatch.setattr(Scan, "run", slow)
    with pytest.raises(KeyboardInterrupt):
        watcher.run()
    assert bench.time.slept == [5.0, 30.0]


def test_the_instruments_files_stay_as_they_are(bench: Bench, journal: Journal) -> None:
    path = bench.write("a.trc", b"1")
    path.chmod(0o444)
    before = path.stat()
    bench.settle(bench.watcher(journal))
    after = path.stat()
    assert (after.st_mtime_ns, after.st_mode, after.st_ino) == (before.st_mtime_ns, before.st_mode, before.st_ino)
    assert list(bench.folder.iterdir()) == [path]


def test_renamed_content_sends_no_bytes(bench: Bench, journal: Journal) -> None:
    data = b"1" * (SMALL_BYTES + 1)
    path = bench.write("a.trc", data)
    watcher = bench.watcher(journal)
    bench.settle(watcher)
    sent = bench.wire.body_bytes
    path.rename(bench.folder / "b.trc")
    bench.settle(watcher)
    assert bench.wire.body_bytes == sent == len(data)
    assert [facts["path"] for facts in bench.told("known")] == ["b.trc"]
    assert not bench.told("gone"), "what has arrived may leave"
    assert len(bench.stored()) == 1


def test_replaced_content_is_sent_again(bench: Bench, journal: Journal) -> None:
    path = bench.write("a.trc", b"11111")
    watcher = bench.watcher(journal)
    bench.settle(watcher)
    status = path.stat()
    other = bench.write("a.new", b"22222")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)
    bench.settle(watcher)
    assert set(bench.stored()) == {sha256(b"11111"), sha256(b"22222")}


def test_rewritten_with_the_same_bytes_costs_one_question(bench: Bench, journal: Journal) -> None:
    bench.write("a.trc", b"11111")
    watcher = bench.watcher(journal)
    bench.settle(watcher)
    os.utime(bench.write("a.trc", b"11111"), ns=(5, 5))
    bench.settle(watcher)
    assert len(bench.told("known")) == 1
    assert len(bench.stored()) == 1


def test_a_session_goes_as_one_bundle_when_it_is_complete(bench: Bench, journal: Journal) -> None:
    watcher = bench.watcher(journal)
    bench.write("lot/s1/session.json", json.dumps(SESSION).encode())
    bench.write("lot/s1/p1.csv", b"time_s,reflectance\n")
    bench.settle(watcher, steps=6)
    assert bench.stored() == {}
    (waiting,) = bench.told("waiting")
    assert (waiting["path"], waiting["reason"]) == ("lot/s1", "session.json names files that are not there: c17.bench")
    item = journal.find("lot/s1")
    assert item is not None
    assert item.state is State.SEEN
    assert "c17.bench" in str(item.reason)
    bench.write("lot/s1/c17.bench", b"INPUT(1)\n")
    bench.settle(watcher)
    (sent,) = bench.told("sent")
    with bench.api.engine.connect() as connection:
        assert connection.execute(select(bundle.c.name, bundle.c.state)).all() == [("s1", "received")]
        assert len(connection.execute(select(raw_file.c.id)).all()) == 3
    assert sent["bundle_id"]
    bench.write("lot/s1/p2.csv", b"new probe")
    bench.settle(watcher)
    assert [each["sent_bytes"] for each in bench.told("sent")][1:] == [len(b"new probe")]
    assert states(journal) == {"lot/s1": State.DONE}


def test_files_that_become_a_session_are_not_lost(bench: Bench, journal: Journal) -> None:
    watcher = bench.watcher(journal)
    bench.write("s1/p1.csv", b"1")
    watcher.step()
    bench.write("s1/c17.bench", b"2")
    bench.write("s1/session.json", json.dumps(SESSION).encode())
    bench.settle(watcher)
    assert states(journal) == {"s1": State.DONE}
    assert not bench.told("gone")
    with bench.api.engine.connect() as connection:
        assert len(connection.execute(select(bundle.c.id)).all()) == 1


def test_a_file_that_leaves_before_it_is_sent_is_told(bench: Bench, journal: Journal) -> None:
    watcher = bench.watcher(journal)
    path = bench.write("a.trc", b"1")
    watcher.step()
    path.unlink()
    bench.settle(watcher)
    assert [facts["path"] for facts in bench.told("gone")] == ["a.trc"]
    bench.write("a.trc", b"1")
    bench.settle(watcher)
    assert len(bench.stored()) == 1


def test_an_unmounted_folder_is_not_an_empty_one(bench: Bench, journal: Journal) -> None:
    watcher = bench.watcher(journal)
    bench.write("a.trc", b"1")
    watcher.step()
    bench.folder.rename(bench.folder.with_name("elsewhere"))
    bench.settle(watcher)
    assert not bench.told("gone")
    assert [facts["path"] for facts in bench.told("skipped")] == ["."]
    bench.folder.with_name("elsewhere").rename(bench.folder)
    bench.settle(watcher)
    assert len(bench.stored()) == 1


def test_weeks_without_the_service(bench: Bench, journal: Journal) -> None:
    def nobody(request: httpx.Request, deliver: object) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    bench.wire.act = nobody
    watcher = bench.watcher(journal)
    for day in range(21):
        bench.write(f"{day:02d}.trc", bytes([day]))
        tried_s = []
        for _ in range(20):
            before = len(bench.wire.seen)
            watcher.step()
            if len(bench.wire.seen) > before:
                tried_s.append(bench.time.now_s)
            bench.time.now_s += 60.0
        gaps = [later - earlier for earlier, later in pairwise(tried_s)]
        assert max(gaps) <= 300, "it never gives up, and never waits for longer than the cap"
        assert day == 0 or min(gaps) >= 100, "it does not hammer either"
        bench.time.now_s += 86400.0 - 20 * 60.0
    assert set(states(journal).values()) == {State.HASHED, State.UPLOADING}
    assert len(bench.told("unreachable")) == 21, "the same trouble is told once and then seldom"
    assert journal.notes()["trouble"]
    assert bench.journal_path.stat().st_size < 1 << 20
    bench.wire.act = None
    bench.time.now_s += 300.0
    watcher.step()
    assert len(bench.stored()) == 21
    assert bench.told("reachable")
    assert journal.notes()["trouble"] == ""


def test_a_refused_file_is_not_tried_again_until_it_changes(start_api: StartApi, tmp_path: Path) -> None:
    bench = make_bench(start_api(upload_max_bytes=10), tmp_path)
    bench.api.call("POST", "/programs", json={"name": PROGRAM})
    journal = Journal(bench.journal_path)
    path = bench.write("large.trc", b"1" * 11)
    bench.write("small.trc", b"2")
    bench.settle(bench.watcher(journal))
    assert states(journal) == {"large.trc": State.REFUSED, "small.trc": State.DONE}
    (refused,) = bench.told("refused")
    assert (refused["path"], refused["problem"], refused["status"]) == ("large.trc", "upload-too-large", 413)
    item = journal.find("large.trc")
    assert item is not None
    assert "at most 10 bytes" in str(item.reason)
    requests = len(bench.wire.seen)
    bench.settle(bench.watcher(journal))
    assert len(bench.wire.seen) == requests
    path.write_bytes(b"3" * 9)
    bench.settle(bench.watcher(journal))
    assert states(journal)["large.trc"] is State.DONE
    journal.close()


def test_a_key_that_is_not_accepted_stops_everything_and_is_read_again(bench: Bench, journal: Journal) -> None:
    right = bench.key
    bench.key = "fl_wrong"
    watcher = bench.watcher(journal)
    bench.write("a.trc", b"1")
    bench.write("b.trc", b"2")
    bench.settle(watcher, steps=10, step_s=60.0)
    assert bench.wire.seen.count("POST") <= 10, "one question at a time, and not for each file"
    (blocked,) = bench.told("blocked")
    assert (blocked["problem"], blocked["status"]) == ("unauthenticated", 401)
    assert not bench.told("refused")
    bench.key = right
    bench.settle(watcher, step_s=300.0)
    assert set(states(journal).values()) == {State.DONE}
    assert len(bench.stored()) == 2


def test_one_file_that_the_service_fails_on_does_not_hold_up_the_others(bench: Bench, journal: Journal) -> None:
    bench.write("a.trc", b"bad")
    bench.write("b.trc", b"good")

    def act(request: httpx.Request, deliver: Any) -> httpx.Response:
        bad = request.method == "POST" and request.headers.get("Upload-Length") == "3"
        return answer(500, problem="internal-error") if bad else deliver()

    bench.wire.act = act
    watcher = bench.watcher(journal)
    bench.settle(watcher)
    assert set(bench.stored()) == {sha256(b"good")}
    assert [facts["path"] for facts in bench.told("waiting")] == ["a.trc"]
    bench.wire.act = None
    bench.settle(watcher, steps=40)
    assert len(bench.stored()) == 2


def test_a_pause_that_the_service_asks_for_is_kept(bench: Bench, journal: Journal) -> None:
    bench.write("a.trc", b"1")
    bench.wire.act = lambda request, deliver: answer(503, {"Retry-After": "900"}, "unavailable")
    watcher = bench.watcher(journal)
    bench.settle(watcher)
    assert max(bench.time.slept) >= 900
    requests = len(bench.wire.seen)
    bench.wire.act = None
    bench.settle(watcher, steps=80)
    assert len(bench.wire.seen) == requests
    bench.settle(watcher, steps=15)
    assert len(bench.stored()) == 1


def test_a_file_that_changes_while_it_is_sent_waits_and_is_sent_as_it_is_then(bench: Bench, journal: Journal) -> None:
    path = bench.write("a.trc", os.urandom(5 << 20))
    status = path.stat()
    changed: list[bool] = []

    def act(request: httpx.Request, deliver: Any) -> httpx.Response:
        if request.method == "POST" and not changed:
            changed.append(True)
            with path.open("r+b") as file:
                file.write(b"0" * 100)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        return deliver()

    bench.wire.act = act
    bench.settle(bench.watcher(journal), steps=5)
    assert len(bench.told("changed")) == 1
    assert set(bench.stored()) == {sha256(path.read_bytes())}
    assert bench.open_uploads() == 0


def test_a_file_that_another_program_holds_waits(
    bench: Bench, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = bench.write("a.trc", b"1")
    open_path = Path.open

    def refuse(path: Path, *arguments: Any, **rest: Any) -> Any:
        if path == held:
            raise PermissionError(13, "the file is used by another process")
        return open_path(path, *arguments, **rest)

    watcher = bench.watcher(journal)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        bench.settle(watcher, steps=6)
    (waiting,) = bench.told("waiting")
    assert (waiting["path"], waiting["reason"]) == ("a.trc", "cannot be read: the file is used by another process")
    bench.settle(watcher, steps=10)
    assert len(bench.stored()) == 1


def test_draining_leaves_what_is_still_written(bench: Bench, journal: Journal) -> None:
    bench.write("done.trc", b"1")
    growing = bench.write("growing.trc", b"2")
    watcher = bench.watcher(journal)
    sleep = bench.time.sleep

    def pause(seconds: float) -> None:
        growing.write_bytes(growing.read_bytes() + b"more")
        sleep(seconds)

    watcher._pause = pause
    assert watcher.drain() == 0
    assert states(journal) == {"done.trc": State.DONE, "growing.trc": State.SEEN}


def test_draining_tells_by_its_exit_code(bench: Bench, journal: Journal) -> None:
    bench.write("a.trc", b"1")
    bench.wire.act = lambda request, deliver: answer(503, problem="unavailable")
    assert bench.watcher(journal).drain() == 1
    bench.wire.act = None
    assert bench.watcher(journal).drain() == 0
    bench.write("s/session.json", json.dumps(SESSION).encode())
    assert bench.watcher(journal).drain() == 2
    key, bench.key = bench.key, "fl_wrong"
    bench.write("b.trc", b"2")
    assert bench.watcher(journal).drain() == 2
    bench.key = key
    (bench.folder / "s" / "session.json").unlink()
    assert bench.watcher(journal).drain() == 0


def test_a_full_disk_under_the_journal_does_not_end_the_watch(
    bench: Bench, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("a.trc", b"1")
    watcher = bench.watcher(journal)
    failures = iter([True, True, False])
    see = journal.see

    def fail(*arguments: Any) -> None:
        if next(failures, False):
            raise sqlite3.OperationalError("database or disk is full")
        see(*arguments)

    class Enough(Exception):  # noqa: N818
        pass

    def pause(seconds: float) -> None:
        bench.time.sleep(seconds)
        if len(bench.time.slept) > 10:
            raise Enough

    monkeypatch.setattr(journal, "see", fail)
    watcher._pause = pause
    with pytest.raises(Enough):
        watcher.run()
    (trouble,) = bench.told("journal-trouble")
    assert trouble["reason"].endswith("tried again: database or disk is full")
    assert len(bench.told("journal-works")) == 1
    assert len(bench.stored()) == 1
