"""Where on the die, in the answer: spots and mixtures, places on the stage, the heat map and its picture."""

import json
import math
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from services.cli import app
from services.demo.circuit import build_accumulator
from services.demo.die import DieOptions, SimulatedDie, write_session
from services.demo.machine import HiddenFault
from services.demo.presentation import print_localization
from services.pipelines.probing.heat_map_picture import PictureRefused, draw_heat_map

TURN = 0.3
MATRIX = np.array([[math.cos(TURN), -math.sin(TURN)], [math.sin(TURN), math.cos(TURN)]])
SHIFT = np.array([40.0, -7.0])


def to_stage(x_um: float, y_um: float) -> dict[str, float]:
    there = np.linalg.solve(MATRIX, np.array([x_um, y_um]) - SHIFT)
    return {"stage_x_um": float(there[0]), "stage_y_um": float(there[1])}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A die with a fault at c4, probed by stage: at c4, and at g3_n where the session says that it was y0."""
    made = tmp_path_factory.mktemp("session")
    die = SimulatedDie(build_accumulator(), DieOptions(seed=7, fault=HiddenFault("c4", "stuck-0"), patterns=64))
    write_session(made, die, ("g3_n", "s4"))
    document = json.loads((made / "session.json").read_text())
    for probe in document["waveforms"]:
        probe.update(to_stage(probe.pop("x_um"), probe.pop("y_um")))
    document["waveforms"][0]["net"] = "y0"
    marks = [(0.0, 0.0), (60.0, 0.0), (60.0, 40.0), (0.0, 40.0), (30.0, 20.0)]
    points: list[dict[str, Any]] = [
        {"layout_x_um": x, "layout_y_um": y, "sigma_nm": 20, **to_stage(x, y)} for x, y in marks
    ]
    document["alignment"] = {"form": "similarity", "points": points}
    points[4]["layout_x_um"] += 1.0
    (made / "session.json").write_text(json.dumps(document))
    return made


@pytest.fixture(scope="module")
def document(folder: Path, picture: Path) -> dict[str, Any]:
    outcome = CliRunner().invoke(app, ["localize", str(folder), "--json", "--heat-map", str(picture)])
    assert outcome.exit_code == 0
    found: dict[str, Any] = json.loads(outcome.stdout)
    return found


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("picture") / "map.svg"


def test_the_alignment_leaves_the_wrong_mark_out(document: dict[str, Any]) -> None:
    found = document["alignment"]
    assert [point["outlier"] for point in found["points"]] == [False] * 4 + [True]
    assert found["rotation_mrad"] == pytest.approx(300.0, abs=0.5)
    assert found["warnings"] == ["points that do not agree with the others and were left out: 5"]


def test_probes_are_on_the_layout_and_next_ones_on_the_stage(document: dict[str, Any], folder: Path) -> None:
    spot = document["waveforms"][1]["spot"]
    rows = (line.split(",") for line in (folder / "placement.csv").read_text().splitlines())
    there = next((float(x), float(y)) for _, net, x, y in rows if net == "s4")
    assert (spot["x_um"], spot["y_um"]) == pytest.approx(there, abs=1e-3)
    assert 30.0 < spot["ellipse"]["minor_nm"] <= spot["ellipse"]["major_nm"] < 45.0
    probe = document["next_probes"][0]
    assert to_stage(probe["x_um"], probe["y_um"])["stage_x_um"] == pytest.approx(probe["stage_x_um"], abs=1e-3)
    assert 5.0 < probe["stage_sigma_nm"] < 30.0


def test_a_spot_with_the_wrong_name_is_doubted_and_the_right_net_named(document: dict[str, Any]) -> None:
    wrong, right = (item["spot"] for item in document["waveforms"])
    assert wrong["p_on_net"] < 0.05
    assert wrong["nets"][0]["net"] == "g3_n"
    assert [item["counted"] for item in document["waveforms"]] == [False, True]
    assert document["waveforms"][0]["doubts"][0].startswith("the stated place is not on y0")
    assert document["waveforms"][0]["doubts"][1].startswith("the spot was rather on g3_n")
    first, second, _ = document["history"]
    assert [site["posterior"] for site in second["sites"]] == pytest.approx(
        [site["posterior"] for site in first["sites"]]
    )
    assert right["p_on_net"] > 0.95
    assert right["p_on_net"] + right["p_elsewhere"] == pytest.approx(1.0, abs=0.02)


def test_mixtures_have_intervals(document: dict[str, Any]) -> None:
    for item in document["waveforms"]:
        assert item["mixture"][0]["net"] == item["net"]
        assert len(item["mixture"]) > 2
        assert sum(abs(part["weight"]) for part in item["mixture"]) <= 1.0 + 1e-9
        for part in item["mixture"]:
            assert part["low"] - 1e-9 <= part["weight"] <= part["high"] + 1e-9
    assert document["waveforms"][1]["spot"]["swing"] > 0.0


def test_the_map_holds_what_the_sites_hold(document: dict[str, Any]) -> None:
    found = document["heat_map"]
    held = sum(cell["probability"] + cell["resembling"] for cell in found["cells"])
    assert held + found["no_fault"] + found["unplaced"] == pytest.approx(1.0, abs=1e-3)
    first = document["candidates"][0]
    cell = next(cell for cell in found["cells"] if first["net"] in cell["nets"])
    assert cell["column"] == math.floor((first["x_um"] - found["x_um"]) / found["cell_um"])
    assert cell["probability"] >= first["posterior"] - 1e-9


def test_the_map_is_drawn_the_same_each_time(document: dict[str, Any], picture: Path, tmp_path: Path) -> None:
    draw_heat_map(document, tmp_path / "again.svg")
    assert b"<svg" in picture.read_bytes()
    assert picture.read_bytes() == (tmp_path / "again.svg").read_bytes()
    with pytest.raises(PictureRefused, match=r"\.svg or \.png"):
        draw_heat_map(document, tmp_path / "a.gif")
    with pytest.raises(PictureRefused, match="no placement"):
        draw_heat_map(document | {"heat_map": None}, tmp_path / "c.svg")


def test_a_person_reads_where_the_spots_were(document: dict[str, Any]) -> None:
    console = Console(file=StringIO(), width=120)
    print_localization(document, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "were left out: 5" in text
    assert "y0: the spot was rather on g3_n" in text


def test_a_person_reads_a_slow_path_by_its_ends(document: dict[str, Any]) -> None:
    """Names in brackets are no markup of the terminal's."""
    console = Console(file=StringIO(), width=160)
    path = document["candidates"][0] | {"fault": "PATH:" + " > ".join(f"u[a{gate}]" for gate in range(30))}
    print_localization(document | {"candidates": [path]}, console)
    assert "PATH:u[a0] > u[a1] > u[a2] > … > u[a28] > u[a29] (30 gates)" in console.file.getvalue()  # type: ignore[attr-defined]
