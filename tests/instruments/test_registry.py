"""Which adapter reads a file: all are asked, sure ones must be alone, broken ones harm nobody."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instruments import registry as module
from instruments.adapter import Confidence, Sniff, Source
from instruments.errors import (
    AmbiguousFormat,
    CorruptField,
    InstrumentError,
    NotThisFormat,
    ReaderCrashed,
    UnknownFormat,
)
from instruments.records import Record, Table
from instruments.registry import Registry, read_source

TABLE = Table("t", {"a": np.array([1.0])}, {"a": "V"})


class Fake:
    """An adapter that answers as it is told."""

    formats = ("fake",)

    def __init__(self, name: str, confidence: Confidence, outcome: Any = TABLE, version: str = "1") -> None:
        self.name, self.version = name, version
        self._confidence, self._outcome = confidence, outcome
        self.read_count = 0

    def sniff(self, source: Source) -> Sniff:
        if self._confidence is None:
            raise RuntimeError("sniffing broke")
        return Sniff(self._confidence, f"{self.name} says {self._confidence.name}")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        self.read_count += 1
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return "fake", (self._outcome,) if self._outcome is not None else ()


class Panic(BaseException):
    """What a native extension may raise."""


NO, POSSIBLE, LIKELY, CERTAIN = Confidence
SOURCE = Source(Path("x"), "x", 1, b"x", {})


def reasons(error: InstrumentError) -> dict[str, str]:
    return {item["adapter"]: item["reason"] for item in error.reasons}


def test_the_sure_one_reads_and_the_others_are_not_asked_to() -> None:
    sure, likely = Fake("sure", CERTAIN), Fake("likely", LIKELY)
    result = read_source(SOURCE, Registry([likely, sure]))
    assert (result.adapter, likely.read_count) == ("sure", 0)


def test_two_sure_ones_are_an_error_that_names_both() -> None:
    with pytest.raises(AmbiguousFormat, match="a and b are both certain") as caught:
        read_source(SOURCE, Registry([Fake("b", CERTAIN), Fake("a", CERTAIN), Fake("c", NO)]))
    assert reasons(caught.value) == {"a": "a says CERTAIN", "b": "b says CERTAIN", "c": "c says NO"}


def test_of_equals_exactly_one_must_succeed() -> None:
    other = Fake("other", LIKELY, NotThisFormat("not mine"))
    assert read_source(SOURCE, Registry([other, Fake("mine", LIKELY)])).adapter == "mine"
    with pytest.raises(AmbiguousFormat, match="can both read it"):
        read_source(SOURCE, Registry([Fake("a", LIKELY), Fake("b", LIKELY)]))


def test_the_next_level_tries_when_nobody_above_knows_the_format() -> None:
    above = Fake("above", LIKELY, NotThisFormat("not mine"))
    assert read_source(SOURCE, Registry([above, Fake("below", POSSIBLE)])).adapter == "below"


def test_damage_is_not_passed_on_to_someone_who_might_make_something_of_it() -> None:
    """Plausible but wrong is the worst failure: a file that its own reader refuses is read by no other."""
    below = Fake("below", POSSIBLE)
    with pytest.raises(CorruptField) as caught:
        read_source(SOURCE, Registry([Fake("own", LIKELY, CorruptField("cut")), below]))
    assert below.read_count == 0
    assert reasons(caught.value)["own"] == "x: cut"


def test_nobody_knows_it() -> None:
    with pytest.raises(UnknownFormat) as caught:
        read_source(SOURCE, Registry([Fake("a", NO), Fake("b", None)]))  # type: ignore[arg-type]
    assert reasons(caught.value) == {
        "a": "a says NO",
        "b": "could not look at the file: RuntimeError: sniffing broke",
    }
    assert {item["version"] for item in caught.value.reasons} == {"1"}


@pytest.mark.parametrize("failure", [ValueError("odd"), Panic("index out of bounds"), RecursionError("deep")])
def test_whatever_a_reader_raises_names_it(failure: BaseException) -> None:
    with pytest.raises(ReaderCrashed, match=f"the reader r failed: {type(failure).__name__}"):
        read_source(SOURCE, Registry([Fake("r", CERTAIN, failure)]))


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), SystemExit(), MemoryError()])
def test_what_is_not_the_readers_fault_passes(failure: BaseException) -> None:
    with pytest.raises(type(failure)):
        read_source(SOURCE, Registry([Fake("r", CERTAIN, failure)]))


def test_a_reading_without_records_is_no_reading() -> None:
    with pytest.raises(UnknownFormat) as caught:
        read_source(SOURCE, Registry([Fake("r", CERTAIN, None)]))
    assert reasons(caught.value) == {"r": "x: the file holds no record"}


def test_two_adapters_of_one_name_are_one_adapter_and_a_failure() -> None:
    made = Registry([Fake("a", CERTAIN), Fake("a", NO)])
    assert len(made.adapters) == 1
    assert [(failure.entry_point, failure.reason) for failure in made.failures] == [
        ("a", "the name is taken by another adapter")
    ]


def test_the_fingerprint_follows_names_and_versions() -> None:
    one = Registry([Fake("a", NO), Fake("b", NO)]).fingerprint()
    assert one == Registry([Fake("b", NO), Fake("a", NO)]).fingerprint()
    assert one != Registry([Fake("a", NO), Fake("b", NO, version="2")]).fingerprint()
    assert one != Registry([Fake("a", NO)]).fingerprint()


class Point:
    """An entry point."""

    def __init__(self, name: str, loads: Any) -> None:
        self.name, self._loads = name, loads

    def load(self) -> Any:
        if isinstance(self._loads, Exception):
            raise self._loads
        return self._loads


def test_a_broken_plug_in_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        Point("good", lambda: Fake("good", CERTAIN)),
        Point("bad", ImportError("no libfoo")),
        Point("odd", lambda: 1 / 0),
    ]
    monkeypatch.setattr(module, "entry_points", lambda group: points if group == module.GROUP else [])
    made = Registry.load()
    assert list(made.adapters) == ["good"]
    assert {failure.entry_point: failure.reason for failure in made.failures} == {
        "bad": "ImportError: no libfoo",
        "odd": "ZeroDivisionError: division by zero",
    }
    with pytest.raises(RuntimeError, match="no libfoo"):
        Registry.load(strict=True)


def test_every_installed_adapter_loads_and_keeps_the_contract() -> None:
    made = Registry.load(strict=True)
    assert {"bench_netlist", "value_change_dump", "verilog_netlist", "probing_session"} <= set(made.adapters)
    empty = Source(Path("nowhere"), "empty", 0, b"", {})
    for name, adapter in made.adapters.items():
        assert name == name.lower()
        assert adapter.version
        assert adapter.formats
        sniff = adapter.sniff(empty)
        assert (sniff.confidence, bool(sniff.reason)) == (NO, True), name
