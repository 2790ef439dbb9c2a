"""Reports by mail, to a real server: once each; what may have been accepted is marked and not repeated."""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, insert, select, update
from sqlalchemy.exc import OperationalError

from db.blobs import BlobStore, report_key
from db.identifiers import uuid7
from db.repositories import report_deliveries
from db.repositories.report_deliveries import LOST
from db.schema.events import event
from db.schema.reports import report, report_delivery
from services.reports.mail import quote_lines
from services.reports.message import file_name
from services.scheduler.mailing import Mailer
from services.webhooks.schedule import Schedule
from tests.reports.mail_server import MailSink, make_certificate

PDF = b"%PDF-1.7\n.\n..dots\n"
AT_ONCE = Schedule(delays_s=(0.0, 0.0), draw=lambda: 0.0)


@pytest.fixture
def mailer(engine: Engine, blobs: BlobStore, sink: MailSink) -> Mailer:
    return Mailer(engine, blobs, sink.server, "https://fa.example", AT_ONCE)


@pytest.fixture
def report_id(engine: Engine, blobs: BlobStore, program_id: uuid.UUID) -> uuid.UUID:
    key, digest = report_key(program_id, "a"), hashlib.sha256(PDF).hexdigest()
    blobs.put_bytes(key, PDF)
    identity = uuid7()
    row: dict[str, Any] = {
        "title": "Monthly: Öl", "content": {}, "recipients": [], "state": "ready", "requested_by": "account:ada",
        "freeze_at": datetime(2026, 11, 1, 6, tzinfo=UTC), "period_from": datetime(2026, 10, 1, 6, tzinfo=UTC),
        "scorecard": [{"label": "Failure rate", "text": "\u2264 51 FIT", "verdict": "met"}], "simulated": True,
        "files": {"pdf": {"key": key, "sha256": digest, "bytes": len(PDF)}}, "inputs_sha256": "0",
        "made_at": func.now(),
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(report).values(id=identity, program_id=program_id, **row))
    return identity


def add_mail(engine: Engine, report_id: uuid.UUID, recipient: str = "ada@fab.example") -> uuid.UUID:
    with engine.begin() as connection:
        row = connection.execute(select(report).where(report.c.id == report_id)).one()
        (identity,) = report_deliveries.insert_deliveries(connection, row, [recipient], "account:ada")
        assert report_deliveries.insert_deliveries(connection, row, [recipient], "account:ada") == []
    return identity


def state_of(engine: Engine, identity: uuid.UUID) -> Any:
    with engine.connect() as connection:
        return connection.execute(select(report_delivery).where(report_delivery.c.id == identity)).one()


def test_a_report_arrives_once_and_whole(engine: Engine, mailer: Mailer, sink: MailSink, report_id: uuid.UUID) -> None:
    identity = add_mail(engine, report_id)
    assert mailer.mail_next()
    assert not mailer.mail_next()
    row = state_of(engine, identity)
    assert (row.state, row.reply, row.attempts) == ("delivered", "250 2.0.0 queued as 1", 1)
    (message,) = sink.messages()
    assert message["Message-ID"] == f"<{identity}@fab.example>"
    assert "SIMULATED" in str(message["Subject"].encode())
    text, attached = message.get_payload()
    assert "\u2264 51 FIT" in text.get_payload(decode=True).decode()
    assert attached.get_payload(decode=True) == PDF
    assert attached.get_filename() == "monthly-l-20261101T0600Z.pdf"


@pytest.mark.parametrize(
    ("said", "state", "accepted"),
    [
        (lambda _: None, "unknown", 0),
        (lambda _: "451 4.3.0 try later", "delivered", 1),
        (lambda _: "554 5.7.1 spam", "failed", 0),
    ],
)
def test_what_the_server_says_to_the_end_of_the_message(
    engine: Engine, mailer: Mailer, sink: MailSink, report_id: uuid.UUID, said: Callable[[bytes], str | None],
    state: str, accepted: int,
) -> None:  # fmt: skip
    identity = add_mail(engine, report_id)
    sink.behaviours = [said]
    while mailer.mail_next():
        pass
    row = state_of(engine, identity)
    assert (row.state, len(sink.accepted)) == (state, accepted)
    if state == "unknown":
        assert "after the message was sent" in row.reason
        with engine.connect() as connection:
            (told,) = connection.execute(select(event)).all()
        assert (told.kind, told.data["state"]) == ("report.undelivered", "unknown")


def test_a_server_that_dies_before_the_end_gets_it_again(
    engine: Engine, blobs: BlobStore, sink: MailSink, report_id: uuid.UUID
) -> None:
    identity = add_mail(engine, report_id)
    dead = Mailer(engine, blobs, sink.server, None, AT_ONCE)
    sink.close()
    assert dead.mail_next()
    assert state_of(engine, identity).state == "waiting"
    assert "could not be used" in state_of(engine, identity).reason
    other = MailSink()
    try:
        assert Mailer(engine, blobs, other.server, None, AT_ONCE).mail_next()
        assert len(other.accepted) == 1
    finally:
        other.close()
    assert state_of(engine, identity).state == "delivered"


