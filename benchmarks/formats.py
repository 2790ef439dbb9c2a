"""Every registered format: how fast it is read beside an independent reader in the same run, and whether both agree.

    python -m benchmarks.formats [--json] [--docs docs/formats.md] [--describe docs/formats.md]

The files are made by the tests' own writers; the real samples, where they are, are read too. With ``--docs`` the
document of all formats is written; what Tektronix's reader said before stays where it is not there now. With
``--describe`` nothing is measured: the table of adapters is made anew, and what was measured before stays.
"""

import argparse
import csv
import math
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.format_trials.made_files import MAKERS, bundle, source_of
from benchmarks.format_trials.oracles import ORACLES, count_records, values_of
from benchmarks.format_trials.summaries import summary_of
from benchmarks.format_trials.vendor import SAMPLES, is_available, made_files, read_with_vendor
from benchmarks.report import Row, print_rows
from instruments.adapter import Source
from instruments.errors import InstrumentError
from instruments.records import Raster, ReadResult, Waveform
from instruments.registry import Registry, read_source
from tests.adapter_contract.cases import CASES

REPEATS = 3
FLOAT32_ROUNDING = 1e-6
TARGETS = {"stdf": ">= 10"}
EXACT = "exactly"
NOBODY = "no adapter"
SPEED_TITLE = "## Agreement and speed"
VENDOR_TITLE = "## Tektronix's own reader"


@dataclass
class Trial:
    """What was measured of one adapter. ``difference`` is relative to the largest value; of counts, absolute."""

    adapter: str
    megabytes: float
    seconds: float
    oracle: str = ""
    oracle_seconds: float = 0.0
    difference: float | None = None
    counts: tuple[int, int] | None = None

    @property
    def rate(self) -> float:
        """Megabytes (10**6 bytes) a second."""
        return self.megabytes / self.seconds


@dataclass
class Samples:
    """How many real samples an adapter has read and refused."""

    read: int = 0
    refused: int = 0
    names: list[str] = field(default_factory=list)


def best_of(action: Callable[[], Any]) -> tuple[Any, float]:
    """Return the last outcome and the shortest time of some runs, in seconds."""
    outcome, best = None, float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        outcome = action()
        best = min(best, time.perf_counter() - start)
    return outcome, best


def read_whole(source: Source, registry: Registry, adapter: str) -> ReadResult:
    """Read a file with all its samples, block by block."""
    result = read_source(source, registry, adapter)
    for record in result.records:
        if isinstance(record, Waveform | Raster):
            for _ in record.samples.blocks():
                pass
    return result


def run_trial(adapter: str, registry: Registry, folder: Path) -> Trial:
    """Measure one adapter on a file of its maker, beside its oracle."""
    source = MAKERS[adapter](folder)
    result, seconds = best_of(lambda: read_whole(source, registry, adapter))
    trial = Trial(adapter, source.size_bytes / 1e6, seconds)
    oracle = ORACLES.get(adapter)
    if oracle is None:
        return trial
    try:
        expected, trial.oracle_seconds = best_of(lambda: oracle.read(source))
    except ModuleNotFoundError:  # it is of the extra "bench"
        return trial
    trial.oracle = oracle.name
    if isinstance(expected, np.ndarray):
        found = values_of(adapter, result.records)
        trial.counts = (found.size, expected.size)
        if found.size == expected.size:
            trial.difference = float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))
    else:
        trial.counts = (count_records(adapter, result.records), expected)
    return trial


def run_trials(registry: Registry) -> list[Trial]:
    """Measure every adapter that has a maker."""
    trials = []
    for adapter in sorted(MAKERS):
        if adapter in registry.adapters:
            with tempfile.TemporaryDirectory() as folder:
                trials.append(run_trial(adapter, registry, Path(folder)))
    return trials


def samples_folder() -> Path | None:
    """Return the folder of real samples, where it is."""
    configured = os.environ.get("FAULTLIGHT_SHARED_DATA")
    folder = Path(configured) if configured else Path(__file__).resolve().parents[2] / "shared" / "data"
    return folder / "formats" if (folder / "formats" / "MANIFEST.csv").is_file() else None


def read_samples(registry: Registry, folder: Path) -> dict[str, Samples]:
    """Read every sample of the manifest; return what became of them by adapter."""
    found: dict[str, Samples] = defaultdict(Samples)
    with (folder / "MANIFEST.csv").open(newline="") as manifest:
        names = [row["file"] for row in csv.DictReader(manifest)]
    pair = [name for name in names if name.startswith("rs_bin/")]
    sources = [(name, source_of(folder / name)) for name in names if name not in pair]
    if pair:
        with tempfile.TemporaryDirectory() as scratch:
            files = {Path(name).name: (folder / name).read_bytes() for name in pair}
            _note("rs_bin", bundle(Path(scratch), files), registry, found)
    for name, source in sources:
        _note(name, source, registry, found)
    return dict(found)


