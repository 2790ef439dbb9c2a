"""Defects that print and that do not: against a slow twin, through symmetries, and what is refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.mask.coherent_kernels import intensity_harmonics
from analysis.mask.contours import ScanLines, find_crossings
from analysis.mask.gauges import compare_topology
from analysis.mask.harmonics import pixels_of_harmonics, values_at
from analysis.mask.optics import Optics, Source, Tile, sample_source
from analysis.mask.partial_coherence import abbe_kernels
from analysis.mask.point_sources import abbe_intensity, point_systems, points_for
from analysis.mask.print_verdict import judge_printability
from analysis.mask.printability import (
    DOES_NOT_PRINT,
    MARGINAL,
    PRINTS,
    Exposure,
    Limits,
    Scene,
    SceneImages,
    Spread,
    cross,
)
from analysis.mask.repair_verification import CLEARED, NOT_CLEARED, verify_repair
from analysis.mask.thin_mask import (
    MaskKind,
    MaskWindow,
    Patch,
    absorber_patch,
    clear_patch,
    etch_phase_deg,
    grown,
    mask_harmonics,
    opaque_patch,
    quartz_patch,
    transmitting_patch,
)
from tests.analysis.mask.shapes import Polygon, box, mask_of
from tests.naive.lithography import partially_coherent_image

CPU = torch.device("cpu")
NO_CARD = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
SYSTEM = Optics(193.0, 0.9, Source("annular", 0.8, 0.5))
PHASE_SHIFT = MaskKind("absorber", 0.06)
SIDE = 1200.0
PITCH = 240.0
ONE = Exposure(0.3, doses=(1.0,), defocus_nm=(0.0,))
KNOWN, NOTHING_KNOWN = Spread(1.0, 1.0, 0.02), Spread(None, None, None)


def lines(kind: MaskKind = PHASE_SHIFT, side: float = SIDE) -> MaskWindow:
    """Vertical lines of half the pitch; a space has its middle at 660."""
    polygons = tuple(box(left, 0, left + PITCH / 2, side) for left in np.arange(0, side, PITCH))
    return MaskWindow(polygons, kind, 0, 0, Tile(side, side))


def square(side: float, x: float = 660.0, y: float = 600.0) -> Polygon:
    """A square around a place."""
    return box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)


def scene(
    *patches: Patch, exposure: Exposure = ONE, window: MaskWindow | None = None, spread: Spread = NOTHING_KNOWN
) -> Scene:
    """A scene with a short ambit, so that the tile can be small."""
    return Scene(window or lines(), patches, SYSTEM, exposure, spread=spread, ambit_nm=400.0)


def test_images_of_point_sources_are_abbes() -> None:
    """Small transforms around each source point's own disc change nothing, out of focus and aberrated."""
    system = replace(SYSTEM, zernikes={8: 0.04})
    tile = Tile(900.0, 620.0)
    mask = mask_of([box(100, 100, 300, 400), box(500, 20, 640, 600)], system, tile)
    points = sample_source(system.source, points_for(system, tile))
    whole = intensity_harmonics(mask, abbe_kernels(system, tile, points, 70.0))
    small = abbe_intensity(mask, point_systems(system, tile, points, 70.0))
    assert float((pixels_of_harmonics(whole, 96, 96) - pixels_of_harmonics(small, 96, 96)).abs().max()) < 1e-14


@pytest.mark.gpu
@NO_CARD
def test_a_card_says_the_same() -> None:
    """One verdict, one number on every device."""
    asked = scene(absorber_patch(square(40), PHASE_SHIFT))
    first, second = (judge_printability(asked, torch.device(each)) for each in ("cpu", "cuda"))
    assert second.fraction == pytest.approx(first.fraction, abs=1e-10)


