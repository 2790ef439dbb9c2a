"""What agents on instrument PCs report, and how an instrument is doing."""

import uuid
from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field

from services.api.documents import ByteCount, Document, Name

Seconds = Annotated[float, Field(ge=0, le=1e10, allow_inf_nan=False)]
Reason = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]+$")]


class AgentReportDocument(Document):
    """What an agent says of one watched folder.

    `agent_id` stays the same as long as its journal does; `sent_at` is the time of the agent's own clock.
    """

    agent_id: uuid.UUID
    agent_version: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[!-~]+$")]
    folder: Name
    waiting_files: ByteCount
    waiting_bytes: ByteCount
    oldest_waiting_s: Seconds | None = None
    refused_files: ByteCount
    trouble: Reason | None = None
    sent_at: AwareDatetime


class AgentItem(BaseModel):
    """The last report of an agent; `clock_offset_s` is its clock minus the server's."""

    agent_id: uuid.UUID
    agent_version: str
    folder: str
    waiting_files: int
    waiting_bytes: int
    oldest_waiting_s: float | None
    refused_files: int
    trouble: str | None
    clock_offset_s: float
    reported_at: datetime
    silent_since: datetime | None
    backlog_since: datetime | None


class FileCounts(BaseModel):
    """The instrument's originals by state."""

    received: int
    stored: int
    quarantined: int


class QuarantinedItem(BaseModel):
    """How many files and bundles a version of an adapter refused that nothing has read since."""

    adapter: str | None
    adapter_version: str | None
    files: int


class AdapterReadings(BaseModel):
    """What a version of an adapter has made of the instrument's files and bundles: each reading of each counts."""

    adapter: str | None
    adapter_version: str | None
    stored: int
    refused: int
    last_at: datetime


class InstrumentHealth(BaseModel):
    """How an instrument is doing; `last_contact_at` is when a key of it was last used, to the minute."""

    instrument_id: uuid.UUID
    program_id: uuid.UUID
    last_upload_at: datetime | None
    last_contact_at: datetime | None
    open_uploads: int
    files: FileCounts
    agents: list[AgentItem]
    quarantined: list[QuarantinedItem]
    readings: list[AdapterReadings]
