"""What is asked about lifetimes: the bodies of REST, the payloads of jobs, the options of the command line."""

import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.pipelines.question import read_question

ModelName = Literal[
    "exponential", "weibull", "lognormal", "loglogistic", "weibull-3", "gamma", "generalized-gamma",
    "defective-weibull", "defective-lognormal", "mixture-weibull", "mixture-lognormal",
]  # fmt: skip
_DEFAULT: tuple[ModelName, ...] = (
    "exponential", "weibull", "lognormal", "defective-weibull", "defective-lognormal", "mixture-weibull",
)  # fmt: skip
Part = Annotated[float, Field(gt=0, lt=1)]


class LifeRequest(BaseModel):
    """How lifetimes are to be judged."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    models: list[ModelName] = Field(
        default_factory=lambda: list(_DEFAULT), min_length=1, max_length=11, description="compared; the best is told"
    )
    hours: float | None = Field(default=None, gt=0, le=1e12, description="by when; the end of the data if absent")
    parts: list[Part] = Field(
        default_factory=lambda: [1e-4, 1e-3, 1e-2], max_length=20, description="lives by part failed"
    )
    level: float = Field(default=0.9, gt=0, lt=1)
    method: Literal["likelihood-ratio", "wald"] = "likelihood-ratio"
    by_cause: bool = Field(default=False, description="competing risks by the column of modes")
    bayes: bool = Field(default=False, description="the posterior as well")
    seed: int = Field(default=0, ge=0, le=2**31)
    plot: bool = Field(default=False, description="points and bands of a probability plot as well")


def ask(question: dict[str, Any]) -> LifeRequest:
    """Return the request that ``question`` is.

    Raises:
        ValueError: it is none; one sentence says why.
    """
    return read_question(LifeRequest, question)


class StoredLifeRequest(LifeRequest):
    """The same of stored tables."""

    other_table_ids: list[uuid.UUID] = Field(
        default_factory=list, max_length=50, description="further tables of lifetimes"
    )
    plot: bool = Field(default=True, description="points and bands of a probability plot as well")
