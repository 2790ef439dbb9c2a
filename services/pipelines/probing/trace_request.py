"""What is asked of process traces: bodies of REST, payloads of jobs, options of the command line."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from services.pipelines.question import read_question

KINDS = ("equipment_trace", "equipment_event")
"""Of the tables that are read: samples, and the events that say what ran."""

Name = Annotated[str, Field(min_length=1, max_length=200)]


class TraceRequest(BaseModel):
    """How traces are to be checked."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    since: datetime | None = Field(
        default=None, description="Samples from then on are judged; by default the file that begins last. UTC if bare."
    )
    context: list[Name] = Field(
        default=[], max_length=5, description="Variables that say what runs, such as recipe and step."
    )
    parameters: list[Name] = Field(default=[], max_length=200, description="Variables to check; all numbers if empty.")
    false_alarms: float = Field(default=0.05, gt=0, lt=1, description="Part of good runs that may be alarms.")
    window: int | None = Field(default=None, ge=4, le=10_000, description="In samples.")
    block: int = Field(default=200, ge=12, le=1_000_000, description="Samples at which a longer run is cut.")


def ask_traces(question: dict[str, Any]) -> TraceRequest:
    """Return the request that ``question`` is.

    Raises:
        ValueError: it is none; one sentence says why.
    """
    return read_question(TraceRequest, question)


class StoredTraceRequest(TraceRequest):
    """The same of stored files: journals of one or more equipments."""

    file_ids: list[uuid.UUID] = Field(min_length=1, max_length=500)