def test_widths_are_those_of_the_slow_twin() -> None:
    """A line and its change by a defect, from pixels of 5 nm and plain sums over source points."""
    defect = box(640, 560, 680, 640)
    asked = scene(opaque_patch(defect))
    images = SceneImages(asked, CPU, across=7)
    points = sample_source(SYSTEM.source, 7)
    pixels = np.ones((240, 240), complex)
    for left in range(0, 240, 48):
        pixels[:, left : left + 24] = PHASE_SHIFT.absorber
    row, threshold = 120, ONE.threshold
    for patches, change in (((), None), (asked.patches, defect)):
        if change is not None:
            pixels[112:128, 128:136] = 0
        found = cross(images.image(asked.window, patches, 0.0), asked, 1.0)[0]
        middle = found.line == (found.line.max() + 1) // 2
        edges = found.place_nm[middle]
        image = partially_coherent_image(
            pixels, 5.0, SYSTEM.resolution_nm, list(zip(points.x, points.y, points.weights, strict=True))
        )
        line = image[row]
        at = np.flatnonzero((line[1:] >= threshold) != (line[:-1] >= threshold))
        twin = 5 * (at + 0.5 + (threshold - line[at]) / (line[at + 1] - line[at]))
        near = [float(np.abs(twin - edge).min()) for edge in edges]
        assert len(edges) == 4
        assert max(near) < 0.6


def test_verdicts_go_with_the_size() -> None:
    """Absorber in a space: a little, and a bridge; a small one acts by its area."""
    small, large = (judge_printability(scene(absorber_patch(square(each), PHASE_SHIFT)), CPU) for each in (8, 110))
    assert small.verdict == DOES_NOT_PRINT
    assert 0 < small.fraction < 0.02
    assert large.verdict == PRINTS
    assert {(each.kind, each.phase) for each in large.worst.topology} == {
        ("parted", "exposed"),
        ("joined", "unexposed"),
    }
    assert large.severity >= 1
    fractions = [judge_printability(scene(opaque_patch(square(each))), CPU).fraction for each in (10, 20, 40)]
    assert fractions == sorted(fractions)
    # A small defect acts by its area.
    assert fractions[1] / fractions[0] == pytest.approx(4, rel=0.15)


def test_between_the_limits_is_marginal() -> None:
    """The verdict turns where its interval passes a limit, and the reason has the numbers."""
    asked = scene(opaque_patch(square(34)), spread=KNOWN)
    found = judge_printability(asked, CPU)
    assert found.sigma == pytest.approx(math.sqrt(sum(each**2 for each in found.components.values() if each)))
    beyond = replace(asked, limits=Limits(found.fraction - 2 * found.sigma, (found.fraction - 2 * found.sigma) / 2))
    below = replace(asked, limits=Limits(0.9, found.fraction + 2 * found.sigma))
    between = replace(asked, limits=Limits(found.fraction + found.sigma, found.fraction - found.sigma))
    for each, verdict in ((beyond, PRINTS), (below, DOES_NOT_PRINT), (between, MARGINAL)):
        again = judge_printability(each, CPU)
        assert again.verdict == verdict
        assert f"{found.fraction:.1%}" in again.reason


def test_what_is_not_known_is_not_counted() -> None:
    """An unknown size is no size without error: the component says None."""
    found = judge_printability(scene(opaque_patch(square(34))), CPU)
    assert found.components["size"] is None
    assert found.components["position"] is None
    assert found.components["threshold"] is None
    assert 0 < found.sigma < judge_printability(scene(opaque_patch(square(34)), spread=KNOWN), CPU).sigma


