"""The projection system: source, pupil, aberrations, defocus; scalar, thin mask, a periodic tile on the wafer.

Frequencies are those on the wafer. A source point ``s`` tilts the illumination, so that the pupil sees the mask's
frequency ``f`` at ``f + s NA / lambda``. The pupil passes ``|f| <= NA / lambda`` with the phase of Zernike's
polynomials (Noll, "Zernike polynomials and atmospheric turbulence", J. Opt. Soc. Am. 66, 1976) and of defocus, exact
for plane waves in a medium of index ``n``: ``2 pi z / lambda (sqrt(n^2 - (NA rho)^2) - n)``.

Not modelled, and so never part of an uncertainty: polarisation (vector imaging), the thickness of the mask, flare,
obliquity factors, and the resist beyond a threshold.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analysis.mask.coherent_kernels import ImagingError
from analysis.mask.harmonics import Reach

SOURCES = ("conventional", "annular", "dipole", "quadrupole")
_POLES = {"conventional": 0, "annular": 0, "dipole": 2, "quadrupole": 4}
_ROUNDING = 1e-9
_FINE = 8


@dataclass(frozen=True)
class Source:
    """The shape of the source in the pupil, in parts of the numerical aperture (sigma).

    Attributes:
        shape: one of :data:`SOURCES`.
        outer: outer radius; 0 for one point on the axis, which is coherent light.
        inner: inner radius of a ring or of poles.
        opening_deg: angle that one pole takes up on the ring (dipole, quadrupole).
        rotation_deg: of the first pole from the x axis; 45 makes a quadrupole's poles diagonal.
    """

    shape: str
    outer: float
    inner: float = 0.0
    opening_deg: float = 90.0
    rotation_deg: float = 0.0

    def __post_init__(self) -> None:
        if self.shape not in SOURCES:
            raise ImagingError(f"the source {self.shape!r} is not known; known are {', '.join(SOURCES)}")
        if not 0 <= self.inner <= self.outer <= 1:
            raise ImagingError(f"a source has 0 <= inner <= outer <= 1, not inner {self.inner}, outer {self.outer}")
        if self.shape == "conventional" and self.inner > 0:
            raise ImagingError("a conventional source has no inner radius; use annular")
        if self.shape != "conventional" and self.inner >= self.outer:
            raise ImagingError(f"the ring of the {self.shape} source from {self.inner} to {self.outer} has no area")
        poles = _POLES[self.shape]
        if poles and not 0 < self.opening_deg <= 360 / poles:
            raise ImagingError(
                f"a pole of a {self.shape} opens by up to {360 / poles:g} degrees, not {self.opening_deg}"
            )
        if not math.isfinite(self.rotation_deg):
            raise ImagingError("the source's rotation is not a finite number")

    def contains(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say which places of the pupil, ``x`` and ``y`` in sigma (any one shape), shine."""
        radius = np.hypot(x, y)
        shines = (radius <= self.outer) & (radius >= self.inner)
        poles = _POLES[self.shape]
        if poles:
            angle = np.degrees(np.arctan2(y, x)) - self.rotation_deg
            turn = 360 / poles
            shines &= np.abs((angle + turn / 2) % turn - turn / 2) <= self.opening_deg / 2
        return np.asarray(shines)


