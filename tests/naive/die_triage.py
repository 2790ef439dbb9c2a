"""The posterior of a fail log over single faults and weak opens, and e-values, by definition: the slow twin."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from analysis.circuits.faults import Fault
from analysis.circuits.netlist import Circuit
from analysis.localization.evidence import ACTIVITIES, MISSED_FAIL, STRAY_PRIOR, false_fail
from analysis.localization.priors import ACTIVITY_PRIOR, CLASS_PRIORS, PRIOR_NO_FAULT
from tests.naive.fails import log_likelihood
from tests.naive.logic import gate_bit, simulate_forced, simulate_one


def predicted_fails(circuit: Circuit, patterns: list[dict[str, int]], fault: Fault) -> np.ndarray:
    """Which output fails in which pattern, bool of shape ``(cycles, outputs)``."""
    good = [simulate_one(circuit, pattern) for pattern in patterns]
    outputs = [circuit.nets[net] for net in circuit.outputs]
    if fault.kind in ("open", "open-pin"):
        faulty = _opened(circuit, patterns, good, fault)
    else:
        faulty = [simulate_one(circuit, pattern, fault) for pattern in patterns]
    return np.asarray([[bad[net] != right[net] for net in outputs] for bad, right in zip(faulty, good, strict=True)])


def _opened(
    circuit: Circuit, patterns: list[dict[str, int]], good: list[dict[str, int]], fault: Fault
) -> list[dict[str, int]]:
    site = circuit.nets[fault.net]
    gate = next((gate for gate in circuit.gates if gate.output == site), None)
    weak = site if gate is None or fault.pin < 0 else gate.inputs[fault.pin]
    driven = [values[weak] for values in good]
    level, read = float(driven[-1]), []
    for _ in range(500):
        read = []
        for target in driven:
            slow = fault.value in (-1, target)
            level = target + (level - target) * (2 ** (-1 / fault.half_cycles) if slow else 0.0)
            read.append(target if abs(level - target) < 0.5 - 1e-9 else 1 - target)
    result = []
    for pattern, values, seen in zip(patterns, good, read, strict=True):
        value = seen
        if fault.pin >= 0 and gate is not None:
            pins = [seen if place == fault.pin else values[pin] for place, pin in enumerate(gate.inputs)]
            value = gate_bit(gate.function, pins)
        result.append(simulate_forced(circuit, pattern, {site: value}))
    return result


def posterior(
    circuit: Circuit, faults: Sequence[Fault], predicted: Sequence[np.ndarray], seen: np.ndarray
) -> tuple[dict[str, float], float, float]:
    """The probability of each site, of no fault, and of a defect of another sort."""
    failing = {circuit.nets[net] for net, fails in zip(circuit.outputs, seen.T, strict=True) if fails.any()}
    reached = {net for net in circuit.nets if _reaches(circuit, net, failing)}
    own = [place for place, fault in enumerate(faults) if circuit.nets[fault.net] in reached]
    sites: dict[str, float] = {}
    unmodelled = 0.0
    others = sum(CLASS_PRIORS[name] for name in ("unmodelled", "late", "path", "bridge", "double"))
    for weak in (False, True):
        members = [place for place in own if faults[place].kind.startswith("open") == weak]
        counts = Counter(faults[place].kind for place in members)
        for place in members:
            share = (1 - PRIOR_NO_FAULT) / (len(counts) * counts[faults[place].kind])
            for activity, part in zip(ACTIVITIES, ACTIVITY_PRIOR, strict=True):
                likelihood = math.exp(log_likelihood(predicted[place], seen, activity))
                name = circuit.nets[faults[place].net]
                known = CLASS_PRIORS["open" if weak else "static"]
                sites[name] = sites.get(name, 0.0) + share * known * part * likelihood
            if not weak:
                unmodelled += share * others * _resembling(predicted[place], seen)
    silent = np.zeros_like(seen)
    no_fault = PRIOR_NO_FAULT * math.exp(log_likelihood(silent, seen, 1.0))
    total = sum(sites.values()) + unmodelled + no_fault
    return {name: mass / total for name, mass in sites.items()}, no_fault / total, unmodelled / total


def _reaches(circuit: Circuit, net: str, failing: set[str]) -> bool:
    return net in failing or any(
        _reaches(circuit, gate.output, failing) for gate in circuit.gates if net in gate.inputs
    )


def _resembling(predicted: np.ndarray, seen: np.ndarray) -> float:
    hit, missed = int((predicted & seen).sum()), int((predicted & ~seen).sum())
    stray, quiet = int((~predicted & seen).sum()), int((~predicted & ~seen).sum())
    a, b = STRAY_PRIOR
    alike = _beta(hit + 1, missed + 1) * _beta(stray + a, quiet + b) / _beta(a, b)
    return (alike + _relayed(predicted, seen)) / 2


def _relayed(predicted: np.ndarray, seen: np.ndarray) -> float:
    """The fault's bits fail in an unknown part of the cycles, all parts alike: integrated by numbers."""
    odd = false_fail(seen.size)
    nodes, weights = np.polynomial.legendre.leggauss(40)  # exact up to 79 cycles
    always, activity = 1.0, (nodes + 1) / 2
    parts = weights / 2
    for bits, fails in zip(predicted, seen, strict=True):
        hits, strays, quiet = (int(some.sum()) for some in (bits & fails, ~bits & fails, ~bits & ~fails))
        always *= (1 - MISSED_FAIL) ** hits * odd**strays * (1 - odd) ** quiet
        if hits:
            always *= MISSED_FAIL ** int((bits & ~fails).sum())
            parts = parts * activity
        elif bits.any():
            always *= (1 - odd) ** int(bits.sum())
            parts = parts * (1 - activity)
    return always * float(parts.sum())


def _beta(a: float, b: float) -> float:
    return math.exp(math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b))


def called_nets(factors: np.ndarray, parts: Sequence[float], rate: float) -> tuple[list[float], set[int]]:
    """Each net's e-value, and the nets called by them."""
    most = factors.shape[1]
    values = []
    for net in range(most):
        products = [math.prod(1 + part * (min(factor, most) - 1) for factor in factors[:, net]) for part in parts]
        values.append(sum(products) / len(parts))
    ranked = sorted(range(most), key=lambda net: -values[net])
    count = max((k for k in range(1, most + 1) if values[ranked[k - 1]] >= most / (rate * k)), default=0)
    assert all(values[a] >= values[b] for a, b in pairwise(ranked))
    return values, set(ranked[:count])
