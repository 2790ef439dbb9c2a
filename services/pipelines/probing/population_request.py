"""What is asked of a population of dies: bodies of REST, payloads of jobs, options of the command line."""

import uuid
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.pipelines.question import read_question

MOST_DIES = 500
Name = Annotated[str, Field(min_length=1, max_length=200)]


class PopulationRequest(BaseModel):
    """How dies are to be compared."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    nets: list[Name] = Field(default=[], max_length=100, description="All that every die was probed on if empty.")
    class_by: Literal["none", "product", "lot", "wafer"] = Field(
        default="none", description="The false alarms are kept in each class of dies."
    )
    false_alarms: float = Field(default=0.05, gt=0, lt=1, description="Part of the good dies that may be alarms.")


def ask_population(question: dict[str, Any]) -> PopulationRequest:
    """Return the request that ``question`` is.

    Raises:
        ValueError: it is none; one sentence says why.
    """
    return read_question(PopulationRequest, question)


class SessionChoice(BaseModel):
    """Stored sessions of a program, chosen by what they say of their die."""

    model_config = ConfigDict(extra="forbid")

    program: Name = Field(description="Name or id.")
    product: Name | None = None
    lot: Name | None = None
    wafer: Name | None = None
    net: Name | None = Field(default=None, description="A net that was probed.")
    golden_is_reference: bool = Field(default=False, description="Sessions with the role golden are known to be good.")


class StoredPopulationRequest(PopulationRequest):
    """The same of stored sessions: named, or chosen."""

    session_ids: list[uuid.UUID] = Field(default=[], max_length=MOST_DIES)
    reference_session_ids: list[uuid.UUID] = Field(default=[], max_length=MOST_DIES, description="Known to be good.")
    choice: SessionChoice | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.session_ids) == (self.choice is not None):
            raise ValueError("name the sessions (session_ids) or choose them (choice)")
        named = [*self.session_ids, *self.reference_session_ids]
        if len(set(named)) < len(named):
            raise ValueError("a session is named twice")
        return self
