"""Reports, their schedules and deliveries, as requests and answers."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from db.schema.reports import CatchUp, MailState, ReportState
from services.api.documents import Document, Name, Sha256
from services.api.listing import ProgramQuery
from services.api.monitoring_documents import Text
from services.api.record_documents import ProgramRow
from services.pipelines.reliability.report_requests import ReportContent
from services.reports.mail import ADDRESS_PATTERN

Cron = Annotated[str, Field(min_length=9, max_length=200, pattern=r"^[!-~ ]+$")]
Zone = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_+/-]+$")]
Address = Annotated[str, Field(max_length=254, pattern=ADDRESS_PATTERN)]
Recipients = Annotated[list[Address], Field(max_length=50)]


class ScheduleQuery(ProgramQuery):
    """Filters of report schedules."""

    name: Name | None = None
    enabled: bool | None = None


class ReportQuery(ProgramQuery):
    """Filters of reports."""

    schedule: uuid.UUID | None = None
    state: ReportState | None = None


class MailQuery(ProgramQuery):
    """Filters of deliveries by e-mail."""

    report: uuid.UUID | None = None
    state: MailState | None = None


class DueRequest(Document):
    """A schedule whose due times are asked for before it is made."""

    program: Name
    cron: Cron
    time_zone: Zone = "UTC"
    after: datetime | None = Field(None, description="from when; now if absent")
    count: Annotated[int, Field(ge=1, le=100)] = 10


class DueTime(BaseModel):
    """A due time, in UTC and as the clock on the wall shows it."""

    due_at: datetime
    local: str


class DueTimes(BaseModel):
    """The next due times, and in words what the cron expression says."""

    cron: str
    time_zone: str
    explanation: str
    due: list[DueTime]


class ScheduleRequest(Document):
    """A report that is to be made on time. `catch_up`: what becomes of due times that nobody saw in time."""

    program: Name
    name: Name
    description: Text = ""
    cron: Cron
    time_zone: Zone = "UTC"
    catch_up: CatchUp = "latest"
    enabled: bool = True
    content: ReportContent = Field(default_factory=ReportContent)
    recipients: Recipients = Field([])


class ScheduleChange(Document):
    """What is to change. While a schedule is not enabled nothing is made, and nothing of that time is caught up."""

    name: Name | None = None
    description: Text | None = None
    cron: Cron | None = None
    time_zone: Zone | None = None
    catch_up: CatchUp | None = None
    enabled: bool | None = None
    content: ReportContent | None = None
    recipients: Recipients | None = None
    revision: Annotated[
        int | None, Field(ge=1, description="that was read; a conflict when somebody has changed it since")
    ] = None


class ReportRequest(Document):
    """A report that is asked for now; `period_days` is how far back it tells of what happened."""

    program: Name
    title: Name
    period_days: Annotated[float, Field(gt=0, le=3660)] = 31.0
    content: ReportContent = Field(default_factory=ReportContent)
    recipients: Recipients = Field([])


class MailRequest(Document):
    """To whom a report is to be mailed; whoever has a delivery of it already gets no second one."""

    recipients: Annotated[list[Address], Field(min_length=1, max_length=50)]


class ScheduleItem(ProgramRow):
    """A schedule; `next_due_at` is the first due time without a report."""

    name: str
    description: str
    cron: str
    time_zone: str
    catch_up: CatchUp
    enabled: bool
    recipients: list[str]
    next_due_at: datetime
    revision: int
    created_by: str


class ScheduleDetail(ScheduleItem):
    """A schedule with its content."""

    content: dict[str, Any]


class ReportFile(BaseModel):
    """A file of a report."""

    key: str
    sha256: Sha256
    bytes: int


class ReportItem(ProgramRow):
    """A report: `due` until its job has made it, `skipped` for a `reason`; a job that failed says why itself."""

    schedule_id: uuid.UUID | None
    due_at: datetime | None
    title: str
    recipients: list[str]
    freeze_at: datetime
    period_from: datetime
    state: ReportState
    reason: str | None
    job_id: uuid.UUID | None
    previous_id: uuid.UUID | None
    scorecard: list[dict[str, Any]] | None
    files: dict[str, ReportFile] | None
    inputs_sha256: str | None
    simulated: bool
    requested_by: str
    made_at: datetime | None


class ReportDetail(ReportItem):
    """A report with what it was asked for."""

    content: dict[str, Any]


class MailItem(ProgramRow):
    """A report on its way to a recipient.

    `unknown`: the connection broke after the message was sent and before the server replied; it is not sent again
    unless somebody asks.
    """

    report_id: uuid.UUID
    recipient: str
    state: MailState
    attempts: int
    next_attempt_at: datetime
    lease_expires_at: datetime | None
    submitted_at: datetime | None
    reply: str | None
    reason: str | None
    delivered_at: datetime | None
    requested_by: str


class MailBatch(BaseModel):
    """The deliveries that a request has made."""

    items: list[MailItem]
