"""Label propagation: does the posterior of the suspects gain by spreading over netlist and die? SIMULATED dies.

After the fail log, and after one and two probes, what each net holds of the posterior is spread over the graph of the
netlist (gate output to gate inputs), of the placement (a Gaussian of the distance), or both, by the local and global
consistency of D. Zhou et al. (NIPS 2003): ``F = (1 - a) (I - a S)^-1 Y``, ``S = D^-1/2 W D^-1/2``. Or the probed nets
are the labels, wrong or right by their own waveform, and what they spread tilts the posterior, ``P exp(b F)``. Strength
is chosen on the even dies by the logarithmic score, and judged on the odd ones: it ships only if it wins there.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.results import Localization
from benchmarks.localization import Bench, Settings
from benchmarks.localization_trials.circuits import default_folder, read_circuits
from benchmarks.localization_trials.defects import STRATA, Trial, Undetected
from benchmarks.report import Row, print_rows

Array = NDArray[np.float64]
SPREADS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7)
TILTS = (0.25, 0.5, 1.0, 2.0)
CONSISTENCY = 0.5
"""Spread of the labels of probed nets."""
REACH = 1.5
"""Standard deviation of the spatial neighbourhood, in median distances to the nearest drain."""
FLOOR = 1e-4
"""Probability shared by all nets before the score is taken, so that no die counts without bound."""
DEFAULT_CIRCUITS = ("b01", "s298", "c432")


@dataclass(frozen=True)
class Look:
    """A die after some probes: what each net holds, what the probed nets say, and the nets that are right."""

    circuit: str
    even: bool
    probes: int
    held: Array
    labels: Array
    sites: tuple[int, ...]


def graphs_of(bench: Bench, places_um: dict[str, tuple[float, float]]) -> dict[str, Array]:
    """Return the normalized neighbourhoods of netlist, placement and both, ``(nets, nets)`` each."""
    circuit = bench.circuit
    size = len(circuit.nets)
    netlist, spatial = np.zeros((size, size)), np.zeros((size, size))
    for gate in bench.demo.gates:
        for net in gate.inputs:
            if gate.output in circuit.number and net in circuit.number:
                here, there = circuit.number[gate.output], circuit.number[net]
                netlist[here, there] = netlist[there, here] = 1.0
    known = [(circuit.number[net], place) for net, place in places_um.items() if net in circuit.number]
    numbers, places = [net for net, _ in known], np.asarray([place for _, place in known])
    squared = ((places[:, None] - places[None]) ** 2).sum(axis=-1)
    np.fill_diagonal(squared, np.inf)
    scale = float(np.median(squared.min(axis=1)))
    spatial[np.ix_(numbers, numbers)] = np.exp(-squared / (2 * REACH**2 * scale))
    both = _normalized(netlist) + _normalized(spatial)
    return {"netlist": _normalized(netlist), "placement": _normalized(spatial), "both": _normalized(both)}


def _normalized(weights: Array) -> Array:
    degree = np.maximum(weights.sum(axis=1), 1e-12)
    return np.asarray(weights / np.sqrt(degree[:, None] * degree[None]), np.float64)


def spread(labels: Array, graph: Array, part: float) -> Array:
    """Return ``labels``, ``(nets,)``, spread over ``graph``."""
    return np.asarray((1 - part) * np.linalg.solve(np.eye(len(graph)) - part * graph, labels), np.float64)


def looks_of(bench: Bench, trial: Trial, place: int, probes: int) -> list[Look]:
    """Localize a die again and again as it is probed."""
    found, waveforms = [], []
    for count in range(probes + 1):
        answer = bench.localize(trial.die, waveforms)
        found.append(_look(bench, trial, answer, (place % 2 == 0, count)))
        if count == probes or not answer.next_probes:
            break
        waveforms.append(bench.probe(trial.die, answer.next_probes[0].net))
    return found


def _look(bench: Bench, trial: Trial, answer: Localization, when: tuple[bool, int]) -> Look:
    number = bench.circuit.number
    held, labels = np.zeros(len(number)), np.zeros(len(number))
    for site in answer.sites:
        held[number[site.net]] += site.probability + site.resembling
    for waveform in answer.waveforms:
        labels[number[waveform.net]] = 2 * waveform.p_faulty_alone - 1
    sites = tuple(number[net] for net in trial.sites)
    return Look(bench.name, *when, held / max(held.sum(), 1e-12), labels, sites)


def log_score(held: Array, sites: Sequence[int]) -> float:
    """Return the log of what the right nets hold, in nats."""
    shared = (1 - FLOOR) * held / held.sum() + FLOOR / held.size
    return float(np.log(shared[list(sites)].sum()))


def top(held: Array, sites: Sequence[int]) -> float:
    """Return the right nets' part of the first place, ties as their part."""
    first = np.flatnonzero(held >= held.max() * (1 - 1e-6))
    return float(np.isin(first, sites).mean())


