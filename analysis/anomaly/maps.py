"""A suspect's LVI, EOFM or reflectance map against a golden one: where they differ, in amplitude and in phase.

After registration (:mod:`analysis.anomaly.registration`) ``suspect = gain * golden + offset + noise``; the gain
(:mod:`analysis.anomaly.common_gain`) is complex for complex maps, since power and phase reference differ between
sessions, and is that of the places that did not change, of which there may be few. The variance of
what is left is not assumed but fitted to it: a constant, a part that grows with the signal (gain that is not uniform)
and one with its gradient (what registration leaves). The standardised difference is filtered by the spot, since no
true difference is smaller, and brought to unit variance by its own spread, which takes the correlation of neighbouring
pixels into account.

Discoveries are peaks, not pixels: pixels under one spot are one finding. Above a height ``u0``, a peak of height ``u``
has by chance the probability ``EC(u) / EC(u0)`` with ``EC`` the expected Euler characteristic of the field (normal:
Worsley, Journal of Cerebral Blood Flow and Metabolism 12, 1992; two degrees of freedom, for complex maps: Worsley,
Advances in Applied Probability 26, 1994); the smoothness cancels. Peaks pass the procedure of Benjamini and Hochberg
(topological inference: Chumbley and Friston, NeuroImage 44, 2009).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from analysis.anomaly.common_gain import CommonGain, blur, fit_common_gain
from analysis.anomaly.registration import MapError, Shift, move_map, refine_shift, register_maps
from analysis.anomaly.thresholds import false_discovery_adjusted

DIFFERENT_BELOW = 0.05
MOST_SHIFT = 8
_LEAST_TAIL = 0.01
_LEAST_PLACES = 3
_CHI_MEDIAN = {1: 0.45493642311957, 2: 1.3862943611198906}
"""Medians of chi squared with one and two degrees of freedom."""


@dataclass(frozen=True)
class MapDifference:
    """A place where the maps differ.

    Attributes:
        row, column: of the peak, in pixels of the suspect's map.
        height: of the filtered difference, in standard deviations.
        p_value, adjusted: of such a peak by chance, and adjusted for all peaks (false-discovery rate).
        amplitude_ratio: suspect's over golden amplitude there, after the common gain.
        phase_rad: suspect's phase less the golden one's there, after the common turn; 0 for real maps.
    """

    row: int
    column: int
    height: float
    p_value: float
    adjusted: float
    amplitude_ratio: float
    phase_rad: float

    @property
    def different(self) -> bool:
        """Whether it is a discovery at the rate :data:`DIFFERENT_BELOW`."""
        return self.adjusted <= DIFFERENT_BELOW


@dataclass(frozen=True)
class MapComparison:
    """Two maps compared.

    Attributes:
        shift: of the golden map, in pixels.
        common: gain and offset, and how many places they rest on.
        heights: float64 of the maps' shape: the filtered difference in standard deviations; NaN at the border.
        peaks: above the height from which they are tested, the highest first.
        baseline: pixels whose plain difference exceeds three standard deviations of all: the usual way.
        problems: what makes the comparison doubtful, in words.
    """

    shift: Shift
    common: CommonGain
    heights: NDArray[np.float64]
    peaks: tuple[MapDifference, ...]
    baseline: int
    problems: tuple[str, ...]

    @property
    def gain(self) -> complex:
        """The common gain; its imaginary part is 0 for real maps."""
        return self.common.gain


def compare_maps(
    golden: NDArray[np.complex128], suspect: NDArray[np.complex128], spot_px: float, shift: Shift | None = None
) -> MapComparison:
    """Compare ``suspect`` with ``golden``, both complex128 (or real) of one shape ``(rows, columns)``, in any unit.

    ``spot_px`` is the spot's full width at half maximum in pixels; ``shift``, where known from another map of the same
    scan, takes the place of registration.

    Raises:
        MapError: the maps differ in shape, are too small, have pixels that are not finite, show nothing in common, or
            the spot is narrower than a pixel.
    """
    first, second = _checked(golden), _checked(suspect)
    if not spot_px >= 1:
        raise MapError(f"a spot of {spot_px} pixels is narrower than a pixel")
    freedom = 2 if np.iscomplexobj(golden) or np.iscomplexobj(suspect) else 1
    if first.shape != second.shape:
        raise MapError(f"maps of {first.shape} and {second.shape} pixels: one size is needed")
    edge = MOST_SHIFT + 1
    if min(second.shape) < 2 * (edge + int(np.ceil(spot_px))) + 16:
        raise MapError(f"a map of {second.shape} pixels is too small for a spot of {spot_px:.3g}")
    inside = (slice(edge, -edge), slice(edge, -edge))
    searched = shift is None
    if shift is None:
        shift = _register(first, second, spot_px, freedom)
    moved = _moved(first, shift)
    known, seen = moved[inside], second[inside]
    common = fit_common_gain(known, seen, spot_px, freedom)
    if searched and common.agreeing < min(_LEAST_PLACES, common.places / 2):
        raise MapError(
            f"shift and gain would both rest on {common.agreeing} of {common.places} places that stand out in the"
            " golden map: other places lie alike by chance"
        )
    gain, offset = common.gain, common.offset
    residual = seen - gain * known - offset
    sigma = _fit_sigma(residual, gain * known, common.unchanged, freedom)
    heights = np.full(second.shape, np.nan)
    rim = edge + int(np.ceil(spot_px))  # nearer to the border the filter averages fewer pixels
    whole = (slice(rim, -rim), slice(rim, -rim))
    heights[whole] = _filter(residual / sigma, spot_px, freedom)[rim - edge : edge - rim, rim - edge : edge - rim]
    peaks = _find_peaks(heights, freedom)
    smooth_known, smooth_seen = (blur(each, spot_px) for each in (gain * moved, second - offset))
    plain = np.abs(second - moved)[inside]
    return MapComparison(
        shift=shift,
        common=common,
        heights=heights,
        peaks=tuple(_describe(peak, smooth_known, smooth_seen, freedom) for peak in peaks),
        baseline=int((np.abs(plain - np.median(plain)) > 3 * plain.std()).sum()),
        problems=_problems(peaks, heights),
    )


def _checked(values: NDArray[np.complex128]) -> NDArray[np.complex128]:
    if values.ndim != 2 or not np.isfinite(values).all():
        raise MapError("a map is a rectangle of finite numbers")
    return np.asarray(values, np.complex128)


def _visible(values: NDArray[np.complex128], freedom: int) -> NDArray[np.float64]:
    return np.abs(values) if freedom == 2 else np.asarray(values.real, np.float64)


def _register(first: NDArray[np.complex128], second: NDArray[np.complex128], spot_px: float, freedom: int) -> Shift:
    """Register by everything, and again by what has not changed."""
    visible = _visible(first, freedom), _visible(second, freedom)
    shift = register_maps(*visible, MOST_SHIFT)
    edge = MOST_SHIFT + 1
    inside = (slice(edge, -edge), slice(edge, -edge))
    try:
        common = fit_common_gain(_moved(first, shift)[inside], second[inside], spot_px, freedom)
    except MapError:  # which of them have changed is not known: the comparison will say so
        return shift
    usable = np.pad(common.unchanged, edge)
    return refine_shift(*visible, (shift.rows, shift.columns), MOST_SHIFT, usable)


def _moved(values: NDArray[np.complex128], shift: Shift) -> NDArray[np.complex128]:
    """Move a map that is mirrored at its borders, so that what wraps around does not jump."""
    rim = 2 * MOST_SHIFT
    padded = np.pad(values, rim, mode="reflect")
    return move_map(padded, shift.rows, shift.columns)[rim:-rim, rim:-rim]


def _fit_sigma(
    residual: NDArray[np.complex128], expected: NDArray[np.complex128], usable: NDArray[np.bool_], freedom: int
) -> NDArray[np.float64]:
    """Return the standard deviation of each pixel's residual (of each part of a complex one).

    ``usable`` leaves out places that have changed: they would be taken for a gain that is not uniform.
    Bins of pixels that are alike in signal and gradient give robust variances, to which the three terms are fitted.
    """
    down, across = np.gradient(expected)
    terms = np.stack([np.ones(residual.shape), np.abs(expected) ** 2, np.abs(down) ** 2 + np.abs(across) ** 2], axis=-1)
    square = np.abs(residual[usable]) ** 2 / _CHI_MEDIAN[freedom]
    used = terms[usable]
    order = np.lexsort((used[:, 2], np.digitize(used[:, 1], _edges(used[:, 1]))))
    bins = np.array_split(order, max(3, min(64, square.size // 256)))
    variances = np.asarray([np.median(square[each]) for each in bins])
    means = np.asarray([used[each].mean(axis=0) for each in bins])
    scale = np.maximum(means.max(axis=0), np.finfo(np.float64).tiny)
    floor = max(float(np.median(variances)) * 1e-3, np.finfo(np.float64).tiny)
    weight = 1 / np.maximum(variances, floor)
    fit, _ = optimize.nnls(weight[:, None] * means / scale, weight * variances)
    return np.asarray(np.sqrt(np.maximum(terms @ (fit / scale), floor)), np.float64)


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.quantile(values, np.linspace(0, 1, 9)[1:-1]), np.float64)


def _filter(z: NDArray[np.complex128], spot_px: float, freedom: int) -> NDArray[np.float64]:
    """Return the filtered difference in standard deviations: signed for real maps, of two parts for complex ones."""
    smooth = blur(z, spot_px)
    parts = [part / _spread(part) for part in ((smooth.real, smooth.imag) if freedom == 2 else (smooth.real,))]
    return np.asarray(np.hypot(*parts) if freedom == 2 else np.abs(parts[0]), np.float64)


def _spread(values: NDArray[np.float64]) -> float:
    return max(float(np.median(np.abs(values - np.median(values)))) / 0.6744898, np.finfo(np.float64).tiny)


def expected_peaks(height: NDArray[np.float64], freedom: int) -> NDArray[np.float64]:
    """Return the density of peaks above ``height`` (standard deviations, float64), but for a factor of smoothness.

    ``freedom`` is 1 for the absolute value of a normal field, 2 for the root of the sum of the squares of two.
    """
    fall = np.exp(-(height**2) / 2)
    return np.asarray(height * fall if freedom == 1 else np.maximum(height**2 - 1, 0.0) * fall, np.float64)


def least_height(freedom: int) -> float:
    """Return the height from which peaks are tested: a pixel exceeds it by chance in 1 % (``freedom``: 1 or 2)."""
    return 2.5758293035489004 if freedom == 1 else float(np.sqrt(-2 * np.log(_LEAST_TAIL)))


def _find_peaks(heights: NDArray[np.float64], freedom: int) -> list[tuple[int, int, float, float, float]]:
    """Return (row, column, height, p, adjusted) of the local maxima that are tested, the highest first."""
    filled = np.nan_to_num(heights, nan=-1.0)
    top = (filled == ndimage.maximum_filter(filled, 3, mode="nearest")) & (filled > least_height(freedom))
    places = np.argwhere(top)
    height = heights[top]
    least = expected_peaks(np.asarray([least_height(freedom)]), freedom)[0]
    p_values = np.minimum(1.0, expected_peaks(height, freedom) / least)
    adjusted = false_discovery_adjusted(p_values)
    order = np.argsort(-height, kind="stable")
    return [
        (int(places[at][0]), int(places[at][1]), float(height[at]), float(p_values[at]), float(adjusted[at]))
        for at in order
    ]


def _describe(
    peak: tuple[int, int, float, float, float],
    known: NDArray[np.complex128],
    seen: NDArray[np.complex128],
    freedom: int,
) -> MapDifference:
    row, column, height, p_value, adjusted = peak
    expected, found = known[row, column], seen[row, column]
    size = max(float(np.abs(expected)), np.finfo(np.float64).tiny)
    ratio = float(np.abs(found)) / size if freedom == 2 else float((found / expected).real) if expected else np.inf
    phase = float(np.angle(found * np.conj(expected))) if freedom == 2 else 0.0
    return MapDifference(row, column, height, p_value, adjusted, min(ratio, 1e9), phase)


def _problems(peaks: list[tuple[int, int, float, float, float]], heights: NDArray[np.float64]) -> tuple[str, ...]:
    found = sum(1 for peak in peaks if peak[4] <= DIFFERENT_BELOW)
    if found > 0.01 * np.isfinite(heights).sum():
        return (f"{found} places differ: the maps may be turned, scaled or of another place",)
    return ()
