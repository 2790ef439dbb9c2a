"""Damaged oscilloscope files: refused with a reason or read consistently, and nothing else is ever raised."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from instruments.adapter import Source
from instruments.errors import InstrumentError
from instruments.packing import pack
from instruments.records import ReadResult, Waveform
from instruments.registry import Registry
from tests.adapter_contract.cases import CASES, Case
from tests.instruments.probing.writers import ds1000z, isf, tektronix_wfm

ADAPTERS = Registry.load(strict=True).adapters
NAMES = (
    "delimited",
    "float_container",
    "lecroy_trc",
    "oscilloscope",
    "rohde_schwarz_pair",
    "tektronix_isf",
    "tektronix_wfm",
)
CODES = np.arange(-20, 20, dtype=np.int16)
MORE = [
    Case("tektronix_isf", "e.isf", {"": isf(CODES, PT_FMT="ENV", short=True)}, (), ""),
    Case("tektronix_isf", "t.isf", {"": isf(CODES, ENCDG="ASCII")}, (), ""),
    Case("tektronix_wfm", "b.wfm", {"": tektronix_wfm(CODES, order=">", version=1, notes=())}, (), ""),
    Case("oscilloscope", "z.wfm", {"": ds1000z(np.full((1, 40), 120, np.uint8), (2,))}, (), ""),
    Case("delimited", "k.csv", {"": b"x-axis,1\nsecond,Volt\n" + b"".join(b"%d,1.5\n" % i for i in range(30))}, (), ""),
    Case("delimited", "s.csv", {"": b"time [ms];v [mV]\n" + b"".join(b"%d,5;1,5\n" % i for i in range(30))}, (), ""),
]
ALL = [*(CASES[name] for name in NAMES), *MORE]

Damage = st.one_of(
    st.tuples(st.just("set"), st.integers(0, 10_000), st.binary(min_size=1, max_size=4)),
    st.tuples(st.just("insert"), st.integers(0, 10_000), st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("delete"), st.integers(0, 10_000), st.integers(1, 40)),
    st.tuples(st.just("cut"), st.integers(0, 10_000), st.just(0)),
    st.tuples(st.just("repeat"), st.integers(0, 10_000), st.integers(1, 200)),
)


def damage(data: bytes, step: tuple[str, int, Any]) -> bytes:
    what, place, detail = step
    place %= len(data) + 1
    if what == "set":
        return data[:place] + detail + data[place + len(detail) :]
    if what == "insert":
        return data[:place] + detail + data[place:]
    if what == "delete":
        return data[:place] + data[place + detail :]
    if what == "repeat":
        return data[:place] + data[max(0, place - detail) :]
    return data[:place]


def check(case: Case, path: str, steps: list[tuple[str, int, Any]], folder: Path) -> None:
    data = case.files[path]
    for step in steps:
        data = damage(data, step)
    folder.mkdir(exist_ok=True)
    source = case.place(folder, {path: data})
    adapter = ADAPTERS[case.adapter]
    adapter.sniff(source)
    try:
        format_name, records = adapter.read(source)
        result = ReadResult(source.name, format_name, adapter.name, adapter.version, tuple(records))
        pack(result, folder / "packed")
    except InstrumentError as error:
        str(error)
        error.to_document()
        return
    check_records(result, source)


def check_records(result: ReadResult, source: Source) -> None:
    for waveform in result.records:
        assert isinstance(waveform, Waveform)
        array = waveform.samples.array()
        assert array.size == waveform.samples.count == sum(segment.count for segment in waveform.segments)
        assert 0 < array.nbytes <= 8 * source.size_bytes
        assert waveform.dt_s is None or (waveform.dt_s > 0 and np.isfinite(waveform.dt_s))
        assert waveform.unit


SHORT = hypothesis_settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LONG = hypothesis_settings(SHORT, max_examples=3000, derandomize=False)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
@SHORT
@given(data=st.data(), steps=st.lists(Damage, min_size=1, max_size=3))
def test_damage_is_refused_or_harmless(
    case: Case, tmp_path: Path, data: st.DataObject, steps: list[tuple[str, int, Any]]
) -> None:
    check(case, data.draw(st.sampled_from(sorted(case.files))), steps, tmp_path / "case")


@pytest.mark.fuzz
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
@LONG
@given(data=st.data(), steps=st.lists(Damage, min_size=1, max_size=5))
def test_much_damage_is_refused_or_harmless(
    case: Case, tmp_path: Path, data: st.DataObject, steps: list[tuple[str, int, Any]]
) -> None:
    check(case, data.draw(st.sampled_from(sorted(case.files))), steps, tmp_path / "case")
