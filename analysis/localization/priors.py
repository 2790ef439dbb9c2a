"""How likely each kind of defect is before anything was measured: classes, and the share of each member of a class."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.circuits.defects import BRIDGE_KINDS
from analysis.circuits.faults import Fault

PRIOR_NO_FAULT = 0.10
"""Of a die that failed on the tester."""
PRIOR_NO_FAULT_UNTESTED = 0.5
"""Of a die without a fail log: nothing but the laser says that anything is wrong with it."""
CLASS_PRIORS = {
    "static": 0.46,
    "late": 0.10,
    "path": 0.03,
    "open": 0.03,
    "bridge": 0.24,
    "double": 0.09,
    "unmodelled": 0.05,
}
"""Parts of all defects: single static faults, delay faults, slow paths, weak opens, bridges, two faults, and
anything else."""
PRIORS = {name: float(np.log(part)) for name, part in CLASS_PRIORS.items()}
ACTIVITY_PRIOR = (0.7, 0.075, 0.075, 0.075, 0.075)
"""Prior of the activities in :data:`~analysis.localization.evidence.ACTIVITIES`."""


def fault_prior(faults: Sequence[Fault]) -> NDArray[np.float64]:
    """Return the log prior of static ``faults`` and activities, float64 of shape ``(faults, activities)``.

    Each kind is as likely as any other, and within a kind each fault: a gate with more inputs has more that may break.
    """
    return np.asarray(shared_prior(faults)[:, None] + np.log(ACTIVITY_PRIOR)[None, :], np.float64)


def shared_prior(faults: Sequence[Fault]) -> NDArray[np.float64]:
    """Return the log share of each of ``faults`` in all of them, float64 of shape ``(faults,)``.

    Late stems and late branches are one kind.
    """
    kinds = ["late" if fault.is_delay else fault.kind for fault in faults]
    counts = Counter(kinds)
    return np.asarray([-np.log(len(counts) * counts[kind]) for kind in kinds], np.float64)


def bridge_prior(pairs: int) -> NDArray[np.float64]:
    """Return the log prior of one bridge of one kind among ``pairs``, by activity: float64 of ``(1, activities)``."""
    return np.asarray(PRIORS["bridge"] - np.log(max(1, pairs) * len(BRIDGE_KINDS)) + np.log(ACTIVITY_PRIOR)[None, :])


def double_prior(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log prior of two permanent faults, in either order, from their log priors ``first`` and ``second``."""
    return np.asarray(first + second + np.log(2) + PRIORS["double"], np.float64)
