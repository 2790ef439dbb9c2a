"""Mailing reports: threads of the scheduler that claim deliveries, hand them to the mail server, and mark."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from db.blobs import BlobStore
from db.repositories import report_deliveries
from db.repositories.report_deliveries import ClaimedMail, MailOutcome
from db.unit_of_work import begin
from services import telemetry
from services.reports.mail import LeaseGone, MailServer
from services.reports.message import ReportMail, write_message
from services.scheduler.attendants import Attend, Attendants
from services.webhooks.schedule import Schedule

log = structlog.get_logger(__name__)

THREADS = 2
LEASE_S = 300.0
"""For everything before the end of the message; a try that takes longer may not end it."""
SUBMITTED_LEASE_S = 900.0
"""For the server's reply, longer than it is waited for."""
_PAUSE_S = 0.5


class Mailer:
    """Mails what is due, one message at a time.

    ``public_url`` is where people reach the service, if they do; the leases are shortened by tests.
    """

    def __init__(
        self,
        engine: Engine,
        blobs: BlobStore,
        server: MailServer,
        public_url: str | None,
        schedule: Schedule | None = None,
    ) -> None:
        self._engine = engine
        self._blobs = blobs
        self._server = server
        self._public_url = public_url
        self._schedule = schedule if schedule is not None else Schedule()
        self.lease_s = LEASE_S
        self.submitted_lease_s = SUBMITTED_LEASE_S

    def mail_next(self) -> bool:
        """Claim the delivery that is due, try to send it, write what came of it; return whether one was due.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database is away; what was claimed is settled after its lease.
        """
        claimed = report_deliveries.claim(self._engine, self.lease_s)
        if claimed is None:
            return False
        try:
            outcome = self._send(claimed)
        except LeaseGone:
            log.warning("mail_lease_lost", delivery_id=str(claimed.id))
            return True
        state = self._mark(claimed, self._paced(claimed, outcome))
        telemetry.report_mails.labels(state or "lost").inc()
        log.info(
            "report_mailed",
            delivery_id=str(claimed.id),
            report_id=str(claimed.report.id),
            attempt=claimed.attempts,
            state=state or "lost",
            reason=outcome.reason,
        )
        return True

    def _send(self, claimed: ClaimedMail) -> MailOutcome:
        row = claimed.report
        file = row.files["pdf"]
        link = f"{self._public_url}/api/v1/reports/{row.id}/html" if self._public_url is not None else None
        mail = ReportMail(
            report_id=row.id,
            program=row.program_name,
            title=row.title,
            freeze_at=row.freeze_at,
            made_at=row.made_at,
            scorecard=row.scorecard,
            simulated=row.simulated,
            link=link,
            pdf=self._blobs.read_range(file["key"], 0, file["bytes"]),
        )
        message = write_message(mail, self._server.sender, claimed.recipient, claimed.id)
        return self._server.send(
            message,
            claimed.recipient,
            lambda: report_deliveries.submit(self._engine, claimed, self.submitted_lease_s),
        )

    def _paced(self, claimed: ClaimedMail, outcome: MailOutcome) -> MailOutcome:
        """Return the outcome with the pause before the next try, or as a failure when the tries are used up."""
        if outcome.state != "waiting":
            return outcome
        pause = self._schedule.wait_s(claimed.attempts)
        state = "failed" if pause is None else "waiting"
        return MailOutcome(state, outcome.reply, outcome.reason, pause)

    def _mark(self, claimed: ClaimedMail, outcome: MailOutcome) -> str | None:
        """Write the outcome, patiently: what is known of a message that was ended must not be lost to a restart."""
        deadline = time.monotonic() + self.submitted_lease_s
        while True:
            try:
                with begin(self._engine) as unit:
                    return report_deliveries.mark(unit.connection, claimed, outcome)
            except OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_S)


def mail_threads(engine: Engine, blobs: BlobStore, server: MailServer, public_url: str | None) -> Attendants:
    """Return the threads that mail reports."""

    @contextmanager
    def open_one() -> Iterator[Attend]:
        yield Mailer(engine, blobs, server, public_url).mail_next

    return Attendants("mail", THREADS, open_one)
