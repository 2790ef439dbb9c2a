"""What is asked of an assembly of evidence: the body of REST and the payload of the job."""

import uuid
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from services.pipelines.latent_risk.evidence_records import DieFrame, PrintedMask

MOST_STATED = 5000
Name = Annotated[str, Field(min_length=1, max_length=200)]
ModalityName = Literal["electrical", "degradation", "lvp", "mask", "repair", "neighbourhood"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class GivenFrame(_Strict):
    """How places that a kind of file counts become columns and rows as testers' logs count them: swap, sign, offset."""

    swap: bool = False
    x_sign: Literal[1, -1] = 1
    y_sign: Literal[1, -1] = 1
    x_offset: int = Field(default=0, ge=-100_000, le=100_000)
    y_offset: int = Field(default=0, ge=-100_000, le=100_000)

    def to_frame(self) -> DieFrame:
        """Return it as the assembly takes it."""
        return DieFrame(**self.model_dump())


class GivenFrames(_Strict):
    """Frames by kind of file; without one, what such files say of dies is refused."""

    wafer_map: GivenFrame | None = Field(default=None, description="of wafer maps, from the upper left corner")
    inspection: GivenFrame | None = Field(default=None, description="of KLARF files, from the reference die")


class GivenMask(_Strict):
    """A person says which lots a mask has printed, and how its dies repeat over the wafers.

    The die at column ``x`` and row ``y`` of a wafer was printed by the mask's die ``(x - x_first) mod columns``,
    ``(y - y_first) mod rows``, as the inspection of the mask counts them.
    """

    inspection_file_id: uuid.UUID
    lots: list[Name] = Field(min_length=1, max_length=1000)
    columns: int = Field(default=1, ge=1, le=1000, description="dies of one field")
    rows: int = Field(default=1, ge=1, le=1000)
    x_first: int = Field(default=0, ge=-100_000, le=100_000)
    y_first: int = Field(default=0, ge=-100_000, le=100_000)

    def to_mask(self) -> PrintedMask:
        """Return it as the assembly takes it."""
        return PrintedMask(frozenset(self.lots), self.columns, self.rows, self.x_first, self.y_first)


class StatedTime(_Strict):
    """A person says since when a file was known: of files that were loaded later than they were made."""

    file_id: uuid.UUID
    known_at: AwareDatetime


class AssemblyRequest(_Strict):
    """Which units, as of when, and what files do not say."""

    program: Name = Field(description="the program whose units these are")
    freeze_at: AwareDatetime | None = Field(
        default=None, description="nothing known later is used; the time of the request if absent"
    )
    lots: list[Name] = Field(default_factory=list, max_length=1000, description="all if empty")
    modalities: list[ModalityName] = Field(default_factory=list, max_length=6, description="all if empty")
    result_ids: list[uuid.UUID] = Field(
        default_factory=list, max_length=2000, description="only these results are used; all if empty"
    )
    outcome_table_ids: list[uuid.UUID] = Field(
        default_factory=list, max_length=50, description="tables of the kind unit_outcome; all of the program if empty"
    )
    survived_until: AwareDatetime | None = Field(
        default=None,
        description="a person says that all units of the lots that passed their test and have no outcome had survived "
        "by then",
    )
    frames: GivenFrames = Field(default_factory=GivenFrames)
    masks: list[GivenMask] = Field(
        default_factory=list, max_length=100, description="inspections that are of masks, not of wafers"
    )
    stated_times: list[StatedTime] = Field(default_factory=list, max_length=MOST_STATED)
    name: Name = Field(default="unit evidence", pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$", description="of the table")

    @model_validator(mode="after")
    def _sensible(self) -> "AssemblyRequest":
        named = [each.file_id for each in self.stated_times]
        if len(set(named)) < len(named):
            raise ValueError("a file's time is stated twice")
        inspected = [each.inspection_file_id for each in self.masks]
        if len(set(inspected)) < len(inspected):
            raise ValueError("an inspection of a mask is named twice")
        if self.survived_until is not None and self.freeze_at is not None and self.survived_until > self.freeze_at:
            raise ValueError("that units had survived cannot be known after the freeze")
        if self.survived_until is not None and not self.lots:
            raise ValueError("name the lots whose units had survived")
        if self.survived_until is not None and self.modalities and "electrical" not in self.modalities:
            raise ValueError("without electrical it is not known which units passed their test and were shipped")
        return self
