"""What nets do under the likeliest suspect: the values of all of them, and the levels that one waveform should read."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.logic_simulation import unpack_patterns
from analysis.localization.posterior import Posterior, likeliest
from analysis.localization.suspects import Suspects


def likeliest_suspect(suspects: Suspects, posterior: Posterior) -> int | None:
    """Return the place of the likeliest of ``suspects``; ``None`` where no or an unmodelled fault is likelier.

    ``posterior`` says how likely each is.
    """
    if not len(suspects):
        return None
    fault = int(np.argmax(posterior.faults.max(axis=1)))
    return None if posterior.faults[fault].sum() <= max(posterior.no_fault, posterior.unmodelled) else fault


def values_under(suspects: Suspects, posterior: Posterior, fault: int | None) -> NDArray[np.float64]:
    """Return all nets' values under the suspect ``fault`` (a place in ``suspects``), float64 ``(nets, cycles)``, 0..1.

    They are those of a good die without a suspect, and under a delay fault too: its edges are late, and how late they
    are is what a skew says. ``posterior`` says in which part of the loops the suspect is active.
    """
    good = suspects.stimulated.bits.astype(np.float64)
    if fault is None or suspects.late[fault]:
        return good
    changes = unpack_patterns(suspects.pick([fault]).simulate(range(len(good)))[0], suspects.stimulated.cycles)
    return good + likeliest(posterior, fault) * (np.abs(good - changes) - good)


def late_levels_under(
    suspects: Suspects, posterior: Posterior, fault: int | None, nets: Sequence[int], window: tuple[float, float]
) -> NDArray[np.float64] | None:
    """Return the levels of ``nets`` over ``window`` under a delay fault: float64 ``(nets, cycles)``, 0..1.

    Its late edges may lie in the part of a cycle where levels are read. ``fault`` is a place in ``suspects``, whose
    likeliest lateness in ``posterior`` counts; ``None`` where it is none or no delay fault, and :func:`values_under`
    has the levels.
    """
    if fault is None or not suspects.late[fault]:
        return None
    levels = suspects.pick([fault]).late_levels(nets, window)[0, 0]
    lateness = int(np.argmax(posterior.faults[fault]))
    return np.asarray(levels[lateness, levels.shape[1] // 2], np.float64)
