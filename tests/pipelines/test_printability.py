"""``faultlight mask print``, the job ``printability`` and its request: small SIMULATED clips and layouts."""

import json
import math
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from db.schema.work import finding, result
from instruments.errors import InstrumentError
from services.cli import app
from services.pipelines.context import JobRefused
from services.pipelines.mask.defect_tables import read_defects
from services.pipelines.mask.inspected_defects import add_inspection, defects_of_tables
from services.pipelines.mask.mask_patterns import PatternFile
from services.pipelines.mask.overlay_settings import OverlaySettings
from services.pipelines.mask.printability import judge_file, print_path
from services.pipelines.mask.printability_job import run
from services.pipelines.mask.printability_request import PrintabilityRequest
from tests.instruments.mask import layout_writer
from tests.instruments.mask.klarf_writer import flat
from tests.pipelines.bench import Bench
from tests.workers.scenery import add_job, store_original

PITCH, WIDTH, SIDE = 240, 120, 2400
SPACE_UM = (1.14, 1.2)
"""A middle of a space between lines."""


def write_clip(path: Path, scale: int = 1) -> Path:
    """Vertical lines, the first at 0; on a mask all lengths are ``scale`` times as large."""
    rows = [f"RECT N M1 {left * scale} 0 {WIDTH * scale} {SIDE * scale}" for left in range(0, SIDE, PITCH)]
    head = ["BEGIN", "EQUIV 1 1000 MICRON +X,+Y", "CNAME T", "LEVEL M1", "CELL T PRIME"]
    path.write_text("\n".join([*head, *rows, "ENDMSG", ""]))
    return path


