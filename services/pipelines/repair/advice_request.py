"""What is asked about a technique for a defect: rules and limits of the laboratory's own, and the body of REST."""

import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_RULES = 500
PLAIN = r"^[^\x00-\x1f\x7f]+$"
"""Text without control characters."""
Named = Annotated[str, Field(min_length=1, max_length=200, pattern=PLAIN)]
_Told = Annotated[str, Field(min_length=1, max_length=500, pattern=PLAIN)]
_Words = Annotated[list[Named], Field(max_length=50)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, populate_by_name=True)


class GivenRule(_Strict):
    """A rule of the laboratory's own."""

    technique: Literal["laser", "fib", "e-beam"]
    stance: Literal["suits", "caution", "against"]
    reason: _Told
    source: _Told
    label: Literal["quoted", "derived", "unverified", "laboratory"] = "laboratory"
    defect_types: _Words = []
    tones: _Words = []
    layers: _Words = []
    size_min_nm: float | None = Field(default=None, ge=0)
    size_max_nm: float | None = Field(default=None, gt=0)


class GivenLimit(_Strict):
    """The sizes that a technique repairs in this laboratory, at mask scale; it stands instead of the default."""

    technique: Literal["laser", "fib", "e-beam"]
    least_nm: float | None = Field(default=None, ge=0, description="unset: no defect is too small")
    most_nm: float | None = Field(default=None, gt=0, description="unset: no defect is too large")
    source: _Told
    label: Literal["quoted", "derived", "unverified", "laboratory"] = "laboratory"

    @model_validator(mode="after")
    def _ordered(self) -> "GivenLimit":
        if self.least_nm is not None and self.most_nm is not None and self.least_nm >= self.most_nm:
            raise ValueError("least_nm is below most_nm")
        return self


class OwnRules(_Strict):
    """Rules and limits of the laboratory's own, beside the defaults; ``replace`` leaves the defaults out."""

    replace: bool = False
    rules: list[GivenRule] = Field(default_factory=list, max_length=MOST_RULES)
    limits: list[GivenLimit] = Field(default_factory=list, max_length=3)


class RuleFile(OwnRules):
    """A file of rules."""

    schema_name: Literal["faultlight.repair-rules/1"] = Field(default="faultlight.repair-rules/1", alias="schema")


class AdviceRequest(_Strict):
    """Which technique suits a defect; what is not known is left out."""

    program: Named = Field(description="the program whose question this is")
    defect_type: Named | None = None
    size_nm: float | None = Field(default=None, gt=0, le=1e9, description="at mask scale")
    tone: Literal["clear", "opaque"] | None = None
    layer: Named | None = None
    own: OwnRules = Field(default_factory=OwnRules)
    outcome_result_id: uuid.UUID | None = Field(
        default=None, description="a result of the kind repair-outcome: the laboratory's record"
    )
