"""Ringing the doorbell: publish a job's id after the commit that inserted it."""

import time
import uuid

import structlog

from services.workers.celery_app import RUN_JOB, make_app, queue_name

log = structlog.get_logger(__name__)

PAUSE_AFTER_FAILURE_S = 5.0


class Doorbell:
    """Publishes job ids; a broker that is down costs latency, since workers also look at the rows themselves.

    After a failure it is not tried again for some seconds: requests must not queue up behind a broker that hangs.
    """

    def __init__(self, broker_url: str) -> None:
        self._app = make_app(broker_url)
        self._paused_until = 0.0

    def ring(self, job_id: uuid.UUID, queue: str, priority: int) -> bool:
        """Publish ``job_id``; return whether the broker took it. Never raises, waits two seconds at most."""
        if time.monotonic() < self._paused_until:
            return False
        try:
            with self._app.producer_pool.acquire(block=True, timeout=1) as producer:
                self._app.send_task(
                    RUN_JOB,
                    args=[str(job_id)],
                    queue=queue_name(queue),
                    priority=priority,
                    producer=producer,
                    retry=False,
                    ignore_result=True,
                )
        except Exception as error:
            self._paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_S
            log.warning("doorbell_not_heard", job_id=str(job_id), reason=f"{type(error).__name__}: {error}")
            return False
        return True
