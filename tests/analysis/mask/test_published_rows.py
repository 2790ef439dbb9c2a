"""Published scores of the ICCAD-2013 clips, and the benchmark on data of our own."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from analysis.mask.coherent_kernels import CoherentKernels, ImagingError, aerial_image
from analysis.mask.print_scores import FocusPair, ProcessCorners, score_print
from analysis.mask.raster import rasterize, widen_by_a_pixel
from benchmarks import lithography
from benchmarks.lithography_trials.clips import find_masks, load_clip, load_kernel_pair, load_mask
from benchmarks.lithography_trials.plain import plain_image
from tests.instruments.mask.test_glp import CLIP
from tests.instruments.mask.test_optical_kernels import write as write_kernels

NO_CARD = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=(pytest.mark.gpu, NO_CARD))]


def small_pair() -> FocusPair:
    """Kernels of 9 x 9, the lowest harmonics strongest."""
    rng = np.random.default_rng(5)
    weight = np.exp(-(np.arange(-4, 5)[:, None] ** 2 + np.arange(-4, 5)[None, :] ** 2) / 6)
    spectra = torch.from_numpy(weight * (1 + 0.1 * rng.normal(size=(3, 9, 9)) + 0j))
    kernels = CoherentKernels(spectra, torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64))
    return FocusPair(kernels, CoherentKernels(spectra * 0.95, kernels.scales))


@pytest.mark.shared_data
@pytest.mark.parametrize("device", DEVICES)
def test_published_rows_are_exact(shared_data: Path, device: str) -> None:
    """M1_test7 with OpenILT's SimpleILT mask: L2 29566 (boundary pixels inclusive) or 30687 (half-open), PVB 44576."""
    folder = shared_data / "mask"
    kernels = load_kernel_pair(folder / "iccad13_kernels")
    clip = load_clip(folder / "iccad13_M1_test7.glp", 2048)
    (path,) = find_masks(folder, clip.name)
    mask = load_mask(path, 2048).to(device)
    half_open = rasterize(clip.polygons, clip.grid).to(device)
    scores = score_print(mask, widen_by_a_pixel(half_open), kernels, ProcessCorners())
    assert (scores.l2_nm2, scores.pv_band_nm2) == (29566, 44576)
    assert score_print(mask, half_open, kernels, ProcessCorners()).l2_nm2 == 30687


@pytest.mark.shared_data
def test_rows_of_targets_as_masks(shared_data: Path) -> None:
    """Clip 1 to a pixel, clip 4 prints nothing, the clear fields; single precision and the plain way agree."""
    folder = shared_data / "mask"
    kernels = load_kernel_pair(folder / "iccad13_kernels")
    assert kernels.focus.clear_field() == pytest.approx(0.951537, abs=1e-6)
    assert kernels.defocus.clear_field() == pytest.approx(0.941749, abs=1e-6)
    first, fourth = (load_clip(folder / f"iccad13_M1_test{number}.glp", 2048) for number in (1, 4))
    target = rasterize(first.polygons, first.grid)
    scores = score_print(target, target, kernels, ProcessCorners())
    assert scores.l2_nm2 == 116661
    assert scores.pv_band_nm2 == pytest.approx(42919, abs=1)
    dark = rasterize(fourth.polygons, fourth.grid, dtype=torch.float32)
    nothing = score_print(dark, dark, kernels, ProcessCorners())
    assert (nothing.l2_nm2, nothing.pv_band_nm2, nothing.printed_nm2) == (82560, 0, 0)
    assert nothing.highest_intensity == pytest.approx(0.2110, abs=1e-4)


def test_scores_of_known_prints() -> None:
    """A mask that transmits everywhere prints everywhere; the band is the area between the corners."""
    pair = small_pair()
    clear = torch.ones(64, 64, dtype=torch.float64)
    level = pair.focus.clear_field()
    corners = ProcessCorners(threshold=level * 0.9)
    scores = score_print(clear, torch.zeros(64, 64), pair, corners, pixel_nm=2.0)
    assert scores.printed_nm2 == scores.l2_nm2 == 64 * 64 * 4
    # At 0.95 and 0.98 of the amplitude, 0.867 of the intensity is left.
    assert scores.pv_band_nm2 == 64 * 64 * 4
    assert score_print(clear, clear, pair, ProcessCorners(threshold=level * 0.8)).pv_band_nm2 == 0
    assert score_print(clear, clear, pair, ProcessCorners(threshold=level)).undecided_pixels > 0


def test_scores_refuse() -> None:
    """Other shapes, other thresholds."""
    pair = small_pair()
    with pytest.raises(ImagingError, match="the mask has"):
        score_print(torch.ones(64, 64), torch.ones(64, 65), pair, ProcessCorners())
    for wrong in ({"threshold": 0.0}, {"threshold": math.nan}, {"low_dose": 1.2}, {"high_dose": 0.9}):
        with pytest.raises(ImagingError, match="expected a positive threshold"):
            ProcessCorners(**wrong)


def test_the_plain_way_is_the_same() -> None:
    """The peer of the benchmark computes the same image."""
    kernels = small_pair().focus
    pixels = torch.from_numpy(np.random.default_rng(6).uniform(0, 1, (64, 48)))
    assert float((plain_image(pixels, kernels) - aerial_image(pixels, kernels)).abs().max()) < 1e-14


def test_the_benchmark_on_other_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any clips, kernels and masks of the same form; refused with the file's name when one is broken."""
    for folder in ("kernels/A", "kernels/A_def", "clips", "masks"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("A", "A_def"):
        write_kernels(tmp_path / "kernels" / folder, 2, (9, 9))
    (tmp_path / "clips/other_test12.glp").write_text(CLIP)
    Image.fromarray(np.full((640, 640), 255, np.uint8)).save(tmp_path / "masks/mask_test12.png")
    folders = [item for name in ("clips", "kernels", "masks") for item in (f"--{name}", str(tmp_path / name))]
    Image.fromarray(np.zeros((640, 640), np.uint8)).save(tmp_path / "masks/mask_test1.png")
    monkeypatch.setattr(sys, "argv", ["lithography", "--no-speed", "--json", "--tile", "640", *folders])
    threads = torch.get_num_threads()
    try:
        lithography.main()
        said = capsys.readouterr()
        assert said.err == "mask_test1.png belongs to no clip by its name; it is not scored\n"
        claims = [row["claim"] for row in json.loads(said.out)]
        assert "other_test12: mask = target, half-open: L2" in claims
        assert "other_test12: mask_test12.png, target inclusive: PVB" in claims
        kernel = tmp_path / "kernels/A/fh1.bin"
        kernel.write_bytes(kernel.read_bytes()[:100])
        with pytest.raises(SystemExit) as ended:
            lithography.main()
    finally:
        torch.set_num_threads(threads)
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert "fh1.bin: the kernel has not the length its header says at byte 100 (expected 672, found 100)" in said.err
