"""How long an ion beam takes: volume over sputter rate and current.

The rate is the volume that a charge removes, um3/nC, that is um3 per nA and second, at normal incidence.
"""

import math
from dataclasses import dataclass

from analysis.repair.ablation import OutsideModel
from analysis.repair.constants import Constant, ConstantTable


@dataclass(frozen=True)
class Beam:
    """An ion beam.

    Attributes:
        beam_na: current, nA.
        beam_kv: acceleration voltage, kV.
        species: the ion.
    """

    beam_na: float
    beam_kv: float = 30.0
    species: str = "Ga"


@dataclass(frozen=True)
class Milling:
    """Time and mass of removing a volume.

    Attributes:
        volume_um3: what is removed.
        rate_um3_nc: the constant.
        seconds: the estimate; ``log_sigma`` is the standard deviation of its logarithm.
        mass_ng: mass removed, ``None`` where the density is not in the table.
    """

    volume_um3: float
    rate_um3_nc: Constant
    seconds: float
    log_sigma: float
    mass_ng: float | None


def mill(table: ConstantTable, material: str, volume_um3: float, beam: Beam) -> Milling:
    """Return what removing ``volume_um3`` of ``material`` takes ``beam``, by the rates of ``table``.

    Raises:
        OutsideModel: the table has no rate for the material, ion or voltage.
        ValueError: the current or the volume is no usable number.
    """
    if not (math.isfinite(beam.beam_na) and beam.beam_na > 0):
        raise ValueError(f"the beam's current is above 0 nA, not {beam.beam_na}")
    if not (math.isfinite(volume_um3) and volume_um3 >= 0):
        raise ValueError(f"the volume is a number of at least 0 um3, not {volume_um3}")
    rate = _find_rate(table, material, beam)
    density = table.find(f"density.{material}_g_cm3")
    return Milling(
        volume_um3,
        rate,
        volume_um3 / (rate.value * beam.beam_na),
        rate.log_sigma,
        None if density is None else volume_um3 * density.value * 1e-3,
    )


def name_beam(species: str, beam_kv: float) -> str:
    """Return how keys of constants name the ion ``species`` at ``beam_kv``, for example ``xe-30kv``."""
    return f"{species.lower()}-{beam_kv:g}kv".replace(".", "p")


def _find_rate(table: ConstantTable, material: str, beam: Beam) -> Constant:
    """Return the rate of the ion and voltage: ``fib.<material>.<species>-<kV>kv.rate_um3_nc`` before Ga's at 30 kV."""
    own = table.find(f"fib.{material}.{name_beam(beam.species, beam.beam_kv)}.rate_um3_nc")
    if own is not None:
        return own
    reference = table["fib.beam_kv"].value
    if beam.species.lower() not in ("ga", "ga+") or abs(beam.beam_kv - reference) > 0.5:
        raise OutsideModel(
            f"the milling rates hold for Ga at {reference:g} kV, not for {beam.species} at {beam.beam_kv:g} kV; "
            f"give fib.{material}.{name_beam(beam.species, beam.beam_kv)}.rate_um3_nc in a file of constants"
        )
    rate = table.find(f"fib.{material}.rate_um3_nc")
    if rate is None:
        known = sorted(key.split(".")[1] for key in table.names() if key.startswith("fib.") and key.count(".") == 2)
        raise OutsideModel(f"there is no milling rate for {material!r}; there are rates for {', '.join(known)}")
    return rate
