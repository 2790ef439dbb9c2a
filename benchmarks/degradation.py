"""Forecasts of drift on real data: held-out error and coverage of every method, and which one is selected.

Two questions, both in the order of time. *later*: all units until a cut, their later readouts held out. *new units*:
one unit in four known until the cut only, the others fully. The method is selected and its bands are calibrated on
what lies before the cut; all of them are then judged on what lies after. Any folder of CSV files is read: a column of
devices, one of times, perhaps temperatures, and values.
"""

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from analysis.degradation.errors import DegradationError
from analysis.degradation.forecasting import (
    Judgement,
    Split,
    cut_time,
    judge_method,
    split_later,
    split_units,
    try_methods,
)
from analysis.degradation.methods import CHALLENGERS, METHODS
from analysis.degradation.readout_paths import ReadoutPaths, collect_paths
from benchmarks.report import Row

DEVICES = ("device_id", "device", "unit", "id", "serial", "sample", "item")
TIMES = ("time_h", "hours", "hour", "time", "cycles", "kilocycles", "weeks", "step", "t")
TEMPERATURES = ("temperature_c", "celsius", "degreesc", "temp_c", "temperature")


@dataclass(frozen=True)
class Result:
    """One method on one question about one parameter."""

    data: str
    parameter: str
    question: str
    method: str
    selected: bool
    rmse: float | None
    coverage: float | None
    width: float | None
    readouts: int
    units: int
    refused: str


def read_folder(folder: Path, values: int) -> Iterator[tuple[str, str, ReadoutPaths]]:
    """Yield file, parameter and readouts of the first ``values`` value columns of every CSV under ``folder``."""
    for path in sorted(folder.rglob("*.csv")):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        heads = {head.strip().lower(): head for head in rows[0]} if rows else {}
        device, hours = _find(heads, DEVICES), _find(heads, TIMES)
        if device is None or hours is None:
            continue
        celsius = _find(heads, TEMPERATURES)
        if "parameter" in heads and "value" in heads:
            names = sorted({row[heads["parameter"]] for row in rows})
            chosen = [
                (name, heads["value"], [row for row in rows if row[heads["parameter"]] == name]) for name in names
            ]
        else:
            others = [head for head in heads.values() if head not in (device, hours, celsius)]
            chosen = [(head, head, rows) for head in others if _number(rows[-1][head]) is not None]
        for parameter, head, own in chosen[:values]:
            table = np.asarray(
                [[_number(row[each]) if each else np.nan for each in (hours, head, celsius)] for row in own],
                np.float64,
            )
            yield path.stem, parameter, collect_paths([row[device] for row in own], *table.T)


def _find(heads: dict[str, str], names: Sequence[str]) -> str | None:
    return next((heads[name] for name in names if name in heads), None)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def measure(data: str, parameter: str, paths: ReadoutPaths) -> list[Result]:
    """Return how every method forecasts the last third of ``paths``, selected and calibrated on what came before."""
    cut = cut_time(paths)
    later = split_later(paths, cut)
    trial = try_methods(later.fitted, METHODS, CHALLENGERS)
    questions: list[tuple[str, Split]] = [("later", later)]
    try:
        questions.append(("new units", split_units(paths, cut)))
    except DegradationError as error:
        sys.stderr.write(f"{data} {parameter}: {error}\n")
    found = []
    for question, split in questions:
        for name, method in METHODS.items():
            judged: Judgement = judge_method(name, method, split, 0.9, trial.judgements[name].stretch)
            found.append(
                Result(
                    data, parameter, question, name, name == trial.selected, judged.error, judged.coverage,
                    judged.width, judged.rows, judged.units, judged.reason,
                )
            )  # fmt: skip
    return found


def find_data() -> Path:
    """Return the folder of degradation data beside the project, or refuse."""
    root = os.environ.get("FAULTLIGHT_SHARED_DATA")
    shared = Path(root) if root else Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = shared / "reliability" / "degradation"
    if not folder.is_dir():
        raise SystemExit("no degradation data: give a folder with --data DIR")
    return folder


def summarize(results: Sequence[Result]) -> list[Row]:
    """Return a row of each question: the selected method's error beside the best one's, and its coverage."""
    rows = []
    for key in dict.fromkeys((each.data, each.parameter, each.question) for each in results):
        own = [each for each in results if (each.data, each.parameter, each.question) == key and each.rmse is not None]
        chosen = next((each for each in own if each.selected), None)
        if chosen is None or chosen.rmse is None or chosen.coverage is None:
            continue
        best = min(own, key=lambda each: each.rmse or 0.0)
        claim = f"{', '.join(key)}: error of {chosen.method} over that of the best, {best.method}"
        rows.append(Row(claim, chosen.rmse / (best.rmse or 1.0), "ratio"))
        rows.append(Row(f"{', '.join(key)}: readouts within its 90 % bands", chosen.coverage, "part"))
    return rows


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder of CSV files; default: the one beside the project")
    parser.add_argument("--values", type=int, default=1, help="value columns of each file, from the first")
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    results: list[Result] = []
    for data, parameter, paths in read_folder(arguments.data or find_data(), arguments.values):
        sys.stderr.write(f"forecasting {data}, {parameter}: {paths.rows} readouts of {paths.units} units\n")
        try:
            results += measure(data, parameter, paths)
        except DegradationError as error:
            sys.stderr.write(f"{data} {parameter}: refused, {error}\n")
    if arguments.json:
        documents: list[dict[str, Any]] = [row.to_document() for row in summarize(results)]
        for each in results:
            row = Row(f"{each.data}, {each.parameter}, {each.question}: error of {each.method}", each.rmse or 0.0, "")
            documents.append(row.to_document() | {"detail": True} | asdict(each))
        sys.stdout.write(json.dumps(documents, indent=1) + "\n")
        return
    _print(results, time.perf_counter() - started)


def _print(results: Sequence[Result], seconds: float) -> None:
    table = Table()
    for heading in ("data", "parameter", "held out", "method", "RMSE", "90 % coverage", "mean width", "of", "selected"):
        table.add_column(heading, overflow="fold")
    for each in results:
        numbers = ("refused", each.refused, "") if each.rmse is None else _numbers(each)
        table.add_row(
            each.data, each.parameter, each.question, each.method, *numbers, f"{each.readouts} of {each.units} units",
            "selected" if each.selected else "",
        )  # fmt: skip
    console = Console(width=150)
    console.print(table)
    console.print(f"in {seconds:.0f} s; selected and calibrated on what came before the cut")


def _numbers(each: Result) -> tuple[str, str, str]:
    return f"{each.rmse:.4g}", f"{100 * (each.coverage or 0.0):.0f} %", f"{each.width:.4g}"


if __name__ == "__main__":
    main()
