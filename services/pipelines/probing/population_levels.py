"""What a comparison of many dies needs of a probing session: levels by net, and which die it is."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.anomaly.reference import MeasuredLevels, measure_levels
from analysis.waveforms.cycles import WaveformError
from instruments.records import ProbingSession, Waveform
from services.pipelines.probing.golden_comparison import loop_cycles, recordings_of
from services.pipelines.probing.localization import SessionError

_PLACE = ("product", "lot", "wafer", "x", "y")


@dataclass(frozen=True)
class NetReading:
    """A waveform of a net: its levels, its unit, and the hash of its samples, empty for a flat one."""

    levels: MeasuredLevels
    unit: str
    sha256: str


@dataclass(frozen=True)
class SessionLevels:
    """A session without its samples.

    Attributes:
        name: of the session.
        die: name of its die; the session's own where it does not say.
        identified: whether the session says which die it is of.
        unit: what it says of it.
        reference: whether the die is known to be good.
        simulated: whether its waveforms are.
        cycle_s, cycles: the loop.
        patterns: hash of the stimulus, empty where it has none.
        readings: by net.
        refused: by net, why a waveform could not be read.
    """

    name: str
    die: str
    identified: bool
    unit: Mapping[str, Any]
    reference: bool
    simulated: bool
    cycle_s: float
    cycles: int
    patterns: str
    readings: Mapping[str, tuple[NetReading, ...]]
    refused: Mapping[str, str]


def read_levels(session: ProbingSession, *, reference: bool = False) -> SessionLevels:
    """Return what a comparison needs of ``session``; ``reference`` says that its die is known to be good.

    Raises:
        SessionError: the session does not say what its loop is.
    """
    cycles = loop_cycles(session)
    cycle_s = float(session.document["stimulus"]["cycle_s"])
    readings: dict[str, tuple[NetReading, ...]] = {}
    refused: dict[str, str] = {}
    for probe in session.document["waveforms"]:
        net = str(probe["net"])
        for waveform in session.waveforms[probe["file"]]:
            try:
                found = _readings(waveform, probe["file"], cycle_s, cycles)
            except (WaveformError, SessionError) as error:
                refused[net] = f"{probe['file']}: {error}"
                continue
            readings[net] = (*readings.get(net, ()), *found)
    unit = dict(session.document.get("unit") or {})
    name = name_die(unit)
    return SessionLevels(
        name=session.name,
        die=name or session.name,
        identified=name is not None,
        unit=unit,
        reference=reference,
        simulated=session.document.get("simulated") is True,
        cycle_s=cycle_s,
        cycles=cycles,
        patterns=_hash_patterns(session),
        readings=readings,
        refused=refused,
    )


def name_die(unit: Mapping[str, Any]) -> str | None:
    """Return a name of the die that ``unit`` of a session identifies; ``None`` where it does not."""
    if unit.get("serial"):
        return " ".join(str(each) for each in (unit.get("product"), unit["serial"]) if each)
    if unit.get("wafer") is None or unit.get("x") is None or unit.get("y") is None:
        return None
    return " ".join(str(unit[part]) for part in _PLACE if unit.get(part) is not None)


def _readings(waveform: Waveform, file: str, cycle_s: float, cycles: int) -> tuple[NetReading, ...]:
    return tuple(
        NetReading(
            measure_levels(each, cycle_s, cycles),
            waveform.unit,
            _hash(each.values),
        )
        for each in recordings_of(waveform, file)
    )


def _hash(values: NDArray[np.float64]) -> str:
    """Return the hash of the samples; empty where they are all the same, as those of any dead net may be."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest() if np.ptp(values) > 0 else ""


def _hash_patterns(session: ProbingSession) -> str:
    if session.patterns is None:
        return ""
    named = "\n".join(session.patterns.nets).encode()
    return hashlib.sha256(named + np.ascontiguousarray(session.patterns.bits, np.uint8).tobytes()).hexdigest()