def question(*defects: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """A question with one condition, so that it is quick."""
    return {
        "schema": "faultlight.printability/1",
        "optics": {
            "wavelength_nm": 193,
            "numerical_aperture": 0.9,
            "source": {"shape": "annular", "outer": 0.8, "inner": 0.5},
            "ambit_nm": 400,
        },
        "mask": {"drawn": "absorber", "absorber_transmission": 0.06},
        "exposure": {"threshold": 0.3, "doses": [1.0], "defocus_nm": [0.0]},
        "spread": {"threshold": 0.02},
        "simulated": True,
        "defects": list(defects),
    } | parts


def spot(name: str, width_nm: float, **fields: Any) -> dict[str, Any]:
    """Absorber in a space."""
    x, y = SPACE_UM
    return {"name": name, "kind": "absorber", "x_um": x, "y_um": y, "width_nm": width_nm} | fields


def judge(tmp_path: Path, asked: dict[str, Any], scale: int = 1) -> dict[str, Any]:
    clip = write_clip(tmp_path / "lines.glp", scale)
    return judge_file(PatternFile(clip, clip.name), PrintabilityRequest.model_validate(asked), "cpu")


def test_small_and_large_and_repaired(tmp_path: Path) -> None:
    """Each defect has its own answer, the verdict is the worst; a repair is judged by what was left."""
    left = [spot("", 60, kind="quartz", depth_nm=2)]
    del left[0]["name"]
    found = judge(tmp_path, question(spot("a", 8), spot("b", 110), spot("c", 110, repair={"left": left})))
    small, large, repaired = found["defects"]
    assert [each["verdict"] for each in found["defects"]] == ["does-not-print", "prints", "does-not-print"]
    assert found["verdict"] == "prints"
    assert found["simulated"] is True
    assert 0 < small["fraction"] < large["fraction"]
    assert large["worst"]["topology"][0]["x_nm"] == pytest.approx(1140, abs=60)
    assert (repaired["outcome"], repaired["before"]["verdict"]) == ("cleared", "prints")
    assert repaired["improvement"] > 0.9
    gauge = small["gauges"][0]
    assert (gauge["axis"], gauge["on_defect"], gauge["phase"]) == ("x", True, "exposed")
    assert gauge["x_nm"] == pytest.approx(1140, abs=1)
    assert found["provenance"]["parameters"]["exposure"]["threshold"] == 0.3
    json.dumps(found, allow_nan=False)


def test_magnification_is_used_once(tmp_path: Path) -> None:
    """The same mask drawn at four times, and a defect said in the mask's own lengths, have the same answer."""
    wafer = judge(tmp_path, question(spot("a", 40)))["defects"][0]
    drawn_large = question(spot("a", 160, x_um=4 * SPACE_UM[0], y_um=4 * SPACE_UM[1]), layout={"scale": "mask"})
    mask = judge(tmp_path, drawn_large, scale=4)["defects"][0]
    said_large = spot("a", 160, x_um=4 * SPACE_UM[0], y_um=4 * SPACE_UM[1], frame="mask")
    said = judge(tmp_path, question(said_large))["defects"][0]
    for other in (mask, said):
        assert other["fraction"] == pytest.approx(wafer["fraction"], rel=1e-9)
        assert other["gauges"][0]["x_nm"] == pytest.approx(wafer["gauges"][0]["x_nm"], rel=1e-9)


def test_a_disc_is_less_than_its_box(tmp_path: Path) -> None:
    """By its area, for a small one."""
    found = judge(tmp_path, question(spot("box", 16), spot("disc", 16, shape="disc")))["defects"]
    assert found[1]["fraction"] / found[0]["fraction"] == pytest.approx(3.14159 / 4, rel=0.03)


def test_one_that_cannot_be_judged_does_not_stop_the_others(tmp_path: Path) -> None:
    """Outside of all that is drawn is refused with the numbers; at its edge it is judged with a warning."""
    asked = question(spot("far", 40, y_um=900.0), spot("edge", 40, y_um=0.1), spot("a", 40))
    far, edge, plain = judge(tmp_path, asked)["defects"]
    assert far["verdict"] == "refused"
    assert "1.140, 900.000 um is outside of all that is drawn" in far["refused"]
    assert edge["warnings"] == ["the window reaches beyond all that is drawn, which is taken as empty there"]
    assert plain["warnings"] == []


def test_the_command(tmp_path: Path) -> None:
    """A table for people, one line of JSON for machines, exit 2 and the reason when nothing can be answered."""
    clip = write_clip(tmp_path / "lines.glp")
    asked = tmp_path / "q.json"
    asked.write_text(json.dumps(question(spot("a", 40))))
    shown = CliRunner().invoke(app, ["mask", "print", str(clip), str(asked)])
    assert shown.exit_code == 0, shown.output
    assert "worst change of a width" in shown.output
    assert "not modelled" in shown.output
    plain = CliRunner().invoke(app, ["mask", "print", str(clip), str(asked), "--json", "--device", "cpu"])
    assert json.loads(plain.stdout)["defects"][0]["name"] == "a"
    asked.write_text(json.dumps(question(spot("a", 40, y_um=900.0))))
    refused = CliRunner().invoke(app, ["mask", "print", str(clip), str(asked), "--json"])
    assert refused.exit_code == 2
    assert "outside of all that is drawn" in json.loads(refused.stdout)["error"]["message"]


def write_layout(path: Path) -> Path:
    """The same lines as GDSII on layer 1/0, and a plate on layer 2/0 that is no part of the mask."""
    lines = [layout_writer.box(1, left, 0, left + WIDTH, SIDE) for left in range(0, SIDE, PITCH)]
    plate = layout_writer.box(2, 0, 0, SIDE, SIDE)
    inner = layout_writer.structure("INNER", *lines, plate)
    path.write_bytes(layout_writer.library(inner, layout_writer.structure("TOP", layout_writer.sref("INNER", 0, 0))))
    return path


def test_a_layout_is_the_same_as_its_clip(tmp_path: Path) -> None:
    """One layer of a GDSII file; without a layer it is refused."""
    layout = write_layout(tmp_path / "lines.gds")
    asked = question(spot("a", 40), layout={"layer": "1/0"})
    found = judge_file(PatternFile(layout, layout.name), PrintabilityRequest.model_validate(asked), "cpu")
    clip = judge(tmp_path, question(spot("a", 40)))
    assert found["format"] == "gdsii"
    assert found["defects"][0]["fraction"] == pytest.approx(clip["defects"][0]["fraction"], rel=1e-9)
    plate = PrintabilityRequest.model_validate(question(spot("a", 40), layout={"layer": "2/0"}))
    refused = judge_file(PatternFile(layout, layout.name), plate, "cpu")["defects"][0]
    assert "changes nothing" in refused["refused"]
    within = question(spot("a", 40), spot("far", 40, y_um=900.0), layout={"layer": "1/0", "cell": "INNER"})
    inner, far = judge_file(PatternFile(layout, layout.name), PrintabilityRequest.model_validate(within), "cpu")[
        "defects"
    ]
    assert inner["fraction"] == pytest.approx(clip["defects"][0]["fraction"], rel=1e-9)
    assert "nothing is drawn around the defect" in far["refused"]
    with pytest.raises(InstrumentError, match="which layer"):
        judge_file(PatternFile(layout, layout.name), PrintabilityRequest.model_validate(question(spot("a", 40))), "cpu")
    wrong = PrintabilityRequest.model_validate(question(spot("a", 40), layout={"layer": "9/9"}))
    with pytest.raises(InstrumentError, match="9/9"):
        judge_file(PatternFile(layout, layout.name), wrong, "cpu")


def test_no_width_is_no_change_of_zero(tmp_path: Path) -> None:
    """On plain ground there is nothing to measure: null, not 0, and the margin in words."""
    clip = write_clip(tmp_path / "lines.glp")
    far = [[0, 0, 100, 100], [9000, 9000, 100, 100]]
    head = clip.read_text().split("CELL T PRIME\n", 1)[0]
    boxes = "".join(f"RECT N M1 {' '.join(map(str, each))}\n" for each in far)
    clip.write_text(f"{head}CELL T PRIME\n{boxes}ENDMSG\n")
    asked = tmp_path / "q.json"
    asked.write_text(json.dumps(question(spot("a", 40, x_um=4.5, y_um=4.5))))
    (found,) = print_path(clip, asked)["defects"]
    assert (found["verdict"], found["fraction"], found["sigma"], found["severity"]) == ("does-not-print", *[None] * 3)
    assert "no printed edge is near" in found["reason"]
    assert found["conditions"][0]["fraction"] is None
    shown = CliRunner().invoke(app, ["mask", "print", str(clip), str(asked)])
    assert shown.exit_code == 0, shown.output
    assert "no width" in shown.output


def test_a_clip_of_several_levels_needs_one_named(tmp_path: Path) -> None:
    """They are different masks."""
    clip = write_clip(tmp_path / "lines.glp")
    clip.write_text(clip.read_text().replace("ENDMSG", f"RECT N M2 0 0 {SIDE} {SIDE}\nENDMSG"))
    fractions = {}
    for level in (None, "M1", "M2", "M3"):
        request = PrintabilityRequest.model_validate(question(spot("a", 40), layout={"layer": level}))
        try:
            fractions[level] = judge_file(PatternFile(clip, clip.name), request, "cpu")["defects"][0].get("fraction")
        except InstrumentError as error:
            fractions[level] = str(error)
    assert fractions["M1"] == pytest.approx(judge(tmp_path, question(spot("a", 40)))["defects"][0]["fraction"])
    assert fractions["M2"] is None
    for level in (None, "M3"):
        assert "expected M1, M2" in fractions[level]


def test_defects_of_an_inspection(tmp_path: Path) -> None:
    """Places and sizes of a KLARF file by the overlay's settings; what it does not say is asked for or refused."""
    request = PrintabilityRequest.model_validate(question())
    inspection, settings = tmp_path / "mask.klarf", tmp_path / "s.json"
    inspection.write_text(flat([f"1 {4 * SPACE_UM[0]} {4 * SPACE_UM[1]} 0 0 0.16 3 1"]))
    settings.write_text(json.dumps({"schema": "faultlight.defect-overlay/1", "scale": 0.25, "sigma_nm": 20}))
    added = add_inspection(request, inspection, settings, "absorber")
    (defect,) = added.defects
    assert (defect.x_um, defect.y_um) == pytest.approx(SPACE_UM)
    assert (defect.width_nm, defect.height_nm, defect.kind) == (pytest.approx(40), pytest.approx(40), "absorber")
    assert added.spread.position_nm == pytest.approx(5)
    told = judge(tmp_path, question(spot("a", 40)))["defects"][0]
    asked = question(defect.model_dump(exclude_none=True))
    assert judge(tmp_path, asked)["defects"][0]["fraction"] == pytest.approx(told["fraction"], rel=1e-9)
    with pytest.raises(InstrumentError, match="kind of the inspected defects"):
        add_inspection(request, inspection, settings, "particle")
    inspection.write_text(flat(["1 10.5 20.25 0 0 0 3 1"]))
    with pytest.raises(InstrumentError, match="no place or no size"):
        add_inspection(request, inspection, settings, "opaque")


def test_an_inspection_is_turned_by_its_map(tmp_path: Path) -> None:
    """A bar lies upright after a quarter turn, is an outline after another; its place has the map's error, too."""
    columns = ("DEFECTID", "XREL", "YREL", "XINDEX", "YINDEX", "XSIZE", "YSIZE", "DSIZE", "CLASSNUMBER", "TEST")
    inspection = tmp_path / "mask.klarf"
    inspection.write_text(flat(["1 400 400 0 0 0.3 0.1 0.3 3 1"], columns))
    tables = read_defects(inspection)
    for turn, sides_nm in ((90, (100, 300)), (180, (300, 100)), (-90, (100, 300))):
        (defect,), _ = defects_of_tables(tables, OverlaySettings(rotation_deg=turn), "clear", "mask.klarf")
        assert (defect.width_nm, defect.height_nm) == pytest.approx(sides_nm)
    (defect,), _ = defects_of_tables(tables, OverlaySettings(rotation_deg=30), "clear", "mask.klarf")
    points = np.asarray(defect.points_um)
    steps = np.roll(points, -1, axis=0) - points
    assert np.hypot(*steps.T) == pytest.approx([0.3, 0.1, 0.3, 0.1])
    assert np.degrees(np.arctan2(steps[0, 1], steps[0, 0])) == pytest.approx(30)
    # Four marks of 4 nm: in their middle the map errs by 4 / sqrt(4) nm; the fourfold mask's own 20 nm are 5.
    marks = tuple((x, y, x / 4, y / 4, 4.0) for x in (0.0, 800.0) for y in (0.0, 800.0))
    fitted = OverlaySettings(matches=marks, form="similarity", sigma_nm=20)
    assert defects_of_tables(tables, fitted, "clear", "mask.klarf")[1] == pytest.approx(math.hypot(20 / 4, 2), rel=1e-3)


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    """Told in a sentence, not in a trace."""
    asked = tmp_path / "q.json"
    asked.write_text(json.dumps(question(spot("a", 40))))
    with pytest.raises(ValueError, match="use auto"):
        print_path(write_clip(tmp_path / "lines.glp"), asked, device="cuda:99")


NONSENSE: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda asked: asked["defects"].append(spot("a", 10)), "two defects are called a"),
    (lambda asked: asked["defects"][0].pop("x_um"), "give either points_um"),
    (lambda asked: asked["defects"][0].update(depth_nm=3), "only quartz"),
    (lambda asked: asked["defects"][0].update(kind="quartz"), "either depth_nm or phase_deg"),
    (lambda asked: asked["defects"][0].update(kind="transmission"), "needs transmission"),
    (lambda asked: asked["defects"][0].update(transmission=0.5), "neither phase_deg nor transmission"),
    (lambda asked: asked["exposure"].update(threshold=float("nan")), "threshold"),
    (lambda asked: asked["optics"].update(zernikes={"0": 1}), "zernikes"),
    (lambda asked: asked.update(other=1), "other"),
    (lambda asked: asked["exposure"].update(doses=[0.9]), "1 is one of the doses"),
    (lambda asked: asked["optics"].update(numerical_aperture=1.2), "medium of a higher index"),
    (lambda asked: asked["defects"].clear(), "names no defect"),
    (lambda asked: asked["exposure"].update(threshold=5.0), "does not print"),
    (lambda asked: asked["defects"][0].update(points_um=[[1, 1], [2, 2], [3, 3]], x_um=None, y_um=None, width_nm=None),
     "no area"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "reason"), NONSENSE)
