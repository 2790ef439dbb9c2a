"""Layouts and defects as ``faultlight mask`` answers, and what it refuses."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from instruments.errors import CorruptField, CountMismatch, Truncated
from instruments.mask.klarf import KlarfAdapter
from instruments.mask.process import load_process
from services.cli import app
from services.pipelines.mask.defect_overlay import overlay_document
from services.pipelines.mask.layout_nets import (
    Place,
    TracedLayout,
    open_layout,
    places_document,
    places_path,
    read_places,
    trace_layout,
    trace_path,
)
from services.pipelines.mask.overlay_settings import OverlaySettings, choose_settings, read_settings
from services.presentation.layout import print_nets
from tests.instruments.mask import layout_writer as write
from tests.instruments.mask.klarf_writer import flat
from tests.instruments.mask.sources import read_all, source_of
from tests.instruments.mask.test_nets import SMALL, text_at


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten level wires of 1 um on 2 um pitch, 100 um long, each with its label, and their process."""
    tmp_path = tmp_path_factory.mktemp("wires")
    wires = [write.box(1, 0, 2000 * row, 100_000, 2000 * row + 1000) for row in range(10)]
    labels = [text_at(1, f"W{row}", 10, 2000 * row + 500) for row in range(10)]
    (tmp_path / "wires.gds").write_bytes(write.library(write.structure("TOP", *wires, *labels)))
    (tmp_path / "small.json").write_text(json.dumps(SMALL))
    return tmp_path


@pytest.fixture(scope="module")
def traced(folder: Path) -> TracedLayout:
    with open_layout(folder / "wires.gds") as engine:
        return trace_layout(engine, "wires.gds", load_process(folder / "small.json"))


def klarf(folder: Path, rows: list[str], **parts: Any) -> Path:
    path = folder / "defects.klarf"
    path.write_text(flat(rows, **parts))
    return path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["mask", *map(str, arguments)])


def test_nets_are_listed_with_areas_and_provenance(folder: Path) -> None:
    document = json.loads(call("nets", folder / "wires.gds", "--process", folder / "small.json", "--json").stdout)
    assert [each["name"] for each in document["nets"]] == [f"W{row}" for row in range(10)]
    assert [each["area_um2"] for each in document["nets"]] == [{"low": 100.0}] * 10
    assert document["process"]["source"] == "made up for the tests"
    assert document["box_um"] == [0, 0, 100, 19]
    assert (document["unit_um"], document["counts"]["labels"]) == (0.001, 10)
    console = Console(record=True, width=100)
    print_nets(document, console)
    told = console.export_text()
    assert "10 nets at the top" in told
    assert "warning: nothing in the layout is on high, hole" in told


def test_a_place_is_told_with_its_probability(folder: Path) -> None:
    arguments = ("at", folder / "wires.gds", 50, 1.0, "--sigma-nm", 500, "--process", folder / "small.json")
    (place,) = json.loads(call(*arguments, "--json").stdout)["places"]
    nets = {each["name"]: each["probability"] for each in place["nets"]}
    assert nets["W0"] == pytest.approx(0.4772, abs=1e-3)
    assert nets["W1"] == pytest.approx(0.0228, abs=1e-3)
    assert place["none"]["low"] == pytest.approx(1 - sum(nets.values()))
    assert "W0" in call(*arguments).stdout


def test_places_of_a_file_keep_names_and_order(folder: Path, traced: TracedLayout) -> None:
    path = folder / "p.csv"
    path.write_text("name,x_um,y_um,sigma_x_nm,sigma_y_nm,correlation\na,50,0.5,,,\nb,50,1.5,10,20,0.5\nc,500,0,,,\n")
    document = places_document(traced, read_places(path))
    assert [each["name"] for each in document["places"]] == ["a", "b", "c"]
    assert [len(each["nets"]) for each in document["places"]] == [1, 0, 0]
    (doubt,) = [each for each in document["warnings"] if each["kind"] == "place-outside-layout"]
    assert doubt["places"] == [2]
    assert "1 of 3 places lie outside the box of TOP, (500, 0) um for one" in doubt["message"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x_um,z\n1,2\n", "the columns are not right"),
        ("x_um,y_um\n1,two\n", "p.csv: a value is no number at line 2"),
        ("x_um,y_um\n1,\n", "p.csv: a value is no number at line 2"),
        ("x_um,y_um\n1,inf\n", "p.csv: a value is not finite at line 2"),
    ],
)
def test_places_that_are_not_right_are_refused_at_their_line(folder: Path, text: str, words: str) -> None:
    (folder / "p.csv").write_text(text)
    with pytest.raises(CorruptField) as caught:
        read_places(folder / "p.csv")
    assert words in str(caught.value)


