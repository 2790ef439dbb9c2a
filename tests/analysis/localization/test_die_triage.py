"""Batches of dies by their fail logs: against the localizer and a slow twin, and systematic defects among others."""

import numpy as np
import pytest
import torch

from analysis.circuits.faults import Fault, list_faults, list_opens
from analysis.circuits.logic_simulation import pack_patterns
from analysis.circuits.netlist import Circuit
from analysis.device import choose_device
from analysis.localization import die_triage
from analysis.localization.die_triage import Triage, triage_dies
from analysis.localization.evidence import resembling_fail_evidence
from analysis.localization.posterior import combine
from analysis.localization.priors import PRIORS
from analysis.localization.recurrence import PARTS, find_recurrences
from analysis.localization.screening import Screening, screen
from analysis.localization.stimulation import stimulate
from tests.naive.die_triage import called_nets, posterior, predicted_fails
from tests.naive.logic import random_circuit

NO_CARD = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")
DEVICES = ["cpu", pytest.param("cuda", marks=(pytest.mark.gpu, NO_CARD))]
CPU = torch.device("cpu")


def draw_patterns(circuit: Circuit, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (count, len(circuit.inputs)), dtype=np.uint8)


def packed(fails: list[np.ndarray]) -> np.ndarray:
    return np.stack([pack_patterns(log.astype(np.uint8)) for log in fails])


@pytest.fixture(scope="module")
def small() -> tuple[Circuit, np.ndarray, list[Fault], list[np.ndarray]]:
    """A circuit, its patterns, all its faults, and what each fails."""
    circuit = random_circuit(8, gates=9, inputs=4)
    patterns = draw_patterns(circuit, 20, 8)
    named = [{circuit.nets[net]: int(bit) for net, bit in zip(circuit.inputs, row, strict=True)} for row in patterns]
    faults = [*list_faults(circuit), *list_opens(circuit)]
    return circuit, patterns, faults, [predicted_fails(circuit, named, fault) for fault in faults]


def some_logs(predicted: list[np.ndarray]) -> list[np.ndarray]:
    """A permanent fault, one that is idle at times, two at once, a single stray bit, and nothing."""
    generator = np.random.default_rng(4)
    seen = [each for each in predicted if each.sum() > 4]
    at_times = seen[3] & (generator.random(len(seen[3])) < 0.5)[:, None]
    stray = np.zeros_like(seen[0])
    stray[5, 1] = True
    return [seen[0], at_times, seen[1] | seen[-1], stray, np.zeros_like(stray)]