def test_nonsense_is_refused(tmp_path: Path, spoil: Callable[[dict[str, Any]], Any], reason: str) -> None:
    """Every refusal says what is wrong, and is a ValueError: exit 2, or a job refused."""
    asked = question(spot("a", 40))
    if reason == "does not print":
        asked["mask"], asked["defects"][0]["x_um"] = {"drawn": "clear"}, 1.02
    spoil(asked)
    path = tmp_path / "q.json"
    path.write_text(json.dumps(asked))
    with pytest.raises(ValueError, match=reason):
        print_path(write_clip(tmp_path / "lines.glp"), path)


def test_the_job_stores_its_result_and_its_findings(bench: Bench, program_id: uuid.UUID, tmp_path: Path) -> None:
    """On a stored original; a question about a file of another program is refused."""
    data = write_clip(tmp_path / "lines.glp").read_bytes()
    file_id = store_original(bench.engine, bench.blobs, program_id, "lines.glp", data)
    asked = PrintabilityRequest.model_validate(question(spot("a", 8), spot("b", 110))).model_dump(
        mode="json", by_alias=True
    )
    payload = {"raw_file_id": str(file_id), "question": asked}
    job = add_job(bench.engine, program_id, "printability", payload=payload)
    context = bench.claim(job)
    bench.finish(context, run(context))
    (row,) = bench.rows(result)
    assert (row.kind, row.verdict, row.simulated) == ("printability", "prints", True)
    assert row.provenance["content_sha256"] in row.provenance["inputs"]
    found = bench.rows(finding)
    assert [(each.rank, each.subject) for each in sorted(found, key=lambda each: each.rank)] == [(1, "b"), (2, "a")]
    missing = {"raw_file_id": str(uuid.uuid4()), "question": asked}
    with pytest.raises(JobRefused, match="there is no file"):
        run(bench.claim(add_job(bench.engine, program_id, "printability", payload=missing)))