def _note(name: str, source: Source, registry: Registry, found: dict[str, Samples]) -> None:
    try:
        adapter = read_source(source, registry).adapter
        found[adapter].read += 1
    except InstrumentError:
        surest = registry.ask(source)[0]
        adapter = surest.adapter.name if surest.sniff.confidence else NOBODY
        found[adapter].refused += 1
    found[adapter].names.append(name)


def vendor_rows(registry: Registry, folder: Path | None) -> list[Row]:
    """Compare Tektronix samples with Tektronix's own reader, where the environment has it."""
    if folder is None or not is_available():
        return []
    with tempfile.TemporaryDirectory() as scratch:
        files = {Path(name).name: folder / name for name in SAMPLES} | made_files(Path(scratch))
        return [row for what, path in files.items() for row in _compare_with_vendor(registry, what, path)]


def _compare_with_vendor(registry: Registry, what: str, path: Path) -> list[Row]:
    theirs = read_with_vendor(path)
    ours = [record for record in read_source(source_of(path), registry).records if isinstance(record, Waveform)]
    found = np.concatenate([waveform.values() for waveform in ours])
    claim, first = f"tektronix_wfm: {what}: ", ours[0]
    rows = [Row(f"{claim}samples fewer or more than tm_data_types", abs(found.size - theirs.values.size), "", "<= 0")]
    difference = float(np.max(np.abs(found - theirs.values)) / np.max(np.abs(theirs.values)))
    rows.append(Row(f"{claim}difference from tm_data_types", difference, "of largest", f"<= {FLOAT32_ROUNDING}"))
    start = first.segments[0].t0_s
    times = (
        max(abs((math.inf if start is None else start) - theirs.t0_s), abs((first.dt_s or 0.0) - theirs.dt_s))
        / theirs.dt_s
    )
    rows.append(Row(f"{claim}time axis off from tm_data_types", times, "samples", f"<= {FLOAT32_ROUNDING}"))
    if len(theirs.triggers_s) > 1:
        triggers = np.asarray([segment.trigger_offset_s for segment in first.segments], np.float64)
        apart = (
            float(np.max(np.abs(triggers - theirs.triggers_s))) if triggers.size == theirs.triggers_s.size else np.inf
        )
        rows.append(Row(f"{claim}triggers off from tm_data_types", apart, "s", "<= 1e-12"))
    return rows


def rows_of(trials: list[Trial]) -> list[Row]:
    """Return the rows of the trials."""
    rows = []
    for trial in trials:
        rows.append(Row(f"{trial.adapter}: read", trial.rate, "MB/s"))
        if not trial.oracle:
            continue
        ratio = trial.oracle_seconds / trial.seconds
        rows.append(Row(f"{trial.adapter}: MB/s of {trial.oracle}", ratio, "x", TARGETS.get(trial.adapter, "")))
        ours, theirs = trial.counts or (0, 0)
        rows.append(Row(f"{trial.adapter}: count less {trial.oracle}'s", abs(ours - theirs), "", "<= 0"))
        if trial.difference is not None:
            bound = f"<= {FLOAT32_ROUNDING}"
            rows.append(Row(f"{trial.adapter}: difference from {trial.oracle}", trial.difference, "of largest", bound))
    return rows


def measure() -> list[Row]:
    """Run all trials; return their rows."""
    registry = Registry.load(strict=True)
    return [*rows_of(run_trials(registry)), *vendor_rows(registry, samples_folder())]


def _agreement(trial: Trial | None, case: bool) -> str:
    if trial is None or not trial.oracle:
        return "contract suite" if case else ""
    if trial.difference is None:
        same = trial.counts is not None and trial.counts[0] == trial.counts[1]
        return (
            f"{trial.oracle}: {trial.counts[1] if trial.counts else 0} counted, {'the same' if same else 'DIFFERENT'}"
        )
    how = EXACT if trial.difference == 0 else f"to {trial.difference:.1g} of the largest value"
    return f"{trial.oracle}, {how}"


