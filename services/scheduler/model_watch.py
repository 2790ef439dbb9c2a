"""Watching learned models: every new table of unit evidence is compared with the version that counts."""

from collections.abc import Callable

import structlog
from sqlalchemy import Engine

from db.repositories import jobs
from db.repositories.jobs import DueJob
from db.repositories.models import DueWatch, find_due_watches
from db.unit_of_work import begin
from services.pipelines.job_keys import make_key
from services.pipelines.versions import LATENT_RISK_VERSION
from services.settings import Settings

log = structlog.get_logger(__name__)

QUEUE, PRIORITY = "cpu", 6
_ACTOR = "service:model-watch"


def watch_models(engine: Engine, settings: Settings, ring: Callable[[DueJob], object]) -> int:
    """Ask for a job ``latent-risk-drift`` for each new table under each promoted version; return how many are new.

    ``ring`` is told of each after the commit. Any number may do this at once: the job's key is unique.
    """
    asked: list[DueJob] = []
    with begin(engine) as unit:
        for due in find_due_watches(unit.connection, "latent-risk", "unit_evidence"):
            job_id, created = jobs.insert(unit.connection, _job(due, settings))
            if created:
                asked.append(DueJob(job_id, QUEUE, PRIORITY))
    for each in asked:
        ring(each)
    if asked:
        log.info("models_watched", jobs=len(asked))
    return len(asked)


def _job(due: DueWatch, settings: Settings) -> jobs.NewJob:
    question = {"model": due.name, "version": due.number, "other_table_ids": []}
    inputs = [str(due.table_id), due.table_sha256, str(due.version_id), due.version_sha256]
    return jobs.NewJob(
        job_key=make_key("latent-risk-drift", LATENT_RISK_VERSION, inputs, question),
        program_id=due.program_id,
        kind="latent-risk-drift",
        queue=QUEUE,
        payload={"table_id": str(due.table_id), "version_id": str(due.version_id), "question": question},
        requested_by=_ACTOR,
        priority=PRIORITY,
        max_attempts=settings.job_max_attempts,
    )
