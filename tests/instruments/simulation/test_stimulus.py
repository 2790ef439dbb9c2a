"""Patterns and fails as tables: what is none of them is not read as one without columns."""

import pytest

from instruments.errors import CorruptField
from instruments.simulation.stimulus import PatternTableAdapter
from tests.instruments.simulation.sources import read_all, written


def test_patterns_are_read(tmp_path):
    (patterns,) = read_all(PatternTableAdapter(), written(tmp_path, "p.csv", "cycle,a,b\n0,1,0\n1,0,1\n"))
    assert patterns.nets == ("a", "b")
    assert patterns.bits.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("text", ["cycle\n0\n1\n", "time,a\n0,1\n1,0\n"])
def test_a_table_without_nets_or_cycles_is_none(tmp_path, text):
    with pytest.raises(CorruptField) as caught:
        read_all(PatternTableAdapter(), written(tmp_path, "p.csv", text))
    assert str(caught.value).startswith("p.csv: this is no pattern table at line 1 (expected cycle,<net>,…")
