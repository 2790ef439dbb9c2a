"""Speed: images against the plain way and the memory's limit, raster against klayout's."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis.mask.coherent_kernels import CoherentKernels, aerial_image
from analysis.mask.corners import corners_of_disjoint
from analysis.mask.print_scores import FocusPair, ProcessCorners, score_print
from analysis.mask.raster import PixelGrid, rasterize, splat_corners
from benchmarks.lithography_trials.apart import cost_of
from benchmarks.lithography_trials.clips import load_clip, load_kernel_pair
from benchmarks.lithography_trials.plain import plain_image
from benchmarks.report import Row

_COPY_BYTES = 1 << 28


def image_rows(clip: Path, kernels: Path, tile_px: int) -> list[Row]:
    """Return time and memory of one image on one thread, both ways, and how near the memory's limit it comes."""
    ours = cost_of(prepare_image, (aerial_image, clip, kernels, tile_px), 5)
    plain = cost_of(prepare_image, (plain_image, clip, kernels, tile_px), 2)
    pair, pixels = load_kernel_pair(kernels), _pixels(clip, tile_px)
    same = aerial_image(pixels, pair.focus), plain_image(pixels, pair.focus)
    floor_s = 2 * 4 * tile_px**2 / copy_bytes_per_s(torch.device("cpu"))
    whole = FocusPair(*(each.to(torch.device("cpu"), torch.complex64) for each in (pair.focus, pair.defocus)))
    scored_s = min(
        timed(lambda: score_print(pixels, pixels, whole, ProcessCorners()), torch.device("cpu")) for _ in range(3)
    )
    return [
        Row(f"{tile_px}^2 image, all kernels, band-limited grid, one thread", ours.seconds * 1e3, "ms"),
        Row("the same by a full transform for each kernel", plain.seconds * 1e3, "ms"),
        Row("plain over ours, time", plain.seconds / ours.seconds, "ratio", ">= 10"),
        Row("ours, peak memory above what was loaded", ours.memory_mb, "MB"),
        Row("plain, peak memory above what was loaded", plain.memory_mb, "MB"),
        Row("largest difference of both images, float32", float((same[0] - same[1]).abs().max()), "", "<= 2e-6"),
        Row("pixels that print in one only", int(((same[0] >= 0.225) != (same[1] >= 0.225)).sum()), "px"),
        Row("one clip, three corners and scores, one thread", scored_s * 1e3, "ms"),
        Row("ours over the time to read the mask and write the image once", ours.seconds / floor_s, "ratio"),
    ]


def prepare_image(
    image: Callable[[torch.Tensor, CoherentKernels], Any], clip: Path, kernels: Path, tile_px: int
) -> Callable[[], Any]:
    """Return the call to be timed."""
    pixels, focus = _pixels(clip, tile_px), load_kernel_pair(kernels).focus.to(torch.device("cpu"), torch.complex64)
    return lambda: image(pixels, focus)


def _pixels(clip: Path, tile_px: int) -> torch.Tensor:
    made = load_clip(clip, tile_px)
    return rasterize(made.polygons, made.grid, dtype=torch.float32)


