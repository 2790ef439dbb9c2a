"""The gain that two maps have in common, though many of their places, even most, may have changed or gone dark.

Least squares over all pixels, robust or not, take what most bright pixels do for the gain: where most spots of a
broken scan chain are dark, a gain of zero. Here every place that stands out of the golden map's noise has a ratio of
its own, ``suspect = ratio * golden + offset`` within a window around it, with a standard error by both maps' noise. A
place without signal in the suspect says nothing about the gain: one that cannot be told from zero is none.
Candidates are the modes of the ratios (mean shift: Comaniciu and Meer, IEEE PAMI 24, 2002).

A candidate that ``k`` places share scores ``log p(gain) + 4 log(k + 1)``. The second part is the evidence of ``k``
unchanged places with all others free to have changed together (one fault darkens many places, so that they are not
independent witnesses), for a density of the unchanged part ``f`` that goes as ``f**4``, with a mean of 5/6. The first
is for maps of one tool at the same settings: log-normal around 1 with a factor of two as its standard deviation, and
2 % for other units and settings, uniform in the logarithm over eight decades. The phase has no preference. A gain is
answered only where it is thirty times as likely as the next, or as that no place is unchanged; otherwise both are told.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from analysis.anomaly.registration import MapError

GAIN_SPREAD = 2.0
"""Factor of one standard deviation of the gain between two maps of one tool at the same settings."""

PLACE_SPREAD = 0.08
"""Standard deviation of an unchanged place's own ratio around the common gain, as a part of it."""

GAIN_ODDS = 30.0
"""How many times as likely as any other a gain is to be, to be answered."""

_OTHER_SETTINGS = 0.02
_DECADES = 8
_INVERTED = 0.01
_UNCHANGED_POWER = 4.0
_VISIBLE = 3.0
_WINDOW_NOISE = 0.2
"""Part of a window's noise that falls on one template: measured, 0.13 (correlated noise) to 0.19 (white)."""
_SEEN = 6.0
_AGREE = 2.5
_MEMBER = 0.5
_MOST_PLACES = 400
_STEPS = 12
_BIWEIGHT = 4.685
_FWHM = 2.3548200450309493
_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class CommonGain:
    """What ``suspect = gain * golden + offset`` is, and what it rests on.

    Attributes:
        gain, offset: complex; their imaginary parts are 0 for real maps.
        places: that stand out in the golden map.
        agreeing: of these, how many have this gain in the suspect's.
        unchanged: bool of the maps' shape: false at pixels under a place that has another ratio.
    """

    gain: complex
    offset: complex
    places: int
    agreeing: int
    unchanged: NDArray[np.bool_]


