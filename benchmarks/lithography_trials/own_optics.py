"""Images of our own optics: Abbe against Hopkins, and what it costs to judge a defect."""

import time

import numpy as np
import torch

from analysis.mask.coherent_kernels import intensity_harmonics
from analysis.mask.corners import merge_manhattan
from analysis.mask.harmonics import pixels_of_harmonics
from analysis.mask.optics import Optics, Source, Tile, passed_reach, sample_source
from analysis.mask.partial_coherence import abbe_kernels, hopkins_kernels
from analysis.mask.point_sources import abbe_intensity, point_systems, points_for
from analysis.mask.print_verdict import judge_printability
from analysis.mask.printability import Exposure, Scene, SceneImages, Spread, judge_condition
from analysis.mask.spectrum import harmonics_of_corners
from analysis.mask.thin_mask import MaskKind, MaskWindow, absorber_patch
from benchmarks.report import Row

OPTICS = Optics(193.0, 1.35, Source("annular", 0.8, 0.5), 1.44)
SIDE_NM, PITCH_NM = 1400.0, 140.0
SPREAD = Spread(2.0, 3.0, 0.02)
DRAWS = 40


def measure() -> list[Row]:
    """Return the rows; all on the CPU, on one thread."""
    tile = Tile(SIDE_NM, SIDE_NM)
    points = sample_source(OPTICS.source, points_for(OPTICS, tile))
    corners = merge_manhattan([_box(left, 0, left + PITCH_NM / 2, SIDE_NM / 2) for left in _lefts()])
    mask = torch.from_numpy(harmonics_of_corners(corners, tile, passed_reach(OPTICS, tile)))
    abbe, systems = abbe_kernels(OPTICS, tile, points, 40.0), point_systems(OPTICS, tile, points, 40.0)
    start = time.perf_counter()
    hopkins = hopkins_kernels(abbe)
    decomposed_s = time.perf_counter() - start
    images, seconds = [], []
    for image in (
        lambda: intensity_harmonics(mask, abbe),
        lambda: intensity_harmonics(mask, hopkins.kernels),
        lambda: abbe_intensity(mask, systems),
    ):
        image()
        start = time.perf_counter()
        harmonics = image()
        seconds.append(time.perf_counter() - start)
        images.append(pixels_of_harmonics(harmonics, 256, 256))
    what = f"{SIDE_NM:g} nm tile, annular, 40 nm defocus, {points.x.size} source points"
    return [
        Row(f"{what}: Abbe and Hopkins, largest difference", _apart(images[0], images[1]), "", "<= 1e-12"),
        Row(
            "the same: Abbe by small transforms and Abbe, largest difference",
            _apart(images[0], images[2]),
            "",
            "<= 1e-12",
        ),
        Row("the same: eigenvectors of the cross-coefficients", decomposed_s * 1e3, "ms"),
        Row("the same: an image by Abbe on the tile's own band", seconds[0] * 1e3, "ms"),
        Row("the same: an image by all of Hopkins' kernels", seconds[1] * 1e3, "ms"),
        Row("the same: an image by Abbe with small transforms", seconds[2] * 1e3, "ms"),
        *_defect_rows(),
    ]


def _scene(side: float, shift: tuple[float, float], exposure: Exposure) -> Scene:
    kind = MaskKind("absorber", 0.06)
    polygons = tuple(_box(left, 0, left + PITCH_NM / 2, SIDE_NM) for left in _lefts())
    x = PITCH_NM * (SIDE_NM // PITCH_NM // 2) + 0.75 * PITCH_NM + shift[0]
    y, half = SIDE_NM / 2 + shift[1], side / 2
    defect = absorber_patch(_box(x - half, y - half, x + half, y + half), kind)
    window = MaskWindow(polygons, kind, 0.0, 0.0, Tile(SIDE_NM, SIDE_NM))
    return Scene(window, (defect,), OPTICS, exposure, spread=SPREAD)


def _scatter_row() -> Row:
    """Compare the stated standard error with the scatter of defects that are drawn from what is uncertain."""
    rng = np.random.default_rng(8)
    assert SPREAD.size_nm is not None
    assert SPREAD.position_nm is not None
    assert SPREAD.threshold is not None
    fractions = []
    for _ in range(DRAWS):
        size, x, y, threshold = rng.normal(size=4)
        shift = (SPREAD.position_nm * x, SPREAD.position_nm * y)
        exposure = Exposure(0.25 * (1 + SPREAD.threshold * threshold), (1.0,), (0.0,))
        scene = _scene(16.0 + SPREAD.size_nm * size, shift, exposure)
        images = SceneImages(scene, torch.device("cpu"))
        pair = [images.image(scene.window, patches, 0.0) for patches in ((), scene.patches)]
        fractions.append(judge_condition(pair[0], pair[1], scene, (1.0, 0.0), counted=True).fraction)
    stated = judge_printability(_scene(16.0, (0.0, 0.0), Exposure(0.25, (1.0,), (0.0,))), torch.device("cpu"))
    known = [stated.components[name] or 0.0 for name in ("size", "position", "threshold")]
    ratio = float(np.std(fractions, ddof=1) / np.hypot.reduce(known))
    claim = f"SIMULATED: scatter over {DRAWS} draws of size, place and threshold, over the stated error of these"
    return Row(claim, ratio, "ratio", f"<= {1 + 3 / np.sqrt(2 * DRAWS):.2f}")


def _defect_rows() -> list[Row]:
    scene = _scene(16.0, (0.0, 0.0), Exposure(0.25))
    start = time.perf_counter()
    found = judge_printability(scene, torch.device("cpu"))
    seconds = time.perf_counter() - start
    return [
        Row("a 16 nm spot between 70 nm lines: worst change of a width", found.fraction * 100, "%"),
        Row("the same: one standard error", found.sigma * 100, "%"),
        _scatter_row(),
        Row("the same, nine conditions with the uncertainty, one thread", seconds * 1e3, "ms"),
    ]


def _lefts() -> list[float]:
    return [float(left) for left in np.arange(0, SIDE_NM, PITCH_NM)]


def _box(left: float, bottom: float, right: float, top: float) -> np.ndarray:
    return np.asarray([[left, bottom], [right, bottom], [right, top], [left, top]], float)


def _apart(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).abs().max())
