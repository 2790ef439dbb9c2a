"""Counts for the metrics page: how the queues stand."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from db.schema.files import raw_file, upload
from db.schema.work import JOB_STATES, QUEUES, job


@dataclass(frozen=True)
class Statistics:
    """One look at the whole installation."""

    jobs: Mapping[tuple[str, str], int]
    oldest_queued_s: Mapping[str, float]
    leases_expired: int
    files: Mapping[str, int]
    uploads_open: int


def count_everything(connection: Connection) -> Statistics:
    """Return the counts as of now; every queue and state is there, zeros included."""
    counts = {(queue, state): 0 for queue in QUEUES for state in JOB_STATES}
    for row in connection.execute(select(job.c.queue, job.c.state, func.count()).group_by(job.c.queue, job.c.state)):
        counts[row[0], row[1]] = row[2]
    age = func.extract("epoch", func.now() - func.min(job.c.created_at))
    oldest = dict.fromkeys(QUEUES, 0.0)
    for row in connection.execute(select(job.c.queue, age).where(job.c.state == "queued").group_by(job.c.queue)):
        oldest[row[0]] = max(0.0, float(row[1]))
    expired = select(func.count()).where(job.c.state == "running", job.c.lease_expires_at < func.now())
    files = connection.execute(select(raw_file.c.state, func.count()).group_by(raw_file.c.state))
    open_uploads = select(func.count()).where(upload.c.completed_at.is_(None), upload.c.expires_at > func.now())
    return Statistics(
        jobs=counts,
        oldest_queued_s=oldest,
        leases_expired=int(connection.execute(expired).scalar_one()),
        files={row[0]: row[1] for row in files},
        uploads_open=int(connection.execute(open_uploads).scalar_one()),
    )