def test_symmetries_of_the_answer() -> None:
    """A mirrored, a turned and a moved scene have the same worst change."""
    defect = box(640, 570, 690, 610)
    first = judge_printability(scene(opaque_patch(defect)), CPU).fraction
    mirrored = opaque_patch(np.stack([1320 - defect[:, 0], defect[:, 1]], axis=1))
    assert judge_printability(scene(mirrored), CPU).fraction == pytest.approx(first, rel=1e-6)
    window = lines()
    turn = lambda polygon: polygon[:, ::-1].copy()  # noqa: E731
    turned = replace(window, polygons=tuple(turn(each) for each in window.polygons))
    assert judge_printability(scene(opaque_patch(turn(defect)), window=turned), CPU).fraction == pytest.approx(first)
    step = np.asarray((1e6, -2e6))
    away = MaskWindow(tuple(each + step for each in window.polygons), PHASE_SHIFT, 1e6, -2e6, window.tile)
    moved = judge_printability(scene(opaque_patch(defect + step), window=away), CPU)
    assert moved.fraction == pytest.approx(first, rel=1e-6)


def test_process_window_and_conditions() -> None:
    """Every dose and focus is answered; the common window is smaller with a defect than without."""
    exposure = Exposure(0.3, (0.95, 1.0, 1.05), (-80.0, 0.0, 80.0))
    found = judge_printability(scene(opaque_patch(square(45)), exposure=exposure), CPU)
    assert len(found.conditions) == 9
    assert found.fraction == max(each.fraction for each in found.conditions)
    near = {(each.dose, each.defocus_nm): each.fraction for each in found.conditions}
    assert near[1.0, 80.0] == pytest.approx(near[1.0, -80.0], rel=1e-9)
    assert near[0.95, 0.0] > near[1.05, 0.0]
    assert found.common_window.with_defect < found.common_window.without <= found.common_window.conditions == 9
    gauge = found.gauges[0].gauge
    assert gauge.low_nm < 660 < gauge.high_nm


def test_plain_ground() -> None:
    """No edge is near: a small spot stays from the threshold, a large one makes a hole."""
    open_ground = MaskWindow((), MaskKind("absorber"), 0, 0, Tile(SIDE, SIDE))
    small = judge_printability(scene(opaque_patch(square(40, 600)), window=open_ground), CPU)
    assert small.verdict == DOES_NOT_PRINT
    assert "away from it" in small.reason
    large = judge_printability(scene(opaque_patch(square(200, 600)), window=open_ground), CPU)
    assert (large.verdict, large.worst.topology[0].kind) == (PRINTS, "appeared")


def test_patches_are_exact_over_the_pattern() -> None:
    """A patch of any angle over a Manhattan pattern, against the same cut out by hand."""
    window = lines(MaskKind("clear"))
    reach = point_systems(SYSTEM, window.tile, sample_source(SYSTEM.source, 5)).mask_reach
    # A box over a space and half a line on each side: opaque there is the pattern without those parts.
    found = mask_harmonics(window, reach, [opaque_patch(box(540, 500, 780, 700))])
    cut = [each for each in window.polygons if each[0, 0] not in (480.0, 720.0)]
    cut += [box(480, 0, 540, 1200), box(540, 0, 600, 500), box(540, 700, 600, 1200)]
    cut += [box(720, 0, 780, 500), box(720, 700, 780, 1200), box(780, 0, 840, 1200)]
    assert np.abs(found - mask_harmonics(replace(window, polygons=tuple(cut)), reach)).max() < 1e-14
    diamond = np.asarray([[660, 500], [780, 600], [660, 700], [540, 600]], float)
    empty = replace(window, polygons=())
    for patch in (opaque_patch(diamond), clear_patch(diamond), transmitting_patch(diamond, window.kind, 0.5, 30)):
        total = mask_harmonics(window, reach, [patch])[reach.rows, reach.columns] * SIDE**2
        plain = mask_harmonics(window, reach)[reach.rows, reach.columns] * SIDE**2
        # Of its area of 24000, two triangles of 3000 lie over the openings.
        assert total == pytest.approx(plain + 6000 * (patch.on_clear - 1) + 18000 * patch.on_absorber, abs=1e-6)
    assert np.abs(mask_harmonics(empty, reach)).max() == 0


