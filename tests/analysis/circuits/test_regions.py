"""Cutting a circuit to what one die needs: nothing about the suspects may change."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.circuits.faults import list_faults, local_errors
from analysis.circuits.logic_simulation import pack_patterns, simulate, unpack_patterns
from analysis.circuits.netlist import is_levelised
from analysis.circuits.propagation import propagate_flips
from analysis.circuits.regions import extract_region, suspects_of
from tests.naive.logic import random_circuit

NO_PAIRS = np.empty((0, 2), np.int64)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_suspects_do_in_the_region_what_they_do_in_the_whole(seed: int) -> None:
    whole = random_circuit(seed, gates=40, inputs=8)
    bits = np.random.default_rng(seed).integers(0, 2, (70, len(whole.inputs)), dtype=np.uint8)
    suspects = suspects_of(whole, [whole.outputs[0]], NO_PAIRS)
    watched = [len(whole.nets) - 1, 0]
    region = extract_region(whole, suspects, watched)
    part = region.circuit
    assert is_levelised(part)
    assert set(watched) <= set(region.nets.tolist())
    assert [part.nets[net] for net in range(len(part.nets))] == [whole.nets[net] for net in region.nets]

    good = simulate(whole, pack_patterns(bits))
    good_part = simulate(part, pack_patterns(region.stimulus(whole, bits)))
    assert (unpack_patterns(good_part, 70) == unpack_patterns(good[region.nets], 70)).all()

    place = {int(net): place for place, net in enumerate(region.nets)}
    here = set(list_faults(part))
    for fault in list_faults(whole):
        if suspects[fault.net]:
            twin = replace(fault, net=place[fault.net])
            assert twin in here
            errors = local_errors(whole, good, [fault], 70) ^ local_errors(part, good_part, [twin], 70)
            assert not unpack_patterns(errors, 70).any()

    sites = np.flatnonzero(suspects).tolist()
    everywhere = propagate_flips(whole, good, sites, whole.outputs)
    inside = propagate_flips(part, good_part, [place[site] for site in sites], part.outputs)
    assert not unpack_patterns(everywhere[:, region.outputs] ^ inside, 70).any()
    outside = np.setdiff1d(np.arange(len(whole.outputs)), region.outputs)
    assert not unpack_patterns(everywhere[:, outside], 70).any()


def test_a_bridge_brings_its_other_net_along() -> None:
    whole = random_circuit(5, gates=40, inputs=8)
    alone = suspects_of(whole, [whole.outputs[0]], NO_PAIRS)
    outside = int(np.flatnonzero(~alone)[0])
    both = suspects_of(whole, [whole.outputs[0]], np.asarray([[outside, int(np.flatnonzero(alone)[0])]]))
    assert both[outside]
    assert np.flatnonzero(both & ~alone).tolist() == [outside]
