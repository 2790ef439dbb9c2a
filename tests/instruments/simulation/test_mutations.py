"""Dumps with some bytes changed are read whole or refused; nothing else comes out of the adapter."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from instruments.errors import InstrumentError, ReaderCrashed
from instruments.registry import Registry, read_source
from instruments.simulation.value_change_dump import ValueChangeDumpAdapter
from tests.instruments.simulation.sources import written

ONLY = Registry([ValueChangeDumpAdapter()])
DUMP = b"""$date today $end
$timescale 10 ps $end
$scope module top $end
$var wire 1 ! clk $end
$var wire 1 ! alias $end
$var reg 4 " bus [3:0] $end
$var real 64 # level $end
$var string 1 $ state $end
$upscope $end
$enddefinitions $end
#0
$dumpvars
0!
bxxxx "
r0.5 #
sIDLE $
$end
#2.5
1!
b101 "
#7
0!
bz "
r-1e-3 #
sRUN $
"""
CHANGES = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=5)


def check(folder, name: str, seed: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(seed)
    for place, value in changes:
        data[place % len(data)] = value
    data = data[: max(1, len(data) - cut)]
    try:
        records = read_source(written(folder, name, bytes(data)), ONLY, "value_change_dump").records
    except InstrumentError as error:
        if isinstance(error, ReaderCrashed) and not error.message.startswith("the reader pywellen crashed"):
            raise
        return
    for record in records:
        assert record.ticks.size == len(record.values)


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(CHANGES, st.integers(0, 30))
def test_damaged_text(tmp_path_factory, changes, cut):
    check(tmp_path_factory.mktemp("vcd"), "x.vcd", DUMP, changes, cut)


@pytest.mark.shared_data
@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(CHANGES, st.integers(0, 30), st.sampled_from(["nvc__manytypes2.fst", "verilator__basic_test.fst"]))
def test_damaged_blocks(shared_data, tmp_path_factory, changes, cut, name):
    seed = (shared_data / "formats/fst" / name).read_bytes()
    check(tmp_path_factory.mktemp("fst"), "x.fst", seed, changes, cut)


@pytest.mark.fuzz
@settings(max_examples=100_000, deadline=None)
@given(CHANGES, st.integers(0, 30))
def test_damaged_text_at_length(tmp_path_factory, changes, cut):
    check(tmp_path_factory.getbasetemp(), "x.vcd", DUMP, changes, cut)
