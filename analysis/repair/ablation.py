"""How deep a pulsed laser cuts: a logarithmic law per pulse, summed over the pulses that a place gets.

A pulse of local fluence ``F`` removes ``d ln(F / F_th)`` (S. Nolte et al., J. Opt. Soc. Am. B 14, 2716, 1997), with a
second pair ``(F_2, d_2)`` above the fluence where the two lines cross: gentle and strong ablation. The threshold of the
``n``-th pulse on a place falls by ``r(n) = floor + (1 - floor) n^(S - 1)``: incubation (Y. Jee et al., J. Opt. Soc. Am.
B 5, 648, 1988) with its saturation (F. Di Niso et al., Optics Express 22, 12200, 2014). A Gaussian spot that is moved
in steps much smaller than itself removes from each place the mean over its disk of 1/e2 radius per pulse.

Two factors carry what is not known: one scales both thresholds, one both penetrations. Pulses are taken as independent
of each other but for incubation; what the walls of a deep pit do to the beam is not modelled, so that a law has a most
depth.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.repair.constants import Constant, ConstantTable

Array = NDArray[np.float64]
Profile = Literal["gaussian", "top-hat"]
OPTIMUM_RATIO = math.e**2
"""Peak fluence over threshold at which a Gaussian pulse removes most volume for its energy: ln^2(x) / x is largest."""
_SUMMED_PULSES = 1024
_NODES_PER_OCTAVE = 12


class OutsideModel(ValueError):  # noqa: N818
    """The question lies where no constants hold; the message has the numbers."""


@dataclass(frozen=True)
class Shot:
    """The laser's pulses.

    Attributes:
        wavelength_nm: wavelength.
        pulse_s: duration of a pulse.
        fluence_j_cm2: at the middle of the spot for a Gaussian one, everywhere for a top-hat.
        profile: of the spot.
    """

    wavelength_nm: float
    pulse_s: float
    fluence_j_cm2: float
    profile: Profile = "gaussian"

    def __post_init__(self) -> None:
        for name in ("wavelength_nm", "pulse_s", "fluence_j_cm2"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a number above 0, not {value}")
        if self.profile not in ("gaussian", "top-hat"):
            raise ValueError(f"the profile is gaussian or top-hat, not {self.profile!r}")


@dataclass(frozen=True)
class Law:
    """The removal of one material by one kind of pulse, at its wavelength and width.

    Attributes:
        name: ``material.process`` in the table of constants.
        threshold_j_cm2, penetration_nm: of gentle ablation by the first pulse, each with its spread.
        strong: threshold (J/cm2) and penetration (nm) of strong ablation, ``None`` where the law has one regime.
        incubation: exponent ``S``; 1 for none.
        floor_ratio: threshold after very many pulses over that of the first.
        run_scatter: standard deviation of the logarithm of the depth between like runs.
        fluence_max_j_cm2, depth_max_um: up to where the law holds.
    """

    name: str
    threshold_j_cm2: Constant
    penetration_nm: Constant
    strong: tuple[float, float] | None
    incubation: Constant
    floor_ratio: Constant
    run_scatter: Constant
    fluence_max_j_cm2: float
    depth_max_um: float

    @property
    def crossing_j_cm2(self) -> float | None:
        """Fluence (first pulse) above which strong ablation removes more; ``None`` without a second regime."""
        if self.strong is None:
            return None
        gentle, steep = self.penetration_nm.value, self.strong[1]
        weighted = steep * math.log(self.strong[0]) - gentle * math.log(self.threshold_j_cm2.value)
        return math.exp(weighted / (steep - gentle))


def find_law(table: ConstantTable, material: str, shot: Shot) -> Law:
    """Return the law of ``table`` that holds for ``material`` and ``shot``.

    Raises:
        OutsideModel: the material is not known, or no law of it covers the wavelength, pulse width and fluence.
        ConstantsRefused: a law lacks one of its constants, or two regimes never cross.
    """
    laws = [key.split(".") for key in table.names() if key.startswith("laser.") and key.endswith(".threshold_j_cm2")]
    processes = sorted({law[2] for law in laws if law[1] == material})
    if not processes:
        known = sorted({law[1] for law in laws})
        raise OutsideModel(f"there are no ablation constants for {material!r}; there are for {', '.join(known)}")
    ranges = []
    for process in processes:
        limits = [
            table.peek(f"laser.{material}.{process}.{key}")
            for key in ("wavelength_min_nm", "wavelength_max_nm", "pulse_min_s", "pulse_max_s")
        ]
        if limits[0] <= shot.wavelength_nm <= limits[1] and limits[2] <= shot.pulse_s <= limits[3]:
            return _read_law(table, f"{material}.{process}", shot)
        ranges.append("{}: {:g} to {:g} nm, {:g} to {:g} s".format(process, *limits))
    raise OutsideModel(
        f"no ablation constants of {material} hold at {shot.wavelength_nm:g} nm and {shot.pulse_s:g} s; "
        f"there are {'; '.join(ranges)}"
    )


def _read_law(table: ConstantTable, name: str, shot: Shot) -> Law:
    prefix = f"laser.{name}."
    threshold = table[prefix + "threshold_j_cm2"]
    threshold = _moved(table, prefix, threshold, ("wavelength_exponent", "threshold_at_nm", shot.wavelength_nm))
    threshold = _moved(table, prefix, threshold, ("pulse_exponent", "threshold_at_s", shot.pulse_s))
    most = table[prefix + "fluence_max_j_cm2"].value
    if shot.fluence_j_cm2 > most:
        raise OutsideModel(f"{shot.fluence_j_cm2:g} J/cm2 is above {most:g} J/cm2, up to which {name} holds")
    strong_threshold = table.find(prefix + "strong_threshold_j_cm2")
    strong = None
    penetration = table[prefix + "penetration_nm"]
    if strong_threshold is not None:
        strong = (strong_threshold.value, table[prefix + "strong_penetration_nm"].value)
        if strong[0] <= threshold.value or strong[1] <= penetration.value:
            raise OutsideModel(
                f"{name}: strong ablation needs a threshold above {threshold.value:g} J/cm2 and a penetration above "
                f"{penetration.value:g} nm, not {strong[0]:g} J/cm2 and {strong[1]:g} nm"
            )
    return Law(
        name,
        threshold,
        penetration,
        strong,
        table[prefix + "incubation"],
        table[prefix + "threshold_floor_ratio"],
        table[prefix + "run_scatter"],
        most,
        table[prefix + "depth_max_um"].value,
    )


def _moved(table: ConstantTable, prefix: str, threshold: Constant, how: tuple[str, str, float]) -> Constant:
    """Return the threshold moved by a power law from where it was measured, when the table has one."""
    exponent = table.find(prefix + how[0])
    if exponent is None:
        return threshold
    factor = (how[2] / table[prefix + how[1]].value) ** exponent.value
    return Constant(
        threshold.key,
        threshold.value * factor,
        threshold.unit,
        threshold.spread if threshold.kind == "lognormal" else threshold.spread * factor,
        threshold.kind,
        threshold.label,
        f"{threshold.source}; moved by the exponent {exponent.value:.3g}",
    )


def check_shape(incubation: float, floor_ratio: float) -> None:
    """Raise :class:`OutsideModel` unless ``incubation`` and ``floor_ratio`` (both of 0..1) make the threshold fall."""
    if not (0 < incubation <= 1 and 0 < floor_ratio <= 1):
        raise OutsideModel(
            f"an incubation exponent of {incubation:g} and a floor of {floor_ratio:g} do not make a threshold that "
            "falls to an asymptote: both lie above 0 and are at most 1"
        )


def depth_per_pulse(law: Law, fluence_j_cm2: Array, profile: Profile = "gaussian") -> Array:
    """Return what one pulse removes from a place on average, nm, the shape of ``fluence_j_cm2``.

    Args:
        law: of the material.
        fluence_j_cm2: peak fluence over the factor by which incubation and doubt have lowered the threshold; any shape.
        profile: ``gaussian`` is the mean over the disk of 1/e2 radius, ``top-hat`` the depth itself.
    """
    fluence = np.asarray(fluence_j_cm2, np.float64)
    gentle, depth = law.threshold_j_cm2.value, law.penetration_nm.value
    with np.errstate(divide="ignore"):
        above = np.maximum(np.log(fluence / gentle), 0.0)
        crossing = law.crossing_j_cm2
        if law.strong is None or crossing is None:
            return np.asarray(depth * above if profile == "top-hat" else depth * above**2 / 4)
        beyond = np.maximum(np.log(fluence / crossing), 0.0)
        steep = np.log(fluence / law.strong[0])
    if profile == "top-hat":
        return np.asarray(np.where(beyond > 0, law.strong[1] * steep, depth * above))
    # Half the integral of d(F exp(-u)) du: strong ablation out to the crossing, gentle from there.
    inner = law.strong[1] * np.where(beyond > 0, steep * beyond - beyond**2 / 2, 0.0)
    outer = depth * np.minimum(above, max(0.0, math.log(crossing / gentle))) ** 2 / 2
    return np.asarray((inner + outer) / 2)


def threshold_ratio(pulse: Array, incubation: float, floor_ratio: float) -> Array:
    """Return the threshold of the ``pulse``-th pulse (from 1) on a place over that of the first, same shape.

    ``incubation`` is the exponent ``S`` and ``floor_ratio`` the asymptote, both of 0..1.
    """
    return np.asarray(floor_ratio + (1 - floor_ratio) * np.asarray(pulse, np.float64) ** (incubation - 1))


@dataclass(frozen=True)
class DepthCurve:
    """Depth against the number of pulses that a place has had.

    Attributes:
        pulses: float64 ``(k,)``, 0 first, increasing.
        depth_nm: float64 ``(..., k)``.
    """

    pulses: Array
    depth_nm: Array

    def at(self, pulses: float) -> Array:
        """Return the depth after ``pulses`` pulses, nm, the leading shape; raises ``ValueError`` beyond the curve."""
        if not 0 <= pulses <= self.pulses[-1]:
            raise ValueError(f"{pulses:g} pulses are beyond the curve, which ends at {self.pulses[-1]:g}")
        right = int(np.clip(np.searchsorted(self.pulses, pulses), 1, len(self.pulses) - 1))
        low, high = self.pulses[right - 1], self.pulses[right]
        part = (pulses - low) / (high - low)
        return np.asarray(self.depth_nm[..., right - 1] * (1 - part) + self.depth_nm[..., right] * part)


def depth_curve(
    law: Law, shot: Shot, most_pulses: float, shape: tuple[float, float], threshold_factor: Array | float = 1.0
) -> DepthCurve:
    """Return the depth of ``shot`` after 0 to ``most_pulses`` pulses on a place.

    The first 1,024 pulses are summed one by one; beyond, where the threshold hardly moves, the sum is an integral
    by the midpoint rule over stretches that grow in proportion.

    Args:
        law: of the material.
        shot: the pulses.
        most_pulses: where the curve ends, at least 1.
        shape: incubation exponent and floor ratio.
        threshold_factor: what to multiply both thresholds with; any shape, which leads that of the depths.
    """
    check_shape(*shape)
    ends = _stretches(max(1.0, most_pulses))
    middle = (ends[:-1] + ends[1:] + 1) / 2
    factor = np.asarray(threshold_factor, np.float64)[..., None] * threshold_ratio(middle, *shape)
    steps = depth_per_pulse(law, shot.fluence_j_cm2 / factor, shot.profile) * np.diff(ends)
    depth = np.concatenate([np.zeros((*steps.shape[:-1], 1)), np.cumsum(steps, axis=-1)], axis=-1)
    return DepthCurve(ends, depth)


def _stretches(most: float) -> Array:
    """Return the pulse counts at which the sum is known: every one at first, then in proportion."""
    summed = min(math.ceil(most), _SUMMED_PULSES)
    ends = np.arange(summed + 1, dtype=np.float64)
    if most <= _SUMMED_PULSES:
        return ends
    octaves = math.log2(most / _SUMMED_PULSES)
    count = max(1, math.ceil(octaves * _NODES_PER_OCTAVE))
    beyond = np.unique(np.ceil(_SUMMED_PULSES * 2 ** (octaves * np.arange(1, count + 1) / count)))
    return np.concatenate([ends, beyond[beyond > _SUMMED_PULSES]])


def volume_per_pulse_um3(law: Law, shot: Shot, radius_um: float) -> float:
    """Return what the first pulse of ``shot`` removes by ``law``, um3; ``radius_um`` is the 1/e2 or top-hat radius."""
    depth_nm = float(depth_per_pulse(law, np.asarray(shot.fluence_j_cm2), shot.profile))
    return depth_nm * 1e-3 * math.pi * radius_um**2


def pulses_per_place(radius_um: float, pitch_x_um: float, pitch_y_um: float, pulses_per_pixel: float = 1.0) -> float:
    """Return how many pulses of one pass cover a place.

    ``radius_um`` is the spot's, ``pitch_x_um`` and ``pitch_y_um`` the steps, ``pulses_per_pixel`` those at each step.

    Raises:
        ValueError: a number is not above 0.
        OutsideModel: the steps are wider than the spot's radius: the floor would be a row of craters.
    """
    for value in (radius_um, pitch_x_um, pitch_y_um, pulses_per_pixel):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"radius, pitches and pulses per pixel are above 0, not {value}")
    if max(pitch_x_um, pitch_y_um) > radius_um:
        raise OutsideModel(
            f"steps of {pitch_x_um:g} and {pitch_y_um:g} um are wider than the spot's radius of {radius_um:g} um: "
            "the floor would be a row of craters, which the model does not describe"
        )
    return pulses_per_pixel * math.pi * radius_um**2 / (pitch_x_um * pitch_y_um)
