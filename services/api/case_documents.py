"""Failure-analysis cases as requests and answers."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, Field, model_validator

from db.schema.cases import CaseState, Mechanism, RootCause, StepKind
from services.api.documents import Document, Name
from services.api.listing import ProgramQuery
from services.api.record_documents import ProgramRow

Prose = Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00]*$")]
Words = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
Short = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class CaseQuery(ProgramQuery):
    """Filters of cases; `search` looks for whole words in titles and descriptions."""

    unit: uuid.UUID | None = None
    state: CaseState | None = None
    assigned_to: uuid.UUID | None = None
    mechanism: Mechanism | None = None
    root_cause: RootCause | None = None
    search: Words | None = None


class CaseRequest(Document):
    """A case to be opened."""

    program: Name
    title: Name
    description: Prose = ""
    unit_id: uuid.UUID | None = None


class CaseChange(Document):
    """What is to change about an open case; what is left out stays."""

    title: Name | None = None
    description: Prose | None = None
    unit_id: uuid.UUID | None = None
    assigned_to_id: uuid.UUID | None = None
    mechanism: Mechanism | None = None
    root_cause: RootCause | None = None
    conclusion: Prose | None = None

    @model_validator(mode="after")
    def _text_stays_text(self) -> Self:
        for name in ("title", "description"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null")
        return self


class StepRequest(Document):
    """A step; `ended_at` left out: it goes on. `person` left out: whoever asks."""

    kind: StepKind
    began_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    person: Name | None = None
    note: Prose = ""
    instrument_id: uuid.UUID | None = None
    tool: Short = ""
    sample_id: uuid.UUID | None = None

    @model_validator(mode="after")
    def _ends_after_it_began(self) -> Self:
        if self.ended_at is not None and self.ended_at < self.began_at:
            raise ValueError("ended_at is before began_at")
        return self


class StepEnd(Document):
    """When a step ended."""

    ended_at: AwareDatetime


class SampleRequest(Document):
    """A piece that is examined."""

    name: Name
    description: Prose = ""
    place: Short = ""


class EvidenceRequest(Document):
    """A probing session or a file, of the case's program, that the case rests on."""

    probing_session_id: uuid.UUID | None = None
    raw_file_id: uuid.UUID | None = None
    note: Prose = ""

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.probing_session_id is None) == (self.raw_file_id is None):
            raise ValueError("name a probing_session_id or a raw_file_id")
        return self

    def subject(self) -> tuple[str, uuid.UUID]:
        """Return the column and the id."""
        if self.probing_session_id is not None:
            return "probing_session_id", self.probing_session_id
        assert self.raw_file_id is not None
        return "raw_file_id", self.raw_file_id


class DecisionRequest(Document):
    """A word on why a case is signed off or reopened."""

    note: Prose = ""


class CaseItem(ProgramRow):
    """A case."""

    unit_id: uuid.UUID | None
    title: str
    state: CaseState
    opened_by: str
    assigned_to_id: uuid.UUID | None
    mechanism: Mechanism | None
    root_cause: RootCause | None
    concluded_by: str | None
    closed_at: datetime | None


class _Child(ProgramRow):
    case_id: uuid.UUID


class StepItem(_Child):
    """A step, and who did it with what on which sample."""

    kind: StepKind
    note: str
    person: str
    instrument_id: uuid.UUID | None
    tool: str
    sample_id: uuid.UUID | None
    began_at: datetime
    ended_at: datetime | None
    recorded_by: str


class SampleItem(_Child):
    """A piece that is examined, and where it is kept."""

    name: str
    description: str
    place: str
    recorded_by: str


class EvidenceItem(_Child):
    """A session or a file that the case rests on."""

    probing_session_id: uuid.UUID | None
    raw_file_id: uuid.UUID | None
    note: str
    recorded_by: str


class DecisionItem(_Child):
    """A sign-off or a reopening, with the conclusion as it stood."""

    kind: Literal["signed-off", "reopened"]
    person: str
    note: str
    conclusion: dict[str, Any]


class TurnaroundDocument(BaseModel):
    """Seconds, measured from the steps: `worked_s` counts overlapping steps once and no waiting."""

    total_s: float
    worked_s: float
    idle_s: float
    by_kind_s: dict[str, float]
    running: bool


class CaseDetailDocument(CaseItem):
    """A case with all that belongs to it, oldest first."""

    description: str
    conclusion: str | None
    steps: list[StepItem]
    samples: list[SampleItem]
    evidence: list[EvidenceItem]
    decisions: list[DecisionItem]
    turnaround: TurnaroundDocument
