"""Repairing what crashes and a lost broker leave: expired leases are taken back, doorbells rung again."""

import time

import structlog
from sqlalchemy import Engine

from db.repositories import jobs
from db.repositories.statistics import count_everything
from services import telemetry
from services.pipelines import kinds
from services.settings import Settings
from services.workers.doorbell import Doorbell

log = structlog.get_logger(__name__)

DOORBELL_BUDGET_S = 5.0
_OPEN_STATES = ("queued", "running", "dead")


def reconcile_once(engine: Engine, doorbell: Doorbell, settings: Settings) -> jobs.ReconcileReport:
    """Take back expired leases, bury what used up its attempts, ring for what waits unheard; return what was done."""
    report = jobs.reconcile(engine, republish_after_s=settings.republish_after_s, on_dead=kinds.bury)
    deadline = time.monotonic() + DOORBELL_BUDGET_S
    rung = 0
    for due in report.to_publish:
        # A broker that is down must not keep the reconciler from its next pass; workers look at the rows anyway.
        if time.monotonic() > deadline or not doorbell.ring(due.job_id, due.queue, due.priority):
            break
        rung += 1
    telemetry.jobs_republished.inc(rung)
    telemetry.jobs_requeued.inc(report.requeued)
    telemetry.jobs_buried.inc(len(report.dead))
    if report.requeued or report.dead:
        log.warning("leases_taken_back", requeued=report.requeued, dead=[str(job_id) for job_id in report.dead])
    return report


def export_gauges(engine: Engine) -> None:
    """Set the gauges of the queues and the scheduler's sign of life."""
    with engine.connect() as connection:
        statistics = count_everything(connection)
    for (queue, state), count in statistics.jobs.items():
        if state in _OPEN_STATES:
            telemetry.queue_jobs.labels(queue, state).set(count)
    for queue, age_s in statistics.oldest_queued_s.items():
        telemetry.queue_oldest.labels(queue, "queued").set(age_s)
    telemetry.scheduler_heartbeat.set_to_current_time()
