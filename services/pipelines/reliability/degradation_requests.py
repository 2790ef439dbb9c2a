"""What is asked about degradation: bodies of REST, payloads of jobs, options of the command line."""

import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.pipelines.question import read_question

MethodName = Literal[
    "last-value", "mixed-power-law", "physics-laws", "gaussian-process", "latent-ode", "spline-network"
]
METHODS: tuple[MethodName, ...] = (
    "last-value", "mixed-power-law", "physics-laws", "gaussian-process", "latent-ode", "spline-network",
)  # fmt: skip
Curve = Literal["linear", "exponential", "power", "logarithmic", "lloyd-lipow"]
Hours = Annotated[float, Field(gt=0, le=1e9)]


class DegradationRequest(BaseModel):
    """How readouts are to be judged."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    parameters: list[str] = Field(default_factory=list, max_length=50, description="names; all if empty")
    methods: list[MethodName] = Field(default_factory=lambda: list(METHODS), min_length=1, max_length=6)
    threshold: float | None = Field(default=None, description="a value that means failure; the rows' limits if absent")
    direction: Literal["rising", "falling"] | None = Field(
        default=None, description="whether values above or below the threshold fail; seen from the start if absent"
    )
    horizon_h: Hours | None = Field(default=None, description="how far ahead; 1.5 times the last readout if absent")
    use_temperature_c: float | None = Field(
        default=None, gt=-273, le=1000, description="of a population in use, by Arrhenius; needs several temperatures"
    )
    use_hours: Hours = Field(default=87600.0, description="of that population")
    pseudo: Curve | None = Field(default=None, description="pseudo-lifetimes by this curve, and a Weibull fit of them")
    level: float = Field(default=0.9, ge=0.5, le=0.99, description="of bands and intervals")
    seed: int = Field(default=0, ge=0, le=2**31)


class StoredDegradationRequest(DegradationRequest):
    """The same of stored tables."""

    other_table_ids: list[uuid.UUID] = Field(
        default_factory=list, max_length=50, description="further tables of readouts"
    )


def ask_degradation(question: dict[str, Any]) -> DegradationRequest:
    """Return the request that ``question`` is.

    Raises:
        ValueError: it is none; one sentence says why.
    """
    return read_question(DegradationRequest, question)
