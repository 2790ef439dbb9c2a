"""Abbe, Hopkins and their cases that are known in closed form (Hopkins 1953; Mack, Fundamental Principles of Optical
Lithography, 2007, for the space-width limits), against slow twins, and on what must be refused."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from analysis.mask.coherent_kernels import CoherentKernels, ImagingError, aerial_image, intensity_harmonics
from analysis.mask.harmonics import good_size, harmonics_of_pixels, pixels_of_harmonics, reach_of, values_at
from analysis.mask.optics import Optics, Source, Tile, passed_reach, pupil, sample_source, zernike
from analysis.mask.partial_coherence import abbe_kernels, hopkins_kernels
from tests.analysis.mask.shapes import box, lines, mask_of, optics
from tests.naive.lithography import abbe_line_image, hopkins_line_image, socs_image

NO_CARD = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=(pytest.mark.gpu, NO_CARD))]
GRATINGS = [(400.0, 0.3, 0.992), (220.0, 0.6, 0.954), (160.0, 0.8, 0.866)]


def image(mask: torch.Tensor, kernels: CoherentKernels, points: int = 64) -> NDArray[np.float64]:
    """The intensity on a grid of points."""
    return pixels_of_harmonics(intensity_harmonics(mask, kernels), points, points).numpy()


def grating(period: float, sigma: float) -> tuple[torch.Tensor, CoherentKernels]:
    """An equal line and space, and Abbe's kernels."""
    system, tile = optics(sigma), Tile(period, period)
    return mask_of(lines(period, period), system, tile), abbe_kernels(system, tile, sample_source(system.source, 41))


