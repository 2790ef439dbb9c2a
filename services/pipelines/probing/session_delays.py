"""What a session's SDF or Liberty file says of its cells' delays, as the localizer takes it, and how that is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.circuits.netlist import Circuit
from analysis.localization import lateness
from analysis.localization.lateness import ToldDelays
from instruments.records import ProbingSession
from services.pipelines.probing.cell_delays import CellDelays, DelayFileError, find_delays

FEMTOSECONDS = 1e15
MOST_NAMED = 20
MOST_CYCLES = 4.0
"""Cycles that the longest path may take: one that is never used may take more than one, but not as many."""


@dataclass(frozen=True)
class SessionDelays:
    """The delays of a session, ``None`` where nothing is told, and ``notes`` that say why, or what is to be known."""

    delays: ToldDelays | None
    gates: int
    typical: tuple[str, ...]
    notes: tuple[str, ...]


def told_delays(session: ProbingSession, circuit: Circuit, *, looped: bool) -> SessionDelays:
    """Return what ``session`` tells of the delays of ``circuit``, its netlist in full-scan view.

    The localizer takes one delay for a gate: the mean over its pins and edges. A file that does not fit the netlist is
    not used, and the notes say so; nor is one of a functional loop, which ``looped`` says it is.
    """
    gates = len(circuit.gates)
    if looped:
        return SessionDelays(None, gates, (), ("in a functional loop late edges are late by whole cycles",))
    if not session.delays or session.netlist is None:
        told = session.document.get("delays")
        unread = f"{told} was not read: the warnings of the session's reading say why"
        reason = unread if told else "the session has no delay file"
        return SessionDelays(None, gates, (), (reason,))
    try:
        found = find_delays(session.netlist, circuit, session.delays)
    except DelayFileError as error:
        return SessionDelays(None, gates, (), (str(error),))
    if len(found.typical) == gates:
        return SessionDelays(None, gates, (), ("the delay file names no gate of the netlist",))
    parts = _parts(circuit, found, float(session.document["stimulus"]["cycle_s"]))
    longest = _longest(circuit, parts)
    if longest > MOST_CYCLES:
        reason = (
            f"by the delay file the longest path takes {longest:.3g} cycles: its unit, or stimulus.cycle_s, is wrong"
        )
        return SessionDelays(None, gates, (), (reason,))
    late = f"the longest path takes {longest:.3g} cycles; delays are shortened until a good die has its values in time"
    notes = (*found.notes, *[late] * (longest * min(lateness.CORNERS) > 1.0))
    return SessionDelays(ToldDelays(parts), gates, found.typical, notes)


def _longest(circuit: Circuit, parts: Mapping[str, float]) -> float:
    """Return how many cycles the longest path takes; a gate without a delay takes the median of the others."""
    told = [parts[circuit.nets[net]] for net in circuit.drives if circuit.nets[net] in parts]
    usual = float(np.median(told))
    arrival = np.asarray([parts.get(name, 0.0) for name in circuit.nets])
    for pins, net in zip(circuit.fan_in, circuit.drives, strict=True):
        arrival[net] = parts.get(circuit.nets[net], usual) + max((arrival[pin] for pin in pins), default=0.0)
    return float(arrival.max(initial=0.0))


def _parts(circuit: Circuit, found: CellDelays, cycle_s: float) -> dict[str, float]:
    """Return the delay of each gate that the file knows, and how late each input changes, in parts of a cycle."""
    untold, delays = set(found.typical), found.delays
    parts = {}
    for gate, (pins, net) in enumerate(zip(circuit.fan_in, circuit.drives, strict=True)):
        name = circuit.nets[net]
        if name not in untold and pins:
            both = (delays.rise_fs[gate, : len(pins)], delays.fall_fs[gate, : len(pins)])
            parts[name] = float(np.mean(both)) / FEMTOSECONDS / cycle_s
    for place, net in enumerate(circuit.inputs):
        start_fs = (delays.source_rise_fs[place] + delays.source_fall_fs[place]) / 2
        parts[circuit.nets[net]] = float(start_fs) / FEMTOSECONDS / cycle_s
    return parts


def delay_document(session: ProbingSession, told: SessionDelays | None) -> dict[str, Any] | None:
    """Return where the delays of the simulation in time came from; ``None`` where nothing was simulated in time."""
    if told is None:
        return None
    known = told.delays is not None
    return {
        "source": session.document.get("delays") if known else None,
        "gates": told.gates,
        "told_gates": told.gates - len(told.typical) if known else 0,
        "untold": list(told.typical[:MOST_NAMED]),
        "spread": lateness.TOLD_SPREAD if known else lateness.SPREAD,
        "corners": list(lateness.CORNERS) if known else None,
        "notes": list(told.notes),
    }
