"""What is asked about the printing of mask defects: the same document for the command, the job and REST."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from services.pipelines.repair.repair_constants import DocumentRefused, explain, read_document

SCHEMA = "faultlight.printability/1"
MOST_DEFECTS = 2000
MOST_CONDITIONS = 15

NollNumber = Annotated[str, StringConstraints(pattern=r"^([1-9]|[1-5][0-9]|6[0-6])$")]
"""A Zernike polynomial's number after Noll, 1 to 66; a key of JSON, so a text."""

Frame = Literal["layout", "mask", "wafer"]
"""Whose micrometres a place or size is in: the layout file's, the mask's, or the wafer's. All have the same origin."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, populate_by_name=True)


class SourcePart(_Strict):
    """The source, in parts of the numerical aperture."""

    shape: Literal["conventional", "annular", "dipole", "quadrupole"]
    outer: float = Field(ge=0, le=1)
    inner: float = Field(default=0.0, ge=0, lt=1)
    opening_deg: float = Field(default=90.0, gt=0, le=180)
    rotation_deg: float = Field(default=0.0, ge=-360, le=360)


class OpticsPart(_Strict):
    """The projection system."""

    wavelength_nm: float = Field(gt=0, le=2000)
    numerical_aperture: float = Field(gt=0, lt=2)
    source: SourcePart
    medium_index: float = Field(default=1.0, ge=1, lt=3, description="between lens and wafer; water at 193 nm: 1.44")
    magnification: float = Field(default=4.0, gt=0, le=20, description="mask lengths over wafer lengths")
    zernikes: dict[NollNumber, float] = Field(
        default_factory=dict, description="Noll number to waves, root mean square"
    )
    ambit_nm: float | None = Field(default=None, gt=0, le=1e5, description="unset: four wavelengths over aperture")


class MaskPart(_Strict):
    """What is drawn, and what the absorber does."""

    drawn: Literal["clear", "absorber"]
    absorber_transmission: float = Field(default=0.0, ge=0, lt=1)
    absorber_phase_deg: float = 180.0
    quartz_index: float = Field(default=1.563, ge=1, lt=5, description="fused silica at 193 nm, from the handbook")


class LayoutPart(_Strict):
    """Where the pattern is in the layout."""

    layer: str | None = Field(
        default=None,
        pattern=r"^([0-9]{1,5}/[0-9]{1,5}|[A-Za-z][A-Za-z0-9_]{0,40})$",
        description="layer/datatype of a layout, or the level of a GLP clip",
    )
    cell: str | None = Field(default=None, max_length=200)
    scale: Literal["wafer", "mask"] = "wafer"


class ExposurePart(_Strict):
    """Threshold of the resist and the process window."""

    threshold: float = Field(gt=0, lt=10, description="intensity that exposes, relative to clear field, at dose 1")
    doses: list[float] = Field(default=[0.95, 1.0, 1.05], min_length=1, max_length=MOST_CONDITIONS)
    defocus_nm: list[float] = Field(default=[-40.0, 0.0, 40.0], min_length=1, max_length=MOST_CONDITIONS)
    width_tolerance: float = Field(default=0.10, gt=0, lt=1)


class LimitsPart(_Strict):
    """From which change of a width a defect prints; the figures are no standard: set them for the layer."""

    prints: float = Field(default=0.10, gt=0, lt=1)
    marginal: float = Field(default=0.05, gt=0, lt=1)
    source: str = Field(
        default="default; customary in the trade, no source verified: set it for the layer",
        min_length=1,
        max_length=500,
    )


class SpreadPart(_Strict):
    """Standard deviations on the wafer; unset where not known, and then not in the uncertainty."""

    size_nm: float | None = Field(default=None, ge=0)
    position_nm: float | None = Field(default=None, ge=0)
    threshold: float | None = Field(default=0.02, ge=0, lt=0.5, description="as a part of the threshold")


class PatchPart(_Strict):
    """A place of the mask that transmits something else than designed.

    ``opaque`` lets nothing through; ``absorber`` is absorber where none should be; ``clear`` is absorber that is
    missing; ``quartz`` is too deep (``depth_nm``) or has a ``phase_deg``; ``transmission`` changes whatever passes.
    """

    kind: Literal["opaque", "absorber", "clear", "quartz", "transmission"]
    frame: Frame = "layout"
    x_um: float | None = None
    y_um: float | None = None
    width_nm: float | None = Field(default=None, gt=0, le=1e6)
    height_nm: float | None = Field(default=None, gt=0, le=1e6, description="unset: the width")
    shape: Literal["box", "disc"] = "box"
    points_um: list[tuple[float, float]] | None = Field(default=None, min_length=3, max_length=2000)
    depth_nm: float | None = Field(default=None, description="on the mask itself; negative for a bump")
    phase_deg: float | None = None
    transmission: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _complete(self) -> "PatchPart":
        box = (self.x_um, self.y_um, self.width_nm)
        if (self.points_um is None) == any(each is None for each in box):
            raise ValueError("give either points_um, or x_um, y_um and width_nm")
        if self.points_um is not None and any(each is not None for each in (*box, self.height_nm)):
            raise ValueError("points_um stands instead of a place and a size")
        if self.kind == "quartz" and (self.depth_nm is None) == (self.phase_deg is None):
            raise ValueError("quartz needs either depth_nm or phase_deg")
        if self.kind == "transmission" and self.transmission is None:
            raise ValueError("a patch of the kind transmission needs transmission")
        if self.kind != "quartz" and self.depth_nm is not None:
            raise ValueError("only quartz has a depth_nm")
        if self.kind in ("opaque", "absorber", "clear") and (
            self.phase_deg is not None or self.transmission is not None
        ):
            raise ValueError(f"a patch of the kind {self.kind} has neither phase_deg nor transmission")
        return self


class RepairPart(_Strict):
    """What a repair left of the defect; nothing for a repair without a trace."""

    left: list[PatchPart] = Field(default_factory=list, max_length=20)


class DefectPart(PatchPart):
    """A defect, and what its repair left where it was repaired."""

    name: str = Field(min_length=1, max_length=200)
    repair: RepairPart | None = None


class PrintabilityRequest(_Strict):
    """A question about defects of one mask."""

    schema_name: Literal["faultlight.printability/1"] = Field(default="faultlight.printability/1", alias="schema")
    optics: OpticsPart
    mask: MaskPart
    exposure: ExposurePart
    layout: LayoutPart = Field(default_factory=LayoutPart)
    limits: LimitsPart = Field(default_factory=LimitsPart)
    spread: SpreadPart = Field(default_factory=SpreadPart)
    defects: list[DefectPart] = Field(default_factory=list, max_length=MOST_DEFECTS)
    simulated: bool = Field(default=False, description="the defects are made up")

    @model_validator(mode="after")
    def _sensible(self) -> "PrintabilityRequest":
        if len(self.exposure.doses) * len(self.exposure.defocus_nm) > 10 * MOST_CONDITIONS:
            raise ValueError(f"at most {10 * MOST_CONDITIONS} conditions")
        names = [each.name for each in self.defects]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two defects are called {twice}")
        return self


def read_request(path: Path) -> PrintabilityRequest:
    """Return the question in the TOML or JSON file ``path``; raises :class:`DocumentRefused` when it is none."""
    try:
        return PrintabilityRequest.model_validate(read_document(path))
    except ValidationError as error:
        raise DocumentRefused(f"{path.name}: {explain(error)}") from error