@pytest.mark.parametrize(("period", "sigma", "contrast"), GRATINGS)
def test_abbe_equals_hopkins(period: float, sigma: float, contrast: float) -> None:
    """Case 1: with all eigenvectors both are the same to rounding; the contrasts are those of the facts."""
    mask, abbe = grating(period, sigma)
    first, second = image(mask, abbe), image(mask, hopkins_kernels(abbe).kernels)
    assert np.abs(first - second).max() < 1e-12
    assert (first.max() - first.min()) / (first.max() + first.min()) == pytest.approx(contrast, abs=1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_abbe_equals_hopkins_in_two_dimensions(device: str) -> None:
    """More harmonics than source points, and fewer; aberrated and out of focus; on every device."""
    system = Optics(193.0, 1.35, Source("annular", 0.9, 0.6), 1.44, zernikes={7: 0.03, 9: -0.05})
    tile = Tile(700.0, 500.0)
    mask = mask_of([box(100, 100, 300, 180), box(350, 50, 430, 450)], system, tile).to(device)
    for across in (9, 31):
        abbe = abbe_kernels(system, tile, sample_source(system.source, across), 40.0)
        found = hopkins_kernels(abbe).kernels.to(torch.device(device), torch.complex128)
        direct = intensity_harmonics(mask, abbe.to(torch.device(device), torch.complex128))
        assert float((intensity_harmonics(mask, found) - direct).abs().max()) < 1e-12


def test_lost_trace_bounds_the_error() -> None:
    """Leaving out the weakest kernels costs about what their part of the trace says."""
    mask, abbe = grating(400.0, 0.6)
    few = hopkins_kernels(abbe, 1e-3)
    error = np.abs(image(mask, few.kernels) - image(mask, abbe)).max()
    assert len(few.kernels.scales) < len(abbe.scales)
    assert 0 < few.lost <= 1e-3
    assert 0 < error < 20 * few.lost


def test_images_are_those_of_the_slow_twins() -> None:
    """A grating by the plain sums of Abbe and of Hopkins over orders and source points."""
    period, sigma = 300.0, 0.5
    mask, _ = grating(period, sigma)
    points = sample_source(optics(sigma).source, 7)
    kernels = abbe_kernels(optics(sigma), Tile(period, period), points)
    found = image(mask, kernels, 32)[0]
    middle = reach_of(mask)
    orders = {k: complex(mask[middle.rows, middle.columns + k]) for k in range(-middle.columns, middle.columns + 1)}
    source = list(zip(points.x, points.y, points.weights, strict=True))
    resolution = optics(sigma).resolution_nm
    for place in range(0, 32, 5):
        x = place / 32 * period
        expected = abbe_line_image(orders, period, resolution, source, x)
        assert found[place] == pytest.approx(expected, abs=1e-13)
        assert hopkins_line_image(orders, period, resolution, source, x) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("sigma", [0.0, 0.2, 0.4])
def test_three_beams_have_a_log_slope_of_eight(sigma: float) -> None:
    """Case 2: (1/2 + 2/pi cos)^2 for any source that passes three whole beams: edge 0.25, slope times width 8."""
    period = 300.0
    mask, abbe = grating(period, sigma)
    harmonics = intensity_harmonics(mask, abbe).numpy()
    x = np.linspace(0, 1, 101)
    value, slope, _ = values_at(harmonics, x, np.full(101, 0.3))
    closed = (0.5 + 2 / math.pi * np.cos(2 * math.pi * (x - 0.5))) ** 2
    assert np.abs(value - closed).max() < 1e-13
    assert value.max() == pytest.approx(1.2919045, abs=1e-7)
    (edge,), (steep,), _ = values_at(harmonics, np.asarray([0.25]), np.asarray([0.0]))
    assert edge == pytest.approx(0.25, abs=1e-13)
    assert steep / edge * 0.5 == pytest.approx(8.0, abs=1e-12)
    assert slope.size == 101


@pytest.mark.parametrize("sigma", [0.0, 0.5, 0.9])
def test_nothing_is_resolved_below_the_cutoff(sigma: float) -> None:
    """Case 3: no modulation at all just below the period lambda / NA (1 + sigma), some just above."""
    cutoff = optics(sigma).resolution_nm / (1 + sigma)
    below, above = (image(*grating(period, sigma)) for period in (0.99 * cutoff, 1.02 * cutoff))
    assert np.ptp(below) < 1e-15
    assert below[0, 0] == pytest.approx(0.25, abs=1e-14)
    assert np.ptp(above) > 1e-4


@pytest.mark.parametrize(("sigma", "expected"), [(0.0, 0.25), (0.5, 0.257), (0.9, 0.286)])
def test_an_isolated_edge(sigma: float, expected: float) -> None:
    """Case 4: coherent light puts the edge at a quarter, with an overshoot of 1.187; more sigma, more light.

    With the pupil's chord from -a to b around a source point, the field at the edge is 1/2 + ln(b / a) / (2 pi i).
    """
    system, tile = optics(sigma), Tile(40000.0, 50.0)
    mask = mask_of([box(10000, 0, 30000, 50)], system, tile)
    points = sample_source(system.source, 25)
    harmonics = intensity_harmonics(mask, abbe_kernels(system, tile, points)).numpy()
    (edge,), _, _ = values_at(harmonics, np.asarray([0.25]), np.asarray([0.5]))
    half = np.sqrt(1 - points.y**2)
    closed = points.weights @ (0.25 + (np.log((half - points.x) / (half + points.x)) / (2 * np.pi)) ** 2)
    assert edge == pytest.approx(closed, abs=5e-4)
    assert edge == pytest.approx(expected, abs=5e-3)
    if sigma == 0:
        near = np.linspace(0.25, 0.26, 2000)
        assert values_at(harmonics, near, np.zeros(2000))[0].max() == pytest.approx(1.187, abs=2e-3)


def test_symmetries() -> None:
    """Case 5: shifts shift, a quarter turn turns, focus either way is alike, the dose goes in as its square."""
    system, tile = optics(0.7), Tile(600.0, 600.0)
    points = sample_source(system.source, 15)
    shape = [box(150, 100, 250, 420), box(250, 100, 400, 180)]
    kernels = abbe_kernels(system, tile, points)
    straight = intensity_harmonics(mask_of(shape, system, tile), kernels).numpy()
    dx, dy = 17.3, 5.9
    moved = intensity_harmonics(mask_of([each + np.asarray((dx, dy)) for each in shape], system, tile), kernels).numpy()
    x, y = np.random.default_rng(1).uniform(0, 1, (2, 50))
    expected, _, _ = values_at(straight, x, y)
    assert np.abs(values_at(moved, x + dx / 600, y + dy / 600)[0] - expected).max() < 1e-13
    turned = [np.stack([600 - each[:, 1], each[:, 0]], axis=1) for each in shape]
    quarter = intensity_harmonics(mask_of(turned, system, tile), kernels).numpy()
    assert np.abs(values_at(quarter, 1 - y, x)[0] - expected).max() < 1e-13
    near, far = (
        intensity_harmonics(mask_of(shape, system, tile), abbe_kernels(system, tile, points, defocus))
        for defocus in (60.0, -60.0)
    )
    assert float((near - far).abs().max()) < 1e-14
    assert np.abs(near.numpy() - straight).max() > 1e-3
    pixels = torch.from_numpy(np.random.default_rng(2).uniform(0, 1, (96, 96)))
    assert torch.allclose(aerial_image(pixels, kernels, 1.02), 1.02**2 * aerial_image(pixels, kernels), atol=1e-14)
    assert torch.allclose(aerial_image(pixels * 1.02, kernels), aerial_image(pixels, kernels, 1.02), atol=1e-14)


def test_fields_add_but_intensities_do_not() -> None:
    """Babinet: the field of a mask with a defect is that of the mask plus that of the defect, for every kernel."""
    system, tile = optics(0.0), Tile(500.0, 500.0)
    kernels = abbe_kernels(system, tile, sample_source(system.source))
    line, spot = mask_of([box(100, 0, 200, 500)], system, tile), mask_of([box(280, 200, 330, 260)], system, tile)
    both = mask_of([box(100, 0, 200, 500), box(280, 200, 330, 260)], system, tile)
    assert float((line + spot - both).abs().max()) < 1e-15
    separate = intensity_harmonics(line, kernels) + intensity_harmonics(spot, kernels)
    assert float((intensity_harmonics(both, kernels) - separate).abs().max()) > 1e-4


def test_magnification_is_used_once() -> None:
    """Lengths on a mask of four times are quarters on the wafer; the images know nothing of it."""
    one, four = (Optics(193.0, 0.9, Source("conventional", 0.5), magnification=each) for each in (1.0, 4.0))
    assert four.to_wafer(np.asarray([400.0])) == pytest.approx(100.0)
    assert passed_reach(one, Tile(500, 500)) == passed_reach(four, Tile(500, 500))


def test_socs_image_is_that_of_full_transforms() -> None:
    """The band-limited grid and the two thin products change nothing, in double and single precision."""
    rng = np.random.default_rng(3)
    spectra = rng.normal(size=(5, 9, 13)) + 1j * rng.normal(size=(5, 9, 13))
    scales = rng.uniform(0.1, 2, 5)
    kernels = CoherentKernels(torch.from_numpy(spectra), torch.from_numpy(scales))
    pixels = rng.uniform(0, 1, (64, 80))
    expected = socs_image(pixels, spectra, scales)
    for dtype, tolerance in ((torch.float64, 1e-13), (torch.float32, 1e-5)):
        found = aerial_image(torch.from_numpy(pixels).to(dtype), kernels).numpy()
        assert np.abs(found - expected).max() < tolerance * expected.max()


def test_harmonics_there_and_back() -> None:
    """A band-limited image comes back from its harmonics, odd and even sizes alike; slopes are those of the values."""
    rng = np.random.default_rng(4)
    for rows, columns in ((31, 40), (40, 31)):
        reach = reach_of(torch.zeros(9, 13))
        harmonics = harmonics_of_pixels(torch.from_numpy(rng.normal(size=(rows, columns))), reach)
        again = harmonics_of_pixels(pixels_of_harmonics(harmonics, rows, columns), reach)
        assert float((again - harmonics).abs().max()) < 1e-15
    step = 1e-6
    x, y = np.asarray([0.3, 0.9]), np.asarray([0.1, 0.5])
    _, slope_x, slope_y = values_at(harmonics.numpy(), x, y)
    for slope, dx, dy in ((slope_x, step, 0.0), (slope_y, 0.0, step)):
        high, low = (values_at(harmonics.numpy(), x + side * dx, y + side * dy)[0] for side in (1, -1))
        assert slope == pytest.approx((high - low) / (2 * step), rel=1e-6)
    assert [good_size(each) for each in (1, 69, 71, 127, 129)] == [2, 72, 72, 128, 144]


def test_sources_have_their_shapes() -> None:
    """Areas of the sampled shapes, the places of poles, the light summing to 1."""
    for source, part in (
        (Source("conventional", 0.8), math.pi * 0.64),
        (Source("annular", 0.9, 0.6), math.pi * 0.45),
        (Source("dipole", 0.9, 0.6, 60), math.pi * 0.45 / 3),
        (Source("quadrupole", 0.9, 0.6, 30, 45), math.pi * 0.45 / 3),
    ):
        points = sample_source(source, 101)
        middle = points.weights.max()
        assert points.weights.sum() == pytest.approx(1)
        assert (points.weights / middle).sum() * (2 * source.outer / 101) ** 2 == pytest.approx(part, rel=0.01)
        assert points.weights @ points.x == pytest.approx(0, abs=1e-12)
    assert np.abs(sample_source(Source("dipole", 0.9, 0.6, 60)).y).max() < 0.5
    assert np.abs(sample_source(Source("dipole", 0.9, 0.6, 60, 90)).x).max() < 0.5
    assert np.hypot(*_middle(Source("quadrupole", 0.9, 0.6, 20, 45))) == pytest.approx(0.75, abs=0.1)


def _middle(source: Source) -> tuple[float, float]:
    points = sample_source(source, 51)
    upper = (points.x > 0) & (points.y > 0)
    weights = points.weights[upper] / points.weights[upper].sum()
    return float(weights @ points.x[upper]), float(weights @ points.y[upper])


def test_zernikes_are_orthonormal() -> None:
    """Noll's polynomials over the disc; 4 is defocus, 7 and 8 coma, 11 spherical."""
    axis = np.linspace(-1, 1, 801)
    x, y = np.meshgrid(axis, axis)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    disc = radius <= 1
    shapes = np.stack([zernike(number, radius[disc], angle[disc]) for number in range(1, 16)])
    assert shapes @ shapes.T / disc.sum() == pytest.approx(np.eye(15), abs=0.02)
    assert zernike(4, np.asarray([0.0]), np.zeros(1)) == pytest.approx(-math.sqrt(3))
    assert zernike(8, np.asarray([1.0]), np.zeros(1)) == pytest.approx(math.sqrt(8))
    assert zernike(11, np.asarray([1.0]), np.zeros(1)) == pytest.approx(math.sqrt(5))


def test_defocus_is_paraxial_for_small_apertures() -> None:
    """Exact defocus tends to -pi z NA^2 rho^2 / (lambda n)."""
    system = Optics(193.0, 0.1, Source("conventional", 0.0), 1.0)
    phase = np.angle(pupil(system, np.asarray([0.8]), np.zeros(1), 500.0))
    assert phase == pytest.approx(-math.pi * 500 * 0.01 * 0.64 / 193, rel=3e-3)


NONSENSE = [
    (lambda: Source("ring", 0.5), "not known"),
    (lambda: Source("annular", 0.5, 0.6), "inner"),
    (lambda: Source("annular", 0.5, 0.5), "no area"),
    (lambda: Source("conventional", math.nan), "inner"),
    (lambda: Source("dipole", 0.9, 0.5, 200), "opens by up to 180"),
    (lambda: Optics(193, 1.35, Source("conventional", 0.5)), "medium of a higher index"),
    (lambda: Optics(math.inf, 0.9, Source("conventional", 0.5)), "positive numbers"),
    (lambda: Optics(193, 0.9, Source("conventional", 0.5), zernikes={0: 0.1}), "Noll"),
    (lambda: Optics(193, 0.9, Source("conventional", 0.5), zernikes={4: math.nan}), "Noll"),
    (lambda: Tile(0, 5), "none"),
    (lambda: Tile(math.nan, 5), "none"),
    (lambda: pupil(optics(0.5), np.zeros(1), np.zeros(1), math.nan), "finite"),
    (lambda: abbe_kernels(optics(0.5), Tile(1e5, 1e5), sample_source(optics(0.5).source)), "smaller window"),
    (lambda: hopkins_kernels(grating(300, 0.5)[1], 1.0), "from 0 to below 1"),
    (lambda: aerial_image(torch.zeros(8, 8), grating(300, 0.5)[1]), "too coarse"),
    (lambda: aerial_image(torch.zeros(64, 64), grating(300, 0.5)[1], 0.0), "positive"),
    (lambda: aerial_image(torch.full((64, 64), math.nan), grating(300, 0.5)[1]), "finite"),
    (lambda: intensity_harmonics(torch.zeros(1, 1, dtype=torch.complex128), grating(300, 0.5)[1]), "harmonics"),
    (lambda: CoherentKernels(torch.zeros(2, 4, 5), torch.ones(2)), "odd"),
    (lambda: CoherentKernels(torch.zeros(2, 5, 5), torch.ones(3)), "one each"),
    (lambda: CoherentKernels(torch.zeros(2, 5, 5), -torch.ones(2)), "negative"),
    (lambda: CoherentKernels(torch.full((2, 5, 5), math.inf), torch.ones(2)), "finite"),
]


@pytest.mark.parametrize(("make", "reason"), NONSENSE)
def test_nonsense_is_refused(make: object, reason: str) -> None:
    """Every refusal says why."""
    with pytest.raises(ImagingError, match=reason):
        make()  # type: ignore[operator]


def test_a_dark_and_a_clear_mask() -> None:
    """Constant masks: nothing, and everything that the pupil passes."""
    _, kernels = grating(300.0, 0.5)
    assert float(aerial_image(torch.zeros(64, 64, dtype=torch.float64), kernels).abs().max()) == 0
    clear = aerial_image(torch.ones(64, 64, dtype=torch.float64), kernels)
    assert torch.allclose(clear, torch.ones_like(clear), atol=1e-13)
    assert kernels.clear_field() == pytest.approx(1)