def _rate(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"


def _cells(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") or "-" for cell in cells) + " |"


def make_document(
    registry: Registry, trials: list[Trial], samples: dict[str, Samples], vendor: list[Row], before: str = ""
) -> str:
    """Return ``docs/formats.md``; what this run did not measure, and sections of others, stay as in ``before``."""
    lines = [*_described(registry), *_measured(registry, trials, samples)]
    if vendor:
        lines += _of_vendor(registry, vendor)
    else:
        lines += [
            _section(before, VENDOR_TITLE)
            or f"{VENDOR_TITLE}\n\nNot measured: set `BENCH_TM_DATA_TYPES` to a Python that has tm_data_types 0.5.0."
        ]
    return "\n".join([*lines, *_of_others(before)]) + "\n"


def redescribe(registry: Registry, before: str) -> str:
    """Return the document ``before`` with the table of adapters made anew and all that was measured as it was."""
    measured = [_section(before, SPEED_TITLE), "", _section(before, VENDOR_TITLE), *_of_others(before)]
    return "\n".join([*_described(registry), *measured]) + "\n"


def _of_others(document: str) -> list[str]:
    """Return the sections of ``document`` that other programs write into it."""
    titles = [line for line in document.splitlines() if line.startswith("## ")]
    return [
        line for title in titles if title not in (SPEED_TITLE, VENDOR_TITLE) for line in ("", _section(document, title))
    ]


def _section(document: str, title: str) -> str:
    """Return the section of ``document`` below ``title``, with it; empty when there is none."""
    _, found, rest = f"\n{document}".partition(f"\n{title}\n")
    return f"{title}\n{rest.partition(f'{chr(10)}## ')[0]}".rstrip() if found else ""


def _described(registry: Registry) -> list[str]:
    lines = [
        "# Formats",
        "",
        "Made by `python -m benchmarks.formats --docs docs/formats.md` from the registered adapters, their contract",
        "cases, files made by the tests' own writers, and the real samples. Do not edit it by hand.",
        "",
        "Every file is checked by a second, independent count; where the two disagree it is refused. A file in a gzip",
        "stream (`.gds.gz`) is read as what it holds, whatever its format.",
        "",
        _cells("adapter", "formats", "variants", "fields kept", "second count", "refused, with a reason"),
        _cells(*["---"] * 6),
    ]
    for name, adapter in sorted(registry.adapters.items()):
        about = summary_of(adapter)
        listed = ", ".join(adapter.formats)
        lines.append(_cells(name, listed, about.variants, about.fields_kept, about.second_count, about.refused))
    return [*lines, ""]


def _measured(registry: Registry, trials: list[Trial], samples: dict[str, Samples]) -> list[str]:
    by_name = {trial.adapter: trial for trial in trials}
    lines = [
        SPEED_TITLE,
        "",
        "Both readers read the same file of some megabytes in the same run, best of three, on two shared cores. Ours",
        "go the whole way: header, both counts, every sample, but leave native codes as they are; RigolWFM, npTDMS and",
        "numpy make volts of them, which is part of the ratio. *Real samples*: those of the manifest read / refused.",
        "",
        _cells("adapter", "agrees with", "real samples", "MB/s", "the oracle's MB/s", "ratio"),
        _cells(*["---"] * 6),
    ]
    for name in (*sorted(registry.adapters), *(name for name in samples if name == NOBODY)):
        trial, seen = by_name.get(name), samples.get(name)
        real = f"{seen.read} / {seen.refused}" if seen else ""
        speed = _rate(trial.rate) if trial else ""
        peer = _rate(trial.megabytes / trial.oracle_seconds) if trial and trial.oracle else ""
        ratio = f"{trial.oracle_seconds / trial.seconds:.2g}" if trial and trial.oracle else ""
        lines.append(_cells(name, _agreement(trial, name in CASES), real, speed, peer, ratio))
    return [*lines, ""]


def _of_vendor(registry: Registry, vendor: list[Row]) -> list[str]:
    lines = [
        VENDOR_TITLE,
        "",
        "tm_data_types 0.5.0 (it pins numpy below 2, so it runs in a Python of its own) on the real samples and on",
        "files of kinds that they lack. Like it we leave the trigger's part of a sample out of the first time; the",
        "instruments' own CSV files do not, so a warning gives it.",
        f"Measured with version {registry.adapters['tektronix_wfm'].version} of the adapter tektronix_wfm.",
        "",
        _cells("what", "value", "bound", "holds"),
        _cells(*["---"] * 4),
    ]
    lines += [
        _cells(row.claim, f"{row.value:.2g} {row.unit}".strip(), row.target, "yes" if row.holds else "NO")
        for row in vendor
    ]
    return lines


def main() -> None:
    """Print the rows, or write the document."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    parser.add_argument("--docs", type=Path, help="write the table of formats to this file")
    parser.add_argument("--describe", type=Path, help="make this file's table of adapters anew and measure nothing")
    arguments = parser.parse_args()
    registry = Registry.load(strict=True)
    if arguments.describe:
        before = arguments.describe.read_text(encoding="utf-8")
        arguments.describe.write_text(redescribe(registry, before), encoding="utf-8")
        return
    folder = samples_folder()
    trials, vendor = run_trials(registry), vendor_rows(registry, folder)
    if arguments.docs:
        samples = read_samples(registry, folder) if folder else {}
        before = arguments.docs.read_text(encoding="utf-8") if arguments.docs.exists() else ""
        arguments.docs.write_text(make_document(registry, trials, samples, vendor, before), encoding="utf-8")
    print_rows([*rows_of(trials), *vendor], as_json=arguments.json)


if __name__ == "__main__":
    main()