Way = Callable[[Look, Array, float], Array]


def by_spreading(look: Look, graph: Array, strength: float) -> Array:
    """Spread the posterior."""
    return np.maximum(spread(look.held, graph, strength), 0.0)


def by_tilting(look: Look, graph: Array, strength: float) -> Array:
    """Spread what the probed nets say, and tilt the posterior by it."""
    return np.asarray(look.held * np.exp(strength * spread(look.labels, graph, CONSISTENCY)), np.float64)


WAYS: dict[str, tuple[Way, tuple[float, ...]]] = {
    "posterior spread": (by_spreading, SPREADS),
    "posterior tilted by spread labels": (by_tilting, TILTS),
}


def judge(name: str, way: Way, strengths: Sequence[float], looks: list[Look], graphs: dict[str, Array]) -> list[Row]:
    """Choose the strength on the even dies; return what it brings on the odd ones."""

    def gains(chosen: list[Look], strength: float) -> Array:
        pairs = [(way(look, graphs[look.circuit], strength), look) for look in chosen]
        return np.asarray([log_score(held, look.sites) - log_score(look.held, look.sites) for held, look in pairs])

    even, odd = [look for look in looks if look.even], [look for look in looks if not look.even]
    best = max(strengths, key=lambda strength: float(gains(even, strength).mean()))
    found = gains(odd, best)
    tops = [top(way(look, graphs[look.circuit], best), look.sites) - top(look.held, look.sites) for look in odd]
    return [
        Row(f"{name}: strength chosen on the even dies", best, ""),
        Row(f"{name}: gain in log score on the odd ones", float(found.mean()), "nats"),
        Row(f"{name}: its standard error", float(found.std() / np.sqrt(found.size)), "nats"),
        Row(f"{name}: gain in top-1", float(np.mean(tops)), "part"),
    ]


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    parser.add_argument("--circuits", type=Path, default=default_folder(), help="folder of .bench files")
    parser.add_argument("--only", nargs="*", default=DEFAULT_CIRCUITS, help="names of the circuits to run")
    parser.add_argument("--dies", type=int, default=2 * (len(STRATA) - 1), help="dies per circuit, the strata in turn")
    parser.add_argument("--probes", type=int, default=2)
    parser.add_argument("--snr", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    strata = tuple(stratum for stratum in STRATA if stratum != "golden")
    settings = Settings(options.dies, options.snr, 30.0, options.probes, options.seed, mix=strata)
    circuits = read_circuits(options.circuits)
    names = [name for name in circuits if name in options.only] or list(circuits)[:1]
    looks: list[Look] = []
    graphs: dict[str, dict[str, Array]] = {"netlist": {}, "placement": {}, "both": {}}
    for name in names:
        bench = Bench(name, circuits[name], settings)
        for place in range(options.dies):
            # Each stratum is drawn for an even and an odd die in turn.
            try:
                trial = bench.source.draw(strata[(place // 2) % len(strata)], options.seed * 10_000 + place)
            except Undetected:
                continue
            looks += looks_of(bench, trial, place, options.probes)
            if name not in graphs["both"]:
                for kind, graph in graphs_of(bench, dict(trial.die.places_um)).items():
                    graphs[kind][name] = graph
    rows = [
        Row("dies", float(sum(look.probes == 0 for look in looks)), "dies"),
        Row("log score without propagation", float(np.mean([log_score(x.held, x.sites) for x in looks])), "nats"),
        Row("top-1 without propagation", float(np.mean([top(x.held, x.sites) for x in looks])), "part"),
    ]
    for label, (way, strengths) in WAYS.items():
        chosen = looks if label == "posterior spread" else [look for look in looks if look.probes]
        for kind, graph in graphs.items():
            rows += judge(f"{label}, {kind}", way, strengths, chosen, graph)
    print_rows(rows, as_json=options.json)


if __name__ == "__main__":
    main()
