"""From stage to layout in a session: the fitted map, its errors, its outliers, and what is refused."""

import math
from typing import Any

import numpy as np
import pytest

from analysis.coordinates.registration import RegistrationRefused
from instruments.records import Placement, ProbingSession
from services.pipelines.probing.session_places import (
    PlacesRefused,
    alignment_document,
    ellipse_document,
    places_of,
    probe_place,
    stage_map,
    stage_place,
)

TURN = 0.02
MATRIX = 1.001 * np.array([[math.cos(TURN), -math.sin(TURN)], [math.sin(TURN), math.cos(TURN)]])
SHIFT = np.array([5.0, -3.0])


def document_with(points: int, sigma_nm: float, seed: int = 1, wrong: int | None = None) -> dict[str, Any]:
    """A session whose alignment marks were found with ``sigma_nm``; number ``wrong`` is another mark, 2 um away."""
    numbers = np.random.default_rng(seed)
    stage = numbers.uniform(-100, 100, (points, 2))
    layout = stage @ MATRIX.T + SHIFT + numbers.normal(0, sigma_nm / 1e3, (points, 2))
    if wrong is not None:
        layout[wrong] += (2.0, 0.0)
    names = ("stage_x_um", "stage_y_um", "layout_x_um", "layout_y_um")
    rows = [
        dict(zip(names, map(float, (*here, *there)), strict=True)) for here, there in zip(stage, layout, strict=True)
    ]
    return {"alignment": {"points": [{"name": f"m{n}", "sigma_nm": sigma_nm, **row} for n, row in enumerate(rows)]}}


def test_a_probe_on_the_stage_lands_on_the_layout_within_its_ellipse() -> None:
    """The mean is 2 for two degrees of freedom, and less as the ellipses are widened by chance but never narrowed."""
    there = MATRIX @ (30.0, 40.0) + SHIFT
    squared = []
    for seed in range(200):
        stage = stage_map(document_with(6, 50.0, seed))
        place = probe_place({"stage_x_um": 30.0, "stage_y_um": 40.0, "placement_sigma_nm": 0.0}, stage)
        assert place is not None
        off_nm = 1e3 * (np.array([place.x_um, place.y_um]) - there)
        squared.append(off_nm @ np.linalg.solve(np.asarray(place.covariance_nm2), off_nm))
    assert 1.4 < np.mean(squared) < 2.1


def test_the_probes_own_error_adds_to_the_maps() -> None:
    stage = stage_map(document_with(6, 50.0))
    near = probe_place({"stage_x_um": 0.0, "stage_y_um": 0.0, "placement_sigma_nm": 30.0}, stage)
    far = probe_place({"stage_x_um": 3000.0, "stage_y_um": 0.0, "placement_sigma_nm": 30.0}, stage)
    assert near is not None
    assert far is not None
    assert 30.0 < ellipse_document(near)["minor_nm"] < 60.0
    assert ellipse_document(far)["major_nm"] > 5 * ellipse_document(near)["major_nm"]


def test_a_wrong_mark_is_found_and_named() -> None:
    found = alignment_document(stage_map(document_with(7, 40.0, wrong=3)))
    assert found is not None
    assert [point["name"] for point in found["points"] if point["outlier"]] == ["m3"]
    assert found["points"][3]["residual_x_nm"] == pytest.approx(2000.0, abs=200.0)
    assert found["rms_nm"] < 100.0
    assert "m3" in found["warnings"][0]
    assert found["rotation_mrad"] == pytest.approx(20.0, abs=1.0)


def test_the_stage_goes_where_the_layout_says() -> None:
    stage = stage_map(document_with(6, 50.0))
    there = stage_place(*(MATRIX @ (30.0, 40.0) + SHIFT), stage)
    assert (there["stage_x_um"], there["stage_y_um"]) == pytest.approx((30.0, 40.0), abs=0.2)
    assert 10.0 < there["stage_sigma_nm"] < 200.0
    assert stage_place(1.0, 1.0, None) == {}


def test_an_affine_counts_as_exact_and_says_so() -> None:
    stage = stage_map({"affine": [[0, -1, 10], [1, 0, 0]]})
    place = probe_place({"stage_x_um": 2.0, "stage_y_um": 3.0, "placement_sigma_nm": 25.0}, stage)
    assert place is not None
    assert (place.x_um, place.y_um) == pytest.approx((7.0, 2.0))
    assert ellipse_document(place)["major_nm"] == pytest.approx(25.0)
    found = alignment_document(stage)
    assert found is not None
    assert not found["fitted"]
    assert found["warnings"]


def test_what_determines_no_map_is_refused() -> None:
    with pytest.raises(RegistrationRefused, match="needs 3 points"):
        stage_map(document_with(2, 40.0))
    mixed = document_with(5, 40.0)
    mixed["alignment"]["points"][0].pop("sigma_nm")
    with pytest.raises(RegistrationRefused, match="state all or none"):
        stage_map(mixed)
    assert alignment_document(stage_map(document_with(3, 40.0)))["warnings"]  # type: ignore[index]


def session_placing(*rows: tuple[str, float, float]) -> ProbingSession:
    nets, x_um, y_um = zip(*rows, strict=True)
    placement = Placement("p.csv", tuple(f"g{k}" for k in range(len(nets))), nets, np.array(x_um), np.array(y_um))
    return ProbingSession("s", "suspect", {}, None, None, None, placement, (), {})


def test_a_net_has_one_place() -> None:
    assert places_of(session_placing(("a", 1.0, 2.0), ("b", 1.0, 2.0), ("a", 1.0, 2.0))) == {
        "a": (1.0, 2.0),
        "b": (1.0, 2.0),
    }
    with pytest.raises(PlacesRefused, match=r"has the net a at \(1.0, 2.0\) um and at \(1.0, 3.0\) um: keep one"):
        places_of(session_placing(("a", 1.0, 2.0), ("b", 1.0, 2.0), ("a", 1.0, 3.0)))
