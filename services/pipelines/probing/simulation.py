"""What nets of a session do in a good die and under its first suspects, and the levels that were measured there."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.localization.behaviours import SuspectBehaviour, good_values, suspect_behaviours
from analysis.localization.problem import ProbedWaveform, Problem
from analysis.localization.weighing import Progress, WeighedDie, weigh_die
from analysis.waveforms.cycles import WaveformError, read_cycle_levels
from analysis.waveforms.forward_model import Optics, Timing, edge_sigma_s
from instruments.records import ProbingSession
from services.pipelines.probing.localization import SessionError, build_problem, probed_waveforms
from services.pipelines.probing.simulated_session import cycles_of, trace_values
from services.pipelines.versions import SIMULATION_VERSION

MOST_NETS = 200
MOST_SUSPECTS = 8
MOST_BITS = 16_000_000
"""Values of nets by cycle in one answer."""
_USUAL_EDGE = 0.02
"""Most of a cycle that the standard deviation of an edge takes where the session does not say its detector."""


@dataclass(frozen=True)
class _Simulated:
    """Nets with their values, uint8 0/1 of shape ``(nets, cycles)``, and the suspects; ``source`` says where from."""

    nets: list[str]
    values: NDArray[np.uint8]
    suspects: tuple[SuspectBehaviour, ...]
    source: str


def _silent(_fraction: float, _message: str) -> None:
    """Report to nobody."""


def simulate_session(session: ProbingSession, nets: Sequence[str] = (), progress: Progress = _silent) -> dict[str, Any]:
    """Return what the probed nets do, what lies under their spots, and ``nets``: in a good die and under suspects.

    ``bits`` of a net is base64 of its values by cycle, eight to a byte, the first in the highest bit; ``changes`` of a
    suspect has the cycles in which each net differs, in the same form. ``levels`` of a waveform is base64 of
    little-endian float32, its settled level by cycle in its own unit, NaN where it was not covered; ``refused`` says
    why there are none.

    Raises:
        SessionError: there is neither netlist nor dump, or there are more nets and cycles than one answer holds.
        analysis.circuits.netlist.CircuitError: the netlist cannot be simulated.
    """
    cycle_s = float(session.document["stimulus"]["cycle_s"])
    waveforms = probed_waveforms(session)
    asked = list(dict.fromkeys([*(waveform.net for waveform in waveforms), *nets]))
    found = _simulate(session, asked, cycle_s, progress)
    cycles = found.values.shape[1]
    progress(0.9, "reading the levels")
    edge_s, known = _edge(waveforms, cycle_s)
    files = [str(probe["file"]) for probe in session.document["waveforms"]]
    return {
        "verdict": "simulated" if found.nets else "unknown-nets",
        "cycle_s": cycle_s,
        "cycles": cycles,
        "edge_sigma_s": edge_s,
        "nets": [{"net": net, "bits": _pack(bits)} for net, bits in zip(found.nets, found.values, strict=True)],
        "suspects": [_suspect(item, found.nets) for item in found.suspects],
        "unknown_nets": [net for net in asked if net not in found.nets],
        "waveforms": [
            {"file": file, "net": waveform.net} | _levels(waveform, cycle_s, cycles)
            for file, waveform in zip(files, waveforms, strict=True)
        ],
        "simulated": True,
        "provenance": _provenance(session, found.source, edge_known=known),
    }


def _simulate(session: ProbingSession, asked: Sequence[str], cycle_s: float, progress: Progress) -> _Simulated:
    if session.netlist is not None and session.patterns is not None:
        return _simulate_netlist(build_problem(session), asked, progress)
    if not session.simulation:
        raise SessionError("the session has no netlist with patterns and no dump: nothing says what a good die does")
    _check_size(len(asked), cycles_of(session, cycle_s))
    progress(0.1, "reading the dump")
    values = trace_values(session, cycle_s, asked)
    rows = [bits.astype(np.uint8) for bits in values.values()]
    nothing = np.zeros((0, cycles_of(session, cycle_s)), np.uint8)
    return _Simulated(list(values), np.stack(rows) if rows else nothing, (), "dump")


def _simulate_netlist(problem: Problem, asked: Sequence[str], progress: Progress) -> _Simulated:
    near = [net for probe in problem.waveforms for net, _ in problem.layout.neighbours(probe.net, probe.spot)]
    wanted = [*asked, *(net for net in dict.fromkeys(near) if net not in asked)][: max(MOST_NETS, len(asked))]
    _check_size(len(wanted) * (1 + MOST_SUSPECTS), len(problem.patterns))
    die = _weigh(replace(problem, watched=tuple(wanted)), progress)
    number = die.problem.circuit.number
    known = [net for net in wanted if net in number]
    rows = [number[net] for net in known]
    suspects = suspect_behaviours(die, rows, MOST_SUSPECTS)
    return _Simulated(known, good_values(die, rows), suspects, "netlist and patterns")


def _weigh(problem: Problem, progress: Progress) -> WeighedDie:
    """Weigh the die; without its waveforms where one cannot be compared, since that is no reason not to look at it."""

    def most(fraction: float, message: str) -> None:
        progress(0.1 + 0.8 * fraction, message)

    try:
        return weigh_die(problem, most)
    except WaveformError:
        return weigh_die(replace(problem, waveforms=()), most)


def _check_size(nets: int, cycles: int) -> None:
    if nets * cycles > MOST_BITS:
        raise SessionError(f"{nets} nets in {cycles} cycles are more than one answer holds ({MOST_BITS} values)")


def _suspect(item: SuspectBehaviour, nets: Sequence[str]) -> dict[str, Any]:
    changed = {net: _pack(bits) for net, bits in zip(nets, item.changes, strict=True) if bits.any()}
    return {
        "net": item.net,
        "fault": item.fault,
        "posterior": item.posterior,
        "activity": item.activity,
        "changes": changed,
    }


def _pack(bits: NDArray[np.uint8]) -> str:
    return base64.b64encode(np.packbits(bits).tobytes()).decode()


def _edge(waveforms: Sequence[ProbedWaveform], cycle_s: float) -> tuple[float, bool]:
    """Return the standard deviation of an edge in seconds, and whether the session says it."""
    for waveform in waveforms:
        if waveform.acquisition is not None and waveform.acquisition.edge_sigma_s is not None:
            return waveform.acquisition.edge_sigma_s, True
    return min(edge_sigma_s(Optics(), Timing()), _USUAL_EDGE * cycle_s), False


def _levels(waveform: ProbedWaveform, cycle_s: float, cycles: int) -> dict[str, Any]:
    try:
        found = read_cycle_levels(waveform.values, waveform.t0_s, waveform.dt_s, cycle_s, cycles)
    except WaveformError as error:
        return {"levels": None, "refused": str(error)}
    return {"levels": base64.b64encode(found.levels.astype("<f4").tobytes()).decode(), "refused": None}


def _provenance(session: ProbingSession, source: str, *, edge_known: bool) -> dict[str, Any]:
    return {
        "algorithm": "logic simulation of the good die and of its first suspects",
        "algorithm_version": SIMULATION_VERSION,
        "parameters": {"usual_edge_of_cycle": _USUAL_EDGE},
        "conventions": {
            "source": source,
            "suspects": "by fail log and all waveforms; a delay fault counts as a whole cycle late",
            "bits": "value by cycle when settled; edges are drawn at the beginnings of cycles",
            "edge_sigma_s": "of the session's timing" if edge_known else "assumed: the session does not say",
            "levels": "mean of the settled part of each cycle",
        },
        "session": session.name,
        "device": "cpu",
        "precision": "float64",
    }
