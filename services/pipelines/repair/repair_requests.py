"""What is asked about stored logs, inspections and measurements: the bodies of REST and the payloads of jobs."""

import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.pipelines.repair.advice_request import Named
from services.pipelines.repair.handoff_request import HandoffRequest
from services.pipelines.repair.repair_constants import MOST_CONSTANTS, GivenConstant

MOST_TABLES = 50
OtherTables = Annotated[
    list[uuid.UUID], Field(default_factory=list, max_length=MOST_TABLES, description="further tables of the same kind")
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class LearningRequest(_Strict):
    """Which logs to learn from, beside the one that is asked of."""

    other_table_ids: OtherTables
    material: str | None = Field(default=None, min_length=1, max_length=60, description="of steps that name none")
    constants: list[GivenConstant] = Field(default_factory=list, max_length=MOST_CONSTANTS)


class GivenCriteria(_Strict):
    """When a repair counts as held, by figures measured after it; what is left out has a default without a source."""

    delta_cd_pct: float = Field(default=10.0, gt=0, description="largest change of a width, of either sign")
    transmission_loss_pct: float = Field(default=5.0, gt=0)
    residual_nm: float = Field(default=20.0, gt=0)
    phase_deg: float = Field(default=5.0, gt=0, description="of a pit in the quartz")
    wavelength_nm: float = Field(default=193.0, gt=0)
    index: float = Field(default=1.563, gt=1)
    source: str = Field(default="defaults without a source", min_length=1, max_length=500)


class OutcomeRequest(_Strict):
    """Which logs and inspections go together."""

    other_table_ids: OtherTables
    defect_table_id: uuid.UUID | None = Field(default=None, description="the inspection that the repairs answer")
    after_table_id: uuid.UUID | None = Field(default=None, description="a second inspection of the same sample")
    printability_result_ids: list[uuid.UUID] = Field(
        default_factory=list,
        max_length=MOST_TABLES,
        description="results of the kind printability that judge what the repairs left, defects by name",
    )
    criteria: GivenCriteria = Field(default_factory=GivenCriteria)
    same_frame: bool = Field(default=False, description="positions of the tool are in the frame of the defects")
    sigma_um: float = Field(default=1.0, gt=0, le=1e4, description="of positions whose file states none")


class MetrologyRequest(_Strict):
    """What the files do not say."""

    other_table_ids: OtherTables
    scale: Literal["mask", "wafer"] | None = None
    magnification: float | None = Field(default=None, gt=0, le=1e3)
    tone: Literal["clear", "opaque"] | None = None

    @model_validator(mode="after")
    def _known(self) -> "MetrologyRequest":
        if self.scale == "wafer" and self.magnification is None:
            raise ValueError("values at wafer scale need a magnification")
        return self


class PlanRequest(_Strict):
    """A hand-off with the constants of the log that is asked of."""

    other_table_ids: OtherTables
    handoff: HandoffRequest


class HandoffQuestion(_Strict):
    """A hand-off without a log; the constants that were learned before are those of a stored result."""

    program: Named = Field(description="the program whose question this is")
    handoff: HandoffRequest
    learning_result_id: uuid.UUID | None = Field(
        default=None, description="a result of the kind repair-learning, whose constants stand before the table's"
    )
