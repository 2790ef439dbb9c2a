"""Simulation at scale: 10^5 gates, timing, functional loops, and fail logs of many dies in torch.

``python -m benchmarks.fault_simulation [--device auto|cpu|cuda] [--gates N] [--dies N] [--json]``. Circuits are
generated (:mod:`benchmarks.simulation_trials.generated_netlist`), dies SIMULATED. Seconds are of one CPU thread's
process time, those of a card of the clock on the wall.
"""

import argparse
import resource
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

from analysis.circuits.delays import typical_delays
from analysis.circuits.die_batches import FaultDictionary, invert_nets
from analysis.circuits.faults import Fault, list_faults, local_errors
from analysis.circuits.logic_simulation import pack_patterns, pattern_mask, simulate, unpack_patterns
from analysis.circuits.netlist import Circuit
from analysis.circuits.propagation import propagate_flips
from analysis.circuits.regions import extract_region, suspects_of
from analysis.circuits.timing_simulation import simulate_loop_pairs
from analysis.device import choose_device
from analysis.localization.evidence import count_fails
from analysis.localization.localizer import localize_fault
from analysis.localization.problem import Problem
from benchmarks.report import Row, print_rows
from benchmarks.simulation_trials.generated_netlist import generate_netlist

PATTERNS = 256
MIDDLE = 3500
"""Gates of the circuit for timing and for batches of dies."""
BATCH = 8
Result = TypeVar("Result")


def timed(run: Callable[[], Result], clock: Callable[[], float] = time.process_time) -> tuple[Result, float]:
    """The result and its seconds."""
    begin = clock()
    result = run()
    return result, clock() - begin


def draw_patterns(circuit: Circuit, seed: int) -> np.ndarray:
    """Random patterns in full-scan view."""
    return np.random.default_rng(seed).integers(0, 2, (PATTERNS, len(circuit.inputs)), dtype=np.uint8)


def large_rows(gates: int, dies: int) -> list[Row]:
    """One circuit of that many gates: its good values, and answers about dies from the fail log alone."""
    circuit = generate_netlist(gates)
    patterns = draw_patterns(circuit, 0)
    stimulus = pack_patterns(patterns)
    _, first = timed(lambda: simulate(circuit, stimulus))
    good, again = timed(lambda: simulate(circuit, stimulus))
    generator = np.random.default_rng(1)
    seconds, sizes, found = [], [], 0
    while len(seconds) < dies:
        fault = Fault(
            int(generator.integers(len(circuit.inputs), len(circuit.nets))), "stem", int(generator.integers(2))
        )
        errors = local_errors(circuit, good, [fault], PATTERNS)
        changes = propagate_flips(circuit, good, [fault.net], circuit.outputs)[0] & errors[0]
        fails = np.ascontiguousarray(unpack_patterns(changes, PATTERNS).T.astype(np.bool_))
        if not fails.any():
            continue
        failing = [circuit.outputs[place] for place in np.flatnonzero(fails.any(axis=0))]
        suspects = suspects_of(circuit, failing, np.empty((0, 2), np.int64))
        sizes.append(len(extract_region(circuit, suspects, []).circuit.gates))
        problem = Problem(circuit, patterns, fails, [], 1e-8)
        answer, spent = timed(lambda problem=problem: localize_fault(problem))
        seconds.append(spent)
        found += circuit.nets[fault.net] in [item.net for item in answer.candidates[:5]]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        Row(f"{gates} gates x {PATTERNS} patterns: good values, first time", first, "s"),
        Row("the same again", again, "s"),
        Row(f"gates in the region of one of {dies} dies, median", float(np.median(sizes)), "gates"),
        Row("an answer from the fail log alone with its next probes, median", float(np.median(seconds)), "s"),
        Row("the same, slowest", max(seconds), "s"),
        Row("the faulty net is among the first five", found / dies, "of dies"),
        Row("peak resident memory", memory, "MB"),
    ]


def batch_rows(device: torch.device) -> list[Row]:
    """Timing of a middle circuit, and fail logs of a batch of dies against all its faults."""
    circuit = generate_netlist(MIDDLE)
    patterns = draw_patterns(circuit, 2)
    delays = typical_delays(circuit)
    _, pairs = timed(lambda: simulate_loop_pairs(circuit, delays, patterns, circuit.outputs))
    stimulus, mask = pack_patterns(patterns), pattern_mask(PATTERNS)
    good = simulate(circuit, stimulus)
    sites = np.arange(len(circuit.nets))
    events, by_events = timed(lambda: propagate_flips(circuit, good, sites.tolist(), circuit.outputs))
    cpu = torch.device("cpu")
    stages, by_stages = timed(lambda: invert_nets(circuit, good, sites, cpu))
    faults = list_faults(circuit)[::16]
    dictionary = FaultDictionary(circuit, stimulus, mask, faults, cpu)
    predicted = dictionary.predicted.numpy().view(np.uint64)
    fails = predicted[np.random.default_rng(3).choice(len(faults), BATCH)]
    counts, in_torch = timed(lambda: dictionary.compare(fails))
    plain, in_numpy = timed(lambda: [count_fails(predicted, log, mask) for log in fails])
    same = (stages.numpy().view(np.uint64) == events).all() and all(
        (counts.explained[die] == one.explained).all() and (counts.idle[die] == one.idle).all()
        for die, one in enumerate(plain)
    )
    rows = [
        Row(f"{MIDDLE} gates x {PATTERNS} pairs of patterns with cell delays", pairs, "s"),
        Row(f"every net inverted, {MIDDLE} gates: numpy, event-driven", by_events, "s"),
        Row("the same in torch on the CPU, all gates of all machines", by_stages, "s"),
        Row(f"fail logs against {len(faults)} faults: numpy", BATCH / in_numpy, "dies/s"),
        Row("the same in torch on the CPU, one thread", BATCH / in_torch, "dies/s"),
        Row("torch gives the numbers that numpy gives", float(same), "", ">= 1"),
    ]
    return rows + (card_rows(circuit, faults, fails, device) if device.type == "cuda" else [])


def card_rows(circuit: Circuit, faults: list[Fault], fails: np.ndarray, device: torch.device) -> list[Row]:
    """The same batch on a card, with the bytes that must be read at least."""
    stimulus, mask = pack_patterns(draw_patterns(circuit, 2)), pattern_mask(PATTERNS)
    here = FaultDictionary(circuit, stimulus, mask, faults, torch.device("cpu")).compare(fails)
    dictionary, made = timed(lambda: FaultDictionary(circuit, stimulus, mask, faults, device), time.perf_counter)
    dictionary.compare(fails)
    there, spent = timed(lambda: dictionary.compare(fails), time.perf_counter)
    same = all((getattr(here, name) == getattr(there, name)).all() for name in vars(here))
    read = len(fails) * dictionary.predicted.numel() * 8 / spent / 1e9
    return [
        Row(f"what all faults fail, simulated on {torch.cuda.get_device_name(device)}", made, "s"),
        Row("fail logs against the same faults on the card", len(fails) / spent, "dies/s"),
        Row("predictions read once a die, of the card's memory bandwidth", read, "GB/s"),
        Row("the card gives the numbers that the CPU gives", float(same), "", ">= 1"),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--gates", type=int, default=100_000)
    parser.add_argument("--dies", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = batch_rows(choose_device(arguments.device))
    print_rows([*rows, *large_rows(arguments.gates, arguments.dies)], as_json=arguments.json)


if __name__ == "__main__":
    main()
