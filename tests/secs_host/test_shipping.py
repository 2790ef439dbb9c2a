"""From the journal to files and uploads, with a failure between any two steps."""

import pytest

from instruments.secs.journal_lines import read_journal
from services.secs_host.frames import data_frame
from services.secs_host.journal import JournalTooNew, Limits
from services.secs_host.shipping import Shipper
from services.uploader.errors import Refused, ServiceUnreachable
from tests.secs_host.scripted import MAP, event_body, open_journal

NOW = Limits(age_s=0.0)


def frames(*numbers):
    return [data_frame(0, 6, 11, number, event_body(number), wants_reply=True) for number in numbers]


def keep(journal, *numbers):
    connection = journal.begin_connection()
    journal.keep(connection, frames(*numbers))
    journal.confirm(connection, journal.count())


def content(path):
    with path.open("rb") as file:
        heading, messages = read_journal(file)
        return heading, [each.system_bytes for each in messages]


class Service:
    """Takes files, by content, or fails as told."""

    def __init__(self) -> None:
        self.files: dict[bytes, int] = {}
        self.errors: list[Exception] = []

    def send(self, path):
        if self.errors:
            raise self.errors.pop(0)
        data = path.read_bytes()
        self.files[data] = self.files.get(data, 0) + 1


@pytest.fixture
def journal(tmp_path):
    made = open_journal(tmp_path)
    yield made
    made.close()


def test_a_segment_is_closed_by_count_by_size_and_by_age(tmp_path):
    now = [1000.0]
    journal = open_journal(tmp_path, clock=lambda: now[0])
    keep(journal, *range(1, 11))
    size = len(event_body(1))
    assert journal.close_segment(Limits(messages=11, age_s=60.0)) is None
    by_count = journal.close_segment(Limits(messages=4, age_s=60.0))
    assert (by_count.first, by_count.last) == (1, 4)
    by_size = journal.close_segment(Limits(body_bytes=2 * size + 1, age_s=60.0))
    assert (by_size.first, by_size.last) == (5, 6)
    assert journal.close_segment(Limits(age_s=60.0)) is None
    now[0] += 60.0
    by_age = journal.close_segment(Limits(age_s=60.0))
    assert (by_age.first, by_age.last) == (7, 10)
    assert journal.close_segment(NOW) is None
    journal.close()


def test_a_message_larger_than_a_segment_is_one(journal):
    keep(journal, 1, 2)
    segment = journal.close_segment(Limits(body_bytes=1, age_s=60.0))
    assert (segment.first, segment.last) == (1, 1)


def test_files_hold_every_message_once_and_say_whose_they_are(tmp_path, journal):
    service = Service()
    shipper = Shipper(journal, tmp_path / "outbox", Limits(messages=3, age_s=0.0), service.send)
    keep(journal, *range(1, 9))
    shipper.ship()
    paths = sorted((tmp_path / "outbox").iterdir())
    assert [content(path)[1] for path in paths] == [[1, 2, 3], [4, 5, 6], [7, 8]]
    heading = content(paths[1])[0]
    assert (heading.journal, heading.equipment, heading.segment, heading.first) == (journal.id, "FIB-03", 2, 4)
    assert heading.map_document == MAP
    assert list(service.files.values()) == [1, 1, 1]
    keep(journal, 9)
    shipper.ship()
    assert content(sorted((tmp_path / "outbox").iterdir())[-1])[1] == [9]
    assert list(journal.segments("written")) == []


def test_what_is_uploaded_is_dropped_from_the_journal_and_later_from_the_outbox(tmp_path):
    now = [1000.0]
    journal = open_journal(tmp_path, clock=lambda: now[0], repeat_window_s=100.0)
    shipper = Shipper(journal, tmp_path / "outbox", NOW, Service().send, keep_uploaded_s=50.0)
    connection = journal.begin_connection()
    journal.keep(connection, frames(1, 2))
    journal.confirm(connection, 1)
    shipper.ship()
    count = "SELECT COUNT(*) FROM message"
    assert journal._connection.execute(count).fetchone() == (1,), "the unconfirmed one is still needed"
    now[0] += 51.0
    shipper.ship()
    assert list((tmp_path / "outbox").iterdir()) == []
    now[0] += 50.0
    journal.begin_connection()
    assert journal._connection.execute(count).fetchone() == (0,)
    assert journal.keep(1, frames(3)) == [3], "numbers go on"
    journal.close()


