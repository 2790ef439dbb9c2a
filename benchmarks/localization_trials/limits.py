"""What no localizer can beat: the site named by the fail log and the waveforms of all nets, without noise.

Of the single faults, permanent and intermittent, that the log allows, those are left which give every net the waveform
that the die has, but for what a probe does not tell: amplitude and offset, and the sign as well. Among these the site
that the generator makes most often is named; sites that it makes as often share the first place.
"""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln

from benchmarks.localization_trials.dies import Die
from services.demo.circuit import DemoCircuit
from services.demo.die import Stimulus, list_hidden_faults, observed_nets
from services.demo.machine import HiddenFault, run

INTERMITTENT = (0.2, 0.8)
"""Least and most activity of an intermittent fault."""
KINDS = 3
"""Kinds of permanent faults that are a stratum each; the intermittent ones of all kinds are one stratum together."""
_DIGITS = 6
_TIE = 1e-9


class SingleFaultLimit:
    """Names sites as well as anybody could.

    Args:
        circuit: of the demonstration's kind.
        stimulus: the looped patterns.
    """

    def __init__(self, circuit: DemoCircuit, stimulus: Stimulus) -> None:
        self.circuit, self.stimulus, self.patterns = circuit, stimulus, len(stimulus.bits)
        self.observed = observed_nets(circuit)
        self.good = run(circuit.gates, stimulus.packed, self.patterns)
        self.faults = list_hidden_faults(circuit)
        self.counts = Counter(_family(fault) for fault in self.faults)
        self.fails = [self._fails(fault) for fault in self.faults]

    def top(self, die: Die, *, sign_known: bool) -> float:
        """Return the part of the first place that the site of ``die``'s fault has.

        ``sign_known`` says that a probe tells the sign of a waveform.

        Raises:
            ValueError: the die has no single fault.
        """
        if die.fault is None:
            raise ValueError("the die has no single fault")
        seen = [0] * len(self.observed)
        places = {net: place for place, net in enumerate(self.observed)}
        for cycle, net in die.fails:
            seen[places[net]] |= 1 << cycle
        wanted = self._look(die.fault, die.fault.activity, sign_known=sign_known)
        weights: dict[str, float] = defaultdict(lambda: -np.inf)
        for fault, fails in zip(self.faults, self.fails, strict=True):
            weight = self._log_weight(fault, fails, seen)
            if weight > -np.inf and self._look(fault, die.fault.activity, sign_known=sign_known) == wanted:
                weights[fault.net] = float(np.logaddexp(weights[fault.net], weight))
        most = max(weights.values())
        first = [net for net, weight in weights.items() if weight >= most - _TIE]
        return 1 / len(first) if die.fault.net in first else 0.0

    def _fails(self, fault: HiddenFault) -> list[int]:
        faulty = run(self.circuit.gates, self.stimulus.packed, self.patterns, fault)
        return [faulty[net] ^ self.good[net] for net in self.observed]

    def _log_weight(self, fault: HiddenFault, fails: list[int], seen: list[int]) -> float:
        """Return the log of how often the generator makes ``fault`` and this log: it is active in whole cycles."""
        active, possible = 0, 0
        for own, bits in zip(fails, seen, strict=True):
            active |= bits
            possible |= own
        if not active or any(own & active != bits for own, bits in zip(fails, seen, strict=True)):
            return -np.inf
        hits, idle = active.bit_count(), (possible & ~active).bit_count()
        least, most = INTERMITTENT
        a, b = hits + 1, idle + 1
        part = float(betainc(a, b, most) - betainc(a, b, least)) / (KINDS * (most - least))
        at_times = float(np.log(part) + betaln(a, b)) if part > 0 else -np.inf
        always = -np.inf if idle else 0.0
        return float(np.logaddexp(always, at_times) - np.log(self.counts[_family(fault)]))

    def _look(self, fault: HiddenFault, activity: float, *, sign_known: bool) -> bytes:
        """Return all nets' mean waveforms but for offset and amplitude, and their sign unless it is known."""
        faulty = run(self.circuit.gates, self.stimulus.packed, self.patterns, replace(fault, activity=1.0))
        nets = sorted(self.good)
        clean = np.stack([self._bits(self.good[net]) for net in nets])
        levels = clean + activity * (np.stack([self._bits(faulty[net]) for net in nets]) - clean)
        levels = levels - levels.mean(axis=1, keepdims=True)
        size = np.abs(levels).max(axis=1, keepdims=True)
        shape = np.where(size > _TIE, levels / np.maximum(size, _TIE), 0.0)
        if not sign_known:
            first = np.argmax(np.abs(shape) > _TIE, axis=1)
            shape = shape * np.sign(shape[np.arange(len(shape)), first])[:, None]
        return (np.round(shape, _DIGITS) + 0.0).tobytes()

    def _bits(self, value: int) -> NDArray[np.float64]:
        packed = np.frombuffer(value.to_bytes(-(-self.patterns // 8), "little"), np.uint8)
        return np.unpackbits(packed, bitorder="little")[: self.patterns].astype(np.float64)


def _family(fault: HiddenFault) -> str:
    return {"p": "pin", "s": "stuck"}[fault.kind[0]] if fault.kind != "swap" else "swap"