@dataclass(frozen=True)
class PlaceRatios:
    """Ratios of the places that stand out in the golden map: complex128 and float64 of shape ``(places,)``.

    ``sigma`` is the standard error of the ratio, of each part of a complex one; ``rows`` and ``columns`` are int64.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.complex128]
    sigma: NDArray[np.float64]


def fit_common_gain(
    golden: NDArray[np.complex128], suspect: NDArray[np.complex128], spot_px: float, freedom: int
) -> CommonGain:
    """Return the common gain of two maps, complex128 of one shape, the golden one moved onto the suspect's.

    ``spot_px`` is the spot's full width at half maximum in pixels; ``freedom`` is 2 for maps with a phase and 1 for
    others. The fit is to maps blurred by the spot: noise of the golden one would lower the gain.

    Raises:
        MapError: nothing stands out in the golden map, none of it shows in the suspect's, or more than one gain fits.
    """
    ratios = measure_ratios(golden, suspect, spot_px, freedom)
    gain = choose_gain(ratios, freedom)
    shares = _shares(ratios, gain, freedom)
    at, other = _under_places(golden.shape, ratios, shares > _MEMBER, spot_px)
    smooth = blur(golden, spot_px), blur(suspect, spot_px)
    fitted, offset = _refine(*smooth, gain, at, ~other)
    return CommonGain(fitted, offset, ratios.values.size, int((shares > _MEMBER).sum()), ~other)


def measure_ratios(
    golden: NDArray[np.complex128], suspect: NDArray[np.complex128], spot_px: float, freedom: int
) -> PlaceRatios:
    """Return the ratio of suspect to golden map at each place that stands out.

    ``golden`` and ``suspect`` are complex128 of one shape, ``spot_px`` the spot's full width at half maximum in pixels,
    ``freedom`` 2 for maps with a phase and 1 for others.

    A place is a maximum of the golden map's variance within a Gaussian window of 1.5 times the spot's width; its ratio
    is the slope within one of 1.4 times. The suspect's noise is what the golden map does not explain; the golden one's,
    where too much has changed to be told likewise, is as much larger or smaller as between neighbouring pixels.

    Raises:
        MapError: nothing stands out.
    """
    blurred = blur(golden, spot_px), blur(suspect, spot_px)
    own, other, both = _moments(*blurred, np.sqrt(2) * spot_px)
    noise_suspect = max(float(np.median(other - np.abs(both) ** 2 / np.maximum(own, _TINY))), _TINY)
    noise_golden = float(np.median(own - np.abs(both) ** 2 / np.maximum(other, _TINY)))
    alike = noise_suspect * (_pixel_noise(golden) / max(_pixel_noise(suspect), _TINY)) ** 2
    noise_golden = max(min(noise_golden, alike), 1e-8 * float(own.max()), _TINY)
    wide, _, _ = _moments(*blurred, 1.5 * spot_px)
    top = wide == ndimage.maximum_filter(wide, 2 * round(spot_px) + 1, mode="nearest")
    places = np.argwhere(top & (own > _VISIBLE**2 * noise_golden))
    if not len(places):
        raise MapError("nothing stands out of the golden map's noise: the gain between the maps cannot be told")
    places = places[np.argsort(-own[tuple(places.T)], kind="stable")][:_MOST_PLACES]
    rows, columns = places.T
    energy = own[rows, columns] - noise_golden
    values = both[rows, columns] / energy
    variance = _WINDOW_NOISE * (noise_suspect + np.abs(values) ** 2 * noise_golden) / (freedom * energy)
    return PlaceRatios(rows, columns, values, np.sqrt(np.maximum(variance, _TINY)))


def _moments(
    first: NDArray[np.complex128], second: NDArray[np.complex128], width: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.complex128]]:
    """Return the variance of each and their covariance, within a Gaussian window around each pixel."""
    means = blur(first, width), blur(second, width)
    own, other = (
        np.maximum(blur(np.abs(each) ** 2 + 0j, width).real - np.abs(mean) ** 2, 0.0)
        for each, mean in zip((first, second), means, strict=True)
    )
    return own, other, blur(np.conj(first) * second, width) - np.conj(means[0]) * means[1]


def _pixel_noise(values: NDArray[np.complex128]) -> float:
    """Return what second differences in both directions leave of a map, in which no spot shows (Immerkaer, 1996)."""
    rough = np.diff(np.diff(values, 2, axis=0), 2, axis=1)
    return float(np.median(np.abs(rough - np.median(rough.real) - 1j * np.median(rough.imag))))


def choose_gain(ratios: PlaceRatios, freedom: int) -> complex:
    """Return the gain that the unchanged places of ``ratios`` share; ``freedom`` is 2 with a phase and 1 without.

    Raises:
        MapError: no place shows in the suspect's map, or the gain cannot be told from another.
    """
    count = ratios.values.size
    candidates = _candidates(ratios, freedom)
    if not candidates:
        most = float(np.max(np.abs(ratios.values) + 3 * ratios.sigma))
        raise MapError(
            f"none of the {count} places that stand out in the golden map shows in this one (less than {most:.2g} of"
            " the golden signal): all are dark, or nothing was recorded; the gain between the maps cannot be told"
        )
    (score, gain, agreeing), *others = candidates
    for _, other, _ in others:
        for_it, against = _divided(ratios, gain, other)
        odds = _score(gain, for_it, freedom) - _score(other, against, freedom)
        if against and odds < np.log(GAIN_ODDS):
            raise MapError(
                f"two gains fit: {_told(gain, freedom)} ({for_it} of {count} places) and {_told(other, freedom)}"
                f" ({against}): which places have changed cannot be told"
            )
    if score - _log_prior(1.0, freedom) < np.log(GAIN_ODDS):
        raise MapError(
            f"the gain {_told(gain, freedom)} would rest on {agreeing} of {count} places that stand out in the"
            " golden map: too few to tell a gain from a change of these places"
        )
    return gain


def _told(gain: complex, freedom: int) -> str:
    if freedom == 1:
        return f"{gain.real:.3g}"
    return f"{abs(gain):.3g} turned by {np.angle(gain):.2g} rad"


def _candidates(ratios: PlaceRatios, freedom: int) -> list[tuple[float, complex, int]]:
    """Return (score, gain, agreeing places) of the gains that some places share, the likeliest first."""
    found: list[tuple[float, complex, int]] = []
    for start in ratios.values:
        gain = complex(start)
        for _ in range(_STEPS):
            tolerance = _tolerance(ratios, gain)
            near = np.clip(1 - (np.abs(ratios.values - gain) / (_AGREE * tolerance)) ** 2, 0.0, None)
            weights = near**2 / tolerance**2
            if weights.sum() <= 0:
                break
            gain = complex(np.average(ratios.values, weights=weights))
        shares = _shares(ratios, gain, freedom)
        if float(np.sum(shares * abs(gain) ** 2 / ratios.sigma**2)) < _SEEN**2:
            continue
        found.append((_score(gain, float(shares.sum()), freedom), gain, int((shares > _MEMBER).sum())))
    found.sort(key=lambda each: -each[0])
    kept: list[tuple[float, complex, int]] = []
    for each in found:
        if all(abs(each[1] - other[1]) > _AGREE * PLACE_SPREAD * abs(other[1]) for other in kept):
            kept.append(each)
    return kept


def _divided(ratios: PlaceRatios, gain: complex, other: complex) -> tuple[int, int]:
    """Return how many places are nearer to ``gain`` and agree with it, and how many agree with ``other`` alone."""
    away, from_other = (np.abs(ratios.values - each) / _tolerance(ratios, each) for each in (gain, other))
    return int(((away <= _AGREE) & (away < from_other)).sum()), int(((away > _AGREE) & (from_other <= _AGREE)).sum())


def _score(gain: complex, agreeing: float, freedom: int) -> float:
    return _log_prior(gain, freedom) + _UNCHANGED_POWER * float(np.log1p(agreeing))


def _tolerance(ratios: PlaceRatios, gain: complex) -> NDArray[np.float64]:
    return np.asarray(np.hypot(ratios.sigma, PLACE_SPREAD * abs(gain)), np.float64)


def _shares(ratios: PlaceRatios, gain: complex, freedom: int) -> NDArray[np.float64]:
    """Return for each place the probability that it has this gain, not none and not one of its own."""
    tolerance = _tolerance(ratios, gain)
    unchanged = np.exp(-0.5 * np.abs((ratios.values - gain) / tolerance) ** 2) / tolerance**freedom
    dark = np.exp(-0.5 * np.abs(ratios.values / ratios.sigma) ** 2) / ratios.sigma**freedom
    own = np.exp(-0.5 * _AGREE**2) / tolerance**freedom
    return np.asarray(unchanged / (unchanged + dark + own), np.float64)


def _log_prior(gain: complex, freedom: int) -> float:
    spread = np.log(GAIN_SPREAD)
    usual = np.exp(-0.5 * (np.log(max(abs(gain), _TINY)) / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
    density = (1 - _OTHER_SETTINGS) * usual + _OTHER_SETTINGS / (_DECADES * np.log(10))
    inverted = freedom == 1 and complex(gain).real < 0
    return float(np.log(density * (_INVERTED if inverted else 1.0)))


def _under_places(
    shape: tuple[int, ...], ratios: PlaceRatios, unchanged: NDArray[np.bool_], spot_px: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the pixels under unchanged places, and those under others; a pixel is under its nearest place at most."""
    label = np.zeros(shape, np.int64)
    label[ratios.rows, ratios.columns] = np.arange(ratios.values.size) + 1
    distance, (row, column) = ndimage.distance_transform_edt(label == 0, return_indices=True)
    near = distance < 1.5 * spot_px
    same = np.concatenate([[False], unchanged])[label[row, column]]
    return np.asarray(near & same, np.bool_), np.asarray(near & ~same, np.bool_)


