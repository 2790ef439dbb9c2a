"""The laboratory's next minutes: which net to probe, for how long, and how many probes are still to come.

A probe costs the stage's move, its settling and the averaging; averaging four times as long halves the noise. Nets are
ranked by the expected information in a second of all that, each with the averaging that is best for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.defects import SlowPath
from analysis.circuits.logic_simulation import Words
from analysis.circuits.netlist import fan_out_cone
from analysis.localization.candidates import MOST_CANDIDATES, NEGLIGIBLE
from analysis.localization.evidence import ACTIVITIES
from analysis.localization.late_suspects import LATENESSES
from analysis.localization.next_probe import (
    MOST_HYPOTHESES,
    Hypotheses,
    expected_information,
    rank_probes,
    site_entropy,
)
from analysis.localization.posterior import Posterior
from analysis.localization.suspects import Suspects
from analysis.results import NextProbe

if TYPE_CHECKING:
    from analysis.localization.problem import Problem

STAGE_SETTLE_S = 5.0
"""Settling, focusing and finding the spot after a move."""
STAGE_UM_PER_S = 100.0
USUAL_RATIO = 2.0
"""Signal-to-noise ratio of one cycle that is expected before anything was measured."""
AVERAGING = (0.25, 1.0, 4.0, 16.0)
"""Times the session's averages that are weighed against each other."""
WEIGHED = 12
"""Nets for which they are."""
LEAST_BITS = 0.05
"""Information below which a probe is not worth its time."""
SITE_FIRST = 0.3
"""Bits missing about the site above which its partner in a bridge or pair does not matter yet."""
MOST_BYTES = 192 << 20


@dataclass(frozen=True)
class ProbePlan:
    """Ranked probes, the entropy of the site in bits, and how many probes are expected until it is decided."""

    probes: tuple[NextProbe, ...]
    missing_bits: float
    expected_probes: float


def plan_probes(
    problem: "Problem", suspects: Suspects, posterior: Posterior, ratios: Sequence[float | None]
) -> ProbePlan:
    """Return the plan for ``problem`` given the ``posterior`` over ``suspects``.

    ``ratios`` are the signal-to-noise ratios of one cycle that the session's waveforms had, ``None`` where unknown.
    Nets already probed are ranked too: a second look at a hard one may tell more than any other. Of nets that tell
    equally much, new ones come first, and of these the likeliest sites. Where places are known, a net without one
    cannot be reached.
    """
    nets = _plannable(problem, suspects, posterior)
    hypotheses = _hypotheses(problem, suspects, posterior, nets)
    known = [ratio for ratio in ratios if ratio is not None]
    ratio = float(np.median(known)) if known else USUAL_RATIO
    names = problem.circuit.nets
    probed = {problem.circuit.number[waveform.net] for waveform in problem.waveforms}
    mass = posterior.of_sites(len(names))
    order = sorted(range(len(nets)), key=lambda place: (int(nets[place]) in probed, -mass[nets[place]]))
    ranked = rank_probes(hypotheses, order, ratio)[:MOST_CANDIDATES]
    here = problem.places_um.get(problem.waveforms[-1].net) if problem.waveforms else None
    probes = [
        _timed(problem, hypotheses, (place, names[nets[place]]), bits, (ratio, here if rank < WEIGHED else None, rank))
        for rank, (place, bits) in enumerate(ranked)
    ]
    probes.sort(key=lambda probe: -round(probe.bits / probe.seconds, 6))
    missing = site_entropy(hypotheses)
    best = max((probe.bits for probe in probes), default=0.0)
    left = 0.0 if missing < LEAST_BITS or best < LEAST_BITS else max(1.0, missing / best)
    return ProbePlan(tuple(probes), missing, left)


def _timed(
    problem: "Problem",
    hypotheses: Hypotheses,
    net: tuple[int, str],
    bits: float,
    setting: tuple[float, tuple[float, float] | None, int],
) -> NextProbe:
    """Return the probe of ``net`` (its column and name) with the averaging that brings most bits in a second."""
    ratio, here, rank = setting
    column, name = net
    place = problem.places_um.get(name)
    move_s = STAGE_SETTLE_S
    if here is not None and place is not None:
        move_s += float(np.hypot(place[0] - here[0], place[1] - here[1])) / STAGE_UM_PER_S
    loop_s = len(problem.patterns) * problem.cycle_s
    averages = problem.averages or 1
    options = [(bits, move_s + loop_s * averages, averages)]
    if problem.averages is not None and rank < WEIGHED and bits >= LEAST_BITS:
        for factor in AVERAGING:
            count = max(1, round(averages * factor))
            if factor != 1.0:
                told = expected_information(hypotheses, column, ratio * float(np.sqrt(count / averages)))
                options.append((told, move_s + loop_s * count, count))
    told, seconds, count = max(options, key=lambda option: round(option[0] / option[1], 9))
    x_um, y_um = place if place is not None else (None, None)
    return NextProbe(name, told, seconds, x_um, y_um, None if problem.averages is None else count)


