"""How far beside its pit a laser does harm: heat, sloped walls, misplacement and recast.

The margin is ``HAZ + depth tan(taper) + 2 sigma_alignment + recast``. Heat and recast are the worst that was seen, used
in full; the taper and the alignment have a spread.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from analysis.repair.ablation import OutsideModel, Shot
from analysis.repair.constants import Constant, ConstantTable

Walls = Literal["controlled", "uncontrolled"]


@dataclass(frozen=True)
class Surroundings:
    """What a pit does to its surroundings, as constants.

    Attributes:
        regime: of the pulse: ``ultrashort``, ``between`` or ``nanosecond``.
        haz_um, taper_deg, recast_um, roughness_um, alignment_um: the constants.
        flags: what the reader should know about where they hold.
    """

    regime: str
    haz_um: Constant
    taper_deg: Constant
    recast_um: Constant
    roughness_um: Constant
    alignment_um: Constant
    flags: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Margin:
    """The margin on each side of a pit of a given depth, um, and its parts.

    Attributes:
        total_um: the sum.
        haz_um, taper_um, alignment_um, recast_um: the parts; ``alignment_um`` is two standard deviations.
        taper_sigma_um: standard deviation of ``taper_um`` from the taper's.
    """

    total_um: float
    haz_um: float
    taper_um: float
    alignment_um: float
    recast_um: float
    taper_sigma_um: float


def find_surroundings(table: ConstantTable, material: str, shot: Shot, walls: Walls) -> Surroundings:
    """Return what ``shot`` does around a pit in ``material``, from ``table``.

    ``walls`` says whether the angle of incidence is ``controlled``. Between the longest ultrashort and the shortest
    nanosecond pulse nothing was measured: the nanosecond figure is used, as a bound, and flagged.

    Raises:
        ConstantsRefused: a constant is missing.
    """
    short, long = table["haz.ultrashort_until_s"].value, table["haz.nanosecond_from_s"].value
    regime = "ultrashort" if shot.pulse_s <= short else "nanosecond" if shot.pulse_s >= long else "between"
    flags = []
    process = {"ultrashort": "ultrashort", "between": "picosecond", "nanosecond": "nanosecond"}[regime]
    own = table.find(f"laser.{material}.{process}.haz_um")
    if own is None:
        own = table["haz.ultrashort_um" if regime == "ultrashort" else "haz.nanosecond_um"]
        if own.label != "laboratory":
            flags.append(f"the heat-affected zone was not measured on {material}: {own.source}")
        if regime == "between":
            flags.append(
                f"no heat-affected zone is known for {shot.pulse_s:g} s, between {short:g} and {long:g} s: "
                f"the {own.value:g} um of nanosecond pulses bound it"
            )
    taper = table.find(f"taper.{material}.{walls}_deg") or table[f"taper.{walls}_deg"]
    if material != "silicon" and taper.label == "quoted":
        flags.append(f"the taper was measured on silicon, not on {material}")
    recast = table["recast_um"]
    if recast.label == "quoted":
        flags.append("the recast layer was measured on InP")
    return Surroundings(
        regime, own, taper, recast, table["floor_roughness_um"], table["alignment_sigma_um"], tuple(flags)
    )


def lateral_margin(around: Surroundings, depth_um: float) -> Margin:
    """Return the margin beside a pit of ``depth_um`` with the surroundings ``around``.

    Raises:
        ValueError: the depth is not a number of at least 0.
        OutsideModel: the taper is not between 0 and 90 degrees.
    """
    if not (math.isfinite(depth_um) and depth_um >= 0):
        raise ValueError(f"the depth is a number of at least 0 um, not {depth_um}")
    taper = around.taper_deg
    if not 0 <= taper.value < 90:
        raise OutsideModel(f"a taper of {taper.value:g} degrees makes no wall")
    angle = math.radians(taper.value)
    sloped = depth_um * math.tan(angle)
    sigma = depth_um * math.radians(taper.sigma) / math.cos(angle) ** 2
    parts = (around.haz_um.value, sloped, 2 * around.alignment_um.value, around.recast_um.value)
    return Margin(math.fsum(parts), *parts, sigma)


def floor_width(opening_um: float, depth_um: float, taper_deg: float) -> float:
    """Return the width of a pit's floor, um: its ``opening_um`` less both walls of ``taper_deg`` at ``depth_um``.

    Raises:
        OutsideModel: the walls meet before that depth.
    """
    width = opening_um - 2 * depth_um * math.tan(math.radians(taper_deg))
    if width <= 0:
        deepest = opening_um / 2 / math.tan(math.radians(taper_deg))
        raise OutsideModel(
            f"walls of {taper_deg:g} degrees meet at {deepest:.3g} um under an opening of {opening_um:g} um, "
            f"before {depth_um:g} um"
        )
    return width
