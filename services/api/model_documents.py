"""Learned models, their versions, decisions and watches, as requests and answers."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from db.schema.models import Decision, VersionState, WatchVerdict
from services.api.documents import Document, Name
from services.api.listing import ProgramQuery
from services.api.record_documents import ProgramRow

Reason = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]


class ModelQuery(ProgramQuery):
    """Filters of models."""

    name: Name | None = None
    kind: Name | None = None


class ModelVersionQuery(ProgramQuery):
    """Filters of versions."""

    model: uuid.UUID | None = None
    state: VersionState | None = None


class ModelDecisionQuery(ProgramQuery):
    """Filters of decisions."""

    model: uuid.UUID | None = None
    version: uuid.UUID | None = None
    kind: Decision | None = None


class ModelWatchQuery(ProgramQuery):
    """Filters of watches."""

    version: uuid.UUID | None = None
    table: uuid.UUID | None = None
    verdict: WatchVerdict | None = None


class ModelItem(ProgramRow):
    """A question that versions of a learned model answer."""

    name: str
    kind: str
    created_by: str


class ModelVersionItem(ProgramRow):
    """A version: what it rests on, how it did on later units, and whether it counts."""

    model_id: uuid.UUID
    number: int
    state: VersionState
    job_id: uuid.UUID
    algorithm: str
    code_version: str
    data_sha256: str
    sha256: str
    byte_length: int
    beats_baselines: bool
    simulated: bool
    metrics: Any
    calibration: Any
    created_by: str
    promoted_at: datetime | None


class ModelVersionDetail(ModelVersionItem):
    """A version with its card."""

    card: Any


class ModelDecisionItem(ProgramRow):
    """Who let which version count, or no longer, and why."""

    model_id: uuid.UUID
    version_id: uuid.UUID
    replaced_version_id: uuid.UUID | None
    kind: Decision
    person: str
    reason: str
    overridden: list[str]


class ModelWatchItem(ProgramRow):
    """What newer units say of a version; its result has the index of each feature and the calibration over time."""

    version_id: uuid.UUID
    table_id: uuid.UUID
    result_id: uuid.UUID
    verdict: WatchVerdict
    features: str
    calibration: str
    units: int


class PromotionRequest(Document):
    """Why a version shall count. Objections are overridden only on purpose, and with a reason."""

    reason: Reason = ""
    override: bool = False


class RollbackRequest(Document):
    """Why the version before shall count again."""

    reason: Reason = ""


class RetirementRequest(Document):
    """Why a version shall not count."""

    reason: Reason = ""
