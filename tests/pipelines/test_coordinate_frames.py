"""Frames of a file: chains of all kinds of links, fitted ones with outliers, and what is refused."""

import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from analysis.coordinates.affine import Points
from analysis.coordinates.frames import FramesRefused
from analysis.coordinates.registration import RegistrationRefused
from db.schema.work import finding, result
from instruments.errors import CorruptField
from services.cli import app
from services.pipelines.context import JobRefused
from services.pipelines.kinds import handler
from services.pipelines.mask.conversion_request import ConversionRequest
from services.pipelines.mask.coordinate_frames import read_frames
from tests.pipelines.bench import Bench
from tests.workers.scenery import add_job

STAGE = np.array([[0.998, -0.03], [0.03, 0.998]])


def matches(count: int = 6, *, wrong: bool = True) -> list[list[float]]:
    numbers = np.random.default_rng(4)
    source = numbers.uniform(0, 5000, (count, 2))
    target = source @ STAGE.T + [120.0, -80.0] + numbers.normal(0, 0.5, (count, 2))
    if wrong:
        target[2] += [40.0, 0.0]
    return [[*one, *other, 0.0, 0.5] for one, other in zip(source.tolist(), target.tolist(), strict=True)]


def description(**changes: Any) -> dict[str, Any]:
    frames = ("mask", "wafer", "die", "backside", "package", "stage", "image")
    links = [
        {
            "source": "mask",
            "target": "wafer",
            "mask": {"magnification": 4, "mirrored": True},
            "provenance": "definition",
        },
        {"source": "wafer", "target": "die", "matrix": [[1, 0], [0, 1]], "shift": [-500, -200], "shift_sigma": 0.05},
        {"source": "die", "target": "backside", "backside": {"width": 6000}},
        {
            "source": "backside",
            "target": "stage",
            "matches": matches(),
            "form": "similarity",
            "provenance": "five corners",
        },
        {"source": "die", "target": "package", "matrix": [[0, -0.001], [0.001, 0]], "shift": [4, 3]},
        {"source": "image", "target": "stage", "matrix": [[0.2, 0], [0, -0.2]], "shift": [0, 100]},
    ]
    units = {name: "mm" if name == "package" else "px" if name == "image" else "um" for name in frames}
    return {"schema": "faultlight.frames/1", "units": units, "links": links} | changes


def test_a_place_goes_from_the_mask_to_the_image_and_back_with_its_covariance() -> None:
    frames, links = read_frames(description())
    start = Points.isotropic(np.array([[8_000.0, 6_000.0]]), 0.4)
    end = frames.convert(start, "mask", "image")
    die = np.array([-2_000.0 - 500.0, 1_500.0 - 200.0])
    stage = STAGE @ [6000.0 - die[0], die[1]] + [120.0, -80.0]
    np.testing.assert_allclose(end.xy, [[stage[0] / 0.2, (100 - stage[1]) / 0.2]], atol=8.0)
    assert end.sigma_along_axes.min() > np.hypot(0.1, 0.05) / 0.2
    back = frames.convert(Points(end.xy, np.zeros((1, 2, 2))), "image", "mask")
    np.testing.assert_allclose(back.xy, start.xy, atol=1e-6)
    fitted = next(link for link in links if link["fitted"])
    assert (fitted["outliers"], fitted["rotation_deg"]) == ([2], pytest.approx(1.7219, abs=0.02))
    assert [link["mirrored"] for link in links] == [True, False, True, False, False, True]


def test_the_drawn_places_scatter_as_the_covariance_says() -> None:
    """Uncertain links drawn anew each time: the spread in the image is that of the covariance."""
    document = description()
    document["links"][1]["shift_sigma"] = 2.0
    frames, _ = read_frames(document)
    end = frames.convert(Points.isotropic(np.array([[8_000.0, 6_000.0]]), 4.0), "mask", "package")
    numbers = np.random.default_rng(1)
    mask = np.array([8_000.0, 6_000.0]) + numbers.normal(0, 4.0, (20_000, 2))
    die = mask * [-0.25, 0.25] + [-500, -200] + numbers.normal(0, 2.0, (20_000, 2))
    package = die @ np.array([[0, -0.001], [0.001, 0]]).T + [4, 3]
    np.testing.assert_allclose(np.cov(package.T), end.covariance[0], atol=0.05 * end.covariance[0].max())


