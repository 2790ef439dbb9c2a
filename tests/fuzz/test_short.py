"""The short form of ``make fuzz``: some mutants of every adapter, the same each time, and that the oracle can fail."""

import faulthandler
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from instruments.adapter import Sniff, Source
from instruments.records import Record, Samples
from tests.adapter_contract.cases import CASES, registry
from tests.fuzz import campaign
from tests.fuzz.campaign import Outcome, make_mutant, run_campaign
from tests.fuzz.oracle import check
from tests.fuzz.seeds import ALL

MUTANTS = 150
ADAPTERS = registry().adapters


@pytest.mark.parametrize("name", sorted(ALL))
def test_damage_is_refused_or_read_with_as_much_as_there_is(name: str) -> None:
    outcome = run_campaign(name, range(MUTANTS))
    assert outcome.failures == []
    assert outcome.mutants == MUTANTS


@pytest.mark.parametrize("case", [case for cases in ALL.values() for case in cases], ids=lambda case: case.name)
def test_every_seed_is_valid(case: Any, tmp_path: Path) -> None:
    adapter = ADAPTERS[case.adapter]
    assert check(adapter, case.place(tmp_path), case.files, tmp_path / "packed", 0) == "read"


def test_a_mutant_is_its_index_and_no_other() -> None:
    first, again, other = (make_mutant("lecroy_trc", index) for index in (5, 5, 6))
    assert first == again != other
    changed = sum(make_mutant("klarf", index)[1] not in [case.files for case in ALL["klarf"]] for index in range(100))
    assert changed > 90


class Wrong:
    """The reader of LeCroy files, made to do what a reader must not do."""

    def __init__(self, what: str) -> None:
        self.inner: Any = ADAPTERS["lecroy_trc"]
        self.name, self.formats, self.version, self.what = "lecroy_trc", self.inner.formats, "1", what

    def sniff(self, source: Source) -> Sniff:
        return self.inner.sniff(source)

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        if self.what == "crash":
            raise IndexError("out of range")
        if self.what == "memory":
            np.ones(campaign.MEMORY_BYTES)
        while self.what == "hang":
            pass
        name, (waveform,) = self.inner.read(source)
        if self.what == "fewer":
            less = waveform.samples.array()[:-4]
            segment = replace(waveform.segments[0], count=less.size)
            waveform = replace(waveform, samples=Samples.of(less), segments=(segment,))
        return name, (waveform,)


def run_wrong(what: str, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    monkeypatch.setattr(campaign, "registry", lambda: SimpleNamespace(adapters={"lecroy_trc": Wrong(what)}))
    monkeypatch.setattr(campaign, "make_mutant", lambda name, _: (CASES[name], dict(CASES[name].files)))
    if what == "hang":
        monkeypatch.setattr(campaign, "HANG_S", 0.2)
    return run_campaign("lecroy_trc", range(2))


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("crash", "IndexError: out of range (test_short.py:"),
        ("memory", "MemoryError: Unable to allocate"),
        ("hang", "it took longer than 0.2 s"),
        ("fewer", "AssertionError: 80 counted, 76 read (oracle.py:"),
    ],
)
def test_the_oracle_sees_what_must_not_be(what: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = run_wrong(what, monkeypatch)
    assert [failure.index for failure in outcome.failures] == [0, 1]
    assert all(failure.what.startswith(told) for failure in outcome.failures), outcome.failures
    assert outcome.mutants == 2


def test_a_death_of_the_process_is_laid_at_its_mutant(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that kills the process takes no other mutant with it."""

    def try_mutant(*arguments: Any) -> str:
        if arguments[1] == 3:
            faulthandler.disable()  # the stack of a death that is wanted would stand in the log as a failure
            campaign.os.abort()
        return "read"

    monkeypatch.setattr(campaign, "try_mutant", try_mutant)
    outcome = run_campaign("photometer", range(6))
    assert [(failure.index, failure.what) for failure in outcome.failures] == [(3, "the process died: -6")]
    assert outcome.ends == Counter({"before a crash": 3, "read": 2, "crashed": 1})
