"""Mailing reports: each recipient once, or where that cannot be known, marked so and not repeated without being asked.

A delivery is claimed with a lease. A message counts from the moment its end is sent: just before, ``submitted_at`` is
committed, fenced by the lease. Whatever fails earlier may be tried again, since a server does not keep a message that
was not ended; whatever fails later, with no reply of the server, is ``unknown``. Only the database's clock is used.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from db.identifiers import uuid7
from db.repositories import audit, events
from db.repositories.access import Action, Caller, Conflict, RowNotFound
from db.repositories.audit import AuditEntry
from db.repositories.events import NewEvent
from db.schema.people import program
from db.schema.reports import report, report_delivery

LOST = "the process was lost while it sent the end of the message: the mail server may have accepted it"


@dataclass(frozen=True)
class ClaimedMail:
    """A delivery that this process holds the lease of; ``attempts`` counts this one."""

    id: uuid.UUID
    token: uuid.UUID
    attempts: int
    recipient: str
    report: Row[Any]


@dataclass(frozen=True)
class MailOutcome:
    """How an attempt ended.

    Attributes:
        state: ``delivered``, ``unknown``, ``failed``, or ``waiting`` for another attempt.
        reply: of the mail server, if any.
        reason: in words, for people; ``None`` when delivered.
        retry_after_s: the pause before the next attempt of one that is ``waiting``.
    """

    state: str
    reply: str | None
    reason: str | None
    retry_after_s: float | None = None


def _seconds(seconds: float) -> Any:
    return func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def insert_deliveries(
    connection: Connection, row: Row[Any], recipients: Iterable[str], requested_by: str
) -> list[uuid.UUID]:
    """Insert a delivery of the report ``row`` to each of ``recipients`` that has none; return their ids."""
    made = []
    for recipient in dict.fromkeys(recipients):
        statement = (
            insert(report_delivery)
            .values(
                id=uuid7(),
                program_id=row.program_id,
                report_id=row.id,
                recipient=recipient,
                next_attempt_at=func.now(),
                requested_by=requested_by,
            )
            .on_conflict_do_nothing(index_elements=[report_delivery.c.report_id, report_delivery.c.recipient])
            .returning(report_delivery.c.id)
        )
        identity = connection.execute(statement).scalar()
        if identity is not None:
            made.append(identity)
    return made


def count_by_state(
    connection: Connection, caller: Caller, report_ids: Iterable[uuid.UUID]
) -> dict[uuid.UUID, dict[str, int]]:
    """Return of each report that the caller may read how many of its deliveries are in which state."""
    query = (
        select(report_delivery.c.report_id, report_delivery.c.state, func.count().label("mails"))
        .where(
            report_delivery.c.report_id.in_(list(report_ids)),
            caller.restriction(Action.READ_RECORDS, report_delivery.c.program_id),
        )
        .group_by(report_delivery.c.report_id, report_delivery.c.state)
        .order_by(report_delivery.c.report_id, report_delivery.c.state)
    )
    found: dict[uuid.UUID, dict[str, int]] = {}
    for row in connection.execute(query):
        found.setdefault(row.report_id, {})[row.state] = row.mails
    return found


def claim(engine: Engine, lease_s: float) -> ClaimedMail | None:
    """Claim the delivery that has waited longest; ``None`` when none is due.

    What a lost process left is settled first: unknown when its message may have been accepted, due again otherwise.
    """
    with engine.begin() as connection:
        _settle_lost(connection)
        token = uuid.uuid4()
        first = (
            select(report_delivery.c.id)
            .where(report_delivery.c.state == "waiting", report_delivery.c.next_attempt_at <= func.now())
            .order_by(report_delivery.c.next_attempt_at, report_delivery.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        statement = (
            update(report_delivery)
            .where(report_delivery.c.id == first)
            .values(
                state="sending",
                attempts=report_delivery.c.attempts + 1,
                lease_token=token,
                lease_expires_at=func.now() + _seconds(lease_s),
                submitted_at=None,
            )
            .returning(report_delivery)
        )
        row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        query = select(report, program.c.name.label("program_name")).join(program, program.c.id == report.c.program_id)
        of = connection.execute(query.where(report.c.id == row.report_id)).one()
        return ClaimedMail(row.id, token, row.attempts, row.recipient, of)


def _settle_lost(connection: Connection) -> None:
    expired = and_(report_delivery.c.state == "sending", report_delivery.c.lease_expires_at < func.now())
    freed: dict[str, Any] = {"lease_token": None, "lease_expires_at": None}
    again = update(report_delivery).where(expired, report_delivery.c.submitted_at.is_(None))
    connection.execute(again.values(state="waiting", next_attempt_at=func.now(), **freed))
    unknown = update(report_delivery).where(expired, report_delivery.c.submitted_at.is_not(None))
    lost = unknown.values(state="unknown", reason=LOST, **freed).returning(report_delivery)
    for row in connection.execute(lost).all():
        _tell(connection, row)


def submit(engine: Engine, claimed: ClaimedMail, lease_s: float) -> bool:
    """Commit that the end of the message is about to be sent; return ``False`` when the lease is another's by now.

    Whoever gets ``False``, or an exception, must not send it. The lease is extended by ``lease_s``, in which the
    server's reply must come.
    """
    statement = update(report_delivery).where(_held(claimed))
    with engine.begin() as connection:
        values = {"submitted_at": func.now(), "lease_expires_at": func.now() + _seconds(lease_s)}
        return connection.execute(statement.values(**values)).rowcount == 1


def _held(claimed: ClaimedMail) -> Any:
    return and_(report_delivery.c.id == claimed.id, report_delivery.c.lease_token == claimed.token)


def mark(connection: Connection, claimed: ClaimedMail, outcome: MailOutcome) -> str | None:
    """Write how the attempt ended; return the state after, ``None`` when the row has moved on without this attempt.

    A reply that comes after the attempt was given up as unknown still settles it.
    """
    given_up = and_(
        report_delivery.c.id == claimed.id,
        report_delivery.c.state == "unknown",
        report_delivery.c.attempts == claimed.attempts,
    )
    values: dict[str, Any] = {
        "state": outcome.state,
        "lease_token": None,
        "lease_expires_at": None,
        "reply": outcome.reply,
        "reason": outcome.reason,
    }
    if outcome.state == "delivered":
        values["delivered_at"] = func.now()
    if outcome.retry_after_s is not None:
        values["next_attempt_at"] = func.now() + _seconds(outcome.retry_after_s)
    statement = update(report_delivery).where(or_(_held(claimed), given_up)).values(**values)
    row = connection.execute(statement.returning(report_delivery)).one_or_none()
    if row is None:
        return None
    if row.state in ("unknown", "failed"):
        _tell(connection, row)
    return str(row.state)


def _tell(connection: Connection, row: Row[Any]) -> None:
    data = {"report_id": str(row.report_id), "state": row.state, "attempts": row.attempts, "reason": row.reason}
    identity = (row.id, row.attempts, row.state)
    new = NewEvent(row.program_id, "report.undelivered", "report_delivery", row.id, data, identity)
    events.record(connection, new)


def send_again(connection: Connection, caller: Caller, identity: uuid.UUID) -> None:
    """Let a delivery be tried again because a person asks for it, whatever became of it, under the same Message-ID.

    Raises:
        RowNotFound: there is none that the caller may send.
        Conflict: it waits already, or is being sent at this moment.
    """
    allowed = caller.restriction(Action.WRITE_REPORTS, report_delivery.c.program_id)
    query = select(report_delivery).where(report_delivery.c.id == identity, allowed).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise RowNotFound("report delivery", identity)
    if row.state in ("waiting", "sending"):
        raise Conflict("the report waits to be sent, or is being sent at this moment")
    statement = update(report_delivery).where(report_delivery.c.id == identity)
    connection.execute(statement.values(state="waiting", next_attempt_at=func.now(), delivered_at=None, attempts=0))
    entry = AuditEntry(
        "report-delivery.requested", "report_delivery", identity, row.program_id, before={"state": row.state}
    )
    audit.record(connection, caller.actor, caller.request_id, entry)