def test_phase_of_etched_quartz() -> None:
    """5 nm too deep are 5.3 degrees, 171 nm half a wave, which is worse than an opaque spot."""
    assert etch_phase_deg(5, 193, 1.563) == pytest.approx(5.25, abs=0.01)
    assert etch_phase_deg(171.4, 193, 1.563) == pytest.approx(180, abs=0.1)
    half = judge_printability(scene(quartz_patch(square(24), PHASE_SHIFT, 180.0)), CPU)
    opaque = judge_printability(scene(opaque_patch(square(24))), CPU)
    assert half.fraction > opaque.fraction


def test_repairs_are_verified() -> None:
    """A bridge that is cut away but for a little over-etch, one that is left in half, and one that is gone."""
    bridge = scene(absorber_patch(box(600, 560, 720, 640), PHASE_SHIFT))
    pit = quartz_patch(box(610, 565, 710, 635), PHASE_SHIFT, etch_phase_deg(2.0, 193, 1.563), 0.995)
    good = verify_repair(bridge, [pit], CPU)
    assert (good.outcome, good.before.verdict) == (CLEARED, PRINTS)
    assert good.improvement is not None
    assert good.improvement > 0.9
    assert good.intensity_change is not None
    assert -0.02 < good.intensity_change < 0
    bad = verify_repair(bridge, [absorber_patch(box(600, 560, 660, 640), PHASE_SHIFT)], CPU)
    assert bad.outcome == NOT_CLEARED
    assert bad.largest_intensity_change > good.largest_intensity_change
    for nothing in ([], [quartz_patch(square(60, x=540), PHASE_SHIFT, 90.0)]):
        gone = verify_repair(bridge, nothing, CPU)
        assert (gone.outcome, gone.after, gone.improvement) == (CLEARED, None, 1.0)


def test_crossings_are_exact() -> None:
    """Along a cosine the crossings, slopes and angles are known; along y as along x; touching is no crossing."""
    harmonics = np.zeros((3, 3), complex)
    harmonics[1, 1], harmonics[1, 0], harmonics[1, 2] = 0.5, 0.25, 0.25
    tile = Tile(100.0, 50.0)
    lines_x = ScanLines(0, np.asarray([0.0, 20.0]), 0.0, 100.0, 3.0)
    found = find_crossings(harmonics, tile, 0.5, lines_x)
    assert found.place_nm == pytest.approx([25, 75, 25, 75], abs=1e-10)
    assert found.rises.tolist() == [False, True, False, True]
    assert found.slope_per_nm == pytest.approx([-math.pi / 100, math.pi / 100] * 2)
    assert found.cosine == pytest.approx([1] * 4)
    turned = find_crossings(harmonics.T, Tile(50.0, 100.0), 0.5, ScanLines(1, np.asarray([3.0]), 0.0, 100.0, 3.0))
    assert turned.place_nm == pytest.approx([25, 75], abs=1e-10)
    assert find_crossings(harmonics, tile, 1.5, lines_x).place_nm.size == 0


def test_topology() -> None:
    """Joining, parting, vanishing, appearing; the other phase says it the other way."""
    clean = np.zeros((9, 12), bool)
    clean[2:7, 1:4] = clean[2:7, 7:10] = True
    joined = clean.copy()
    joined[4, 4:7] = True
    assert [(each.kind, each.phase) for each in compare_topology(clean, joined, (1, 1))] == [("joined", "exposed")]
    assert [(each.kind, each.phase) for each in compare_topology(joined, clean, (1, 1))] == [("parted", "exposed")]
    hole = clean.copy()
    hole[4, 2] = False
    (found,) = compare_topology(clean, hole, (2.0, 3.0))
    assert (found.kind, found.phase, found.x_nm, found.y_nm) == ("appeared", "unexposed", 4.0, 12.0)
    less = clean.copy()
    less[:, 6:] = False
    assert ("vanished", "exposed") in [(each.kind, each.phase) for each in compare_topology(clean, less, (1, 1))]
    assert compare_topology(clean, clean, (1, 1)) == []