def test_a_service_that_is_away_gets_the_same_files_later(tmp_path, journal):
    service = Service()
    shipper = Shipper(journal, tmp_path / "outbox", NOW, service.send)
    keep(journal, 1)
    service.errors = [ServiceUnreachable("away"), ServiceUnreachable("away")]
    for _ in range(2):
        with pytest.raises(ServiceUnreachable):
            shipper.ship()
    keep(journal, 2)
    shipper.ship()
    assert [content(path)[1] for path in sorted((tmp_path / "outbox").iterdir())] == [[1], [2]]
    assert len(service.files) == 2


def test_a_refused_file_is_kept_and_does_not_hold_up_the_others(tmp_path, journal):
    service = Service()
    shipper = Shipper(journal, tmp_path / "outbox", NOW, service.send, keep_uploaded_s=0.0)
    keep(journal, 1)
    service.errors = [Refused(422, "bad", "not this")]
    shipper.ship()
    keep(journal, 2)
    shipper.ship()
    (refused,) = journal.segments("refused")
    assert refused.reason == "not this (422 bad)"
    assert shipper.path_of(refused).exists()
    assert len(service.files) == 1


@pytest.mark.parametrize("step", ["written", "uploaded"])
def test_a_crash_before_a_step_was_noted_uploads_the_same_bytes(tmp_path, journal, monkeypatch, step):
    service = Service()
    shipper = Shipper(journal, tmp_path / "outbox", NOW, service.send)
    keep(journal, 1)
    mark = journal.mark

    def crash(segment, state, reason=None):
        if state == step:
            raise RuntimeError("the power went")
        mark(segment, state, reason)

    monkeypatch.setattr(journal, "mark", crash)
    with pytest.raises(RuntimeError):
        shipper.ship()
    monkeypatch.undo()
    shipper.ship()
    assert len(service.files) == 1, "one content, however often it was sent"
    assert len(list((tmp_path / "outbox").iterdir())) == 1


def test_a_half_written_file_is_never_seen(tmp_path, journal, monkeypatch):
    shipper = Shipper(journal, tmp_path / "outbox", NOW, None)
    keep(journal, 1)
    monkeypatch.setattr("services.secs_host.shipping.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        shipper.ship()
    assert [path.suffix for path in (tmp_path / "outbox").iterdir()] == [".part"]
    monkeypatch.undo()
    shipper.ship()
    (path,) = (tmp_path / "outbox").iterdir()
    assert content(path)[1] == [1]


def test_a_file_that_somebody_removed_is_written_again(tmp_path, journal):
    service = Service()
    keep(journal, 1)
    Shipper(journal, tmp_path / "outbox", NOW, None).ship()
    for path in (tmp_path / "outbox").iterdir():
        path.unlink()
    Shipper(journal, tmp_path / "outbox", NOW, service.send).ship()
    assert len(service.files) == 1


def test_a_new_configuration_explains_only_what_comes_after_it(tmp_path, journal):
    keep(journal, 1, 2)
    journal.close()
    from services.secs_host.journal import MessageJournal

    journal = MessageJournal(tmp_path / "journal.sqlite", "FIB-03", None)
    keep(journal, 3)
    Shipper(journal, tmp_path / "outbox", NOW, None).ship()
    found = [content(path) for path in sorted((tmp_path / "outbox").iterdir())]
    assert [(heading.map_document, numbers) for heading, numbers in found] == [(MAP, [1, 2]), (None, [3])]
    journal.close()


def test_a_journal_of_a_later_version_is_left_alone(tmp_path, journal):
    journal._connection.execute("PRAGMA user_version=99")
    with pytest.raises(JournalTooNew, match="of version 99"):
        open_journal(tmp_path)


def test_an_unconfirmed_message_is_forgotten_after_its_time(tmp_path):
    now = [1000.0]
    journal = open_journal(tmp_path, clock=lambda: now[0], repeat_window_s=100.0)
    journal.keep(journal.begin_connection(), frames(1))
    now[0] += 101.0
    journal.keep(journal.begin_connection(), frames(1))
    assert [each.repeat_of for each in journal.messages(1, 2)] == [None, None]
    journal.close()


def test_a_repeat_that_is_confirmed_confirms_the_first(tmp_path, journal):
    journal.keep(journal.begin_connection(), frames(1))
    second = journal.begin_connection()
    journal.keep(second, frames(1))
    journal.confirm(second, 2)
    journal.keep(journal.begin_connection(), frames(1))
    assert [each.repeat_of for each in journal.messages(1, 3)] == [None, 1, None]


def test_three_lost_acknowledgements_are_paired_one_by_one(journal):
    same = [data_frame(0, 6, 11, system, event_body(0), wants_reply=True) for system in (1, 2, 3, 11, 12, 13, 14)]
    journal.keep(journal.begin_connection(), same[:3])
    journal.keep(journal.begin_connection(), same[3:])
    assert [each.may_repeat for each in journal.messages(4, 7)] == [1, 2, 3, None]