def _likely(posterior: Posterior) -> NDArray[np.int64]:
    weights = posterior.faults.sum(axis=1) + posterior.resembling
    order = np.argsort(-weights, kind="stable")[:MOST_HYPOTHESES]
    return np.asarray(order[weights[order] > NEGLIGIBLE], np.int64)


def _plannable(problem: "Problem", suspects: Suspects, posterior: Posterior) -> NDArray[np.int64]:
    """Return the nets that some likely suspect may change and that can be reached; any net where there are none."""
    circuit = suspects.stimulated.circuit
    chosen = suspects.nets[_likely(posterior)]
    reached = fan_out_cone(circuit, np.unique(chosen[chosen >= 0]).tolist())
    if problem.places_um:
        reached &= np.asarray([name in problem.places_um for name in circuit.nets], np.bool_)
    if not reached.any():
        reached = ~reached
    words = suspects.stimulated.good.shape[1]
    nets = np.flatnonzero(reached)
    room = MOST_BYTES // (8 * words * max(1, len(chosen)))
    return nets if nets.size <= room else nets[:room]


def _hypotheses(problem: "Problem", suspects: Suspects, posterior: Posterior, nets: NDArray[np.int64]) -> Hypotheses:
    """Return the likeliest suspects and no fault, with what each of ``nets`` would do under each."""
    order = _likely(posterior)
    chosen, good = suspects.pick(order), suspects.stimulated.good
    values = np.concatenate([chosen.simulate(nets.tolist()), np.zeros((1, len(nets), good.shape[1]), np.uint64)])
    values ^= good[nets]
    weights = posterior.faults.sum(axis=1) + posterior.resembling
    mass = np.append(weights[order], posterior.no_fault)
    shares = posterior.faults[order]
    parts = np.where(chosen.late[:, None], np.asarray(LATENESSES)[chosen.settings[:, :, 1]], ACTIVITIES)
    means = ((shares * parts).sum(axis=1) + NEGLIGIBLE) / (shares.sum(axis=1) + NEGLIGIBLE)
    activities = means[:, None] * _parts_of_lateness(chosen)[:, nets]
    hypotheses = Hypotheses(
        weights=mass / mass.sum(),
        sites=np.append(posterior.sites[order], -1),
        activities=np.concatenate([activities, np.ones((1, len(nets)))]),
        good=good[nets],
        values=values,
        cycles=suspects.stimulated.cycles,
        neighbours=lambda column: _beside(problem, suspects, int(nets[column])),
    )
    if site_entropy(hypotheses) >= SITE_FIRST:
        return hypotheses
    return replace(hypotheses, sites=np.append(chosen.identities, -1))


def _parts_of_lateness(suspects: Suspects) -> NDArray[np.float64]:
    """Return what part of a path's lateness each net has, float64 ``(suspects, nets)``; 1 of other suspects."""
    circuit = suspects.stimulated.circuit
    parts = np.ones((len(suspects), len(circuit.nets)))
    paths = [(row, item.nets) for row, item in enumerate(suspects.defects) if isinstance(item, SlowPath)]
    if not paths:
        return parts
    rows = np.asarray([row for row, _ in paths], np.int64)
    reached, own = np.zeros((len(circuit.nets), len(paths))), np.zeros((len(circuit.nets), len(paths)))
    for column, (_, nets) in enumerate(paths):
        own[list(nets), column] = 1 / len(nets)
    for pins, net in zip(circuit.fan_in, circuit.drives, strict=True):
        reached[net] = own[net] + (reached[list(pins)].max(axis=0) if pins else 0.0)
    parts[rows] = np.where(reached > 0, reached, 1.0).T
    return parts


def _beside(problem: "Problem", suspects: Suspects, net: int) -> tuple[Words, NDArray[np.float64]]:
    """Return what else a spot on ``net`` would cover, nothing where places or the beam are unknown."""
    good, number = suspects.stimulated.good, problem.circuit.number
    name = problem.circuit.nets[net]
    if problem.beam is None or name not in problem.places_um:
        return good[:0], np.empty(0)
    x_um, y_um = problem.places_um[name]
    near = problem.layout.neighbours(name, replace(problem.beam, x_um=x_um, y_um=y_um))
    known = [(number[other], weight) for other, weight in near if other in number]
    return good[[other for other, _ in known]], np.asarray([weight for _, weight in known], np.float64)
