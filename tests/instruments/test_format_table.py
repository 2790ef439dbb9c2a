"""The table of formats has every adapter, and says something of each."""

from pathlib import Path

import pytest

from benchmarks.format_trials.made_files import MAKERS
from benchmarks.format_trials.oracles import ORACLES
from benchmarks.format_trials.summaries import SUMMARIES, summary_of
from benchmarks.formats import VENDOR_TITLE, Trial, make_document, read_whole, redescribe, rows_of
from benchmarks.report import Row
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


def test_what_this_run_does_not_measure_stays():
    trials = [Trial("tdms", 10.0, 0.5, "npTDMS", 1.0, 0.0, (5, 5))]
    measured = make_document(REGISTRY, trials, {}, [Row("tektronix_wfm: x", 0.0, "s", "<= 1e-12")])
    version = REGISTRY.adapters["tektronix_wfm"].version
    assert f"Measured with version {version} of the adapter tektronix_wfm." in measured
    assert make_document(REGISTRY, trials, {}, [], measured) == measured
    assert redescribe(REGISTRY, measured.replace("| atdf | atdf |", "| atdf | other |")) == measured
    others = f"{measured}\n## Damaged files\n\nof another program\n"
    assert make_document(REGISTRY, trials, {}, [], others) == redescribe(REGISTRY, others) == others
    assert "Not measured" in make_document(REGISTRY, trials, {}, []).partition(VENDOR_TITLE)[2]


@pytest.mark.parametrize("name", ["signal_map", "hdf5", "tdms"])
def test_files_of_the_trials_are_read(name, tmp_path):
    assert read_whole(MAKERS[name](tmp_path), REGISTRY, name).records