def _refine(
    golden: NDArray[np.complex128],
    suspect: NDArray[np.complex128],
    gain: complex,
    at: NDArray[np.bool_],
    usable: NDArray[np.bool_],
) -> tuple[complex, complex]:
    """Fit the gain by Tukey's biweight, from ``gain`` on, to pixels ``at`` places; the offset is of all ``usable``.

    Noise of a golden background would lower the gain, and so would an offset that is fitted to the places alone.
    """
    level = _median(golden[usable])
    away = golden[at] - level
    fit = gain
    for _ in range(_STEPS):
        offset = _median(suspect[usable] - fit * golden[usable])
        target = suspect[at] - offset - fit * level
        size = np.abs(target - fit * away)
        noise = max(float(np.median(size)) / 0.8, _TINY)
        scale = np.hypot(noise, PLACE_SPREAD * abs(gain) * np.abs(away))
        weights = np.clip(1 - (size / (_BIWEIGHT * scale)) ** 2, 0.0, None) ** 2
        fit = complex(np.sum(weights * np.conj(away) * target) / max(float(weights @ np.abs(away) ** 2), _TINY))
    if abs(fit - gain) > _AGREE * PLACE_SPREAD * abs(gain):
        fit = gain
    return fit, _median(suspect[usable] - fit * golden[usable])


def _median(values: NDArray[np.complex128]) -> complex:
    return complex(np.median(values.real), np.median(values.imag))


def blur(values: NDArray[np.complex128], fwhm_px: float) -> NDArray[np.complex128]:
    """Return the complex128 map ``values`` blurred by a Gaussian of ``fwhm_px`` pixels full width at half maximum."""
    sigma = fwhm_px / _FWHM
    real, imaginary = (ndimage.gaussian_filter(part, sigma, mode="nearest") for part in (values.real, values.imag))
    return np.asarray(real + 1j * imaginary, np.complex128)
