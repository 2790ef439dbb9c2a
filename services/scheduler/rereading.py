"""Reading files again when the adapters have changed."""

import uuid
from collections.abc import Mapping

import structlog
from sqlalchemy import Engine

from db.repositories import ingest, jobs
from db.unit_of_work import begin
from services.pipelines.job_keys import ingest_key
from services.settings import Settings

log = structlog.get_logger(__name__)

BATCH = 500
REREAD_PRIORITY = 8
"""Behind everything that people and instruments wait for."""


def request_rereading(engine: Engine, settings: Settings, versions: Mapping[str, str], fingerprint: str) -> int:
    """Insert an ingest job for everything that the present adapters may read otherwise; return how many are new.

    ``versions`` maps adapter to version, ``fingerprint`` identifies the set: each file is read once for each set.
    """
    after: uuid.UUID | None = None
    requested = 0
    while True:
        with begin(engine) as unit:
            subjects = ingest.list_subjects(unit.connection, after, BATCH)
            for stale in ingest.find_stale(unit.connection, subjects, versions):
                requested += jobs.insert(unit.connection, _job(stale, settings, fingerprint))[1]
        if len(subjects) < BATCH:
            break
        after = subjects[-1]
    if requested:
        log.info("rereading_requested", count=requested, fingerprint=fingerprint)
    return requested


def _job(stale: ingest.StaleReading, settings: Settings, fingerprint: str) -> jobs.NewJob:
    return jobs.NewJob(
        job_key=ingest_key(stale.program_id, stale.content_sha256, fingerprint),
        program_id=stale.program_id,
        kind="ingest",
        queue="ingest",
        payload=dict(stale.payload),
        requested_by="service:scheduler",
        priority=REREAD_PRIORITY,
        max_attempts=settings.job_max_attempts,
    )
