"""How the installation does: queues, workers with their graphics cards, cases on their way and turnaround."""

import uuid
from datetime import datetime

from pydantic import BaseModel


class QueueState(BaseModel):
    """A queue in the caller's programs, times in seconds.

    `waiting`, `running` and `oldest_waiting_s` are now; the rest is of the newest jobs, at most 2000 of all queues,
    that were asked for within 24 hours: medians and 95th percentiles (`slow`) of those that ended.
    """

    queue: str
    waiting: int
    running: int
    oldest_waiting_s: float | None
    succeeded: int
    failed: int
    wait_median_s: float | None
    wait_slow_s: float | None
    run_median_s: float | None
    run_slow_s: float | None


class CardItem(BaseModel):
    """A graphics card of the worker's host; `busy_part` is of the last second, 0 to 1."""

    index: int
    name: str
    memory_bytes: int
    used_bytes: int | None
    busy_part: float | None


class RunningJob(BaseModel):
    """The job that a worker runs."""

    id: uuid.UUID
    kind: str
    started_at: datetime | None


class WorkerItem(BaseModel):
    """A worker process; `state` is `idle`, `running` or `silent` (no sign for 45 s).

    `job` is null where the job is of a program that the caller may not look into.
    """

    name: str
    queues: list[str]
    cards: list[CardItem]
    version: str
    started_at: datetime
    seen_at: datetime
    state: str
    job: RunningJob | None


class OpenCase(BaseModel):
    """An open case: the step that is under way since when, or `no step under way` since the last one ended."""

    id: uuid.UUID
    program_id: uuid.UUID
    title: str
    assigned_to: str | None
    stage: str
    person: str | None
    since: datetime
    total_s: float
    worked_s: float
    idle_s: float


class StepTime(BaseModel):
    """A kind of step: in how many of the cases it was taken, and the median of its time in those."""

    kind: str
    cases: int
    median_s: float


class ClosedCases(BaseModel):
    """Turnaround of the newest `cases` among the `of_cases` that were signed off within 90 days.

    Where there are more, it is of the newest 500 at most, and of no more than have 20,000 steps together: every case
    counts with all of its steps or not at all. `since` is the oldest sign-off among them; `slow` is the 90th
    percentile, nearest rank.
    """

    cases: int
    of_cases: int
    since: datetime
    total_median_s: float
    total_slow_s: float
    worked_median_s: float
    worked_part: float | None
    steps: list[StepTime]


class CaseLoadDocument(BaseModel):
    """`open_rows` are the oldest of the `open_cases`; `stages` counts them by the step that is under way.

    They are 200 at most, and no more than have 20,000 steps together.
    """

    open_cases: int
    open_rows: list[OpenCase]
    stages: dict[str, int]
    closed: ClosedCases | None


class OperationsOverview(BaseModel):
    """One look at how the installation does; `cases` are those whose records the caller may read."""

    queues: list[QueueState]
    workers: list[WorkerItem]
    cases: CaseLoadDocument
