"""When a file counts as finished, and what a look into a folder finds."""

import os
from pathlib import Path

import pytest

from services.uploader.errors import BadInput
from services.uploader.folder import Ignoring, check_session
from services.uploader.journal import Sighting
from services.uploader.scan import Look, Scan
from services.uploader.stability import Stability
from tests.uploader.conftest import FakeTime


def at(signature: str, path: str = "a") -> Sighting:
    return Sighting(path, False, signature)


def test_a_file_is_stable_when_it_has_not_changed_for_long_enough() -> None:
    time = FakeTime()
    stability = Stability(10.0, time.clock)
    assert not stability.is_stable(at("1"))
    time.now_s += 9.9
    assert not stability.is_stable(at("1"))
    assert not stability.is_stable(at("2")), "it has grown"
    time.now_s += 9.9
    assert not stability.is_stable(at("2"))
    time.now_s += 0.1
    assert stability.is_stable(at("2"))
    assert stability.is_stable(at("2"))
    stability.restart("a")
    assert not stability.is_stable(at("2"))


def test_a_path_that_vanished_begins_anew() -> None:
    time = FakeTime()
    stability = Stability(10.0, time.clock)
    stability.is_stable(at("1"))
    time.now_s += 20
    stability.keep([])
    assert not stability.is_stable(at("1"))


def scan(folder: Path, *patterns: str) -> tuple[dict[str, bool], dict[str, str]]:
    look = Scan(folder, Ignoring(patterns) if patterns else Ignoring()).run()
    return {each.path: each.is_bundle for each in look.sightings}, look.troubles


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_a_look_finds_files_and_sessions_and_ignores_what_is_no_data(tmp_path: Path) -> None:
    make(tmp_path, "a.trc", "sub/b.CSV", "s1/session.json", "s1/deep/c.csv", "s1/deep/session.json")
    make(tmp_path, ".hidden", ".git/config", "x.TMP", "~$book.xlsx", "save.csv~", "sub/y.part", "Thumbs.db")
    os.mkfifo(tmp_path / "pipe")
    found, troubles = scan(tmp_path)
    assert found == {"a.trc": False, "s1": True, "sub/b.CSV": False}
    assert troubles == {}
    found, _ = scan(tmp_path, "s1", "*.CSV", ".*")
    assert set(found) == {"a.trc", "x.TMP", "~$book.xlsx", "save.csv~", "sub/y.part", "Thumbs.db"}


def test_links_are_not_followed(tmp_path: Path) -> None:
    make(tmp_path, "outside/secret", "watched/a")
    watched = tmp_path / "watched"
    (watched / "link").symlink_to(tmp_path / "outside" / "secret")
    (watched / "loop").symlink_to(watched)
    found, troubles = scan(watched)
    assert found == {"a": False}
    assert set(troubles) == {"link", "loop"}


def test_what_could_not_be_looked_at_hides_what_is_below_it() -> None:
    look = Look((), {"lot/s1": "cannot be read"})
    assert [look.hides(path) for path in ("lot/s1", "lot/s1/deep/a", "lot", "lot/s10", "a")] == [True, True] + [
        False
    ] * 3
    assert Look((), {".": "cannot be read"}).hides("anything")


def test_a_session_changes_with_any_of_its_files(tmp_path: Path) -> None:
    make(tmp_path, "s/session.json", "s/a.csv")
    first = Scan(tmp_path, Ignoring()).run().sightings
    assert Scan(tmp_path, Ignoring()).run().sightings == first
    os.utime(tmp_path / "s" / "a.csv", ns=(1, 1))
    second = Scan(tmp_path, Ignoring()).run().sightings
    make(tmp_path, "s/b.csv")
    third = Scan(tmp_path, Ignoring()).run().sightings
    assert len({first, second, third}) == 3
    assert [each.path for each in third] == ["s"]


def test_a_folder_that_is_not_there_is_an_error_and_not_empty(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Scan(tmp_path / "unmounted", Ignoring()).run()


@pytest.mark.parametrize(
    ("document", "missing"),
    [
        ('{"netlist": "n.bench", "waveforms": [{"file": "a.csv"}, {"file": "deep/b.csv"}]}', "n.bench"),
        ('{"maps": [{"file": "lvi.h5"}]}', "lvi.h5"),
        ('{"waveforms": [{"file": "a.csv"}, {"file": "deep/b.csv"}]}', None),
        ('{"waveforms": [{"file": "../a.csv"}, {"file": "/etc/passwd"}]}', None),
        ('{"waveforms": "?", "netlist": 5, "maps": [1, {"file": 2}]}', None),
        ('{"waveforms": [', None),
        ("[]", None),
    ],
)
def test_a_session_is_complete_when_every_named_file_is_there(
    tmp_path: Path, document: str, missing: str | None
) -> None:
    make(tmp_path, "a.csv", "deep/b.csv")
    (tmp_path / "session.json").write_text(document)
    if missing is None:
        check_session(tmp_path, Ignoring())
    else:
        with pytest.raises(BadInput, match=f"names files that are not there: {missing}"):
            check_session(tmp_path, Ignoring())


def test_a_session_that_names_an_ignored_file_is_not_sent_without_it(tmp_path: Path) -> None:
    make(tmp_path, "probe.tmp")
    (tmp_path / "session.json").write_text('{"waveforms": [{"file": "probe.tmp"}]}')
    with pytest.raises(BadInput, match="which a pattern says to ignore"):
        check_session(tmp_path, Ignoring())