@pytest.mark.parametrize("place", [Place(1, 2, -1.0), Place(float("nan"), 0), Place(0, 0, 1, 1, 1.0)])
def test_a_place_that_cannot_be_is_refused_before_anything_is_read(folder: Path, place: Place) -> None:
    with pytest.raises(CorruptField, match="place 1 is not finite, has a negative deviation, or a correlation"):
        places_path(folder / "wires.gds", [place], str(folder / "small.json"))


def test_a_window_is_told_and_its_misuse_refused(folder: Path) -> None:
    arguments = ("window", folder / "wires.gds", 1, 0, 2, 4)
    (wires,) = json.loads(call(*arguments, "--layers", "1/0", "--json").stdout)["layers"]
    assert (wires["shapes"], wires["area_um2"], len(wires["polygons"])) == (3, pytest.approx(2.0), 2)
    for layers, words in (("met1", "layers are written layer/datatype"), ("7/0", "the layout has no layer 7/0")):
        refused = call(*arguments, "--layers", layers, "--json")
        assert (refused.exit_code, words in json.loads(refused.stdout)["error"]["message"]) == (2, True)


def overlay(traced: TracedLayout, inspection: Path, **changes: Any) -> dict[str, Any]:
    """Overlay without processes of their own, which other tests here have."""
    settings = choose_settings(None, **({"sigma_nm": 20.0} | changes))
    _, tables = read_all(KlarfAdapter(), source_of(inspection))
    return overlay_document(traced, tables, settings, inspection.name)


ROWS = ["1 50 1.5 0 0 1.6 3 1", "2 50 6.5 0 0 1.3 0 1", "3 50 9.5 0 0 0.3 3 1", "4 500 9.5 0 0 0.3 3 1"]


def test_defects_are_laid_on_the_layout(folder: Path, traced: TracedLayout) -> None:
    document = overlay(traced, klarf(folder, ROWS))
    defects = {each["defect_id"]: each for each in document["defects"]}
    assert (defects[1]["mode"], defects[1]["layer"]) == ("bridge", "low")
    assert defects[1]["criticality"] > 0.99
    assert sorted(defects[1]["layers"][0]["bridged"]) == ["W0", "W1"]
    assert defects[1]["layers"][0]["edge_um"] == pytest.approx(0.5)
    assert (defects[2]["mode"], defects[2]["layers"][0]["nets"][0]["name"]) == ("cut", "W3")
    assert (defects[3]["nuisance"], defects[4]["nuisance"], defects[4]["criticality"]) == (True, False, None)
    assert document["counts"] == {"defects": 4, "without_place": 0, "inside": 3, "nuisance": 1, "not_judged": 1}
    assert document["verdict"] == "critical"
    assert {each["kind"] for each in document["warnings"]} == {"layer-without-shapes", "defect-outside-layout"}


def test_the_tone_of_a_class_counts(folder: Path) -> None:
    path = folder / "settings.json"
    tones = {"pin hole": "missing", "0": "extra"}
    path.write_text(json.dumps({"schema": "faultlight.defect-overlay/1", "tones": tones, "sigma_nm": 20}))
    arguments = ("overlay", folder / "wires.gds", klarf(folder, ROWS[:2]), "--settings", path, "--process")
    document = json.loads(call(*arguments, folder / "small.json", "--json").stdout)
    assert [(each["tone"], each["mode"], each["nuisance"]) for each in document["defects"]] == [
        ("missing", "none", True),
        ("extra", "none", True),
    ]
    assert "nuisance" in call(*arguments, folder / "small.json").stdout


