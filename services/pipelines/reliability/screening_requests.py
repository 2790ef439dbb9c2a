"""What is asked of a screen of tested parts: bodies of REST, payloads of jobs, options of the command line."""

import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.pipelines.question import read_question

KINDS = ("test_run", "test_item", "test_part", "test_result", "test_wafer", "wafer_map", "readout")
"""Of the tables that tested parts are read from."""

ScreenName = Literal["part-average", "neighbour-residual", "bad-neighbourhood", "stack", "multivariate", "signatures"]
SCREENS: tuple[ScreenName, ...] = (
    "part-average", "neighbour-residual", "bad-neighbourhood", "stack", "multivariate", "signatures",
)  # fmt: skip


class ScreenRequest(BaseModel):
    """How parts are to be screened."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    screens: list[ScreenName] = Field(default_factory=lambda: list(SCREENS), min_length=1, max_length=6)
    group: Literal["wafer", "lot"] = Field(default="wafer", description="parts that dynamic limits are from")
    tests: list[str] = Field(default_factory=list, max_length=1000, description="numbers or names; all if empty")
    sigmas: float = Field(default=6.0, gt=0, le=100)
    divisor: float = Field(default=1.35, gt=0, le=10, description="interquartile range over robust sigma")
    quartiles: Literal["linear", "hazen", "weibull", "median_unbiased"] = "linear"
    shape: Literal["symmetric", "asymmetric", "by-skewness"] = "symmetric"
    least_parts: int = Field(default=30, ge=4, le=1_000_000)
    least_lots: int = Field(default=6, ge=1, le=1000, description="of static limits")
    residual_reach: int = Field(default=2, ge=1, le=10, description="in dies")
    least_neighbours: int = Field(default=5, ge=1, le=400)
    fail_threshold: float = Field(default=4.0, gt=0, le=400, description="weighted failing neighbours of a full set")
    fail_reach: int = Field(default=1, ge=1, le=10)
    diagonal_weight: float = Field(default=1.0, gt=0, le=10)
    least_wafers: int = Field(default=5, ge=2, le=1000, description="of a stack")
    rate: float = Field(default=0.05, gt=0, lt=0.5, description="false-discovery rate of stacks and signatures")
    false_alarm: float = Field(default=0.05, gt=0.004, lt=0.5, description="that a multivariate screen errs on a group")
    together: Literal["readings", "residuals", "both"] = Field(default="both", description="what tests are joined")
    planted: int = Field(default=0, ge=0, le=10_000, description="outliers planted in the readings, for escapes")
    planted_sigmas: float = Field(default=8.0, gt=0, le=1000, description="of the planted parts' shift")
    level: float = Field(default=0.9, gt=0, lt=1, description="of the intervals of overkill and escapes")
    seed: int = Field(default=0, ge=0, le=2**31)


def ask_screen(question: dict[str, Any]) -> ScreenRequest:
    """Return the request that ``question`` is.

    Raises:
        ValueError: it is none; one sentence says why.
    """
    return read_question(ScreenRequest, question)


Name = Annotated[str, Field(max_length=200)]


class LabelledPart(BaseModel):
    """A part whose truth is known."""

    model_config = ConfigDict(extra="forbid")

    lot: Name = ""
    wafer: Name = ""
    part: Name
    defective: bool


class StoredScreenRequest(ScreenRequest):
    """The same of stored files: testers' logs, wafer maps or readouts."""

    other_file_ids: list[uuid.UUID] = Field(
        default_factory=list, max_length=50, description="further files of the same product"
    )
    labels: list[LabelledPart] = Field(
        default_factory=list, max_length=10_000, description="parts of known truth: overkill and escapes"
    )
