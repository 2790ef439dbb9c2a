"""Sessions of one unit at several laser powers: whether their delays go together, and what they are without the laser.

A delay without the laser is an intercept; it is wrong by more than its error says if anything but the power differs,
or if one measurement counts twice.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.results import WaveformVerdict
from analysis.waveforms.laser_power import extrapolate_to_zero_power
from instruments.records import ProbingSession

_PICO = 1e12
_SAME = ("vdd_v", "temperature_c", "cycle_s")


class PowerSessionError(ValueError):
    """Sessions cannot be put together; the message names one and says why."""


def check_power_sessions(session: ProbingSession, others: Sequence[ProbingSession]) -> None:
    """Check that ``others`` are measurements of the unit of ``session`` at another laser power and nothing else.

    Raises:
        PowerSessionError: a unit is not stated or another one, supply, temperature, cycle, wavelength or patterns
            differ, or a waveform is in two of the sessions.
    """
    if others and not session.document.get("unit"):
        raise PowerSessionError(f"the session {session.name} does not say its unit: others may be of another one")
    for other in others:
        if other.document.get("unit") != session.document.get("unit"):
            raise PowerSessionError(f"the session {other.name} is of another unit than {session.name}")
        _check_conditions(session, other)
    if others:
        _check_repeats([session, *others])


def _check_conditions(session: ProbingSession, other: ProbingSession) -> None:
    for name, own, their in _conditions(session, other):
        if own is not None and their is not None and own != their:
            names = f"{session.name} and {other.name}"
            raise PowerSessionError(f"the sessions {names} differ in {name} ({own} and {their}): so may their delays")
    bits = [each.patterns for each in (session, other)]
    if bits[0] is None or bits[1] is None:
        return
    if bits[0].nets != bits[1].nets or not np.array_equal(bits[0].bits, bits[1].bits):
        raise PowerSessionError(
            f"the sessions {session.name} and {other.name} have other patterns: so may their delays"
        )


def _conditions(session: ProbingSession, other: ProbingSession) -> list[tuple[str, Any, Any]]:
    stimuli = [each.document["stimulus"] for each in (session, other)]
    lasers = [each.document.get("laser") or {} for each in (session, other)]
    named = [(name, stimuli[0].get(name), stimuli[1].get(name)) for name in _SAME]
    return [*named, ("wavelength_nm", lasers[0].get("wavelength_nm"), lasers[1].get("wavelength_nm"))]


def _check_repeats(sessions: Sequence[ProbingSession]) -> None:
    seen: dict[str, str] = {}
    for each in sessions:
        own = {
            hashlib.sha256(np.ascontiguousarray(waveform.values()).tobytes()).hexdigest()
            for waveforms in each.waveforms.values()
            for waveform in waveforms
        }
        twice = next((seen[digest] for digest in own if digest in seen), None)
        if twice is not None:
            raise PowerSessionError(
                f"a waveform of session {each.name} is also in {twice}: one measurement counts once"
            )
        seen |= dict.fromkeys(own, each.name)


def zero_power_documents(
    measured: Sequence[tuple[ProbingSession, Sequence[WaveformVerdict]]],
) -> list[dict[str, Any]]:
    """Return the skew without the laser of every net that was ``measured`` at two powers or more.

    Sessions come with their verdicts in the order of their waveforms; a waveform's ``power_mw`` stands for the
    session's.

    Raises:
        PowerSessionError: there are several sessions, and no net has a delay at two powers.
    """
    found: dict[str, list[tuple[float, float, float]]] = {}
    for session, verdicts in measured:
        usual = (session.document.get("laser") or {}).get("power_mw")
        for probe, item in zip(session.document["waveforms"], verdicts, strict=True):
            power = probe.get("power_mw") if probe.get("power_mw") is not None else usual
            if power is not None and item.skew_s is not None and item.skew_sigma_s is not None:
                found.setdefault(item.net, []).append((float(power), item.skew_s, item.skew_sigma_s))
    documents = [
        _zero_power(net, np.asarray(rows, np.float64))
        for net, rows in found.items()
        if len({power for power, _, _ in rows}) > 1
    ]
    if len(measured) > 1 and not documents:
        raise PowerSessionError("no net has a delay at two stated laser powers in these sessions")
    return documents


def _zero_power(net: str, rows: NDArray[np.float64]) -> dict[str, Any]:
    zero = extrapolate_to_zero_power(rows[:, 0], rows[:, 1], rows[:, 2])
    return {
        "net": net,
        "skew_ps": zero.delay_s * _PICO,
        "skew_sigma_ps": zero.sigma_s * _PICO,
        "slope_ps_per_mw": zero.slope_s_per_mw * _PICO,
        "slope_sigma_ps_per_mw": zero.slope_sigma_s_per_mw * _PICO,
        "powers_mw": sorted(set(rows[:, 0].tolist())),
        "p_linear": zero.p_linear,
    }
