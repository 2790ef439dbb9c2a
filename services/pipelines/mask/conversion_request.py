"""What is asked about places in several frames: the body of REST and the payload of the job."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

MOST_PLACES = 10_000
Coordinate = Annotated[float, Field(ge=-1e12, le=1e12)]
FrameName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class FramePlace(_Strict):
    """A place in the source frame's unit, with its error in the same unit."""

    x: Coordinate
    y: Coordinate
    sigma_x: float = Field(default=0.0, ge=0, le=1e12)
    sigma_y: float = Field(default=0.0, ge=0, le=1e12)
    correlation: float = Field(default=0.0, gt=-1, lt=1)
    name: str = Field(default="", max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")


class ConversionRequest(_Strict):
    """Places of one frame that are wanted in another, and the maps between the frames."""

    program: FrameName = Field(description="the program whose question this is")
    frames: dict[str, Any] = Field(description="a faultlight.frames/1 document")
    source: FrameName
    target: FrameName
    places: list[FramePlace] = Field(min_length=1, max_length=MOST_PLACES)
