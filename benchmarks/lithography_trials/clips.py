"""Clips, kernels and given masks of the benchmark, from folders of any data of the same form."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from analysis.mask.coherent_kernels import CoherentKernels
from analysis.mask.print_scores import FocusPair
from analysis.mask.raster import PixelGrid
from instruments.errors import CorruptField
from instruments.mask.glp import read_glp
from instruments.mask.optical_kernels import read_kernels


@dataclass(frozen=True)
class Clip:
    """A clip and its place in the tile: the middle of its bounding box is put in the middle, rounded down."""

    name: str
    polygons: list[NDArray[np.float64]]
    grid: PixelGrid


def default_folder() -> Path:
    """Return the folder of lithography samples beside the project."""
    configured = os.environ.get("FAULTLIGHT_SHARED_DATA")
    shared = Path(configured) if configured else Path(__file__).resolve().parents[3] / "shared" / "data"
    return shared / "mask"


def load_clips(folder: Path, tile_px: int) -> list[Clip]:
    """Return every ``*.glp`` of ``folder`` by name, numbers in their order; a clip must fit the tile."""
    paths = sorted(folder.glob("*.glp"), key=lambda path: [int(part) for part in re.findall(r"\d+", path.stem)])
    if not paths:
        raise FileNotFoundError(f"there is no .glp file in {folder}")
    return [load_clip(path, tile_px) for path in paths]


def load_clip(path: Path, tile_px: int) -> Clip:
    """Return the clip at ``path`` in the middle of a tile of ``tile_px`` pixels of a nanometre."""
    polygons = read_glp(path).polygons()
    if not polygons:
        raise CorruptField("the clip has no shape", file=path.name)
    points = np.concatenate(polygons)
    low, high = points.min(axis=0), points.max(axis=0)
    if (high - low).max() > tile_px:
        size = f"{high[0] - low[0]:g} x {high[1] - low[1]:g} nm"
        raise CorruptField(
            "the clip is larger than the tile of the kernels", file=path.name, expected=f"<= {tile_px} nm", found=size
        )
    left, bottom = (-((tile_px - (high - low)) // 2 - low)).tolist()
    return Clip(path.stem, polygons, PixelGrid(left, bottom, 1.0, tile_px, tile_px))


def load_kernel_pair(folder: Path) -> FocusPair:
    """Return the kernels below ``folder``: one folder in focus, the other beside it with its name and ``_def``."""
    pairs = [(path.with_name(path.name.removesuffix("_def")), path) for path in sorted(folder.rglob("*_def"))]
    whole = [(focus, defocus) for focus, defocus in pairs if focus.is_dir()]
    if len(whole) != 1:
        raise FileNotFoundError(f"{folder} holds {len(whole)} pairs of folders NAME and NAME_def; expected one")
    focus, defocus = (_kernels(path) for path in whole[0])
    return FocusPair(focus, defocus)


def _kernels(folder: Path) -> CoherentKernels:
    read = read_kernels(folder)
    return CoherentKernels(torch.from_numpy(read.spectra), torch.from_numpy(read.scales))


def find_masks(folder: Path, clip: str) -> list[Path]:
    """Return the pictures in ``folder`` whose names hold the last word of the clip's, such as ``test7``."""
    word = re.escape(clip.rsplit("_", 1)[-1])
    return [
        path for path in sorted(folder.glob("*.png")) if re.search(rf"(?<![A-Za-z0-9]){word}(?![A-Za-z0-9])", path.stem)
    ]


def load_mask(path: Path, tile_px: int) -> torch.Tensor:
    """Return a mask picture as transmission: 1 where it is brighter than half, row 0 first; float64."""
    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("L"))
    except OSError as error:
        raise CorruptField(f"the picture cannot be read: {error}", file=path.name) from None
    if pixels.shape != (tile_px, tile_px):
        found = f"{pixels.shape[1]} x {pixels.shape[0]}"
        raise CorruptField(
            "the mask is not as large as the tile", file=path.name, expected=f"{tile_px} px", found=found
        )
    return torch.from_numpy((pixels > 127).astype(np.float64))