@pytest.mark.parametrize(("reply", "state"), [("550 5.1.1 no such user", "failed"), ("450 4.2.1 greylisted", "failed")])
def test_a_refused_recipient(
    engine: Engine, mailer: Mailer, sink: MailSink, report_id: uuid.UUID, reply: str, state: str
) -> None:
    """Refused for good at once, refused for now until the tries are used up."""
    identity = add_mail(engine, report_id)
    sink.refused_recipients["ada@fab.example"] = reply
    tries = 0
    while mailer.mail_next():
        tries += 1
    row = state_of(engine, identity)
    assert (row.state, row.reply, tries) == (state, reply, 1 if reply.startswith("5") else 3)
    assert sink.begun == 0


def test_a_process_lost_before_the_end_is_repeated_and_one_lost_after_it_is_not(
    engine: Engine, mailer: Mailer, sink: MailSink, report_id: uuid.UUID
) -> None:
    before, after = (add_mail(engine, report_id, f"{name}@fab.example") for name in ("before", "after"))
    first = report_deliveries.claim(engine, 0.0)
    assert first is not None
    assert first.id == before
    # The lease has run out: claiming settles it, and it is due again.
    second = report_deliveries.claim(engine, 60.0)
    assert second is not None
    third = report_deliveries.claim(engine, 60.0)
    assert third is not None
    assert {second.id, third.id} == {before, after}
    # Whoever has lost the lease may not end the message.
    assert not report_deliveries.submit(engine, first, 60.0)
    lost = second if second.id == after else third
    kept = third if lost is second else second
    assert report_deliveries.submit(engine, lost, -1.0)
    with engine.begin() as connection:
        connection.execute(
            update(report_delivery).where(report_delivery.c.id == kept.id).values(lease_expires_at=func.now())
        )
    while mailer.mail_next():
        pass
    assert state_of(engine, after).state == "unknown"
    assert state_of(engine, after).reason == LOST
    assert state_of(engine, before).state == "delivered"
    assert [recipient for recipient, _ in sink.accepted] == ["before@fab.example"]


def test_the_end_is_not_sent_without_the_commit(
    engine: Engine, mailer: Mailer, sink: MailSink, report_id: uuid.UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = add_mail(engine, report_id)

    def fail(*_: object) -> bool:
        raise OperationalError("COMMIT", {}, ConnectionError("gone"))

    with monkeypatch.context() as patch:
        patch.setattr(report_deliveries, "submit", fail)
        with pytest.raises(OperationalError):
            mailer.mail_next()
    assert (sink.begun, sink.accepted) == (0, [])
    assert state_of(engine, identity).state == "sending"


def test_a_late_reply_settles_what_was_given_up(
    engine: Engine, mailer: Mailer, sink: MailSink, report_id: uuid.UUID
) -> None:
    identity = add_mail(engine, report_id)

    def slow(_: bytes) -> str:
        with engine.begin() as connection:
            connection.execute(update(report_delivery).values(lease_expires_at=func.now()))
        assert report_deliveries.claim(engine, 60.0) is None
        assert state_of(engine, identity).state == "unknown"
        return "250 at last"

    sink.behaviours = [slow]
    assert mailer.mail_next()
    assert (state_of(engine, identity).state, len(sink.accepted)) == ("delivered", 1)


def test_lines_are_quoted_as_smtp_wants_them() -> None:
    assert quote_lines(b".a\n..b\r\nc\rd") == b"..a\r\n...b\r\nc\r\nd\r\n"
    assert file_name("../../etc/\u03c3 x", datetime(2026, 1, 1, tzinfo=UTC), "pdf") == "etc-x-20260101T0000Z.pdf"


def test_mail_is_handed_over_encrypted_and_signed_in(
    engine: Engine, blobs: BlobStore, report_id: uuid.UUID, tmp_path: Path
) -> None:
    """STARTTLS before the password, which a server without it never hears; a certificate of nobody is not believed."""
    certificate, context = make_certificate(tmp_path)
    sink = MailSink(tls=context, users={"faultlight": "hunter2"})
    try:
        known = replace(
            sink.server,
            host="localhost",
            security="starttls",
            user="faultlight",
            password="hunter2",
            ca_file=certificate,
        )
        identity = add_mail(engine, report_id)
        assert Mailer(engine, blobs, known, None, AT_ONCE).mail_next()
        assert state_of(engine, identity).state == "delivered"
        doubtful = {
            "wrong password": replace(known, password="guessed"),
            "certificate verify failed": replace(known, ca_file=None),
        }
        for number, (reason, server) in enumerate(doubtful.items()):
            other = add_mail(engine, report_id, f"other-{number}@fab.example")
            assert Mailer(engine, blobs, server, None, Schedule(delays_s=(3600.0,))).mail_next()
            assert state_of(engine, other).state == "waiting"
            assert reason in state_of(engine, other).reason
        assert len(sink.accepted) == 1
    finally:
        sink.close()
