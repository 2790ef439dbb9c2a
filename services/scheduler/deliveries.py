"""Sending events to webhooks: threads of the scheduler that claim deliveries, send, and mark. Any number may run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC

import structlog
from sqlalchemy import Engine

from db.repositories import deliveries
from db.repositories.deliveries import ClaimedDelivery, DeliveryOutcome
from db.unit_of_work import begin
from services import telemetry
from services.scheduler.attendants import Attend, Attendants
from services.settings import Settings
from services.webhooks.addresses import read_networks
from services.webhooks.delivery import Attempt, Deliverer, Event, Verdict, make_event
from services.webhooks.schedule import Schedule

log = structlog.get_logger(__name__)

THREADS = 4
LEASE_S = 180.0
"""Longer than a try can take, so that a second one while the first goes on is rare."""
MAX_REASON_CHARACTERS = 1000


def open_deliverer(settings: Settings) -> Deliverer:
    """Return a deliverer for the networks and certificates that are configured."""
    return Deliverer(read_networks(settings.webhook_networks), ca_file=settings.webhook_ca_file)


def deliver_next(
    engine: Engine, deliverer: Deliverer, schedule: Schedule, *, lease_s: float = LEASE_S
) -> deliveries.ClaimedDelivery | None:
    """Claim the first delivery that is due, send it, and write what came of it; return it, ``None`` when none is due.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database is away; what was claimed is claimed again after its lease.
    """
    claimed = deliveries.claim(engine, lease_s, schedule.tries)
    if claimed is None:
        return None
    attempt = deliverer.deliver(claimed.url, claimed.secrets, event_of(claimed))
    outcome = _outcome(attempt, claimed.attempts, schedule)
    with begin(engine) as unit:
        state = deliveries.mark(unit.connection, claimed, outcome)
    telemetry.webhook_deliveries.labels(state or "lost").inc()
    log.info(
        "webhook_sent",
        delivery_id=str(claimed.id),
        event_id=str(claimed.event_id),
        attempt=claimed.attempts,
        state=state or "lost",
        status=attempt.status,
        reason=outcome.reason,
        seconds=round(attempt.seconds, 3),
    )
    return claimed


def event_of(claimed: ClaimedDelivery) -> Event:
    """Return the event as it is sent: the same id and bytes at every try."""
    at = claimed.occurred_at.astimezone(UTC).isoformat()
    return make_event(str(claimed.event_id), claimed.event_kind, at, claimed.event_data)


def _outcome(attempt: Attempt, attempts: int, schedule: Schedule) -> DeliveryOutcome:
    if attempt.verdict is Verdict.DELIVERED:
        return DeliveryOutcome(delivered=True, status=attempt.status, reason=None)
    reason = attempt.reason.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    reason = reason[:MAX_REASON_CHARACTERS]
    if attempt.verdict is Verdict.GONE:
        return DeliveryOutcome(delivered=False, status=attempt.status, reason=reason, gone=True)
    pause = schedule.wait_s(attempts, attempt.retry_after_s)
    return DeliveryOutcome(delivered=False, status=attempt.status, reason=reason, retry_after_s=pause)


class DeliveryThreads(Attendants):
    """Threads that deliver until they are stopped; each has its own deliverer."""

    def __init__(
        self, engine: Engine, open_deliverer: Callable[[], Deliverer], schedule: Schedule | None = None
    ) -> None:
        paced = schedule if schedule is not None else Schedule()

        @contextmanager
        def open_one() -> Iterator[Attend]:
            with open_deliverer() as deliverer:
                yield lambda: deliver_next(engine, deliverer, paced) is not None

        super().__init__("webhooks", THREADS, open_one)
