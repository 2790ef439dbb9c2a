"""Batches of dies from fail logs alone: whether the posterior is true, which nets recur, and how fast it goes.

``python -m benchmarks.die_batches [--circuits DIR] [--dies N] [--batches N] [--seed N] [--device NAME] [--json]``.
Dies are SIMULATED, made by ``services.demo`` and ``benchmarks.localization_trials``, which share no code with the
analysis. Defects of every stratum, delay faults, bridges and pairs among them; in some batches a part of the dies has
its defect at one net, active in a part of the loops that differs from die to die. Beside the e-values stands the plain
way: the nets that are first in more dies than a binomial count allows (Benjamini and Hochberg).
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binom, false_discovery_control

from analysis.circuits.die_batches import FaultDictionary
from analysis.circuits.faults import list_faults
from analysis.circuits.logic_simulation import Words, pack_patterns, pattern_mask
from analysis.device import choose_device
from analysis.localization.die_triage import TriagedDie, triage_dies
from analysis.localization.problem import Problem
from analysis.localization.weighing import screen_die
from benchmarks.localization import Bench, Settings
from benchmarks.localization_trials.circuits import default_folder, read_circuits
from benchmarks.localization_trials.defects import STRATA, Trial, Undetected
from benchmarks.localization_trials.scores import calibration_error
from benchmarks.report import Row, print_rows
from benchmarks.simulation_trials.generated_netlist import generate_netlist
from services.demo.die import list_hidden_faults

USUAL = {
    "stem": 0.13, "pin": 0.13, "swap": 0.13, "intermittent": 0.13, "slow": 0.13, "dominant": 0.09, "wired": 0.09,
    "byzantine": 0.08, "double": 0.09,
}  # fmt: skip
"""How common each stratum is among random defects."""
RATE = 0.05
BATCH = 100
SYSTEMATIC = (3, 5, 10, 20)
"""Dies of a batch that have their defect at one net."""
MIDDLE, PATTERNS, SPEED_DIES = 3500, 256, 200


@dataclass(frozen=True)
class Pool:
    """Dies of one circuit with random defects: what they are and their packed fail logs, ``(dies, outputs, words)``."""

    bench: Bench
    trials: list[Trial]
    logs: Words


def log_of(bench: Bench, fails: Sequence[tuple[int, str]]) -> Words:
    """The failing bits of a die, packed."""
    bits = np.zeros((bench.settings.patterns, len(bench.circuit.outputs)), np.uint8)
    for cycle, net in fails:
        bits[cycle, bench.circuit.output_number[net]] = 1
    return pack_patterns(bits)


def make_pool(bench: Bench, dies: int, generator: np.random.Generator) -> Pool:
    """Draw dies as common as they are."""
    trials: list[Trial] = []
    while len(trials) < dies:
        stratum = str(generator.choice(list(USUAL), p=list(USUAL.values())))
        try:
            trials.append(bench.source.draw(stratum, int(generator.integers(2**31)) % 1_000_000))
        except Undetected:
            continue
    return Pool(bench, trials, np.stack([log_of(bench, trial.die.fails) for trial in trials]))


def posterior_rows(pools: Sequence[Pool], device: torch.device) -> list[Row]:
    """Whether the first posterior is as sure as it is right."""
    dies: list[tuple[TriagedDie, Trial]] = []
    for pool in pools:
        found = triage_dies(pool.bench.circuit, pool.bench.patterns, pool.logs, device)
        dies += zip(found.dies, pool.trials, strict=True)
    first = [die.suspects[0] for die, _ in dies]
    hits = [float(site.net in trial.sites) for site, (_, trial) in zip(first, dies, strict=True)]
    sure = [site.posterior for site in first]
    rows = [
        Row(f"first suspect right, {len(dies)} dies of every stratum", float(np.mean(hits)), "part"),
        Row("a site among the first five", float(np.mean([_among(die, trial, 5) for die, trial in dies])), "part"),
        Row("a site in the 95 % credible set", float(np.mean([_among(*each) for each in dies])), "part"),
        Row("sites in that set, median", float(np.median([die.credible_sites for die, _ in dies])), "sites"),
        Row("calibration error of the first suspect's posterior", calibration_error(sure, hits), "part"),
    ]
    located = [hit for hit, (die, _) in zip(hits, dies, strict=True) if die.verdict == "located"]
    rows.append(Row(f"wrong among {len(located)} located", 1 - float(np.mean(located or [1])), "part"))
    for name, strata in (("single faults", STRATA[:4]), ("others", STRATA[4:])):
        some = [die.unmodelled for die, trial in dies if trial.stratum in strata]
        rows.append(Row(f"probability of unmodelled, {name}", float(np.mean(some)), "part"))
    return rows


def _among(die: TriagedDie, trial: Trial, most: int | None = None) -> bool:
    count = die.credible_sites if most is None else most
    return any(site.net in trial.sites for site in die.suspects[:count])


@dataclass
class Found:
    """Batches with the same number of systematic dies."""

    batches: int = 0
    right: int = 0
    first: int = 0
    named: int = 0
    wrong: float = 0.0
    plain_right: int = 0
    plain_wrong: float = 0.0


def recurrence_rows(
    pools: Sequence[Pool], batches: int, generator: np.random.Generator, device: torch.device
) -> list[Row]:
    """How often recurring nets are found, and called where there are none."""
    rows = []
    for systematic in (0, *SYSTEMATIC):
        found = Found()
        for _ in range(batches):
            for pool in pools:
                _try_batch(pool, systematic, generator, device, found)
        rows += _found_rows(systematic, found)
    return rows


def _try_batch(pool: Pool, systematic: int, generator: np.random.Generator, device: torch.device, found: Found) -> None:
    bench = pool.bench
    logs = pool.logs[generator.choice(len(pool.logs), BATCH - systematic, replace=False)]
    site, own = _systematic_logs(bench, systematic, generator)
    triage = triage_dies(bench.circuit, bench.patterns, np.concatenate([logs, own]) if systematic else logs, device)
    truth = {site, *_twins(bench, site)} if systematic else set()
    leaders = [triage.nets[item.net] for item in triage.recurrences]
    named = [triage.nets[net] for item in triage.recurrences for net in (item.net, *item.alongside)]
    found.batches += 1
    found.right += site in named
    found.first += bool(leaders) and leaders[0] == site
    found.named += len(named)
    found.wrong += sum(net not in truth for net in leaders) / max(1, len(leaders))
    plain = _plain_recurrences(triage.dies, triage.nets_asked)
    found.plain_right += site in plain
    found.plain_wrong += sum(net not in truth for net in plain) / max(1, len(plain))


def _systematic_logs(bench: Bench, count: int, generator: np.random.Generator) -> tuple[str, Words]:
    """Dies with one stuck net or pin, active in another part of the loops in each."""
    if not count:
        return "", np.empty((0, 0, 0), np.uint64)
    faults = list_hidden_faults(bench.demo, ("stuck", "pin"))
    while True:
        fault = faults[int(generator.integers(len(faults)))]
        drawn = [replace(fault, activity=float(generator.uniform(0.3, 1.0))) for _ in range(count)]
        seeds = generator.integers(1_000_000, size=count).tolist()
        trials = [bench.source._tested(each, seed) for each, seed in zip(drawn, seeds, strict=True)]
        if all(trial is not None for trial in trials):
            return fault.net, np.stack([log_of(bench, trial.die.fails) for trial in trials if trial is not None])


def _twins(bench: Bench, net: str) -> set[str]:
    """Nets whose inversion shows in half of the failing bits that this one's inversion shows in: its surroundings."""
    own = bench.flips[net]
    near = {net}
    for other, flips in bench.flips.items():
        shared = sum((a & b).bit_count() for a, b in zip(own, flips, strict=True))
        most = sum(a.bit_count() for a in own)
        if most and shared >= 0.5 * most:
            near.add(other)
    return near


