"""Tables of SIMULATED masks to maps and trends, by file and by command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from services.cli import app
from services.pipelines.mask.mask_metrology import Convention, map_tables
from services.pipelines.table_source import SourceTable, TableRefused, read_tables

HEADER = "mask_id,site_id,x_um,y_um,target_nm,meas_nm,dx_nm,dy_nm,tone,orientation,ts"


def mask(
    comments: str = "# scale: mask\n# correction: raw\n# simulated: yes\n",
    *,
    tone: str = "clear",
    day: int = 1,
    magnification_ppm: float = 0.3,
    factor: float = 1.0,
) -> str:
    """SIMULATED: 49 sites with both a width and a registration error; lengths divided by ``factor``."""
    generator = np.random.default_rng(day)
    ticks = np.linspace(-60_000, 60_000, 7)
    rows = []
    for site, (x, y) in enumerate((x, y) for x in ticks for y in ticks):
        dx = 2 + magnification_ppm * x * 1e-3 + generator.normal(0, 0.8)
        dy = -1 + magnification_ppm * y * 1e-3 + generator.normal(0, 0.8)
        width = 400 + 1.2 + generator.normal(0, 0.5)
        values = [value / factor for value in (x, y, 400.0, width, dx, dy)]
        numbers = ",".join(f"{value:.6f}" for value in values)
        rows.append(f"M1,S{site},{numbers},{tone},x,2024-05-{day:02d}T10:00:00Z")
    return comments + HEADER + "\n" + "\n".join(rows) + "\n"


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    outcome = CliRunner().invoke(app, ["repair", "metrology", *arguments, "--json"])
    return outcome.exit_code, json.loads(outcome.stdout)


FILES = {
    **{f"day{day}": mask(day=day, magnification_ppm=0.3 + 0.05 * day) for day in range(1, 8)},
    "silent": mask("# correction: raw\n"),
    "toneless": mask(tone=""),
    "wafer": mask("# scale: wafer\n# magnification: 4\n# correction: raw\n", factor=4),
    "silent wafer": mask("# correction: raw\n", factor=4),
    "uncertain": mask("# scale: mask\n"),
    "corrected": mask("# scale: mask\n# correction: magnification, rotation\n"),
}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SourceTable]:
    folder = tmp_path_factory.mktemp("masks")
    paths = [folder / f"{name}.csv" for name in FILES]
    for path, text in zip(paths, FILES.values(), strict=True):
        path.write_text(text)
    return dict(zip(FILES, read_tables(paths, "metrology_site"), strict=True))


@pytest.fixture(scope="module")
def days(read: dict[str, SourceTable]) -> list[SourceTable]:
    return [read[f"day{day}"] for day in range(1, 8)]


def level(document: dict[str, Any], name: str, number: int = 0) -> dict[str, Any]:
    return next(each for each in document["maps"][number]["registration"]["levels"] if each["level"] == name)


def test_a_command_maps_both_and_says_its_scale(tmp_path: Path) -> None:
    path = tmp_path / "mask.csv"
    path.write_text(mask())
    code, document = run(str(path), "--magnification", "4")
    assert code == 0
    assert document["verdict"] == "measured"
    assert document["provenance"]["simulated"]
    term = level(document, "affine")["removed"]["magnification_ppm"]
    assert term["value"] == pytest.approx(0.3, abs=4 * term["standard_error"])
    assert level(document, "affine")["x"]["interval_nm"][0] < 2.4 < level(document, "affine")["x"]["interval_nm"][1]
    assert level(document, "raw")["x"]["three_sigma_nm"] > 10 * level(document, "similarity")["x"]["three_sigma_nm"] / 3
    (group,) = document["maps"][0]["widths"]
    mean = group["map"]["mean_to_target_nm"]
    assert mean["value"] == pytest.approx(1.2, abs=4 * mean["standard_error"])
    assert document["maps"][0]["at_wafer"]["mean_to_target_nm"] == [pytest.approx(mean["value"] / 4)]
    shown = CliRunner().invoke(app, ["repair", "metrology", str(path)])
    assert shown.exit_code == 0
    assert "SIMULATED" in shown.stdout


def test_an_unknown_scale_or_tone_is_refused(read: dict[str, SourceTable]) -> None:
    with pytest.raises(TableRefused, match="does not say whether its values are at mask or wafer scale"):
        map_tables([read["silent"]], Convention())
    assert map_tables([read["silent"]], Convention("mask"))["maps"][0]["scale"] == "mask, as the question says"
    with pytest.raises(TableRefused, match="need a magnification"):
        Convention("wafer")
    with pytest.raises(
        TableRefused, match="site S0: a width needs its tone, clear or opaque, and the file does not say"
    ):
        map_tables([read["toneless"]], Convention())
    document = map_tables([read["toneless"]], Convention(tone="opaque"))
    assert document["maps"][0]["widths"][0]["tone"] == "opaque"


def test_wafer_scale_comes_out_as_mask_scale_whoever_says_it(read: dict[str, SourceTable]) -> None:
    one = map_tables([read["wafer"]], Convention())
    other = map_tables([read["silent wafer"]], Convention("wafer", 4.0))
    for document in (one, other):
        assert level(document, "affine")["removed"]["magnification_ppm"]["value"] == pytest.approx(0.3, abs=0.02)
        assert document["maps"][0]["widths"][0]["map"]["mean_to_target_nm"]["value"] == pytest.approx(1.2, abs=0.3)
    with pytest.raises(TableRefused, match="is at wafer scale, the question says mask"):
        map_tables([read["wafer"]], Convention("mask"))
    with pytest.raises(TableRefused, match="has a magnification of 4, the question 5"):
        map_tables([read["wafer"]], Convention(magnification=5.0))


def test_a_mask_that_drifts_is_told_with_its_interval(days: list[SourceTable]) -> None:
    document = map_tables(days, Convention())
    assert document["verdict"] == "drifting"
    moving = {trend["figure"]: trend for trend in document["trends"] if trend["moves"]}
    assert set(moving) == {"magnification_ppm"}
    slope, low, high = moving["magnification_ppm"]["slope_per_day"]
    assert low < 0.05 < high
    assert slope == pytest.approx(0.05, abs=0.01)
    assert all(trend["p_adjusted"] >= trend["p_value"] for trend in document["trends"])


def test_one_map_has_no_trend(days: list[SourceTable]) -> None:
    document = map_tables(days[:2], Convention())
    assert document["trends"] == []
    assert document["verdict"] == "measured"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("uncertain", "does not say whether magnification and rotation were removed"),
        ("corrected", "magnification, rotation was removed before"),
    ],
)
def test_what_was_corrected_before_is_flagged(read: dict[str, SourceTable], name: str, words: str) -> None:
    flags = map_tables([read[name]], Convention())["maps"][0]["registration"]["flags"]
    assert any(words in flag for flag in flags)
