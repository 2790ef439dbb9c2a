"""Arrays of a signal map's bands, with what its sidecar says, as one raster in the layout's view."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.errors import CorruptField, CountMismatch, UnsupportedVersion
from instruments.probing.signal_map_document import PITCH_TOLERANCE, Affine, BandSource, MapDescription
from instruments.records import Band, Raster, Samples, finite_range

TURN = {"rad": 2 * math.pi, "deg": 360.0}
AGREEMENT = 1e-3


def hollow_plane(rows: int, columns: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an array of shape ``(rows, columns)`` that takes no memory, for :func:`outline_raster`."""
    return np.broadcast_to(np.zeros((), dtype), (rows, columns))


def outline_raster(
    description: MapDescription, arrays: list[NDArray[Any]], vendor_metadata: dict[str, Any], warnings: tuple[str, ...]
) -> Raster:
    """Return the raster of a map without samples, by shapes and types alone; arguments as for :func:`make_raster`.

    Raises:
        CountMismatch, CorruptField, UnsupportedVersion: as :func:`make_raster`, but for what the samples contradict.
    """
    _check_shapes(description, arrays)
    bands, planes = _split(description.bands, arrays)
    rows, columns = _orient(planes[0], description).shape
    dtype, gain, offset = _scale(bands, planes)
    pitch_x, pitch_y, affine = _place(description, arrays[0].shape)
    return Raster(
        name=description.name,
        samples=Samples(dtype, len(bands) * rows * columns, partial(iter, ())),
        rows=rows,
        columns=columns,
        bands=tuple(Band(band.name, band.unit) for band in bands),
        kind="signal_map",
        pitch_x_m=pitch_x,
        pitch_y_m=pitch_y,
        frequency_hz=description.frequency_hz,
        affine_um=affine,
        gain=gain,
        offset=offset,
        vendor_metadata=vendor_metadata,
        warnings=(*warnings, *(("the pixel pitch is unknown",) if pitch_x is None else ())),
    )


def make_raster(
    description: MapDescription, arrays: list[NDArray[Any]], vendor_metadata: dict[str, Any], warnings: tuple[str, ...]
) -> Raster:
    """Return the raster of a map.

    Args:
        description: what the sidecar says.
        arrays: for each band of the description the stored samples, shape ``(rows, columns)``.
        vendor_metadata: kept as it is.
        warnings: put before those found here.

    Raises:
        CountMismatch: bands have different shapes, or another one than the sidecar says.
        CorruptField: amplitude and phase are not those of the real and imaginary parts, wrapped phases span more than
            a turn, or pitch and affine do not agree.
        UnsupportedVersion: samples that are no numbers.
    """
    outline = outline_raster(description, arrays, vendor_metadata, warnings)
    bands, planes = _split(description.bands, arrays)
    doubts = [*_count_missing(bands, planes)]
    _check_parts(bands, planes)
    doubts += _check_phase(description, bands, planes)
    stack = _join(bands, [_orient(plane, description) for plane in planes])
    return replace(outline, samples=Samples.of(stack)).measured(*doubts)


def _check_shapes(description: MapDescription, arrays: list[NDArray[Any]]) -> None:
    first = arrays[0].shape
    for band, array in zip(description.bands, arrays, strict=True):
        if array.ndim != 2 or 0 in array.shape:
            raise CorruptField(f"the band {band.name} is no image", expected="rows x columns", found=str(array.shape))
        if array.shape != first:
            message = f"the band {band.name} has another size than {description.bands[0].name}"
            raise CountMismatch(message, expected=f"{first[0]} x {first[1]}", found="{} x {}".format(*array.shape))
    for what, given, found in (("rows", description.rows, first[0]), ("columns", description.columns, first[1])):
        if given is not None and given != found:
            raise CountMismatch(f"the image has not the {what} that the sidecar says", expected=given, found=found)


def _split(sources: tuple[BandSource, ...], arrays: list[NDArray[Any]]) -> tuple[list[BandSource], list[NDArray[Any]]]:
    """Return bands and planes with complex ones taken apart."""
    bands: list[BandSource] = []
    planes: list[NDArray[Any]] = []
    for band, array in zip(sources, arrays, strict=True):
        if (array.dtype.kind == "c") != (band.name == "complex"):
            message = f"the samples of the band {band.name} are of type {array.dtype}"
            raise CorruptField(message, expected="complex" if band.name == "complex" else "real")
        if array.dtype.kind not in "iufc" or array.dtype.itemsize > 16:
            raise UnsupportedVersion(f"the samples of the band {band.name} are no numbers", found=str(array.dtype))
        if band.name != "complex":
            bands.append(band)
            planes.append(array)
            continue
        if band.offset:
            raise CorruptField("the band complex has an offset", expected=0, found=band.offset)
        bands += [BandSource(name, band.unit, band.gain, 0.0, band.place) for name in ("real", "imaginary")]
        planes += [array.real, array.imag]
    return bands, planes


def _count_missing(bands: list[BandSource], planes: list[NDArray[Any]]) -> list[str]:
    notes = []
    for band, plane in zip(bands, planes, strict=True):
        if np.isfinite(plane.min()) and np.isfinite(plane.max()):  # not-a-number comes through
            continue
        missing = plane.size - int(np.isfinite(plane).sum())
        if missing:
            notes.append(f"{missing} of {plane.size} pixels of {band.name} are not finite")
    return notes


