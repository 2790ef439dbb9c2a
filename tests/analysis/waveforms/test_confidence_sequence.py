"""Intervals that hold at every look: against brute force, how often they miss, where there is nothing to say."""

import math

import numpy as np
import pytest

from analysis.waveforms.confidence_sequence import bound_ratio, bound_swing
from analysis.waveforms.repeats import begin_repeats
from tests.analysis.waveforms.test_sequential_test import COVERED, add_up, draw, nets
from tests.naive.averaging import swing_ratio


def test_the_swing_s_ends_are_where_the_evidence_against_them_is_the_error() -> None:
    values = nets(1)[0]
    repeats = draw(values, 4, 1.2, 2)
    found = bound_swing(add_up(repeats)[-1], values, 0.05)
    assert found is not None
    assert found.low < found.estimate < found.high
    for end in (found.low, found.high):
        assert swing_ratio(repeats.tolist(), values.tolist(), end) == pytest.approx(1 / 0.05, rel=1e-6)


@pytest.mark.parametrize("ratio", [0.3, -2.0])
def test_intervals_hardly_ever_miss_at_any_look(ratio: float) -> None:
    missed = np.zeros(2, np.int64)
    for seed in range(20):
        values = nets(seed)[0]
        missing = np.zeros(2, np.bool_)
        for state in add_up(draw(values, 12, ratio, 100 + seed)):
            swing, share = bound_swing(state, values, 0.1), bound_ratio(state, values, 0.1)
            assert swing is not None
            assert share is not None
            missing |= [
                not swing.low <= ratio <= swing.high,
                not share.low <= abs(ratio) * math.sqrt(state.count) <= share.high,
            ]
        missed += missing
        assert swing.high - swing.low < 1.2
        assert share.estimate == pytest.approx(abs(ratio) * math.sqrt(12), abs=4 + 0.2 * abs(ratio))
    assert (missed <= 5).all()


def test_a_net_that_never_changes_has_no_swing() -> None:
    values = nets(1)[0]
    values[0] = 1.0
    state = add_up(draw(values, 2, 1.0, 1))[-1]
    assert bound_swing(state, values, 0.05) is None
    assert bound_ratio(state, values, 0.05) is None
    values[0] = values[1]
    assert bound_swing(state, values, 0.05) is None


def test_a_first_look_may_leave_the_ratio_open_and_errors_are_told() -> None:
    values = nets(3)[0]
    state = add_up(draw(values, 1, 0.0, 4))[-1]
    found = bound_ratio(state, values, 0.05)
    assert found is not None
    assert found.low == 0.0
    with pytest.raises(ValueError, match="at least one repeat"):
        bound_swing(begin_repeats(COVERED), values, 0.05)
    with pytest.raises(ValueError, match="between 0 and 1"):
        bound_ratio(state, values, 1.0)
