"""What is asked about stored layouts and inspections: the bodies of REST and the payloads of the jobs."""

import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_PLACES = 10_000
MOST_LAYERS = 64

Micrometres = Annotated[float, Field(ge=-1e7, le=1e7)]
Layer = Annotated[list[Annotated[int, Field(ge=0, le=65535)]], Field(min_length=2, max_length=2)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _OfLayout(_Strict):
    cell: str | None = Field(default=None, max_length=1000, description="unset: the only top cell")


class _Traced(_OfLayout):
    process: str | dict[str, Any] = Field(
        default="sky130", description="the name of a process that is known, or a faultlight.process/1 document"
    )


class NetsRequest(_Traced):
    """Ask for all nets of a layout."""

    inner: bool = Field(default=False, description="the nets inside instances, too")


class PlacePart(_Strict):
    """A place in the layout, with its error."""

    x_um: Micrometres
    y_um: Micrometres
    sigma_x_nm: float = Field(default=0.0, ge=0, le=1e7)
    sigma_y_nm: float = Field(default=0.0, ge=0, le=1e7)
    correlation: float = Field(default=0.0, gt=-1, lt=1)
    name: str = Field(default="", max_length=200)


class PlacesRequest(_Traced):
    """Ask which nets and cells lie under places of a layout."""

    places: list[PlacePart] = Field(min_length=1, max_length=MOST_PLACES)


class WindowRequest(_OfLayout):
    """Ask what a window of a layout holds."""

    window_um: list[Micrometres] = Field(min_length=4, max_length=4, description="left, bottom, right, top")
    layers: list[Layer] | None = Field(
        default=None, max_length=MOST_LAYERS, description="[layer, datatype] each; unset: all"
    )
    clip: bool = Field(default=True, description="cut polygons at the window")


class TilesRequest(_OfLayout):
    """Ask for tiles of a layout's layers for a viewer."""

    layers: list[Layer] | None = Field(
        default=None, max_length=MOST_LAYERS, description="[layer, datatype] each; unset: all"
    )
    levels: int = Field(default=4, ge=1, le=7, description="of the pyramid, each twice as fine")


class OverlayRequest(_Traced):
    """Ask what the defects of an inspection do to a layout."""

    inspection_file_id: uuid.UUID = Field(description="a KLARF file of the same program")
    settings: dict[str, Any] = Field(default_factory=dict, description="keys of faultlight.defect-overlay/1")


class MatchRequest(_Strict):
    """Ask which defects of two inspections of one sample are the same."""

    inspection_file_id: uuid.UUID = Field(description="the second inspection, a KLARF file of the same program")
    sigma_nm: list[Annotated[float, Field(gt=0, le=1e7)]] = Field(
        min_length=2, max_length=2, description="standard deviation of a place in the first and in the second"
    )
    coordinates: Literal["sample", "die", "layout"] = "sample"
    area_mm2: float | None = Field(default=None, gt=0, le=1e7, description="unset: the box around all defects")
    found_again: float = Field(default=0.8, gt=0, lt=1)
    align: bool = False


class SignaturesRequest(_Strict):
    """Ask for clusters, rings, scratches and repeaters of an inspection."""

    radius_um: float | None = Field(default=None, gt=0, le=1e7)
    field_um: list[Annotated[float, Field(gt=0, le=1e7)]] | None = Field(default=None, min_length=2, max_length=2)
    tolerance_um: float = Field(default=2.0, gt=0, le=1e5)
    rate: float = Field(default=0.05, gt=0, lt=1)
    simulations: int = Field(default=399, ge=20, le=9999)
