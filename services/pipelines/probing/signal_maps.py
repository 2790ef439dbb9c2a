"""Maps of a signal as arrays for the analyses, and the comparison of two of them as a document."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.anomaly.maps import MapComparison, MapDifference, compare_maps
from analysis.anomaly.registration import MapError, Shift
from analysis.anomaly.scan_chain import ChainBreak, ChainError, find_break, measure_cells
from instruments.records import Placement, Raster

_FREQUENCY_TOLERANCE = 1e-6
MOST_DIFFERENCES = 200


def array_of(raster: Raster) -> NDArray[np.complex128]:
    """Return a map as complex128 of shape ``(rows, columns)``; a map without phase has no imaginary part.

    Raises:
        MapError: its bands are no amplitude, phase, real or imaginary part, reflectance or grey.
    """
    values = raster.gain * raster.samples.array().astype(np.float64) + raster.offset
    planes = dict(
        zip(
            (band.name for band in raster.bands),
            values.reshape(len(raster.bands), raster.rows, raster.columns),
            strict=True,
        )
    )
    if {"real", "imaginary"} <= set(planes):
        return np.asarray(planes["real"] + 1j * planes["imaginary"], np.complex128)
    if {"amplitude", "phase"} <= set(planes):
        unit = next(band.unit for band in raster.bands if band.name == "phase")
        turn = np.pi / 180 if unit == "deg" else 1.0
        return np.asarray(planes["amplitude"] * np.exp(1j * turn * planes["phase"]), np.complex128)
    for name in ("amplitude", "reflectance", "grey"):
        if name in planes:
            return np.asarray(planes[name], np.complex128)
    raise MapError(f"the map {raster.name} has the bands {', '.join(planes)}: nothing to compare")


def is_complex(raster: Raster) -> bool:
    """Return whether a map has a phase."""
    names = {band.name for band in raster.bands}
    return {"real", "imaginary"} <= names or {"amplitude", "phase"} <= names


def spot_of(raster: Raster, fwhm_nm: float | None) -> float:
    """Return the spot's full width at half maximum in pixels.

    Raises:
        MapError: the spot or the pitch is unknown.
    """
    if not fwhm_nm or raster.pitch_x_m is None:
        missing = "its pixel pitch" if raster.pitch_x_m is None else "the session's spot_fwhm_nm"
        raise MapError(f"the map {raster.name} cannot be compared without {missing}")
    return fwhm_nm * 1e-9 / raster.pitch_x_m


def compare_all(golden: Sequence[Raster], suspect: Sequence[Raster], fwhm_nm: float | None) -> list[dict[str, Any]]:
    """Return the comparison of each map of ``suspect`` with the golden one of the same frequency and bands.

    A map in which too little is left to be registered by itself takes the shift of another map of the same scan.
    """
    found = [_try(golden, raster, fwhm_nm, None) for raster in suspect]
    for place, raster in enumerate(suspect):
        if isinstance(found[place], MapComparison):
            continue
        shift = next((other.shift for other in found if isinstance(other, MapComparison)), None)
        if shift is not None:
            found[place] = _try(golden, raster, fwhm_nm, shift)
    return [_document(each, raster) for each, raster in zip(found, suspect, strict=True)]


def _try(
    golden: Sequence[Raster], suspect: Raster, fwhm_nm: float | None, shift: Shift | None
) -> MapComparison | MapError:
    fits = [each for each in golden if _corresponds(each, suspect)]
    try:
        if len(fits) != 1:
            raise MapError(f"{len(fits)} golden maps have this frequency and these bands; one is needed")
        first, second = array_of(fits[0]), array_of(suspect)
        if not is_complex(suspect):
            return compare_maps(first.real, second.real, spot_of(suspect, fwhm_nm), shift)  # type: ignore[arg-type]
        return compare_maps(first, second, spot_of(suspect, fwhm_nm), shift)
    except MapError as error:
        return error


def _corresponds(golden: Raster, suspect: Raster) -> bool:
    if [band.name for band in golden.bands] != [band.name for band in suspect.bands]:
        return False
    if golden.frequency_hz is None or suspect.frequency_hz is None:
        return golden.frequency_hz is suspect.frequency_hz and golden.name == suspect.name
    return math.isclose(golden.frequency_hz, suspect.frequency_hz, rel_tol=_FREQUENCY_TOLERANCE)


def _document(compared: MapComparison | MapError, raster: Raster) -> dict[str, Any]:
    head = {"map": raster.name, "frequency_hz": raster.frequency_hz}
    if isinstance(compared, MapError):
        return {**head, "verdict": "unclear", "reason": str(compared), "differences": []}
    different = [peak for peak in compared.peaks if peak.different]
    verdict = "unclear" if compared.problems else "different" if different else "same"
    return {
        **head,
        "verdict": verdict,
        "reason": "; ".join(compared.problems),
        "shift_px": [compared.shift.rows, compared.shift.columns],
        "shift_sigma_px": compared.shift.sigma,
        "gain": abs(compared.gain),
        "turn_rad": float(np.angle(compared.gain)),
        "gain_places": compared.common.agreeing,
        "golden_places": compared.common.places,
        "differences": [_place(peak, raster) for peak in different[:MOST_DIFFERENCES]],
        "differences_found": len(different),
        "peaks_tested": len(compared.peaks),
        "baseline_pixels": compared.baseline,
    }


def _place(peak: MapDifference, raster: Raster) -> dict[str, Any]:
    x_um, y_um = layout_place(raster, peak.column, peak.row)
    return {
        "row": peak.row,
        "column": peak.column,
        "x_um": x_um,
        "y_um": y_um,
        "height_sigma": peak.height,
        "p_value": peak.p_value,
        "adjusted": peak.adjusted,
        "amplitude_ratio": peak.amplitude_ratio,
        "phase_rad": peak.phase_rad if is_complex(raster) else None,
    }


def layout_place(raster: Raster, column: float, row: float) -> tuple[float | None, float | None]:
    """Return a pixel's place on the layout in micrometres, ``None`` twice where the map does not say."""
    if raster.affine_um is None:
        return None, None
    x, y = (each[0] * column + each[1] * row + each[2] for each in raster.affine_um)
    return float(x), float(y)


