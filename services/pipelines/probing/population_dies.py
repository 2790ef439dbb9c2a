"""Dies of many sessions, each once, on the same nets, loop and unit; what does not fit is left out with its reason."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.anomaly.die_population import NetLevels
from analysis.anomaly.reference import MeasuredLevels, combine_levels
from analysis.waveforms.cycles import WaveformError
from services.pipelines.probing.localization import SessionError
from services.pipelines.probing.population_levels import NetReading, SessionLevels


@dataclass(frozen=True)
class Die:
    """A die: its sessions, what they say of it, and its levels by net."""

    name: str
    unit: Mapping[str, Any]
    sessions: tuple[str, ...]
    reference: bool
    simulated: bool
    levels: Mapping[str, MeasuredLevels]


@dataclass(frozen=True)
class Population:
    """Dies that can be compared.

    Attributes:
        dies: each once.
        levels: by net, of these dies in this order.
        cycles: int64: numbers of the cycles that all of them cover.
        cycle_s, loop_cycles: the loop.
        left_out: sessions or dies that cannot be compared, each with ``name`` and ``reason``.
        warnings: what is doubtful.
    """

    dies: tuple[Die, ...]
    levels: Mapping[str, NetLevels]
    cycles: NDArray[np.int64]
    cycle_s: float
    loop_cycles: int
    left_out: tuple[dict[str, str], ...]
    warnings: tuple[str, ...]


def gather_dies(sessions: Sequence[SessionLevels], nets: Sequence[str]) -> Population:
    """Return the dies of ``sessions`` that can be compared on ``nets``, or on all nets that every die has.

    Sessions of the same die count as one. Loop, patterns and unit are those that most sessions have.

    Raises:
        SessionError: none can be compared, a waveform is in the sessions of two dies, or a die is known to be good
            in one session and not in another.
    """
    if not sessions:
        raise SessionError("there is no session to compare")
    _refuse_copies(sessions)
    left_out: list[dict[str, str]] = []
    fitting = _with_most(
        sessions,
        lambda each: (each.cycle_s, each.cycles),
        lambda each, usual: (
            f"its loop has {each.cycles} cycles of {each.cycle_s:g} s, that of most {usual[1]} of {usual[0]:g} s"
        ),
        left_out,
    )
    fitting = _with_most(
        fitting, lambda each: each.patterns, lambda _each, _usual: "its patterns are not those of most", left_out
    )
    chosen = list(dict.fromkeys(nets)) or _shared_nets(fitting)
    for net in chosen:
        fitting = _with_most(fitting, partial(_unit_of, net), partial(_tell_unit, net), left_out)
    dies = _merge(fitting, chosen, left_out)
    if not dies:
        reasons = "; ".join(f"{each['name']}: {each['reason']}" for each in left_out[:3])
        raise SessionError(f"no die can be compared: {reasons}")
    covered = np.logical_and.reduce([die.levels[net].covered for die in dies for net in chosen])
    cycles = np.flatnonzero(covered)
    levels = {
        net: NetLevels(
            np.stack([die.levels[net].values[cycles] for die in dies]),
            np.asarray([die.levels[net].sigma for die in dies]),
        )
        for net in chosen
    }
    unnamed = [each.name for each in fitting if not each.identified]
    warnings = [f"{len(unnamed)} sessions do not say of which die they are: each counts as one"] if unnamed else []
    simulated = sum(die.simulated for die in dies)
    if 0 < simulated < len(dies):
        warnings.append(f"{simulated} of {len(dies)} dies are simulated: they may stand out, or others, for that alone")
    first = fitting[0]
    return Population(tuple(dies), levels, cycles, first.cycle_s, first.cycles, tuple(left_out), tuple(warnings))


def _with_most(
    sessions: Sequence[SessionLevels],
    key: Callable[[SessionLevels], Any],
    tell: Callable[[SessionLevels, Any], str],
    left_out: list[dict[str, str]],
) -> list[SessionLevels]:
    """Return the sessions that have the most frequent ``key``; ``None`` is no key and fits any. The others are told."""
    counts = Counter(found for each in sessions if (found := key(each)) is not None)
    if not counts:
        return list(sessions)
    ranked = counts.most_common()
    usual, count = ranked[0]
    if len(ranked) > 1 and 2 * count <= sum(counts.values()):
        other = next(each for each in sessions if key(each) == ranked[1][0])
        same = next(each for each in sessions if key(each) == usual)
        raise SessionError(
            f"the sessions are of several kinds, none of which most have: of {other.name}, {tell(other, usual)}"
            f" (as {same.name} has it); name the sessions of one kind"
        )
    kept = [each for each in sessions if key(each) in (None, usual)]
    left_out += [
        {"name": each.name, "reason": tell(each, usual)} for each in sessions if key(each) not in (None, usual)
    ]
    return kept


def _tell_unit(net: str, session: SessionLevels, usual: str) -> str:
    return f"net {net} is in {_unit_of(net, session)}, in most sessions in {usual}"


def _unit_of(net: str, session: SessionLevels) -> str | None:
    """Return the unit of the net's waveforms, all of them where they differ."""
    units = sorted({each.unit for each in session.readings.get(net, ())})
    return " and ".join(units) or None


