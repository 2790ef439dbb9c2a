"""Signatures and matches of inspection files, as ``faultlight mask`` answers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from instruments.errors import CorruptField
from instruments.mask.klarf import KlarfAdapter
from services.cli import app
from services.pipelines.mask.defect_signatures import (
    MatchOptions,
    SignatureOptions,
    match_document,
    signatures_document,
)
from services.presentation.defect import print_matching, print_signatures
from tests.instruments.mask.klarf_writer import flat
from tests.instruments.mask.sources import read_all, written

PITCH = (1000.0, 2000.0)
CENTRE = (500.0, -250.5)
DIES = [(column, row) for column in range(-10, 10) for row in range(-5, 5)]
PLAN = f"SampleTestPlan {len(DIES)}\n" + "\n".join(f" {column} {row}" for column, row in DIES) + ";\n"
FAST = SignatureOptions(simulations=99)


def rows_of(xy: np.ndarray) -> list[str]:
    """KLARF rows of places about the sample's centre."""
    absolute = xy + CENTRE
    dies = np.floor(absolute / PITCH).astype(int)
    inside = absolute - dies * PITCH
    return [
        f"{number + 1} {x:.3f} {y:.3f} {column} {row} 0.5 3 1"
        for number, ((x, y), (column, row)) in enumerate(zip(inside, dies, strict=True))
    ]


def tables(tmp_path: Path, xy: np.ndarray, **parts: Any) -> list[Any]:
    _, found = read_all(KlarfAdapter(), written(tmp_path, "d.klarf", flat(rows_of(xy), **parts)))
    return found


def scattered(count: int, seed: int = 0) -> np.ndarray:
    numbers = np.random.default_rng(seed)
    return numbers.uniform((-10_400, -9_700), (9_400, 10_200), (count, 2))


def test_a_repeater_in_the_dies_is_found_and_said(tmp_path: Path) -> None:
    dies = np.array([[-7, 1], [2, 3], [5, -4], [0, 0], [8, 2]]) * PITCH - CENTRE
    document = signatures_document(
        tables(tmp_path, np.concatenate([scattered(60), dies + np.array((333, 444))]), head=PLAN), FAST, "d.klarf"
    )
    (sample,) = document["samples"]
    assert sample["region"] == {"source": "200 dies of the test plan", "area_mm2": pytest.approx(400.0)}
    (repeater,) = [each for each in sample["signatures"] if each["kind"] == "repeater"]
    assert repeater["defects"] == [61, 62, 63, 64, 65]
    assert repeater["about"] == {"field_x_um": pytest.approx(333), "field_y_um": pytest.approx(444), "fields": 5.0}
    assert document["verdict"] == "structured"
    console = Console(record=True, width=120)
    print_signatures(document, console)
    assert "repeater of 5 defects: field_x_um 333" in console.export_text()


def test_a_map_by_chance_is_called_random(tmp_path: Path) -> None:
    document = signatures_document(tables(tmp_path, scattered(60), head=PLAN), FAST, "d.klarf")
    assert (document["verdict"], document["kinds"]) == ("random", [])
    assert [each["kind"] for each in document["samples"][0]["tests"]] == ["cluster", "ring", "scratch", "repeater"]


def test_what_was_inspected_must_be_known(tmp_path: Path) -> None:
    with pytest.raises(CorruptField, match="the file does not say what was inspected: give the radius"):
        signatures_document(tables(tmp_path, scattered(10)), FAST, "d.klarf")
    given = signatures_document(tables(tmp_path, scattered(10)), SignatureOptions(15_000.0, simulations=99), "d.klarf")
    sized = signatures_document(tables(tmp_path, scattered(10), head="SampleSize 1 30;\n"), FAST, "d.klarf")
    assert given["samples"][0]["region"]["area_mm2"] == sized["samples"][0]["region"]["area_mm2"]
    with pytest.raises(CorruptField, match=r"too few defects have a place for a signature \(expected 6, found 5\)"):
        signatures_document(tables(tmp_path, scattered(5), head=PLAN), FAST, "d.klarf")


def test_two_inspections_are_matched_and_aligned(tmp_path: Path) -> None:
    numbers = np.random.default_rng(5)
    true = scattered(40)
    shifted = np.concatenate(
        [true[:30] + np.array((1.2, -0.7)) + numbers.normal(0, 0.3, (30, 2)), scattered(10, seed=9)]
    )
    first, second = (tables(tmp_path, xy)[0] for xy in (true, shifted))
    document = match_document((first, second), MatchOptions((300.0, 300.0), align=True), ("a", "b"))
    assigned = {(each["first"], each["second"]) for each in document["matches"] if each["assigned"]}
    assert len(assigned & {(k, k) for k in range(1, 31)}) >= 28
    assert len(assigned - {(k, k) for k in range(1, 31)}) == 0
    assert document["shift_um"] == pytest.approx([-1.2, 0.7], abs=0.4)
    assert document["first_alone"]["40"] > 0.99
    console = Console(record=True, width=120)
    print_matching(document, console)
    assert "40 defects of a, 40 of b" in console.export_text()
    with pytest.raises(CorruptField, match="matching needs the error of a place in both inspections"):
        match_document((first, second), MatchOptions((0.0, 300.0)), ("a", "b"))
    with pytest.raises(CorruptField, match=r"no such coordinates \(expected sample, die, layout, found stage\)"):
        match_document((first, second), MatchOptions((1.0, 1.0), "stage"), ("a", "b"))


def test_the_commands_answer_in_json(tmp_path: Path) -> None:
    path = tmp_path / "d.klarf"
    path.write_text(flat(rows_of(scattered(20)), head=PLAN))
    told = CliRunner().invoke(app, ["mask", "match", str(path), str(path), "--sigma-nm", "100", "100", "--json"])
    assert json.loads(told.stdout)["counts"] == {"first": 20, "second": 20, "common": 20}
    refused = CliRunner().invoke(app, ["mask", "signatures", str(path), "--simulations", "10", "--json"])
    assert (refused.exit_code, "needs 80 simulations" in json.loads(refused.stdout)["error"]["message"]) == (2, True)