@pytest.mark.parametrize(
    ("place", "change", "error", "words"),
    [
        (0, {"mask": {"magnification": 0}}, CorruptField, "a magnification is positive"),
        (0, {"mask": {"size": 4}}, CorruptField, "links\\[0\\] is not right"),
        (1, {"matrix": [[1, 0], [0]]}, CorruptField, "matrix: "),
        (1, {"shift_sigma": -1}, CorruptField, "shift_sigma: at least 0"),
        (2, {"backside": {}}, CorruptField, "backside: "),
        (3, {"matches": [[1, 2, 3]]}, CorruptField, "matches: "),
        (3, {"matches": matches(2, wrong=False), "form": "affine"}, RegistrationRefused, "needs 3 points"),
        (
            3,
            {"matches": [[k, k, k, k, 0, 1] for k in range(5)], "form": "affine"},
            RegistrationRefused,
            "lie on a line",
        ),
        (4, {"target": "wafer"}, FramesRefused, "connected already"),
        (4, {"target": "board"}, FramesRefused, "no frame 'board'"),
        (4, {"mask": {}}, CorruptField, "has not one of these"),
        (4, {"matrix": [[1, 1], [1, 1]]}, ValueError, "no inverse"),
    ],
)
def test_links_that_are_not_right_are_refused(
    place: int, change: dict[str, Any], error: type[Exception], words: str
) -> None:
    document = description()
    document["links"][place] |= change
    with pytest.raises(error, match=words):
        read_frames(document)


def test_the_command_converts_and_refuses(tmp_path: Path) -> None:
    path = tmp_path / "frames.json"
    path.write_text(json.dumps(description()))
    arguments = ["mask", "convert", str(path), "mask", "package", "8000", "6000", "--sigma", "0.4"]
    told = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert told["target"]["unit"] == "mm"
    assert told["places"][0]["target"]["xy"] == pytest.approx([4 - 1.3, 3 - 2.5])
    assert told["round_trip_error"] < 1e-6
    assert told["way"] == ["definition", "not stated", "not stated"]
    plain = CliRunner().invoke(app, arguments).stdout
    assert "outliers [2]" in plain
    refused = CliRunner().invoke(app, ["mask", "convert", str(path), "mask", "moon", "0", "0", "--json"])
    assert (refused.exit_code, json.loads(refused.stdout)["error"]["type"]) == (2, "FramesRefused")


def test_the_job_converts_places_with_their_correlations_and_refuses(bench: Bench, program_id: uuid.UUID) -> None:
    def ask(target: str, **place: Any) -> Any:
        request = ConversionRequest(
            program="alpha", frames=description(), source="die", target=target, places=[place | {"name": "p"}]
        )
        payload = {"question": request.model_dump(mode="json")}
        context = bench.claim(add_job(bench.engine, program_id, "convert", payload=payload))
        bench.finish(context, handler("convert")(context))
        return bench.rows(result)[-1]

    row = ask("package", x=100, y=50, sigma_x=2, sigma_y=1, correlation=0.5)
    (place,) = row.body["places"]
    np.testing.assert_allclose(place["target"]["covariance"], np.array([[1, -1], [-1, 4]]) * 1e-6)
    assert place["target"]["xy"] == pytest.approx([4 - 0.05, 3 + 0.1])
    assert (row.verdict, bench.rows(finding)[0].subject) == ("converted", "p")
    with pytest.raises(JobRefused, match="no frame 'moon'"):
        ask("moon", x=1, y=1)
