"""Sessions that say of the wrong pattern that it is cycle 0: offline, as a document and in words."""

import csv
import json
from itertools import pairwise
from pathlib import Path

import pytest

from services.demo.circuit import build_accumulator
from services.demo.die import DieOptions, SimulatedDie, write_session
from services.presentation.time_offset import describe_offset
from tests.pipelines.test_localization import FAULT, PROBES, localize_path, with_dump


def turn_cycles(path: Path, cycles: int, *, rows: bool) -> None:
    """Say of every pattern that it comes ``cycles`` earlier in the loop: of the ``rows`` of a table, or its numbers."""
    with path.open() as file:
        header, *lines = list(csv.reader(file))
    count = len(lines) if rows else DieOptions().patterns
    turned = [[str((int(cycle) - cycles) % count), *rest] for cycle, *rest in lines]
    turned.sort(key=lambda line: int(line[0]))
    path.write_text("\n".join(",".join(line) for line in [header, *turned]) + "\n")


def test_a_session_a_cycle_off_names_the_gate_and_says_so(tmp_path: Path) -> None:
    write_session(tmp_path, SimulatedDie(build_accumulator(), DieOptions(seed=7, fault=FAULT)), PROBES)
    turn_cycles(tmp_path / "patterns.csv", 1, rows=True)
    turn_cycles(tmp_path / "fails.csv", 1, rows=False)
    document = localize_path(tmp_path).to_document()
    assert document["verdict"] == "located"
    assert document["candidates"][0]["net"] == FAULT.net
    assert document["time_offset"]["cycles"] == 1
    assert document["time_offset"]["stated"] < 0.01
    assert describe_offset(document).startswith("The waveforms seem to come 1 cycle later than their times say")
    assert "time_axis_parts" in document["provenance"]["parameters"]


def test_a_session_that_is_right_says_nothing(tmp_path: Path) -> None:
    write_session(tmp_path, SimulatedDie(build_accumulator(), DieOptions(seed=7, fault=FAULT)), PROBES)
    document = localize_path(tmp_path).to_document()
    assert document["time_offset"]["stated"] > 0.99
    assert describe_offset(document) == ""
    assert describe_offset({}) == ""


@pytest.mark.parametrize("cycles", [2, -3])
def test_a_dump_that_begins_elsewhere_is_told_and_not_taken_for_a_wrong_die(tmp_path: Path, cycles: int) -> None:
    folder = with_dump(tmp_path, None)
    lines = (folder / "good.vcd").read_text().splitlines()
    starts = [place for place, line in enumerate(lines) if line.startswith("#")]
    blocks = [lines[begin + 1 : end] for begin, end in pairwise(starts)]
    turned = blocks[cycles:] + blocks[:cycles]
    body = [line for place, block in enumerate(turned) for line in (f"#{place * 10_000}", *block)]
    (folder / "good.vcd").write_text("\n".join([*lines[: starts[0]], *body, lines[-1]]) + "\n")
    document = localize_path(folder).to_document()
    assert document["verdict"] == "no-fault"
    assert document["time_offset"]["cycles"] == cycles
    assert max(item["p_faulty"] for item in document["waveforms"]) < 0.3
    assert json.dumps(document)