def test_a_mask_is_reduced_mirrored_and_fitted(folder: Path, traced: TracedLayout) -> None:
    """Four times larger and turned over: the same answer by definition and by four matches, one of them wrong."""
    rows = ["1 -200 6 0 0 6.4 3 1"]
    told = read_settings({"schema": "faultlight.defect-overlay/1", "scale": 0.25, "mirrored": True, "sigma_nm": 80})
    matches = [[-4 * x, 4 * y, x, y, 20] for x, y in ((0, 0), (100, 0), (100, 19), (0, 19), (50, 3))]
    matches.append([-200, 40, 57, 10, 20])
    inspection = klarf(folder, rows)
    _, tables = read_all(KlarfAdapter(), source_of(inspection))
    first = overlay_document(traced, tables, told, "defects.klarf")
    fitted = read_settings({"schema": "faultlight.defect-overlay/1", "matches": matches, "sigma_nm": 80})
    second = overlay_document(traced, tables, fitted, "defects.klarf")
    for document in (first, second):
        (defect,) = document["defects"]
        assert (defect["x_um"], defect["y_um"]) == (pytest.approx(50), pytest.approx(1.5))
        assert (defect["size_um"], defect["mode"]) == (pytest.approx(1.6), "bridge")
    assert first["defects"][0]["sigma_nm"] == pytest.approx([20.0, 20.0])
    assert second["defects"][0]["sigma_nm"][0] > 20.0
    assert second["frame"]["outlier"] == [False] * 5 + [True]
    assert first["frame"]["fitted"] is False


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sigma_nm": -1}, "the setting sigma_nm is not right (expected a number of at least 0, found -1)"),
        ({"tone": "grey"}, "the setting tone is not right (expected extra, missing, unknown"),
        ({"turn": 1}, "the settings have an unknown key"),
        ({"matches": [[1, 2, 3, 4]]}, "the setting matches is not right"),
        ({"schema": "x"}, "this is no description of an overlay"),
    ],
)
def test_settings_that_are_not_right_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(CorruptField) as caught:
        read_settings({"schema": "faultlight.defect-overlay/1"} | change)
    assert words in str(caught.value)
    assert read_settings(OverlaySettings().to_document()) == OverlaySettings()


def test_defects_in_another_unit_are_refused_with_the_numbers(folder: Path, traced: TracedLayout) -> None:
    places = np.random.default_rng(1).uniform((5e3, 2e3), (95e3, 18e3), (20, 2))
    rows = [f"{i + 1} {x:.0f} {y:.0f} 0 0 500 3 1" for i, (x, y) in enumerate(places)]
    with pytest.raises(CountMismatch) as caught:
        overlay(traced, klarf(folder, rows))
    assert str(caught.value) == (
        "defects.klarf: 0 of 20 defects lie in the layout; with lengths multiplied by 0.001 20 would: the defects' "
        "unit or scale, or the layout's database unit of 0.001 um, is not what it is taken for (expected 20, found 0)"
    )
    small = [f"{i + 1} {x:.6f} {y:.6f} 0 0 0.001 3 1" for i, (x, y) in enumerate(places / 1e6)]
    crowded = overlay(traced, klarf(folder, small))
    assert "defects-crowded" in {each["kind"] for each in crowded["warnings"]}


def test_counts_that_disagree_are_flagged_with_the_numbers(folder: Path, traced: TracedLayout) -> None:
    document = overlay(traced, klarf(folder, ROWS[:2], summary="1 5 0 4 2"))
    told = [each["message"] for each in document["warnings"] if each["kind"] == "inspection"]
    assert told == ["defects.klarf: the summary counts 5 defects in test 1, the list has 2"]


def test_what_defects_lack_is_told(folder: Path, traced: TracedLayout) -> None:
    document = overlay(
        traced,
        klarf(
            folder,
            ["1 50 1.5 0 0 3", "2 50 6.5 0 0 0"],
            columns=("DEFECTID", "XREL", "YREL", "XINDEX", "YINDEX", "CLASSNUMBER"),
            summary="1 2 0 4 2",
        ),
        sigma_nm=0.0,
    )
    kinds = {each["kind"]: each["message"] for each in document["warnings"]}
    assert kinds["defect-without-size"] == "2 defects have no size, so that their criticality is not known"
    assert kinds["no-error-stated"] == "no error of the defects' places is stated: they are taken as exact"
    assert (document["verdict"], document["counts"]["not_judged"]) == ("undecided", 2)
    with pytest.raises(
        CorruptField,
        match=r"no coordinates of the kind layout \(expected layout_x_um and layout_y_um, found die, sample\)",
    ):
        overlay(traced, klarf(folder, ROWS), coordinates="layout")
    with pytest.raises(CorruptField, match=r"not one of the process \(expected low, high, hole, found met1\)"):
        overlay(traced, klarf(folder, ROWS), layers="met1")


def test_files_that_are_broken_or_not_what_they_should_be_are_refused(folder: Path) -> None:
    whole = (folder / "wires.gds").read_bytes()
    (folder / "cut.gds").write_bytes(whole[:-30])
    with pytest.raises(Truncated):
        trace_path(folder / "cut.gds", str(folder / "small.json"))
    told = call("overlay", folder / "wires.gds", folder / "wires.gds", "--process", folder / "small.json", "--json")
    assert told.exit_code == 2
    assert re.search("holds no defects", json.loads(told.stdout)["error"]["message"])
    for arguments in (("at", folder / "wires.gds"), ("at", folder / "wires.gds", 1)):
        assert call(*arguments).exit_code == 2
    assert call("nets", folder / "none.gds", "--json").exit_code == 2