def copy_bytes_per_s(device: torch.device) -> float:
    """Return how fast memory is read or written on ``device``: the best of several copies, both ways counted."""
    source = torch.ones(_COPY_BYTES // 4, device=device)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(5):
        best = min(best, timed(lambda: target.copy_(source), device))
    return 2 * _COPY_BYTES / best


def timed(run: Callable[[], Any], device: torch.device) -> float:
    """Return the seconds of one call, to its end on ``device``."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def card_rows(clip: Path, kernels: FocusPair, tile_px: int) -> list[Row]:
    """Return the rows of a CUDA card; none where there is no card."""
    if not torch.cuda.is_available():
        return []
    device = torch.device("cuda")
    pixels = _pixels(clip, tile_px).to(device)
    pair = FocusPair(*(each.to(device, torch.complex64) for each in (kernels.focus, kernels.defocus)))
    score = lambda: score_print(pixels, pixels, pair, ProcessCorners())  # noqa: E731 - the call that is timed
    image = lambda: aerial_image(pixels, pair.focus)  # noqa: E731
    score_s, image_s = (min(timed(run, device) for _ in range(20)) for run in (score, image))
    floor_s = 2 * 4 * tile_px**2 / copy_bytes_per_s(device)
    same = aerial_image(pixels.double(), kernels.focus), aerial_image(pixels.cpu().double(), kernels.focus)
    return [
        Row("CUDA: one image", image_s * 1e3, "ms"),
        Row("CUDA: one clip, three corners and scores", score_s * 1e3, "ms"),
        Row("CUDA: clips in a second", 1 / score_s, "1/s"),
        Row("CUDA: image over the time to read the mask and write the image once", image_s / floor_s, "ratio"),
        Row("CUDA and CPU, float64, largest difference", float((same[0].cpu() - same[1]).abs().max()), "", "<= 1e-12"),
    ]


def raster_rows(layout: Path, window_um: float, pixel_nm: float) -> list[Row]:
    """Return time, memory and agreement of the raster of one window of the densest layer, both ways."""
    arguments = (layout, window_um, pixel_nm)
    ours, engine = cost_of(prepare_our_raster, arguments, 3), cost_of(prepare_engine_raster, arguments, 1)
    pixels = round(window_um * 1000 / pixel_nm)
    cover = prepare_our_raster(*arguments)().numpy()
    difference = np.abs(cover - prepare_engine_raster(*arguments)())
    return [
        Row(f"raster of {window_um:g} um to {pixels}^2 pixels, one thread, polygons in hand", ours.seconds * 1e3, "ms"),
        Row("the same by klayout's Region.rasterize", engine.seconds * 1e3, "ms"),
        Row("klayout over ours, time", engine.seconds / ours.seconds, "ratio", ">= 5"),
        Row("ours, peak memory above what was loaded", ours.memory_mb, "MB"),
        Row("klayout, peak memory above what was loaded", engine.memory_mb, "MB"),
        Row("covered part of the window", float(cover.mean()), ""),
        Row("largest difference of the covered part of a pixel", float(difference.max()), "", "<= 1e-9"),
    ]


def _window(layout: Path, window_um: float) -> tuple[Any, Any, float]:
    """Return the merged shapes of the densest layer in the window in the middle, the window, and the database unit."""
    from klayout import db

    read = db.Layout()
    read.read(str(layout))
    top = read.top_cells()[0]
    middle, half = top.bbox().center(), round(window_um / read.dbu / 2)
    window = db.Box(middle.x - half, middle.y - half, middle.x + half, middle.y + half)
    layers = [db.Region(top.begin_shapes_rec_touching(index, window)) for index in read.layer_indexes()]
    clipped = [(each & db.Region(window)).merged() for each in layers]
    return max(clipped, key=lambda region: region.count()), window, read.dbu * 1000


def prepare_our_raster(layout: Path, window_um: float, pixel_nm: float) -> Callable[[], torch.Tensor]:
    """Return our raster, to be timed: from polygons to pixels."""
    region, window, unit_nm = _window(layout, window_um)
    region.min_coherence = True
    polygons = [
        np.asarray([(point.x * unit_nm, point.y * unit_nm) for point in polygon.to_simple_polygon().each_point()])
        for polygon in region.each()
    ]
    pixels = round(window_um * 1000 / pixel_nm)
    grid = PixelGrid(window.left * unit_nm, window.bottom * unit_nm, pixel_nm, pixels, pixels)
    return lambda: splat_corners(corners_of_disjoint(polygons), grid)


def prepare_engine_raster(layout: Path, window_um: float, pixel_nm: float) -> Callable[[], Any]:
    """Return klayout's raster, to be timed; it is scaled to the covered part of a pixel afterwards."""
    from klayout import db

    region, window, unit_nm = _window(layout, window_um)
    pixels = round(window_um * 1000 / pixel_nm)
    step = round(pixel_nm / unit_nm)
    origin, pitch = db.Point(window.left, window.bottom), db.Vector(step, step)
    return lambda: np.asarray(region.rasterize(origin, pitch, pixels, pixels), dtype=object).astype(float) / step**2
