"""What one API process holds: settings, the engines, the blob store, the doorbell, the rate limiter."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import anyio
from sqlalchemy import Engine

from db.blobs import BlobStore
from services.api.ratelimit import RateLimiter
from services.api.recent_keys import RecentKeys
from services.api.uploads.digests import RunningDigests
from services.api.uploads.staging import Staging
from services.settings import Settings


class RingsForJobs(Protocol):
    """What tells the workers that a job waits; never raises, never blocks for long."""

    def ring(self, job_id: UUID, queue: str, priority: int) -> bool:
        """Publish the job's id."""


@dataclass(frozen=True)
class ApiState:
    """The resources of one API process, made once by :func:`services.api.app.create_app`."""

    settings: Settings
    engine: Engine
    reading_engine: Engine
    blobs: BlobStore
    doorbell: RingsForJobs
    limiter: RateLimiter
    recent_keys: RecentKeys
    staging: Staging
    digests: RunningDigests
    file_threads: anyio.CapacityLimiter
    head_revision: str

    def ring(self, job_id: UUID, queue: str, priority: int) -> None:
        """Tell the workers that a job waits; nothing depends on it."""
        self.doorbell.ring(job_id, queue, priority)
