"""A band of a raster as a grey picture, with what black and white are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.blobs import BlobMissing, BlobStore
from services.pictures import encode_png

MOST_SIDE = 1024
"""Pixels of a side of a picture; a larger raster is shown by the mean of blocks of pixels."""


class NoSuchBand(ValueError):  # noqa: N818
    """The raster has no such band; the message names those that it has."""


@dataclass(frozen=True)
class RasterPicture:
    """A picture.

    Attributes:
        png: greyscale, the first row of the raster at the top.
        black, white: the values of grey 0 and 255, in the band's unit.
        block: pixels of the raster along each side of one of the picture.
    """

    png: bytes
    black: float
    white: float
    block: int


def draw_raster(
    blobs: BlobStore, row: Mapping[str, Any], band: str, window: tuple[float, float] | None = None
) -> RasterPicture:
    """Return the picture of ``band`` of the raster ``row``: one of its own, or ``amplitude`` of a complex one.

    ``window`` are the values of black and white, so that two maps can be compared; ``None``: smallest and largest.

    Raises:
        NoSuchBand: the raster has no such band.
        BlobMissing: bytes of it are gone.
    """
    data = blobs.read_range(row["blob_key"], row["byte_offset"], row["byte_length"])
    if len(data) != row["byte_length"]:
        raise BlobMissing(row["blob_key"])
    names = [str(name) for name, _ in row["bands"]]
    samples = np.frombuffer(data, np.dtype(row["dtype"]).newbyteorder("<"))
    planes = samples.reshape(len(names), row["row_count"], row["column_count"])
    values = _band(planes, names, band) if band in names else _amplitude(planes, names, band, row)
    if band in names:
        values = values * float(row["gain"]) + float(row["offset"])
    block = max(1, -(-max(values.shape) // MOST_SIDE))
    values = _shrink(values, block)
    finite = values[np.isfinite(values)]
    black, white = window or ((float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0))
    grey = np.nan_to_num((values - black) / ((white - black) or 1.0) * 255.0, nan=0.0, posinf=255.0, neginf=0.0)
    return RasterPicture(encode_png(np.clip(np.round(grey), 0, 255).astype(np.uint8)), black, white, block)


def _band(planes: NDArray[Any], names: list[str], band: str) -> NDArray[np.float64]:
    return np.asarray(planes[names.index(band)], np.float64)


def _amplitude(planes: NDArray[Any], names: list[str], band: str, row: Mapping[str, Any]) -> NDArray[np.float64]:
    if band != "amplitude" or not {"real", "imaginary"} <= set(names):
        raise NoSuchBand(f"the raster has the bands {', '.join(names)}, not {band}")
    real, imaginary = (
        _band(planes, names, each) * float(row["gain"]) + float(row["offset"]) for each in ("real", "imaginary")
    )
    return np.asarray(np.hypot(real, imaginary), np.float64)


def _shrink(values: NDArray[np.float64], block: int) -> NDArray[np.float64]:
    """Return the means of blocks of pixels; the last ones may be smaller."""
    if block == 1:
        return values
    rows, columns = np.arange(0, values.shape[0], block), np.arange(0, values.shape[1], block)
    sums = np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)
    heights = np.diff(np.append(rows, values.shape[0]))[:, None]
    widths = np.diff(np.append(columns, values.shape[1]))[None, :]
    return np.asarray(sums / (heights * widths), np.float64)
