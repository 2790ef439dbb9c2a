"""Sessions whose waveforms come later than their times say: found, told, and no reason for another gate."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.localization.localizer import localize_fault
from analysis.localization.problem import ProbedWaveform
from analysis.localization.time_axis import PARTS, STATED, TimeAxis, likely_axes
from analysis.localization.weighing import weigh_die
from analysis.results import LOCATED_ABOVE
from analysis.waveforms.comparison import observe, observe_both
from analysis.waveforms.cycles import CycleLevels
from services.demo.circuit import build_accumulator
from services.demo.machine import HiddenFault
from tests.analysis.localization.scenes import circuit_of, make_die, probe, problem_of
from tests.analysis.localization.slow_path_dies import probe as probe_slow
from tests.analysis.localization.slow_path_dies import problem_of as problem_of_slow
from tests.analysis.localization.slow_path_dies import slow_die
from tests.analysis.waveforms.signals import levels_of, random_bits

DEMO = build_accumulator()
CIRCUIT = circuit_of(DEMO)
PROBED = ("c4", "s4", "g3_n")


def late(waveform: ProbedWaveform, cycles: float, cycle_s: float) -> ProbedWaveform:
    """The waveform as a trigger that comes too early records it: the loop goes on and on."""
    return replace(waveform, values=np.roll(waveform.values, round(cycles * cycle_s / waveform.dt_s)))


@pytest.mark.parametrize("cycles", [1, -1, 3, 100])
def test_waveforms_that_come_whole_cycles_late_do_not_point_elsewhere(cycles: int) -> None:
    die = make_die(DEMO, HiddenFault("c4", "stuck-0"), 11)
    waveforms = [probe(die, net) for net in PROBED]
    stated = localize_fault(problem_of(die, CIRCUIT, waveforms))
    moved = [late(waveform, cycles, die.options.timing.cycle_s) for waveform in waveforms]
    answer = localize_fault(problem_of(die, CIRCUIT, moved))
    assert answer.verdict == "located"
    assert answer.candidates[0].net == "c4"
    assert answer.time_offset is not None
    assert answer.time_offset.cycles == cycles
    assert answer.time_offset.stated < 0.01
    for one, other in zip(stated.waveforms, answer.waveforms, strict=True):
        assert other.p_faulty_alone == pytest.approx(one.p_faulty_alone, abs=0.02)
        assert (one.snr is None) == (other.snr is None)
        assert other.snr is None or other.snr == pytest.approx(one.snr, rel=0.2)


def test_waveforms_that_come_when_they_say_are_believed() -> None:
    die = make_die(DEMO, HiddenFault("c4", "stuck-0"), 11)
    answer = localize_fault(problem_of(die, CIRCUIT, [probe(die, net) for net in PROBED]))
    assert answer.time_offset is not None
    assert (answer.time_offset.cycles, answer.time_offset.stated) == (0, pytest.approx(1.0, abs=1e-3))
    assert localize_fault(problem_of(die, CIRCUIT, [])).time_offset is None


@pytest.mark.parametrize("part", [-0.2, 0.2, 0.4])
def test_at_speed_a_late_trigger_is_no_slow_path(part: float) -> None:
    names = ("t1", "c2", "t2", "c3")
    die = slow_die(names, 0.4)
    waveforms = [late(probe_slow(die, net), part, die.cycle_s) for net in ("p1", *names)]
    answer = localize_fault(problem_of_slow(die, waveforms))
    assert answer.candidates[0].net in names
    assert answer.time_offset is not None
    assert answer.time_offset.cycles == part
    assert answer.time_offset.stated < 0.05


def test_one_waveform_of_a_late_trigger_decides_nothing_that_it_cannot_know() -> None:
    """A net that is late and a trigger that is late look alike in it."""
    die = slow_die(("t1", "c2", "t2", "c3"), 0.4)
    problem = problem_of_slow(die, [late(probe_slow(die, "p3"), 0.2, die.cycle_s)])
    weighed = weigh_die(problem)
    assert len(weighed.readings) > 1
    assert sum(reading.probability for reading in weighed.readings) == pytest.approx(1.0)
    total = weighed.posterior.faults.sum() + weighed.posterior.no_fault + weighed.posterior.unmodelled
    assert total == pytest.approx(1.0)
    assert localize_fault(problem).candidates[0].posterior < LOCATED_ABOVE


def test_the_prior_of_all_axes_adds_up_to_one() -> None:
    whole = [np.exp(TimeAxis(cycles, part).log_prior(9, timed=True)) for cycles in range(-4, 5) for part in PARTS]
    assert sum(whole) == pytest.approx(1.0)
    assert sum(np.exp(TimeAxis(cycles).log_prior(9, timed=False)) for cycles in range(9)) == pytest.approx(1.0)
    assert STATED.log_prior(1, timed=False) < 0


def test_other_cycles_are_looked_at_only_where_they_fit_better() -> None:
    nets = np.stack([random_bits(128, seed) for seed in range(4)]).astype(np.uint8)
    noise = np.random.default_rng(1).normal(0, 0.5, 128)
    as_stated = observe(levels_of(nets[2] + noise))
    assert likely_axes([(as_stated, nets)], timed=False) == [STATED]
    assert likely_axes([(as_stated, nets)], timed=True) == [TimeAxis(0, part) for part in PARTS]
    for cycles in (5, -7, 64):
        moved = observe(levels_of(np.roll(nets[2], cycles) + noise))
        assert likely_axes([(moved, nets)], timed=False) == [STATED, TimeAxis(cycles)]
    still = np.zeros_like(nets)
    assert likely_axes([(as_stated, still)], timed=False) == [STATED]
    assert likely_axes([], timed=False) == [STATED]


def test_an_observation_is_turned_in_the_loop() -> None:
    numbers = np.random.default_rng(3)
    values = numbers.normal(size=40)
    covered = np.ones(40, np.bool_)
    covered[[4, 17]] = False
    settled = CycleLevels(np.where(covered, values, np.nan), covered, (0.25, 0.75))
    edges = levels_of(numbers.normal(size=40))
    both = observe_both(settled, replace(edges, window=(-0.25, 0.25)))
    moved = both.earlier(5)
    expected = np.roll(both.covered.reshape(2, -1), -5, axis=1).reshape(-1)
    assert (moved.covered == expected).all()
    assert np.sort(moved.residual) == pytest.approx(np.sort(both.residual))
    back = moved.earlier(-5)
    assert (back.residual == both.residual).all()
    assert (back.basis == both.basis).all()
    assert both.earlier(0) is both
    first = observe(settled)
    assert first.earlier(1).residual[3] == first.residual[4]
