"""Ringing the doorbell: publish a job's id after the commit that inserted it."""

import uuid

import structlog

from services.workers.celery_app import RUN_JOB, make_app, queue_name

log = structlog.get_logger(__name__)


class Doorbell:
    """Publishes job ids; a broker that is down costs latency, since workers also look at the rows themselves."""

    def __init__(self, broker_url: str) -> None:
        self._app = make_app(broker_url)

    def ring(self, job_id: uuid.UUID, queue: str, priority: int) -> bool:
        """Publish ``job_id``; return whether the broker took it. Never raises, waits about a second at most."""
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
            log.warning("doorbell_not_heard", job_id=str(job_id), reason=f"{type(error).__name__}: {error}")
            return False
        return True
