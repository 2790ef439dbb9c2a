"""A whole session of a suspect die against one of a good die: which nets differ, and how sure that is.

Each net that both probed is compared by :mod:`analysis.anomaly.reference`. Whether a suspect's net that should toggle
but shows nothing is dead or only badly seen is told by the other nets: their gains say what signal to expect. False
discoveries among the nets are controlled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.anomaly.reference import DIFFERENT_BELOW, GoldenComparison, Recording, compare_with_golden
from analysis.anomaly.thresholds import false_discovery_adjusted
from analysis.waveforms.cycles import WaveformError

SAME, DIFFERENT, DEAD, UNCLEAR = "same", "different", "no-signal", "unclear"
UNCLEAR_ABOVE = 1.0
"""Least change of a cycle that would be seen, as a part of the swing, from which ``same`` may not be said."""
_DEAD_BELOW = 0.3
_LEAST_NETS = 3
_CERTAIN = 3.0


@dataclass(frozen=True)
class NetComparison:
    """What is said of one net.

    Attributes:
        net: its name.
        verdict: ``same``, ``different``, ``no-signal`` (the golden one toggles, this one does not, though it would be
            seen), or ``unclear``.
        adjusted: false-discovery adjusted p-value among the nets, that it does what the golden one does.
        comparison: the details, ``None`` when it could not be compared.
        reason: why it is ``unclear``, in words; empty otherwise.
    """

    net: str
    verdict: str
    adjusted: float
    comparison: GoldenComparison | None
    reason: str


def compare_dies(
    golden: Mapping[str, Sequence[Recording]], suspect: Mapping[str, Recording], cycle_s: float, cycles: int
) -> tuple[NetComparison, ...]:
    """Return what is said of each net that both were probed on, the most different first.

    ``golden`` has by net one or more recordings, ``suspect`` one; ``cycle_s`` is a tester cycle in seconds, ``cycles``
    their number in the loop.

    Raises:
        WaveformError: no net was probed on both.
    """
    nets = [net for net in suspect if net in golden]
    if not nets:
        raise WaveformError("no net was probed on both dies")
    found: dict[str, GoldenComparison | str] = {}
    for net in nets:
        try:
            found[net] = compare_with_golden(golden[net], suspect[net], cycle_s, cycles)
        except WaveformError as error:
            found[net] = str(error)
    usual = _usual_gain([each for each in found.values() if isinstance(each, GoldenComparison)])
    p_values = np.asarray([each.p_value if isinstance(each, GoldenComparison) else np.nan for each in found.values()])
    adjusted = false_discovery_adjusted(p_values)
    told = [_tell(net, found[net], float(value), usual) for net, value in zip(nets, adjusted, strict=True)]
    order = {DEAD: 0, DIFFERENT: 0, SAME: 1, UNCLEAR: 2}
    return tuple(sorted(told, key=lambda each: (order[each.verdict], np.nan_to_num(each.adjusted, nan=2.0))))


def _usual_gain(comparisons: Sequence[GoldenComparison]) -> float | None:
    gains = [abs(each.gain) for each in comparisons if each.toggles]
    return float(np.median(gains)) if len(gains) >= _LEAST_NETS else None


def _tell(net: str, found: GoldenComparison | str, adjusted: float, usual: float | None) -> NetComparison:
    if isinstance(found, str):
        return NetComparison(net, UNCLEAR, float("nan"), None, found)
    if adjusted <= DIFFERENT_BELOW:
        return NetComparison(net, DIFFERENT, adjusted, found, "")
    if found.toggles and usual is not None and abs(found.gain) + _CERTAIN * found.gain_sigma < _DEAD_BELOW * usual:
        return NetComparison(net, DEAD, adjusted, found, "")
    if found.toggles and abs(found.gain) < _CERTAIN * found.gain_sigma:
        return NetComparison(net, UNCLEAR, adjusted, found, "it does not follow the golden waveform beyond its noise")
    if not found.toggles:
        return NetComparison(net, UNCLEAR, adjusted, found, "the golden waveform does not toggle beyond its noise")
    if found.least_change > UNCLEAR_ABOVE:
        reason = f"a cycle would have to change by {found.least_change:.1f} swings to be seen; average longer"
        return NetComparison(net, UNCLEAR, adjusted, found, reason)
    return NetComparison(net, SAME, adjusted, found, "")
