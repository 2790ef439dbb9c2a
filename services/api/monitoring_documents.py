"""Control charts, their limits, and events, as requests and answers."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, Field, model_validator

from db.schema.events import EventKind
from db.schema.monitoring import BaselineState, ChartState, Quantity
from services.api.documents import Document, Name
from services.api.listing import ProgramQuery
from services.api.record_documents import ProgramRow

Text = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class ChartQuery(ProgramQuery):
    """Filters of control charts."""

    instrument: uuid.UUID | None = None
    node: Name | None = None
    quantity: Quantity | None = None
    state: ChartState | None = None


class ReadingQuery(ProgramQuery):
    """Filters of reference readings."""

    chart: uuid.UUID | None = None
    raw_file: uuid.UUID | None = None
    bundle: uuid.UUID | None = None


class BaselineQuery(ProgramQuery):
    """Filters of charts' limits."""

    chart: uuid.UUID | None = None
    state: BaselineState | None = None


class EventQuery(ProgramQuery):
    """Filters of events."""

    kind: EventKind | None = None
    instrument: uuid.UUID | None = None
    subject: uuid.UUID | None = None


class ChartItem(ProgramRow):
    """One quantity of one reference node of an instrument; only readings of an equal `setup` are comparable.

    `state` is that of the newest point: `collecting` until there are frozen limits and a point after them.
    """

    instrument_id: uuid.UUID
    node: str
    quantity: Quantity
    unit: str
    setup: dict[str, Any]
    simulated: bool
    state: ChartState
    revision: int
    evaluated_revision: int | None
    evaluated_at: datetime | None


class ChartPoint(BaseModel):
    """A reading; those of phase 1 are not judged."""

    reading_id: uuid.UUID
    observed_at: datetime
    value: float
    sigma: float | None
    phase: Literal[1, 2]


class DrawnChart(BaseModel):
    """One chart: a number, or null where a point is not judged or has no limit, for each of the points."""

    kind: str
    centre: float
    statistic: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
    conventions: dict[str, Any]


class ChartSignal(BaseModel):
    """A rule that fired at a point; `since` is where its pattern began."""

    chart: str
    rule: str
    meaning: str
    statistic: float
    reading_id: uuid.UUID
    observed_at: datetime
    since_reading_id: uuid.UUID
    since: datetime


class BaselineSummary(BaseModel):
    """The limits that count, and who has frozen them."""

    id: uuid.UUID
    centre: float
    sigma: float
    count: int | None
    method: str
    warnings: list[str]
    parameters: dict[str, Any]
    note: str
    from_at: datetime | None
    to_at: datetime
    requested_by: str
    requested_at: datetime


class ChartEvaluation(BaseModel):
    """How a chart stood when it was last evaluated; the newest points are shown, `count` is of all."""

    count: int
    judged: int
    truncated: bool
    points: list[ChartPoint]
    charts: list[DrawnChart]
    signals: list[ChartSignal]
    baseline: BaselineSummary | None
    provenance: dict[str, Any]


class ChartDetail(ChartItem):
    """A control chart with its points, limits and signals."""

    evaluation: ChartEvaluation | None


class ReferenceReadingItem(ProgramRow):
    """One value of a chart, in the chart's unit; its result says how it was measured."""

    chart_id: uuid.UUID
    raw_file_id: uuid.UUID
    bundle_id: uuid.UUID | None
    member_path: str
    record_index: int
    value: float
    sigma: float | None
    observed_at: datetime
    result_id: uuid.UUID


class ChartParameters(BaseModel):
    """Which of Nelson's rules, and what the EWMA and CUSUM charts are drawn with, the last two in sigma."""

    rules: Annotated[list[Annotated[int, Field(ge=1, le=8)]], Field(max_length=8)] = Field([1, 2, 5, 6])
    ewma_weight: Annotated[float, Field(gt=0, le=1)] = 0.2
    ewma_width: Annotated[float, Field(gt=0, le=10)] = 2.962
    cusum_reference: Annotated[float, Field(ge=0, le=10)] = 0.5
    cusum_decision: Annotated[float, Field(gt=0, le=100)] = 5.0


class BaselineRequest(Document):
    """Limits for a chart: estimated from its readings between two times, or given as `centre` and `sigma`.

    Readings after `to_at` (default: now) are judged by them. The newest frozen limits of a chart count.
    """

    chart: uuid.UUID
    from_at: AwareDatetime | None = None
    to_at: AwareDatetime | None = None
    robust: bool = False
    centre: Finite | None = None
    sigma: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
    parameters: ChartParameters = ChartParameters()
    note: Text = ""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.centre is None) != (self.sigma is None):
            raise ValueError("centre and sigma are given together, or neither")
        if self.from_at is not None and self.to_at is not None and self.from_at > self.to_at:
            raise ValueError("from_at is after to_at")
        return self


class BaselineItem(ProgramRow):
    """Limits of a chart: requested, and by a worker frozen or refused with the reason. Frozen ones never change."""

    chart_id: uuid.UUID
    state: BaselineState
    from_at: datetime | None
    to_at: datetime
    robust: bool
    centre: float | None
    sigma: float | None
    count: int | None
    method: str | None
    warnings: list[str]
    parameters: dict[str, Any]
    reason: str | None
    note: str
    requested_by: str
    frozen_at: datetime | None


class EventItem(ProgramRow):
    """Something that happened, once; `data` depends on the kind."""

    kind: EventKind
    instrument_id: uuid.UUID | None
    subject_type: str
    subject_id: uuid.UUID
    data: dict[str, Any]
    occurred_at: datetime
