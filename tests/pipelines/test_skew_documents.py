"""What the answer of a localization says of delays: from the session's own keys to the extrapolation to no power."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr
from typer.testing import CliRunner

from instruments.errors import CorruptField
from services.cli import app
from services.pipelines.probing.localization import localize_path

CYCLE_PS, CYCLES, DT_PS = 2000.0, 24, 20.0
SLOPE_PS = 12.0
"""What a milliwatt adds."""


def write_session(folder: Path, powers_mw: list[float], **changes: Any) -> None:
    """A buffer behind an inverter, its output probed at several powers, 30 ps late without the laser."""
    generator = np.random.default_rng(5)
    bits = generator.integers(0, 2, CYCLES)
    (folder / "n.bench").write_text("INPUT(a)\nOUTPUT(y)\nb = NOT(a)\ny = BUFF(b)\n")
    (folder / "p.csv").write_text("\n".join(["cycle,a", *(f"{i},{bit}" for i, bit in enumerate(bits))]) + "\n")
    times = DT_PS * np.arange(round(CYCLES * CYCLE_PS / DT_PS))
    waveforms = []
    for number, power in enumerate(powers_mw):
        late = 30.0 + SLOPE_PS * power
        values = np.full(times.size, 1.0 - bits[-2])
        for cycle in range(-1, CYCLES + 1):
            step = float(bits[(cycle - 1) % CYCLES]) - float(bits[cycle % CYCLES])
            values += step * ndtr((times - cycle * CYCLE_PS - late) / 40.0)
        values += generator.normal(0, 0.1, times.size)
        rows = (f"{t * 1e-12:.6e},{v:.9e}" for t, v in zip(times, values, strict=True))
        (folder / f"w{number}.csv").write_text("\n".join(["time_s,reflectance", *rows]) + "\n")
        waveforms.append({"file": f"w{number}.csv", "net": "y", "power_mw": power})
    document = {
        "schema": "faultlight.probing-session/1",
        "session": "S",
        "role": "suspect",
        "technique": "LVP",
        "stimulus": {"cycle_s": CYCLE_PS * 1e-12, "cycles": CYCLES, "averages": 100},
        "timing": {"rise_ps": 60, "bandwidth_hz": 4e9, "jitter_ps": 10, "trigger_ps": 1.0},
        "netlist": "n.bench",
        "patterns": "p.csv",
        "waveforms": waveforms,
        **changes,
    }
    (folder / "session.json").write_text(json.dumps(document))


def test_skews_have_bounds_edges_and_an_extrapolation(tmp_path: Path) -> None:
    write_session(tmp_path, [1.0, 4.0, 1.0])
    document = localize_path(tmp_path).to_document()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    for item, power in zip(document["waveforms"], (1.0, 4.0, 1.0), strict=True):
        assert item["skew_ps"] == pytest.approx(30 + SLOPE_PS * power, abs=4 * item["skew_sigma_ps"])
        assert item["skew_sigma_ps"] < 5
        assert 0 < item["skew_bound_ps"] <= item["skew_sigma_ps"]
        assert item["skew_refused"] is None
        assert 0 <= item["skew_outlier_probability"] <= 1
        assert item["edge_sigma_ps"] == pytest.approx(40, rel=0.1)
        assert len(item["edges"]) + item["edges_refused"] >= 8
        for edge in item["edges"]:
            assert edge["skew_ps"] == pytest.approx(item["skew_ps"], abs=6 * edge["skew_sigma_ps"])
    (zero,) = document["zero_power"]
    assert zero["net"] == "y"
    assert zero["powers_mw"] == [1.0, 4.0]
    assert zero["skew_ps"] == pytest.approx(30, abs=4 * zero["skew_sigma_ps"])
    assert zero["slope_ps_per_mw"] == pytest.approx(SLOPE_PS, abs=4 * zero["slope_sigma_ps_per_mw"])
    assert zero["p_linear"] is not None
    assert document["provenance"]["parameters"]["skew_most_elsewhere"] == 0.05


def test_sessions_at_two_powers_are_put_together(tmp_path: Path) -> None:
    unit = {"lot": "L1", "wafer": "W1", "x": 1, "y": 2}
    for name, power in (("low", 1.0), ("high", 5.0), ("foreign", 3.0)):
        (tmp_path / name).mkdir()
        write_session(tmp_path / name, [power], unit=unit if name != "foreign" else {**unit, "x": 9})
    command = ["localize", str(tmp_path / "low"), "--json", "--at-power"]
    outcome = CliRunner().invoke(app, [*command, str(tmp_path / "high")])
    assert outcome.exit_code == 0
    (zero,) = json.loads(outcome.stdout)["zero_power"]
    assert zero["powers_mw"] == [1.0, 5.0]
    assert zero["p_linear"] is None
    assert zero["skew_ps"] == pytest.approx(30, abs=4 * zero["skew_sigma_ps"])
    shown = CliRunner().invoke(app, ["localize", str(tmp_path / "low"), "--at-power", str(tmp_path / "high")])
    assert "y without the laser: " in shown.stdout
    refused = CliRunner().invoke(app, [*command, str(tmp_path / "foreign")])
    assert refused.exit_code == 2
    assert "another unit" in json.loads(refused.stdout)["error"]["message"]


UNIT = {"lot": "L1", "wafer": "W1", "x": 1, "y": 2}


@pytest.mark.parametrize(
    ("own", "other", "powers", "message"),
    [
        ({}, {}, (1.0, 5.0), "does not say its unit"),
        ({"unit": UNIT}, {"unit": UNIT}, (1.0, 1.0), "is also in S: one measurement counts once"),
        ({"unit": UNIT}, {"unit": UNIT, "timing": {}}, (1.0, None), "at two stated laser powers"),
        (
            {"unit": UNIT, "laser": {"wavelength_nm": 1064}},
            {"unit": UNIT, "laser": {"wavelength_nm": 1340}},
            (1.0, 5.0),
            r"differ in wavelength_nm \(1064 and 1340\)",
        ),
    ],
)
def test_what_differs_in_more_than_power_is_not_put_together(
    tmp_path: Path, own: dict[str, Any], other: dict[str, Any], powers: tuple[float, float | None], message: str
) -> None:
    for name, changes, power in (("own", own, powers[0]), ("other", other, powers[1])):
        (tmp_path / name).mkdir()
        write_session(tmp_path / name, [power or 2.0], **changes)
    if powers[1] is None:
        document = json.loads((tmp_path / "other" / "session.json").read_text())
        del document["waveforms"][0]["power_mw"]
        (tmp_path / "other" / "session.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match=message):
        localize_path(tmp_path / "own", [tmp_path / "other"])


def test_one_power_is_not_extrapolated(tmp_path: Path) -> None:
    write_session(tmp_path, [1.0, 1.0], laser={"power_mw": 3.0})
    assert localize_path(tmp_path).to_document()["zero_power"] == []


def test_edges_between_samples_have_no_bound(tmp_path: Path) -> None:
    write_session(tmp_path, [1.0])
    document = json.loads((tmp_path / "session.json").read_text())
    document["timing"] = {}
    rows = (tmp_path / "w0.csv").read_text().splitlines()
    (tmp_path / "w0.csv").write_text("\n".join([rows[0], *rows[1::25]]) + "\n")
    (tmp_path / "session.json").write_text(json.dumps(document))
    (item,) = localize_path(tmp_path).to_document()["waveforms"]
    assert item["skew_sigma_ps"] > 20
    assert item["skew_bound_ps"] is None or item["skew_bound_ps"] <= item["skew_sigma_ps"]


@pytest.mark.parametrize("timing", [{"jitter_ps": 1e9, "bandwidth_hz": 4e9}, {"bandwidth_hz": 1e3}])
def test_edges_that_fill_the_cycle_are_not_timed(tmp_path: Path, timing: dict[str, float]) -> None:
    write_session(tmp_path, [1.0], timing=timing)
    (item,) = localize_path(tmp_path).to_document()["waveforms"]
    assert (item["skew_ps"], item["edges"]) == (None, [])
    assert "do not settle in a cycle" in item["skew_refused"]


@pytest.mark.parametrize("key", ["x_um", "stage_y_um"])
def test_places_beyond_any_stage_are_refused(tmp_path: Path, key: str) -> None:
    write_session(tmp_path, [1.0])
    document = json.loads((tmp_path / "session.json").read_text())
    document["waveforms"][0][key] = 1e300
    (tmp_path / "session.json").write_text(json.dumps(document))
    with pytest.raises(CorruptField, match=rf"waveforms\[0\]\.{key} is not right"):
        localize_path(tmp_path)


def test_a_trigger_that_wanders_widens_every_skew(tmp_path: Path) -> None:
    write_session(tmp_path, [1.0], timing={"trigger_ps": 50.0})
    (item,) = localize_path(tmp_path).to_document()["waveforms"]
    assert item["skew_sigma_ps"] == pytest.approx(50, rel=0.02)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"timing": {"bandwidth_hz": 0}}, "timing.bandwidth_hz"),
        ({"timing": {"jitter_ps": -1}}, "timing.jitter_ps"),
        ({"timing": []}, "timing"),
    ],
)
def test_timing_that_is_none_is_refused(tmp_path: Path, changes: dict[str, Any], key: str) -> None:
    write_session(tmp_path, [1.0], **changes)
    with pytest.raises(CorruptField, match=key):
        localize_path(tmp_path)
