"""Delay faults under a fail log: how late each must be, and how well it then explains what failed.

Each fault is simulated in time at several latenesses under several draws of the cells' delays. What it predicts is
never exact, as the delays of this die are not those of any draw: of the bits that it should fail, and of those that it
should not, unknown parts do otherwise.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, logsumexp

from analysis.circuits.defects import DelayDefect, SlowPath
from analysis.circuits.logic_simulation import Words
from analysis.localization.evidence import ACTIVITIES
from analysis.localization.lateness import LateMachine, LateNet, TimedLoop, propagate_late
from analysis.localization.window_levels import SHIFTS, shifted_levels

if TYPE_CHECKING:
    from analysis.localization.stimulation import Stimulated

LATENESSES = tuple(float(part) for part in [*np.geomspace(0.02, 0.24, 12), *np.linspace(0.27, 1.0, 24)])
"""Parts of a cycle by which an edge may be late, one as likely as another: so fine that a log that hangs on a path or
two is met in some draw."""
ROUGH = 3
"""Neighbours among :data:`LATENESSES` of which only the middle one is tried at first."""
KEPT = len(ACTIVITIES)
"""Latenesses that are kept of each fault."""
HIT_PRIOR = (1.0, 0.3)
"""Beta prior of the part of the predicted fails that are seen."""
TRUST = 0.2
"""Weight of the log in what it says of a fault's own latenesses and draws: none is this die's, and one path whose delay
is another's moves many bits together, so that the waveforms shall decide between them."""
STRAY_PRIOR = (0.3, 60.0)
"""Beta prior of the part of the other bits that fail: paths that are a little slower than in the draw."""


def late_machine(defect: DelayDefect, steps: int, slowness: NDArray[np.float64]) -> LateMachine:
    """Return ``defect`` as a machine that is late by ``steps``, a path at its end.

    ``slowness`` is that of :class:`~analysis.localization.lateness.TimedLoop`.
    """
    if isinstance(defect, SlowPath):
        shares = np.cumsum(slowness[list(defect.nets)])
        ends = np.round(steps * shares / shares[-1]).astype(np.int64)
        own = zip(defect.nets, np.diff(ends, prepend=0).tolist(), strict=True)
        return tuple(LateNet(net, late, late) for net, late in own if late)
    if defect.kind == "slow-pin":
        return (LateNet(defect.net, steps, steps, defect.pin),)
    return (LateNet(defect.net, 0 if defect.value == 0 else steps, 0 if defect.value == 1 else steps),)


def lateness_steps(part: float, loop: TimedLoop) -> int:
    """Return ``part`` of a cycle of ``loop`` in steps."""
    return int(np.clip(round(part * loop.steps), 1, loop.steps - 1))


def late_fails(
    stimulated: "Stimulated",
    faults: Sequence[DelayDefect],
    observed: Words,
    trials: tuple[Sequence[int], Sequence[int]],
) -> NDArray[np.float64]:
    """Return the log likelihood of the fail log: float64 of shape ``(faults, draws, latenesses)``.

    ``observed`` is uint64 of shape ``(outputs, words)``; ``trials`` are the draws of ``stimulated`` and the places in
    :data:`LATENESSES` that are tried.
    """
    draws, parts = trials
    result = np.empty((len(faults), len(draws), len(parts)))
    for column, draw in enumerate(draws):
        loop = stimulated.timed_loops[draw]
        sizes = [lateness_steps(LATENESSES[part], loop) for part in parts]
        machines = [late_machine(fault, steps, loop.slowness) for fault in faults for steps in sizes]
        counts = _count(loop, machines, observed & stimulated.mask, stimulated.mask)
        result[:, column] = _likelihood(*counts, observed & stimulated.mask, stimulated.mask).reshape(-1, len(parts))
    return result