NO_ANSWER = [
    (scene, "no defect"),
    (lambda: scene(absorber_patch(square(60, x=540.0), PHASE_SHIFT)), "changes nothing"),
    (lambda: scene(quartz_patch(square(60, x=540), PHASE_SHIFT, 90.0)), "changes nothing"),
    (lambda: scene(quartz_patch(square(60), PHASE_SHIFT, 360.0)), "changes nothing"),
    (lambda: scene(opaque_patch(square(40, x=300))), "nm from the window's border"),
    (lambda: scene(opaque_patch(square(40, x=-300))), "not within"),
    (
        lambda: scene(
            opaque_patch(square(40, x=540)), exposure=Exposure(3.0, (1.0,), (0.0,)), window=lines(MaskKind("clear"))
        ),
        "does not print",
    ),
    (lambda: scene(opaque_patch(square(40)), opaque_patch(square(50))), "overlap"),
    (
        lambda: scene(
            opaque_patch(square(40)),
            window=replace(lines(), polygons=(np.asarray([[0, 0], [1200, 0], [700, 1200]], float),)),
        ),
        "slanting",
    ),
    (lambda: scene(opaque_patch(np.asarray([[640, 600], [660, 620], [680, 640]], float))), "no area"),
    (lambda: scene(opaque_patch(square(40)[[0, 2, 1, 3]])), "no area"),
    (
        lambda: scene(opaque_patch(np.asarray([[640, 600], [680, 640], [680, 600], [640, 650]], float))),
        "crosses itself",
    ),
    (lambda: scene(transmitting_patch(square(4), PHASE_SHIFT, 1.2)), "0 to 1"),
    (lambda: scene(transmitting_patch(square(4), PHASE_SHIFT, 0.5, math.nan)), "finite phase"),
    (lambda: MaskKind("chrome"), "drawn"),
    (lambda: MaskKind("clear", 1.0), "transmits"),
    (lambda: Exposure(math.nan), "threshold"),
    (lambda: Exposure(0.3, (0.9,)), "1 is one"),
    (lambda: Exposure(0.3, defocus_nm=(math.inf, 0.0)), "finite"),
    (lambda: Limits(0.05, 0.1), "marginal"),
    (lambda: Spread(-1.0), "not negative"),
    (lambda: etch_phase_deg(math.nan, 193, 1.5), "sensible"),
    (lambda: grown(square(10), -6), "cannot grow"),
]


@pytest.mark.parametrize(("make", "reason"), NO_ANSWER)
def test_what_cannot_be_answered_is_refused(make: object, reason: str) -> None:
    """Every refusal says why."""
    with pytest.raises(ValueError, match=reason):
        judge_printability(make(), CPU)  # type: ignore[operator]


@pytest.mark.parametrize(("side", "verdict"), [(120.0, MARGINAL), (30.0, DOES_NOT_PRINT)])
def test_an_edge_without_a_width_is_not_taken_for_plain_ground(side: float, verdict: str) -> None:
    """A defect grows out of the edge of a half plane: no gauge is near, but the edge moves."""
    window = MaskWindow((box(0, 0, 600, SIDE),), MaskKind("absorber"), 0, 0, Tile(SIDE, SIDE))
    asked = scene(opaque_patch(box(600, 600 - side / 2, 600 + side, 600 + side / 2)), window=window)
    found = judge_printability(asked, CPU)
    assert (found.verdict, found.worst.worst) == (verdict, None)
    assert "no printed edge" not in found.reason
    images = [SceneImages(asked, CPU).image(window, patches, 0.0) for patches in ((), asked.patches)]
    # The edge along the middle of the defect, by pixels of 0.1 nm; the line starts 200 nm before the defect.
    places = np.arange(450.0, 900.0, 0.1)
    rows = [values_at(image, places / SIDE, np.full(places.size, 0.5))[0] for image in images]
    before, after = (float(places[np.argmax(row >= asked.exposure.threshold)]) for row in rows)
    assert found.worst.open_part == pytest.approx((after - before) / (before - 400), abs=0.002)