def _plain_recurrences(dies: Sequence[TriagedDie], nets: int) -> set[str]:
    """Nets that are first in more dies than if all nets were alike, at the same false-discovery rate."""
    firsts = [die.suspects[0].net for die in dies if die.suspects]
    names, counts = np.unique(firsts, return_counts=True)
    p_values = np.ones(nets)
    p_values[: len(names)] = binom.sf(counts - 1, len(firsts), 1 / nets)
    adjusted: NDArray[np.float64] = false_discovery_control(p_values)
    return set(names[adjusted[: len(names)] <= RATE].tolist())


def _found_rows(systematic: int, found: Found) -> list[Row]:
    head = f"{systematic} of {BATCH} dies at one net, {found.batches} batches"
    wrong, plain = found.wrong / found.batches, found.plain_wrong / found.batches
    rows = [
        Row(f"{head}: leaders that are wrong", wrong, "part", f"<= {RATE}"),
        Row("  by counts of first suspects", plain, "part"),
    ]
    if systematic:
        rows += [
            Row("  the net is called, itself or beside a leader", found.right / found.batches, "part"),
            Row("  it is the first leader", found.first / found.batches, "part"),
            Row("  nets called in a batch", found.named / found.batches, "nets"),
            Row("  called by counts of first suspects", found.plain_right / found.batches, "part"),
        ]
    return rows


