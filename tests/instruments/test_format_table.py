"""The table of formats has every adapter, and says something of each."""

from pathlib import Path

import pytest

from benchmarks.format_trials.made_files import MAKERS
from benchmarks.format_trials.oracles import ORACLES
from benchmarks.format_trials.summaries import SUMMARIES, summary_of
from benchmarks.formats import Trial, make_document, read_whole, rows_of
from instruments.registry import Registry

REGISTRY = Registry.load(strict=True)
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "formats.md"


def test_entries_are_of_registered_adapters():
    assert set(SUMMARIES) <= set(REGISTRY.adapters)
    assert set(MAKERS) <= set(REGISTRY.adapters)
    assert set(ORACLES) <= set(MAKERS)


@pytest.mark.parametrize("name", sorted(REGISTRY.adapters))
def test_every_adapter_is_described(name):
    about = summary_of(REGISTRY.adapters[name])
    assert about.variants
    assert f"| {name} | {', '.join(REGISTRY.adapters[name].formats)} |" in DOCUMENT.read_text(encoding="utf-8"), (
        "write it anew: python -m benchmarks.formats --docs docs/formats.md"
    )


def test_the_document_says_where_readers_differ():
    trials = [
        Trial("tdms", 10.0, 0.5, "npTDMS", 1.0, 0.0, (5, 5)),
        Trial("layout", 1.0, 1.0, "gdstk", 0.5, None, (4, 5)),
    ]
    text = make_document(REGISTRY, trials, {}, [])
    assert "| tdms | npTDMS, exactly | - | 20 | 10 | 2 |" in text
    assert "| layout | gdstk: 5 counted, DIFFERENT | - | 1 | 2 | 0.5 |" in text
    assert [(row.claim, row.holds) for row in rows_of(trials) if row.holds is False] == [
        ("layout: count less gdstk's", False)
    ]


@pytest.mark.parametrize("name", ["signal_map", "hdf5", "tdms"])
def test_files_of_the_trials_are_read(name, tmp_path):
    assert read_whole(MAKERS[name](tmp_path), REGISTRY, name).records