def fails_at(
    stimulated: "Stimulated",
    faults: Sequence[DelayDefect],
    observed: Words,
    settings: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the log likelihood of the fail log, each of ``faults`` at its own setting: float64 ``(faults,)``.

    ``settings`` is int64 of shape ``(faults, 2)``: a draw of ``stimulated`` and a place in :data:`LATENESSES`;
    ``observed`` is as in :func:`late_fails`.
    """
    result = np.empty(len(faults))
    for draw, loop in enumerate(stimulated.timed_loops):
        places = np.flatnonzero(settings[:, 0] == draw)
        if places.size:
            sizes = [lateness_steps(LATENESSES[part], loop) for part in settings[places, 1]]
            machines = [
                late_machine(faults[place], steps, loop.slowness)
                for place, steps in zip(places.tolist(), sizes, strict=True)
            ]
            counts = _count(loop, machines, observed & stimulated.mask, stimulated.mask)
            result[places] = _likelihood(*counts, observed & stimulated.mask, stimulated.mask)
    return result


def refined_fails(
    stimulated: "Stimulated",
    faults: Sequence[DelayDefect],
    observed: Words,
    rough: NDArray[np.float64],
    fine: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the log likelihood of the fail log at every lateness: float64 of shape ``(faults, draws, latenesses)``.

    ``stimulated`` and ``observed`` are as in :func:`late_fails`, and ``rough`` what that gives for the middle of each
    :data:`ROUGH` latenesses; it stands for its neighbours but of the faults at the places ``fine`` (int64), which are
    simulated.
    """
    result = np.repeat(rough, ROUGH, axis=2)
    chosen = [faults[place] for place in fine]
    result[fine] = late_fails(stimulated, chosen, observed, (range(rough.shape[1]), range(len(LATENESSES))))
    return result


def _count(
    loop: TimedLoop, machines: Sequence[LateMachine], observed: Words, mask: Words
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many failing bits each machine predicts, and how many of these were seen."""
    outputs = list(loop.circuit.outputs)
    hits, predicted = np.zeros(len(machines), np.int64), np.zeros(len(machines), np.int64)
    for net, places, values in propagate_late(loop, machines, outputs):
        wrong = (values[:, -1] ^ loop.good[net, -1]) & mask
        for output, own in enumerate(outputs):
            if own == net:
                hits[places] += np.bitwise_count(wrong & observed[output]).sum(axis=1, dtype=np.int64)
                predicted[places] += np.bitwise_count(wrong).sum(axis=1, dtype=np.int64)
    return hits, predicted


def _likelihood(
    hits: NDArray[np.int64], predicted: NDArray[np.int64], observed: Words, mask: Words
) -> NDArray[np.float64]:
    seen = int(np.bitwise_count(observed).sum())
    bits = int(np.bitwise_count(mask).sum()) * len(observed)
    strays = seen - hits
    return np.asarray(
        betaln(hits + HIT_PRIOR[0], predicted - hits + HIT_PRIOR[1])
        - betaln(*HIT_PRIOR)
        + betaln(strays + STRAY_PRIOR[0], bits - predicted - strays + STRAY_PRIOR[1])
        - betaln(*STRAY_PRIOR),
        np.float64,
    )


def keep_likely(evidence: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return latenesses that stand for all that explain the log, :data:`KEPT` of each fault.

    ``evidence`` is that of :func:`late_fails` for all latenesses. Many explain a log alike, from the first by which an
    edge misses the cycle on, and only one of them the waveforms: what is kept lies in the middle of equal shares of
    what the log says with :data:`TRUST`. Returns their log likelihood, float64 ``(faults, KEPT)``, the mean over all
    draws and latenesses shared out between them; and int64 ``(faults, KEPT, 2)``: the best draw and the place of the
    lateness.
    """
    by_part = logsumexp(evidence, axis=1) - np.log(evidence.shape[1])
    share = TRUST * by_part
    share = np.exp(share - logsumexp(share, axis=1, keepdims=True))
    middles = (np.arange(KEPT) + 0.5) / KEPT
    places = (np.cumsum(share, axis=1)[:, :, None] > middles).argmax(axis=1)
    for row, chosen in enumerate(places):
        _replace_repeated(chosen, by_part[row])
    nearest = np.abs(np.arange(share.shape[1])[None, :, None] - places[:, None, :]).argmin(axis=2)
    mass = np.stack([np.where(nearest == rank, share, 0.0).sum(axis=1) for rank in range(KEPT)], axis=1)
    whole = logsumexp(by_part, axis=1, keepdims=True) - np.log(by_part.shape[1])
    draws = np.take_along_axis(evidence.argmax(axis=1), places, axis=1)
    return whole + np.log(np.maximum(mass, np.finfo(np.float64).tiny)), np.stack([draws, places], axis=2)


def _replace_repeated(places: NDArray[np.int64], likelihood: NDArray[np.float64]) -> None:
    """Put the likeliest places that are not among ``places`` where one stands again."""
    others = (int(place) for place in np.argsort(-likelihood, kind="stable") if place not in places)
    for rank in range(1, len(places)):
        if places[rank] in places[:rank]:
            places[rank] = next(others)


def usual_settings(faults: int, draws: int) -> NDArray[np.int64]:
    """Return settings for as many ``faults`` when no log says how late they are: int64 ``(faults, KEPT, 2)``.

    ``draws`` is how many draws of the cells' delays there are.
    """
    parts = np.linspace(len(LATENESSES) - 1, 0, KEPT, endpoint=False).round().astype(np.int64)
    settings = np.stack([np.arange(KEPT) % draws, parts], axis=1)
    return np.broadcast_to(settings, (faults, *settings.shape)).copy()


def late_levels(
    stimulated: "Stimulated",
    faults: Sequence[DelayDefect],
    settings: NDArray[np.int64],
    nets: Sequence[int],
    *windows: tuple[float, float],
) -> NDArray[np.float32]:
    """Return the levels of ``nets`` of ``stimulated`` under each of ``faults`` in each of its ``settings``.

    ``settings`` are of :func:`keep_likely`, ``windows`` as in
    :func:`~analysis.localization.window_levels.levels_within`; float32, 0..1, of shape
    ``(windows, faults, KEPT, shifts, nets, cycles)``: a shift of each window by :data:`SHIFTS` stands for the delays
    of this die that are not those of the draw.
    """
    cycles = stimulated.cycles
    shape = (len(windows), len(faults), settings.shape[1], len(SHIFTS), len(nets), cycles)
    result = np.empty(shape, np.float32)

    def read(values: Words) -> NDArray[np.float32]:
        return np.stack([shifted_levels(values, window, cycles) for window in windows])

    for draw, loop in enumerate(stimulated.timed_loops):
        rows, columns = np.nonzero(settings[:, :, 0] == draw)
        if not rows.size:
            continue
        result[:, rows, columns] = read(loop.good[list(nets)])[:, None]
        sizes = [lateness_steps(LATENESSES[part], loop) for part in settings[rows, columns, 1]]
        machines = [
            late_machine(faults[row], steps, loop.slowness) for row, steps in zip(rows.tolist(), sizes, strict=True)
        ]
        for net, places, values in propagate_late(loop, machines, nets):
            levels = np.moveaxis(read(values), 2, 0)
            for place in np.flatnonzero(np.asarray(nets) == net):
                result[:, rows[places], columns[places], :, place] = levels
    return result