def judge_chain(
    chain: Mapping[str, Any], maps: Sequence[Raster], placement: Placement | None, fwhm_nm: float | None
) -> dict[str, Any]:
    """Return where the scan chain of a session's ``scan_chain`` entry breaks, or why that cannot be said.

    The entry has ``cells`` (instances of the placement in the order of the data), ``clock_hz`` and ``data_hz``.
    """
    try:
        cells = _cells(chain)
        clock, data = (_at_frequency(maps, chain.get(key), key) for key in ("clock_hz", "data_hz"))
        columns, rows = _pixels(cells, placement, clock)
        spot_px = spot_of(clock, fwhm_nm)
        found = find_break(
            measure_cells(array_of(clock), rows, columns, spot_px),
            measure_cells(array_of(data), rows, columns, spot_px),
        )
    except (ChainError, MapError) as error:
        return {"verdict": "unclear", "reason": str(error), "cells": []}
    return _chain_document(cells, found)


def _cells(chain: Mapping[str, Any]) -> list[str]:
    cells = chain.get("cells")
    if not isinstance(cells, list) or not all(isinstance(cell, str) for cell in cells):
        raise ChainError("scan_chain.cells is no list of instance names")
    return cells


def _at_frequency(maps: Sequence[Raster], frequency_hz: object, key: str) -> Raster:
    if not isinstance(frequency_hz, int | float):
        raise ChainError(f"scan_chain.{key} is no frequency")
    fits = [
        raster
        for raster in maps
        if raster.frequency_hz is not None
        and math.isclose(raster.frequency_hz, frequency_hz, rel_tol=_FREQUENCY_TOLERANCE)
    ]
    if len(fits) != 1 or not is_complex(fits[0]):
        raise ChainError(f"one map with amplitude and phase at {key} {frequency_hz:g} Hz is needed; {len(fits)} found")
    return fits[0]


def _pixels(
    cells: Sequence[str], placement: Placement | None, raster: Raster
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if placement is None or raster.affine_um is None:
        raise ChainError("the cells' places need a placement, and a map with its affine to the layout")
    number = {instance: place for place, instance in enumerate(placement.instances)}
    missing = next((cell for cell in cells if cell not in number), None)
    if missing is not None:
        raise ChainError(f"the placement has no instance {missing}")
    at = [number[cell] for cell in cells]
    _check_places(placement, number, set(cells))
    matrix = np.asarray(raster.affine_um, np.float64)
    layout = np.stack([placement.x_um[at], placement.y_um[at]]) - matrix[:, 2:]
    if abs(np.linalg.det(matrix[:, :2])) < np.finfo(np.float64).tiny:
        raise ChainError("the map's affine cannot be inverted")
    columns, rows = np.linalg.solve(matrix[:, :2], layout)
    return np.asarray(columns, np.float64), np.asarray(rows, np.float64)


def _check_places(placement: Placement, number: Mapping[str, int], cells: set[str]) -> None:
    """Check that each of ``cells`` is where ``number``, its last row, says."""
    for row, instance in enumerate(placement.instances):
        if instance not in cells:
            continue
        here, there = ((float(placement.x_um[each]), float(placement.y_um[each])) for each in (row, number[instance]))
        if here != there:
            raise ChainError(f"the placement has the instance {instance} at {here} um and at {there} um")


def _chain_document(cells: Sequence[str], found: ChainBreak) -> dict[str, Any]:
    return {
        "verdict": found.verdict,
        "reason": "",
        "no_break": found.no_break,
        "unmodelled": found.unmodelled,
        "data_over_clock": found.ratio,
        "cells": [
            {"cell": cell, "posterior": float(p), "reached": float(reached)}
            for cell, p, reached in zip(cells, found.posterior, found.reached, strict=True)
        ],
        "by_eye": None if found.baseline is None else cells[found.baseline],
        "clockless": [cells[place] for place in found.clockless],
    }
