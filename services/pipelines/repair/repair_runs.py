"""Measured laser and ion-beam runs in the steps of repair logs, and why a step is none.

Beside the vocabulary of repair steps a log may have columns of these names: ``material``, ``spot_um`` (diameter, 1/e2),
``profile``, ``walls`` (controlled or uncontrolled), ``taper_deg``, ``haz_um``, ``depth_limit_nm``.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analysis.repair.ablation import OutsideModel, Shot, pulses_per_place
from analysis.repair.learning import AblationRun
from services.pipelines.table_source import SourceTable

_LIMIT_NM = 10.0
_NOT_REMOVED = ("depos", "image", "imag", "navigat", "align")


@dataclass(frozen=True)
class NotUsed:
    """A step that says nothing here: ``file``, ``step`` and ``reason``."""

    file: str
    step: int
    reason: str


@dataclass(frozen=True)
class LaserStep:
    """A measured laser run, and where it stands.

    Attributes:
        file, step: where.
        material, walls: as the log says, or as the caller did.
        run: for the law of the depth; ``None`` when only walls were measured.
        taper_deg, haz_um: measured, ``None`` when not.
        shot: the pulses.
    """

    file: str
    step: int
    material: str
    walls: str
    shot: Shot
    run: AblationRun | None
    taper_deg: float | None
    haz_um: float | None


@dataclass(frozen=True)
class MillingStep:
    """A measured ion-beam run: what a charge has removed."""

    file: str
    step: int
    material: str
    species: str
    beam_kv: float
    rate_um3_nc: float


def find_runs(
    sources: list[SourceTable], material: str | None
) -> tuple[list[LaserStep], list[MillingStep], list[NotUsed]]:
    """Return the measured runs of ``sources``; ``material`` is that of steps whose log names none."""
    laser: list[LaserStep] = []
    beam: list[MillingStep] = []
    not_used: list[NotUsed] = []
    for source in sources:
        for found in _steps(source, material):
            if isinstance(found, LaserStep):
                laser.append(found)
            elif isinstance(found, MillingStep):
                beam.append(found)
            else:
                not_used.append(found)
    return laser, beam, not_used


class Rows:
    """The columns of a log by their name, each row's value or ``None``."""

    def __init__(self, source: SourceTable) -> None:
        self.source = source
        self._numbers: dict[str, np.ndarray] = {}
        self._texts: dict[str, list[str]] = {}

    def number(self, name: str, row: int) -> float | None:
        """Return the number under ``name`` in ``row``; ``None`` when it is missing."""
        if name not in self._numbers:
            heading = name if name in self.source.table.columns else self.source.own(name)
            self._numbers[name] = self.source.numbers(heading or name)
        value = float(self._numbers[name][row])
        return value if math.isfinite(value) else None

    def text(self, name: str, row: int) -> str:
        """Return the text under ``name`` in ``row``; empty when it is missing."""
        if name not in self._texts:
            heading = name if name in self.source.table.columns else self.source.own(name)
            self._texts[name] = self.source.texts(heading or name)
        return self._texts[name][row]


def _steps(source: SourceTable, material: str | None) -> Iterator[LaserStep | MillingStep | NotUsed]:
    rows = Rows(source)
    for row, step in enumerate(source.table.columns["step"].tolist()):
        own = rows.text("material", row).lower() or material
        kind = rows.text("step_type", row).lower()
        if any(word in kind for word in _NOT_REMOVED):
            yield NotUsed(source.file, step, f"a step of the type {kind} removes nothing")
        elif not own:
            yield NotUsed(source.file, step, "neither the log nor the question names the material")
        elif rows.number("wavelength_nm", row) is not None or rows.number("pulse_s", row) is not None:
            yield _laser(rows, row, step, own)
        else:
            yield _milling(rows, row, step, own)


def _laser(rows: Rows, row: int, step: int, material: str) -> LaserStep | NotUsed:
    file = rows.source.file
    wavelength, pulse = rows.number("wavelength_nm", row), rows.number("pulse_s", row)
    profile = rows.text("profile", row) or "gaussian"
    fluence, spot = rows.number("fluence_j_cm2", row), rows.number("spot_um", row)
    if fluence is None:
        energy = rows.number("energy_uj", row)
        if energy is None or not spot:
            return NotUsed(file, step, "no fluence, nor an energy with a spot_um")
        fluence = (2.0 if profile == "gaussian" else 1.0) * energy * 1e-6 / (math.pi * (spot / 2 * 1e-4) ** 2)
    if wavelength is None or pulse is None:
        return NotUsed(file, step, "no wavelength or no pulse width")
    try:
        shot = Shot(wavelength, pulse, fluence, profile)  # type: ignore[arg-type]  # a wrong word is refused there
        run = _run(rows, row, shot, spot)
    except ValueError as error:
        return NotUsed(file, step, str(error))
    taper, heat = rows.number("taper_deg", row), rows.number("haz_um", row)
    if isinstance(run, str) and taper is None and heat is None:
        return NotUsed(file, step, run)
    walls = rows.text("walls", row).lower() or "unknown"
    return LaserStep(file, step, material, walls, shot, None if isinstance(run, str) else run, taper, heat)


def _run(rows: Rows, row: int, shot: Shot, spot: float | None) -> AblationRun | str:
    """Return the run of the depth, or why there is none; raises ``ValueError`` for numbers that cannot be."""
    depth, passes = rows.number("depth_nm", row), rows.number("passes", row)
    if depth is None:
        return "no depth was measured"
    across, along = rows.number("pitch_x_um", row), rows.number("pitch_y_um", row)
    if passes is None or spot is None or across is None:
        return "no passes, pitch or spot_um: the pulses on a place are not known"
    try:
        each = pulses_per_place(spot / 2, across, along or across, rows.number("pulses_per_pixel", row) or 1.0)
    except OutsideModel as error:
        return str(error)
    limit = rows.number("depth_limit_nm", row) or _LIMIT_NM
    return AblationRun(shot, each * passes, depth if depth >= limit else None, limit)


def _milling(rows: Rows, row: int, step: int, material: str) -> MillingStep | NotUsed:
    file = rows.source.file
    if rows.text("gas", row).lower() not in ("", "none"):
        return NotUsed(file, step, f"a step with the gas {rows.text('gas', row)} is not sputtering alone")
    names = ("depth_nm", "size_x_um", "size_y_um", "beam_na", "time_s", "beam_kv")
    values = {name: rows.number(name, row) for name in names}
    missing = [name for name in names if not values[name]]
    if missing:
        return NotUsed(file, step, f"no {', '.join(missing)}")
    given = {name: float(value) for name, value in values.items() if value is not None}
    volume = given["size_x_um"] * given["size_y_um"] * given["depth_nm"] * 1e-3
    if volume <= 0:
        return NotUsed(file, step, f"a removed volume of {volume:g} um3")
    rate = volume / (given["beam_na"] * given["time_s"])
    species = rows.text("species", row) or "unknown"
    return MillingStep(file, step, material, species, given["beam_kv"], rate)