def _shared_nets(sessions: Sequence[SessionLevels]) -> list[str]:
    """Return the nets of every die, in the order of the first."""
    by_die: dict[str, set[str]] = {}
    for each in sessions:
        by_die.setdefault(each.die, set()).update(each.readings, each.refused)
    shared = set.intersection(*by_die.values()) if by_die else set()
    if not shared:
        counts = Counter(net for nets in by_die.values() for net in nets)
        told = "; ".join(f"{net} on {count}" for net, count in counts.most_common(3))
        raise SessionError(f"no net was probed on all {len(by_die)} dies ({told}): name the nets to compare")
    return list(dict.fromkeys(net for each in sessions for net in (*each.readings, *each.refused) if net in shared))


def _merge(sessions: Sequence[SessionLevels], nets: Sequence[str], left_out: list[dict[str, str]]) -> list[Die]:
    """Return each die once; one that misses a net, or whose waveforms cannot be read, is told in ``left_out``."""
    by_die: dict[str, list[SessionLevels]] = {}
    for each in sessions:
        by_die.setdefault(each.die, []).append(each)
    dies = []
    for name, own in by_die.items():
        if len({each.reference for each in own}) > 1:
            known = next(each.name for each in own if each.reference)
            raise SessionError(f"the die {name} is known to be good by {known} and asked about as well")
        try:
            levels = {net: _levels_of(own, net) for net in nets}
        except WaveformError as error:
            left_out.append({"name": name, "reason": str(error)})
            continue
        sessions_of = tuple(each.name for each in own)
        dies.append(Die(name, own[0].unit, sessions_of, own[0].reference, any(s.simulated for s in own), levels))
    return dies


def _levels_of(sessions: Sequence[SessionLevels], net: str) -> MeasuredLevels:
    distinct: dict[str, NetReading] = {}
    for session in sessions:
        if net in session.refused:
            raise WaveformError(f"net {net}: {session.refused[net]}")
        distinct |= {each.sha256: each for each in session.readings.get(net, ())}
    if not distinct:
        raise WaveformError(f"it was not probed on net {net}")
    return combine_levels([each.levels for each in distinct.values()])


def _refuse_copies(sessions: Sequence[SessionLevels]) -> None:
    """Refuse when the very same samples are in the sessions of two dies: one of them is not what it says."""
    seen: dict[str, SessionLevels] = {}
    for each in sessions:
        for reading in (item for own in each.readings.values() for item in own if item.sha256):
            first = seen.setdefault(reading.sha256, each)
            if first.die != each.die:
                raise SessionError(
                    f"the sessions {first.name} and {each.name} hold the same waveform and say they are of two dies,"
                    f" {first.die} and {each.die}: name one of them"
                )
