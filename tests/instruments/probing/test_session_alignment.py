"""Places in ``session.json``: alignment points and probes on the stage."""

from typing import Any

import pytest

from instruments.errors import CorruptField
from instruments.probing.session_alignment import check_places, is_alignment

POINT = {"name": "mark", "stage_x_um": 1.0, "stage_y_um": 2.0, "layout_x_um": 3.0, "layout_y_um": 4.0, "sigma_nm": 40}
ON_STAGE = {"file": "a.csv", "net": "a", "stage_x_um": 1.0, "stage_y_um": 2.0}


@pytest.mark.parametrize("value", [{"points": [POINT]}, {"form": "similarity", "points": [POINT, POINT]}])
def test_alignments_are_known(value: Any) -> None:
    assert is_alignment(value)


@pytest.mark.parametrize("value", [[], {}, {"points": []}, {"points": [1]}, {"form": "cubic", "points": [POINT]}])
def test_other_things_are_no_alignment(value: Any) -> None:
    assert not is_alignment(value)


def test_places_on_the_stage_are_understood_with_a_map() -> None:
    check_places({"alignment": {"points": [POINT]}, "waveforms": [ON_STAGE]}, "s")
    check_places({"affine": [[1, 0, 0], [0, 1, 0]], "waveforms": [ON_STAGE]}, "s")


@pytest.mark.parametrize(
    ("probe", "alignment", "path"),
    [
        (ON_STAGE, None, "waveforms[0]"),
        (ON_STAGE | {"x_um": 1.0, "y_um": 1.0}, {"points": [POINT]}, "waveforms[0]"),
        ({"stage_x_um": 1.0}, {"points": [POINT]}, "waveforms[0]"),
        ({}, {"points": [POINT, POINT | {"layout_y_um": None}]}, "alignment.points[1].layout_y_um"),
        ({}, {"points": [POINT | {"sigma_nm": 0}]}, "alignment.points[0].sigma_nm"),
        ({}, {"points": [POINT | {"name": ""}]}, "alignment.points[0].name"),
    ],
)
def test_what_is_wrong_is_named(probe: dict[str, Any], alignment: Any, path: str) -> None:
    with pytest.raises(CorruptField) as caught:
        check_places({"alignment": alignment, "waveforms": [probe]}, "s")
    assert caught.value.message == f"session.json: {path} is not right"
