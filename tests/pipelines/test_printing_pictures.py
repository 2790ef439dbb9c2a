"""Pictures of how a SIMULATED defect prints: the same intensity as the verdict's, and what is exposed counted apart."""

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.mask.harmonics import values_at
from analysis.mask.printability import SceneImages
from services.pipelines.mask.mask_patterns import PatternFile
from services.pipelines.mask.printability import scenes
from services.pipelines.mask.printability_request import PrintabilityRequest
from services.pipelines.mask.printing_pictures import Picture, draw_printing
from tests.pipelines.test_layout_tiles import decode
from tests.web.masks import question, write_masks


@pytest.fixture
def asked(tmp_path: Path) -> tuple[PatternFile, PrintabilityRequest]:
    paths = write_masks(tmp_path)
    request = PrintabilityRequest.model_validate_json(json.dumps(question()))
    return PatternFile(paths["lines.glp"], "lines.glp"), request


def test_pictures_show_the_intensity_that_is_judged(asked: tuple[PatternFile, PrintabilityRequest]) -> None:
    import torch

    file, request = asked
    document, pictures = draw_printing(file, request, Picture("bridge"), lambda _fraction, _message: None)
    assert set(pictures) == {"reference", "defect", "difference", "printed"} == set(document["pictures"])
    grey = {name: decode(data).astype(float)[::-1] for name, data in pictures.items()}
    scene, _ = scenes(file, request, request.defects[0])
    images = SceneImages(scene, torch.device("cpu"))
    left, bottom, _, _ = document["window_nm"]
    wide, high = document["pixel_nm"]
    rows, columns = 60, 85
    x = (left - scene.window.left_nm + columns * wide) / scene.window.tile.width_nm
    y = (bottom - scene.window.bottom_nm + rows * high) / scene.window.tile.height_nm
    for name, patches in (("reference", ()), ("defect", scene.patches)):
        value, _, _ = values_at(images.image(scene.window, patches, 0.0), np.array([x]), np.array([y]))
        white = document["pictures"][name]["white"]
        assert grey[name][rows, columns] / 255 * white == pytest.approx(float(value[0]), abs=white / 255)
    threshold = request.exposure.threshold / document["pictures"]["reference"]["white"] * 255
    sure = np.abs(grey["reference"] - threshold) > 1
    before = np.isin(grey["printed"], (85, 255))
    assert (before == (grey["reference"] >= threshold))[sure].all()
    gained = (grey["printed"] == 170).sum() * wide * high
    assert gained == pytest.approx(document["changes"]["defect"]["gained_nm2"])
    assert gained > 1000


def test_a_repair_is_drawn_beside_what_it_repaired_and_strangers_are_refused(
    asked: tuple[PatternFile, PrintabilityRequest],
) -> None:
    file, request = asked
    document, pictures = draw_printing(file, request, Picture("mended", 1.05, 20.0), lambda _fraction, _message: None)
    assert {"repaired", "difference_repaired", "printed_repaired"} <= set(pictures)
    changes = document["changes"]
    assert changes["repaired"]["largest_change"] < 0.6 * changes["defect"]["largest_change"]
    assert (document["dose"], document["defocus_nm"], document["simulated"]) == (1.05, 20.0, True)
    with pytest.raises(ValueError, match="0 defects that are called 'nobody'"):
        draw_printing(file, request, Picture("nobody"), lambda _fraction, _message: None)
