"""The journal: steps that apply only to the state they were decided on, and what survives."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.uploader.journal import (
    KEEP_GONE_S,
    Journal,
    JournalBusy,
    JournalTooNew,
    Sighting,
    State,
    only_one,
)
from services.uploader.summary import summarize

A = Sighting("a.trc", False, "1:2:3")
CHANGED = Sighting("a.trc", False, "1:3:3")
BYTES = Sighting("K\udcfchlung/\udcff.csv", False, "1:1:1")


class Clock:
    now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    made = Journal(tmp_path / "state" / "j.sqlite", clock)
    yield made
    made.close()


def state(journal: Journal, path: str = "a.trc") -> State:
    item = journal.find(path)
    assert item is not None
    return item.state


def test_a_file_goes_through_its_states_and_they_survive(journal: Journal, clock: Clock) -> None:
    journal.see([A, BYTES])
    assert state(journal) is State.SEEN
    journal.hashed(A, "{}", "00", 1)
    assert state(journal) is State.HASHED
    journal.uploading(A)
    journal.remember("key", "id")
    assert state(journal) is State.UPLOADING
    journal.close()
    again = Journal(journal.path, clock)
    assert again.was_damaged is None
    assert state(again) is State.UPLOADING
    assert again.recall("key") == "id"
    again.forget("key")
    again.done(A, "file-id", "job-id")
    assert state(again) is State.DONE
    assert again.recall("key") is None
    assert list(again.known()) == ["a.trc", BYTES.path]
    again.close()


def test_it_is_durable_by_its_settings(journal: Journal) -> None:
    assert journal._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert journal._connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_step_decided_on_another_state_of_the_file_does_nothing(journal: Journal) -> None:
    journal.see([A])
    journal.hashed(A, "{}", "00", 1)
    journal.see([CHANGED])
    journal.done(A, "file-id", None)
    journal.refused(A, "no")
    journal.hashed(A, "{}", "00", 1)
    item = journal.find("a.trc")
    assert item is not None
    assert (item.state, item.signature, item.prepared, item.sha256) == (State.SEEN, CHANGED.signature, None, None)


def test_a_change_of_target_sends_everything_again_without_hashing(journal: Journal) -> None:
    journal.aim("http://one alpha")
    journal.see([A])
    journal.hashed(A, "{}", "00", 1)
    journal.done(A, "file-id", None)
    journal.aim("http://one alpha")
    assert state(journal) is State.DONE
    journal.aim("http://two alpha")
    assert state(journal) is State.HASHED


def test_what_is_gone_is_dropped_after_a_month_and_what_is_there_never(journal: Journal, clock: Clock) -> None:
    journal.see([A, BYTES, Sighting("back.csv", False, "1:1:1")])
    journal.gone(["a.trc", "back.csv"])
    journal.remember("old", "id")
    clock.now_s += KEEP_GONE_S - 1
    journal.back(["back.csv"])
    journal.remember("new", "id")
    journal.prune()
    assert len(journal.known()) == 3
    clock.now_s += 2
    journal.prune()
    assert list(journal.known()) == [BYTES.path, "back.csv"]
    assert (journal.recall("old"), journal.recall("new")) == (None, "id")


@pytest.mark.parametrize("damage", [b"this is no database at all" * 100, None])
def test_a_damaged_journal_is_set_aside_and_begun_anew(journal: Journal, damage: bytes | None, clock: Clock) -> None:
    journal.see([Sighting(f"{n:05d}", False, "1:1:1") for n in range(2000)])
    journal.close()
    data = bytearray(journal.path.read_bytes())
    if damage is None:
        data[4096 * 3 : 4096 * 6] = b"\xff" * 4096 * 3
        damage = bytes(data)
    journal.path.write_bytes(damage)
    again = Journal(journal.path, clock)
    assert again.was_damaged is not None
    assert again.was_damaged.read_bytes() == damage
    assert again.known() == {}
    again.see([A])
    again.close()


def test_a_journal_of_a_later_version_is_left_alone(journal: Journal, clock: Clock) -> None:
    journal._connection.execute("PRAGMA user_version=99")
    journal.close()
    before = journal.path.read_bytes()
    with pytest.raises(JournalTooNew, match="version 99"):
        Journal(journal.path, clock)
    assert journal.path.read_bytes() == before


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with only_one(path), pytest.raises(JournalBusy), only_one(path):
        pass
    with only_one(path):
        pass


def test_the_summary_counts_and_gives_reasons(journal: Journal, clock: Clock) -> None:
    journal.aim("http://one alpha")
    journal.note("folder", "/data")
    journal.note("trouble", "no answer")
    others = [Sighting(name, False, "1:1:1") for name in ("done", "refused", "lost", "incomplete")]
    journal.see([BYTES])
    clock.now_s += 60
    journal.see([A, *others])
    journal.hashed(A, "{}", "00", 1)
    journal.done(others[0], "id", None)
    journal.refused(others[1], "too large")
    journal.gone(["lost"])
    journal.waits(others[3], "files are missing")
    clock.now_s += 60
    found = summarize(journal.path, clock.now_s)
    assert (found.folder, found.target, found.trouble) == ("/data", "http://one alpha", "no answer")
    assert (found.waiting, found.sent, found.refused, found.lost) == (3, 1, 1, 1)
    assert found.waiting_states == {"seen": 2, "hashed": 1, "uploading": 0}
    assert found.waiting_reasons == {"files are missing": 1}
    assert (found.oldest_waiting, found.oldest_waiting_s) == ("K�hlung/�.csv", 120.0)
    assert found.to_document()["refused_items"] == ({"path": "refused", "reason": "too large"},)


def test_no_journal_has_no_summary(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.Error):
        summarize(tmp_path / "missing.sqlite", 0.0)
    assert not (tmp_path / "missing.sqlite").exists()