def _values(band: BandSource, plane: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(plane.astype(np.float64) * band.gain + band.offset, np.float64)


def _check_parts(bands: list[BandSource], planes: list[NDArray[Any]]) -> None:
    """Where a map has real and imaginary parts and amplitude or phase too, they must be those of one another."""
    found = {band.name: (band, plane) for band, plane in zip(bands, planes, strict=True)}
    if "real" not in found or not {"amplitude", "phase"} & set(found):
        return
    real, imaginary = _values(*found["real"]), _values(*found["imaginary"])
    size = np.hypot(real, imaginary)
    largest = float(np.max(size[np.isfinite(size)], initial=0.0))
    if "amplitude" in found:
        difference = np.abs(_values(*found["amplitude"]) - size)
        _refuse_first(difference > AGREEMENT * largest, "amplitude")
    if "phase" in found:
        turn = TURN[found["phase"][0].unit]
        angle = np.arctan2(imaginary, real) * turn / (2 * math.pi)
        away = np.abs((_values(*found["phase"]) - angle + turn / 2) % turn - turn / 2)
        _refuse_first((away > AGREEMENT * turn) & (size > AGREEMENT * largest), "phase")


def _refuse_first(wrong: NDArray[np.bool_], what: str) -> None:
    if wrong.any():
        row, column = (int(index[0]) for index in np.nonzero(wrong))
        message = f"the {what} is not that of the real and imaginary parts, first at row {row}, column {column}"
        raise CorruptField(message, expected=0, found=int(wrong.sum()))


def _check_phase(description: MapDescription, bands: list[BandSource], planes: list[NDArray[Any]]) -> list[str]:
    found = [(band, plane) for band, plane in zip(bands, planes, strict=True) if band.name == "phase"]
    if not found:
        return []
    if description.phase_wrapped is None:
        return ["the sidecar does not say whether the phase is wrapped"]
    band, plane = found[0]
    low, high = finite_range((plane,), band.gain, band.offset)
    turn = TURN[band.unit]
    if description.phase_wrapped and low is not None and high is not None and high - low > turn * (1 + 1e-4):
        message = f"the phase is said to be wrapped, but spans more than a turn of {turn:.6g} {band.unit}"
        raise CorruptField(message, expected=f"<= {turn:.6g}", found=f"{high - low:.6g}")
    return []


def _orient(plane: NDArray[Any], description: MapDescription) -> NDArray[Any]:
    seen = plane[:, ::-1] if description.mirrored else plane
    return np.rot90(seen, description.rotated_deg // 90)


def _scale(bands: list[BandSource], planes: list[NDArray[Any]]) -> tuple[np.dtype[Any], float, float]:
    """Return type, gain and offset of the samples: native where the bands share them, else values as float64."""
    scales = {(band.gain, band.offset) for band in bands}
    if len(scales) == 1 and len({plane.dtype for plane in planes}) == 1:
        return planes[0].dtype.newbyteorder("<"), *next(iter(scales))
    return np.dtype("<f8"), 1.0, 0.0


def _join(bands: list[BandSource], planes: list[NDArray[Any]]) -> NDArray[Any]:
    """Return all samples in one array, of the type and scale of :func:`_scale`."""
    if len({(band.gain, band.offset) for band in bands}) == 1 and len({plane.dtype for plane in planes}) == 1:
        return np.concatenate([plane.ravel() for plane in planes])
    return np.concatenate([_values(*pair).ravel() for pair in zip(bands, planes, strict=True)])


def _place(description: MapDescription, stored: tuple[int, ...]) -> tuple[float | None, float | None, Affine | None]:
    """Return pitch and affine of the oriented image; the two must agree."""
    matrix = _stored_from_oriented(description, stored)
    turned = description.rotated_deg in (90, 270)
    pitch_x, pitch_y = description.pitch_x_m, description.pitch_y_m
    if turned:
        pitch_x, pitch_y = pitch_y, pitch_x
    if description.affine_um is None:
        return pitch_x, pitch_y, None
    given = np.array([*description.affine_um, (0.0, 0.0, 1.0)])
    found = given @ matrix if description.affine_is_of_stored else given
    steps = (float(np.hypot(*found[:2, 0])) * 1e-6, float(np.hypot(*found[:2, 1])) * 1e-6)
    for axis, pitch, step in (("x", pitch_x, steps[0]), ("y", pitch_y, steps[1])):
        if pitch is not None and abs(step / pitch - 1) > PITCH_TOLERANCE:
            message = f"the affine's step in {axis} is not the pixel pitch"
            raise CorruptField(message, expected=f"{pitch * 1e9:.6g} nm", found=f"{step * 1e9:.6g} nm")
    rows = [[float(item) for item in row] for row in found[:2]]
    affine = ((rows[0][0], rows[0][1], rows[0][2]), (rows[1][0], rows[1][1], rows[1][2]))
    return pitch_x or steps[0], pitch_y or steps[1], affine


def _stored_from_oriented(description: MapDescription, stored: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the 3x3 matrix from (column, row, 1) of the oriented image to those of the stored one."""
    rows, columns = stored
    matrix = np.eye(3)
    if description.mirrored:
        matrix = np.array([[-1.0, 0, columns - 1], [0, 1, 0], [0, 0, 1]])
    # A turn by 90 degrees counter-clockwise takes (column, row) to (row, columns - 1 - column).
    for _ in range(description.rotated_deg // 90):
        back = np.array([[0.0, -1, columns - 1], [1, 0, 0], [0, 0, 1]])
        matrix = matrix @ back
        rows, columns = columns, rows
    return matrix
