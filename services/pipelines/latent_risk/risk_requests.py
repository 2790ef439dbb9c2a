"""What is asked about latent risk: the bodies of REST, the payloads of jobs, the options of the command line."""

import uuid
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from services.pipelines.question import read_question

ModelName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")]
_TABLES: Any = Field(default_factory=list, max_length=50, description="further tables of unit evidence")


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class TrainingRequest(_Request):
    """How a model of latent risk is to be learned."""

    held_out_part: float = Field(
        default=0.3, ge=0.05, le=0.9, description="the last part of the units judges the model"
    )
    first_part: float = Field(default=0.4, ge=0.1, le=0.8, description="of the others, only learned from")
    blocks: int = Field(default=6, ge=4, le=24, description="of time, into which the rest is cut")
    alpha: float = Field(default=0.1, ge=0.001, le=0.5, description="errors of the conformal sets, by class")
    trees: int = Field(default=200, ge=0, le=2000, description="of forests; 0: logistic regressions only")
    seed: int = Field(default=0, ge=0, le=2**31)


class ScoringRequest(_Request):
    """Which of the scored units are listed."""

    most_units: int = Field(default=1000, ge=1, le=20_000, description="the most suspected units are listed")


class StoredTrainingRequest(TrainingRequest):
    """The same of stored tables; the model's name is new, or of a model that gets a further version."""

    model: ModelName
    other_table_ids: list[uuid.UUID] = _TABLES


class StoredScoringRequest(ScoringRequest):
    """The same of stored tables and a registered model: one of its versions, or the promoted one."""

    model: ModelName
    version: int | None = Field(default=None, ge=1, description="default: the promoted version")
    other_table_ids: list[uuid.UUID] = _TABLES


class DriftRequest(_Request):
    """Which registered model is compared with newer units."""

    model: ModelName
    version: int | None = Field(default=None, ge=1, description="default: the promoted version")
    other_table_ids: list[uuid.UUID] = _TABLES


def ask_training(question: dict[str, Any]) -> TrainingRequest:
    """Return the request that ``question`` is.

    Raises:
        ValueError: it is none; one sentence says why.
    """
    return read_question(TrainingRequest, question)
