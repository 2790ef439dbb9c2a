"""Batches of dies with torch: against numpy die by die, on the CPU, and on a card where there is one (``make gpu``)."""

import numpy as np
import pytest
import torch

from analysis.circuits import die_batches
from analysis.circuits.die_batches import FaultDictionary, count_ones, invert_nets, sum_outputs, to_device
from analysis.circuits.faults import list_delay_faults, list_faults, list_opens, local_errors
from analysis.circuits.logic_simulation import pack_patterns, pattern_mask, simulate, unpack_patterns
from analysis.circuits.netlist import CircuitError
from analysis.circuits.propagation import propagate_flips
from analysis.device import DeviceError, choose_device
from analysis.localization.evidence import count_fails
from tests.naive.logic import random_circuit

NO_CARD = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")
DEVICES = ["cpu", pytest.param("cuda", marks=(pytest.mark.gpu, NO_CARD))]
PATTERNS = 100


@pytest.mark.parametrize("device", DEVICES)
def test_equals_numpy_die_by_die(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = random_circuit(21, gates=40, inputs=8)
    generator = np.random.default_rng(21)
    stimulus = pack_patterns(generator.integers(0, 2, (PATTERNS, len(circuit.inputs)), dtype=np.uint8))
    mask = pattern_mask(PATTERNS)
    faults = [*list_faults(circuit), *list_delay_faults(circuit), *list_opens(circuit)]
    good = simulate(circuit, stimulus)
    errors = local_errors(circuit, good, faults, PATTERNS) & mask
    flips = propagate_flips(circuit, good, [fault.net for fault in faults], circuit.outputs)
    predicted = flips & errors[:, None]
    noise = generator.integers(0, 2**63, (5, len(circuit.outputs), len(mask)), dtype=np.uint64)
    fails = predicted[generator.choice(len(faults), 5)] ^ (noise & noise[::-1] & np.roll(noise, 1, axis=0))
    fails[4] = 0

    monkeypatch.setitem(die_batches.CHUNK_BYTES, device, 8 * good.size * 7)
    monkeypatch.setitem(die_batches.COMPARED_BYTES, device, 8 * predicted[0].size * 11)
    dictionary = FaultDictionary(circuit, stimulus, mask, faults, choose_device(device))
    assert (dictionary.predicted.cpu().numpy().view(np.uint64) == predicted).all()
    found = dictionary.compare(fails)
    for die in range(5):
        expected = count_fails(predicted, fails[die], mask)
        for name in ("explained", "missed", "idle", "unexplained", "active_cycles", "idle_cycles"):
            assert (getattr(found, name)[die] == getattr(expected, name)).all(), name
    with pytest.raises(CircuitError, match="do not fit"):
        dictionary.compare(fails[:, :1])


@pytest.mark.parametrize("device", DEVICES)
def test_inverted_nets_in_other_chunks(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = random_circuit(5, gates=30)
    stimulus = np.random.default_rng(5).integers(0, 2**63, (len(circuit.inputs), 2), dtype=np.uint64)
    good = simulate(circuit, stimulus)
    sites = np.arange(len(circuit.nets))
    expected = propagate_flips(circuit, good, sites.tolist(), circuit.outputs)
    for size in (1, 1 << 20):
        monkeypatch.setitem(die_batches.CHUNK_BYTES, device, size)
        found = invert_nets(circuit, good, sites, choose_device(device))
        assert (found.cpu().numpy().view(np.uint64) == expected).all()


def test_counting_ones() -> None:
    words = np.random.default_rng(1).integers(0, 2**64, 1000, dtype=np.uint64, endpoint=False)
    words[:3] = (0, 2**64 - 1, 2**63)
    found = count_ones(to_device(words, torch.device("cpu"))).numpy()
    assert (found == np.bitwise_count(words)).all()


def test_sums_of_outputs() -> None:
    generator = np.random.default_rng(2)
    for outputs in (1, 2, 3, 4, 9, 30):
        bits = generator.integers(0, 2, (3, outputs, 128), dtype=np.uint8)
        words = np.stack([pack_patterns(fault.T) for fault in bits])
        planes = sum_outputs(to_device(words, torch.device("cpu")))
        digits = [unpack_patterns(plane.numpy().view(np.uint64), 128).astype(int) for plane in planes]
        assert (sum(digit << place for place, digit in enumerate(digits)) == bits.sum(axis=1)).all()


def test_devices_that_are_not_here() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(DeviceError, match="cuda:99 is not here: torch sees"):
        choose_device("cuda:99")
    with pytest.raises(DeviceError, match="fpga is not supported"):
        choose_device("fpga")
    with pytest.raises(DeviceError, match="a card is no device"):
        choose_device("a card")
    with pytest.raises(DeviceError, match="meta is not supported"):
        choose_device("meta")