@pytest.mark.parametrize("device", DEVICES)
def test_equals_the_slow_twin(
    small: tuple[Circuit, np.ndarray, list[Fault], list[np.ndarray]], device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    circuit, patterns, faults, predicted = small
    logs = some_logs(predicted)
    # Few faults and dies at a time, so that sites are met in many chunks.
    monkeypatch.setitem(die_triage.PREDICTED_BYTES, device, 8 * len(circuit.outputs) * 3)
    monkeypatch.setattr(die_triage, "BLOCK_BYTES", 2 * 48 * len(circuit.nets))
    found = triage_dies(circuit, patterns, packed(logs), choose_device(device))
    assert found.failing.tolist() == [0, 1, 2, 3]
    assert (found.dies[4].verdict, found.dies[4].suspects) == ("no-fails", ())
    for die, log in zip(found.dies[:4], logs, strict=False):
        sites, no_fault, unmodelled = posterior(circuit, faults, predicted, log)
        assert die.no_fault == pytest.approx(no_fault, rel=1e-9)
        assert die.unmodelled == pytest.approx(unmodelled, rel=1e-9)
        assert sum(site.resembling for site in die.suspects) == pytest.approx(unmodelled, rel=1e-9)
        for site in die.suspects:
            assert site.posterior == pytest.approx(sites[site.net], rel=1e-9, abs=1e-300)
        assert (die.failing_bits, die.failing_cycles) == (int(log.sum()), int(log.any(axis=1).sum()))
    assert found.dies[3].no_fault > 0.001


def test_is_what_the_localizer_begins_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """The static part of its screening; where it counts delay faults and bridges as such, they are not outside."""
    monkeypatch.setattr(die_triage, "OUTSIDE", PRIORS["unmodelled"])
    monkeypatch.setattr(die_triage, "relayed_fail_evidence", resembling_fail_evidence)
    circuit = random_circuit(31, gates=40, inputs=8)
    patterns = draw_patterns(circuit, 70, 31)
    stimulated = stimulate(circuit, patterns)
    generator = np.random.default_rng(2)
    fails = []
    for place in (3, 60):
        table = die_triage.FaultDictionary(
            circuit, pack_patterns(patterns), stimulated.mask, stimulated.static_faults, CPU
        )
        hit = table.predicted[np.flatnonzero(table.detected)[place]].numpy().view(np.uint64)
        bits = np.unpackbits(hit.view(np.uint8), axis=1, bitorder="little")[:, :70].T.astype(bool)
        fails.append(bits & (generator.random(bits.shape) < 0.9))
    found = triage_dies(circuit, patterns, packed(fails), CPU)
    for die, log in zip(found.dies, fails, strict=True):
        screening = screen(stimulated, log, np.empty((0, 2), np.int64))
        defects = screening.suspects.defects
        static = [place for place, item in enumerate(defects) if isinstance(item, Fault) and not item.is_delay]
        suspects = screening.suspects.pick(static)
        expected = combine(Screening(suspects, screening.no_fault), [], tested=True)
        mass = expected.of_sites(len(circuit.nets))
        assert die.unmodelled == pytest.approx(expected.unmodelled, abs=1e-7)
        assert die.no_fault == pytest.approx(expected.no_fault, abs=1e-7)
        for site in die.suspects:
            assert site.posterior == pytest.approx(mass[circuit.number[site.net]], abs=1e-7)


def test_a_large_circuit_is_cut_and_answers_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = random_circuit(12, gates=50, inputs=8)
    patterns = draw_patterns(circuit, 64, 12)
    stimulated = stimulate(circuit, patterns)
    table = die_triage.FaultDictionary(circuit, pack_patterns(patterns), stimulated.mask, stimulated.static_faults, CPU)
    logs = table.predicted[np.flatnonzero(table.detected)[[5, 60]]].numpy().view(np.uint64)
    whole = triage_dies(circuit, patterns, logs, CPU)
    monkeypatch.setattr(die_triage, "MOST_GATES", 10)
    cut = triage_dies(circuit, patterns, logs, CPU)
    for one, other in zip(whole.dies, cut.dies, strict=True):
        assert one.suspects[0].net == other.suspects[0].net
        assert one.suspects[0].posterior == pytest.approx(other.suspects[0].posterior, abs=1e-3)


def batch_with(systematic: int, seed: int) -> tuple[Triage, str]:
    """A batch of 60 dies, each with a random fault, but the last few with a fault at one net, idle at times."""
    circuit = random_circuit(77, gates=90, inputs=10)
    patterns = draw_patterns(circuit, 64, 77)
    stimulated = stimulate(circuit, patterns)
    faults = stimulated.static_faults
    table = die_triage.FaultDictionary(circuit, pack_patterns(patterns), stimulated.mask, faults, CPU)
    detected = np.flatnonzero(table.detected)
    generator = np.random.default_rng(seed)
    site = detected[generator.integers(len(detected))]
    chosen = [*generator.choice(detected, 60 - systematic), *[site] * systematic]
    logs = table.predicted[chosen].numpy().view(np.uint64).copy()
    for row in range(60 - systematic, 60):
        logs[row] &= pack_patterns((generator.random((64, 1)) < 0.7).astype(np.uint8))
    return triage_dies(circuit, patterns, logs, CPU), circuit.nets[faults[site].net]


def test_a_systematic_defect_recurs_and_random_ones_do_not() -> None:
    for seed in range(2):
        triage, _ = batch_with(0, seed)
        assert triage.recurrences == ()
    for seed in range(2):
        triage, net = batch_with(14, seed)
        first = triage.recurrences[0]
        assert net in {triage.nets[each] for each in (first.net, *first.alongside)}
        assert first.dies > 2 * first.by_chance
        own = np.flatnonzero(first.members > 0.5)
        assert np.isin(np.arange(46, 60), triage.failing[own]).mean() > 0.7


def test_calls_by_e_values_as_their_definition_says() -> None:
    generator = np.random.default_rng(1)
    prior = generator.dirichlet(np.ones(30))
    likelihood = generator.gamma(0.3, size=(25, 30))
    likelihood[:9, 4] += 15
    likelihood[:9, 5] = likelihood[:9, 4] * 0.97
    likelihood[15:22, 20] += 12
    factors = likelihood / (likelihood @ prior)[:, None]
    values, called = called_nets(factors, PARTS, 0.05)
    found = find_recurrences(factors, prior, 0.05)
    assert {net for item in found for net in (item.net, *item.alongside)} == called
    assert [item.net for item in found][:2] in ([4, 20], [20, 4])
    for item in found:
        assert 10**item.log10_e == pytest.approx(values[item.net], rel=1e-9)
        assert item.part == pytest.approx(item.dies / 25, rel=1e-3)
    assert 5 in next(item.alongside for item in found if item.net == 4)
    assert find_recurrences(factors[:1], prior, 0.05) == ()


def test_logs_that_do_not_fit_are_refused(small: tuple[Circuit, np.ndarray, list[Fault], list[np.ndarray]]) -> None:
    circuit, patterns, _, predicted = small
    logs = packed(some_logs(predicted))
    with pytest.raises(ValueError, match="do not fit"):
        triage_dies(circuit, patterns, logs[:, :-1], CPU)