def speed_rows(device: torch.device) -> list[Row]:
    """Dies a second of one product of 3,500 gates, against the localizer's own screening die by die.

    Seconds are of the processor, of the clock on the wall where a card computes.
    """
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    circuit = generate_netlist(MIDDLE)
    patterns = np.random.default_rng(2).integers(0, 2, (PATTERNS, len(circuit.inputs)), dtype=np.uint8)
    faults = list_faults(circuit)[::16]
    cpu = torch.device("cpu")
    dictionary = FaultDictionary(circuit, pack_patterns(patterns), pattern_mask(PATTERNS), faults, cpu)
    some = np.random.default_rng(3).choice(np.flatnonzero(dictionary.detected), SPEED_DIES)
    logs = dictionary.predicted[torch.from_numpy(some)].numpy().view(np.uint64)
    begin = clock()
    triage = triage_dies(circuit, patterns, logs, device)
    whole_s = clock() - begin
    right = [
        circuit.nets[faults[fault].net] == die.suspects[0].net for fault, die in zip(some, triage.dies, strict=True)
    ]
    begin = clock()
    triage_dies(circuit, patterns, logs[:1], device)
    one_s = clock() - begin
    bits = np.unpackbits(logs[0].view(np.uint8), axis=1, bitorder="little")[:, :PATTERNS]
    begin = clock()
    screen_die(Problem(circuit, patterns, np.ascontiguousarray(bits.T.astype(np.bool_)), [], 1e-8))
    alone_s = clock() - begin
    head = f"{MIDDLE} gates, {PATTERNS} patterns"
    return [
        Row(f"{head}: {SPEED_DIES} dies on {device.type}, everything included", SPEED_DIES / whole_s, "dies/s"),
        Row("each further die of a batch", (SPEED_DIES - 1) / (whole_s - one_s), "dies/s"),
        Row("the same against the localizer's screening of one die", alone_s * SPEED_DIES / whole_s, "ratio", ">= 10"),
        Row("first suspect right", float(np.mean(right)), "part"),
    ]


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    parser.add_argument("--circuits", type=Path, default=default_folder(), help="folder of .bench files")
    parser.add_argument("--only", nargs="*", default=["s298", "c432", "c880"], help="names of the circuits to run")
    parser.add_argument("--dies", type=int, default=200, help="random dies of each circuit")
    parser.add_argument("--batches", type=int, default=4, help="batches of each circuit and size")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = choose_device(options.device)
    generator = np.random.default_rng(options.seed)
    circuits = read_circuits(options.circuits)
    settings = Settings(options.dies, 2.0, 30.0, 0, options.seed, PATTERNS)
    benches = [Bench(name, circuits[name], settings) for name in options.only if name in circuits]
    pools = [make_pool(bench, max(options.dies, BATCH), generator) for bench in benches]
    rows = [
        *posterior_rows(pools, device),
        *recurrence_rows(pools, options.batches, generator, device),
        *speed_rows(device),
    ]
    print_rows(rows, as_json=options.json)


if __name__ == "__main__":
    main()
