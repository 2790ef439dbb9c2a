"""What is asked about a hand-off from laser to ion beam: the same document for the command, the job and REST."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.pipelines.repair.repair_constants import (
    MOST_CONSTANTS,
    DocumentRefused,
    GivenConstant,
    explain,
    read_document,
)

SCHEMA = "faultlight.handoff/1"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, populate_by_name=True)


class LaserPart(_Strict):
    """The pulses and the way of the spot."""

    wavelength_nm: float = Field(gt=0)
    pulse_s: float = Field(gt=0)
    fluence_j_cm2: float | None = Field(default=None, gt=0, description="peak fluence, or energy_uj")
    energy_uj: float | None = Field(default=None, gt=0, description="energy of a pulse, instead of the fluence")
    profile: Literal["gaussian", "top-hat"] = "gaussian"
    spot_um: float = Field(gt=0, description="diameter: 1/e2 of a Gaussian spot, of the top of a top-hat")
    pitch_x_um: float = Field(gt=0)
    pitch_y_um: float = Field(gt=0)
    pulses_per_pixel: float = Field(default=1.0, gt=0)
    repetition_rate_hz: float | None = Field(default=None, gt=0, description="pulses a second that are used")
    walls: Literal["controlled", "uncontrolled"] = Field(description="whether the angle of incidence is controlled")

    @model_validator(mode="after")
    def _one_of(self) -> "LaserPart":
        if (self.fluence_j_cm2 is None) == (self.energy_uj is None):
            raise ValueError("give either fluence_j_cm2 or energy_uj")
        return self


class LayerPart(_Strict):
    """The layer that must not be harmed."""

    depth_um: float = Field(gt=0)
    sigma_um: float = Field(ge=0)


class WindowPart(_Strict):
    """What is to be reached: the opened area, or the section's trench."""

    x_um: float = Field(gt=0, le=1e5)
    y_um: float = Field(gt=0, le=1e5)


class BeamPart(_Strict):
    """The ion beam."""

    beam_na: float = Field(gt=0)
    beam_kv: float = Field(default=30.0, gt=0)
    species: str = Field(default="Ga", min_length=1, max_length=20)


class MeasuredPart(_Strict):
    """A depth that was measured on the way."""

    passes: int = Field(ge=1)
    depth_um: float = Field(gt=0)
    sigma_um: float = Field(gt=0)


class HandoffRequest(_Strict):
    """A question about a hand-off.

    ``work`` is ``access`` (the window is opened down to the layer) or ``section`` (a trench whose wall is polished).
    """

    schema_name: Literal["faultlight.handoff/1"] = Field(default="faultlight.handoff/1", alias="schema")
    material: str = Field(min_length=1, max_length=60)
    work: Literal["access", "section"] = "access"
    laser: LaserPart
    layer: LayerPart
    window: WindowPart
    fib: BeamPart
    measured: MeasuredPart | None = Field(default=None, description="a depth measured after some of the passes")
    risk: float = Field(default=1e-3, gt=0, lt=0.5, description="most probability of harm to the layer")
    most_passes: int = Field(default=10_000, ge=1, le=100_000)
    constants: list[GivenConstant] = Field(default_factory=list, max_length=MOST_CONSTANTS)


def read_request(path: Path) -> HandoffRequest:
    """Return the question in the TOML or JSON file ``path``; raises :class:`DocumentRefused` when it is none."""
    try:
        return HandoffRequest.model_validate(read_document(path))
    except ValidationError as error:
        raise DocumentRefused(f"{path.name}: {explain(error)}") from error