@dataclass(frozen=True)
class SourcePoints:
    """Points that stand for a source, float64 of shape ``(points,)``.

    Attributes:
        x, y: places in sigma.
        weights: parts of the light, summing to 1.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    weights: NDArray[np.float64]


def sample_source(source: Source, across: int = 21) -> SourcePoints:
    """Return the points of a square grid of ``across`` x ``across`` cells over ``source``.

    A cell counts by the part of it that shines.

    Raises:
        ImagingError: fewer than one cell, or none of them shines.
    """
    if source.outer == 0:
        return SourcePoints(np.zeros(1), np.zeros(1), np.ones(1))
    if across < 1:
        raise ImagingError(f"a source needs cells, not {across}")
    cell = 2 * source.outer / across
    middles: NDArray[np.float64] = (np.arange(across, dtype=np.float64) - (across - 1) / 2) * cell
    inside = ((np.arange(_FINE) + 0.5) / _FINE - 0.5) * cell
    fine = (middles[:, None] + inside).ravel()
    lit = source.contains(*np.meshgrid(fine, fine, indexing="xy"))
    parts = lit.reshape(across, _FINE, across, _FINE).mean(axis=(1, 3))
    rows, columns = np.nonzero(parts)
    if not rows.size:
        raise ImagingError(f"no cell of the source shines; take more than {across} across")
    weights = parts[rows, columns]
    return SourcePoints(middles[columns], middles[rows], weights / weights.sum())


@dataclass(frozen=True)
class Optics:
    """A projection system.

    Attributes:
        wavelength_nm: in vacuum.
        numerical_aperture: on the wafer's side.
        source: its shape.
        medium_index: refractive index between lens and wafer; above the numerical aperture.
        magnification: mask lengths over wafer lengths: 4 for a scanner. It is used where mask coordinates become wafer
            coordinates (:meth:`to_wafer`), and nowhere else.
        zernikes: Noll number to coefficient in waves (root mean square over the pupil).
    """

    wavelength_nm: float
    numerical_aperture: float
    source: Source
    medium_index: float = 1.0
    magnification: float = 4.0
    zernikes: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        numbers = (self.wavelength_nm, self.numerical_aperture, self.medium_index, self.magnification)
        if not all(math.isfinite(each) and each > 0 for each in numbers):
            raise ImagingError("wavelength, numerical aperture, index and magnification are positive numbers")
        if self.numerical_aperture >= self.medium_index:
            raise ImagingError(
                f"a numerical aperture of {self.numerical_aperture:g} needs a medium of a higher index than"
                f" {self.medium_index:g} (water at 193 nm: about 1.44)"
            )
        for number, waves in self.zernikes.items():
            if not (isinstance(number, int) and 1 <= number <= 66 and math.isfinite(waves)):
                raise ImagingError(f"Zernike {number!r}: {waves!r} is no Noll number of 1 to 66 with finite waves")

    @property
    def resolution_nm(self) -> float:
        """Wavelength over numerical aperture."""
        return self.wavelength_nm / self.numerical_aperture

    def to_wafer(self, mask_nm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return lengths or coordinates on the mask, ``mask_nm`` (any shape), as those on the wafer."""
        return mask_nm / self.magnification


@dataclass(frozen=True)
class Tile:
    """The periodic cell on the wafer: width along x and height along y, in nanometres."""

    width_nm: float
    height_nm: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.width_nm * self.height_nm) and self.width_nm > 0 and self.height_nm > 0):
            raise ImagingError(f"a tile of {self.width_nm} x {self.height_nm} nm is none")


def passed_reach(optics: Optics, tile: Tile) -> Reach:
    """Return the highest harmonics of ``tile`` that ``optics`` pass from any source point."""
    cutoff = (1 + optics.source.outer) / optics.resolution_nm
    return Reach(
        math.floor(cutoff * tile.height_nm + _ROUNDING),
        math.floor(cutoff * tile.width_nm + _ROUNDING),
    )


def pupil(
    optics: Optics, x: NDArray[np.float64], y: NDArray[np.float64], defocus_nm: float = 0.0
) -> NDArray[np.complex128]:
    """Return the pupil's transmission.

    Args:
        optics: the system.
        x: places in the pupil in parts of the numerical aperture, any shape.
        y: the same along y, the same shape.
        defocus_nm: wafer out of focus, in nanometres.

    Raises:
        ImagingError: the defocus is not a finite number.
    """
    if not math.isfinite(defocus_nm):
        raise ImagingError(f"a defocus of {defocus_nm} nm is not a finite number")
    square = x**2 + y**2
    passes = square <= 1 + _ROUNDING
    index = optics.medium_index
    rise = np.sqrt(index**2 - optics.numerical_aperture**2 * np.where(passes, square, 0.0)) - index
    waves = rise * (defocus_nm / optics.wavelength_nm)
    if optics.zernikes:
        radius, angle = np.sqrt(np.where(passes, square, 0.0)), np.arctan2(y, x)
        for number, coefficient in optics.zernikes.items():
            waves = waves + coefficient * zernike(number, radius, angle)
    return np.where(passes, np.exp(2j * np.pi * waves), 0.0)


def zernike(number: int, radius: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Zernike's polynomial of Noll's ``number`` (1 is piston), of unit variance over the disc.

    Args:
        number: from 1 on.
        radius: 0 to 1, any shape.
        angle: in radians, the same shape.
    """
    n = math.ceil((-3 + math.sqrt(1 + 8 * number)) / 2)
    place = number - n * (n + 1) // 2
    m = 2 * (place // 2) if n % 2 == 0 else 2 * ((place + 1) // 2) - 1
    total = np.zeros_like(radius)
    for k in range((n - m) // 2 + 1):
        factor = (-1) ** k * math.factorial(n - k)
        below = math.factorial(k) * math.factorial((n + m) // 2 - k) * math.factorial((n - m) // 2 - k)
        total += factor / below * radius ** (n - 2 * k)
    if m == 0:
        return math.sqrt(n + 1) * total
    wave = np.cos(m * angle) if number % 2 == 0 else np.sin(m * angle)
    return np.asarray(math.sqrt(2 * (n + 1)) * total * wave)
