"""Lithography: published scores reproduced, scores of any clips and masks, speed against the plain ways.

``python -m benchmarks.lithography --clips DIR --kernels DIR --masks DIR [--json]`` scores every ``*.glp`` of the first
folder with the kernels in the sub-folders ``NAME`` and ``NAME_def`` of the second, for mask = target and for the
picture of the third whose name ends like the clip's. Two raster conventions: *half-open* is the exact area of a
polygon on pixels of a nanometre; *inclusive* includes boundary pixels as ``cv2.fillPoly`` does, so that every shape is
a pixel wider at its right and top. The published figures have the latter.
"""

import argparse
import sys
from pathlib import Path

import torch

from analysis.mask.coherent_kernels import ImagingError, aerial_image
from analysis.mask.edge_sites import SiteRule, count_violations, list_sites
from analysis.mask.print_scores import FocusPair, ProcessCorners, score_print
from analysis.mask.raster import rasterize, widen_by_a_pixel
from benchmarks.lithography_trials import own_optics, published, speed
from benchmarks.lithography_trials.clips import (
    Clip,
    default_folder,
    find_masks,
    load_clips,
    load_kernel_pair,
    load_mask,
)
from benchmarks.report import Row, print_rows
from instruments.errors import InstrumentError


def clip_rows(clip: Clip, kernels: FocusPair, masks: Path, tile_px: int) -> list[Row]:
    """Return L2 and PVB of one clip: for mask = target in both conventions, and for its given mask."""
    half_open = rasterize(clip.polygons, clip.grid)
    targets = {"half-open": half_open, "inclusive": widen_by_a_pixel(half_open)}
    rows = []
    for convention, target in targets.items():
        scores = score_print(target, target, kernels, ProcessCorners())
        claim = f"{clip.name}: mask = target, {convention}"
        rows += [
            Row(f"{claim}: L2", scores.l2_nm2, "nm^2"),
            Row(f"{claim}: PVB", scores.pv_band_nm2, "nm^2"),
            edge_row(claim, clip, kernels, target),
            Row(f"{claim}: pixels within 1e-6 of the threshold, any corner", scores.undecided_pixels, "px"),
        ]
    for path in find_masks(masks, clip.name):
        mask = load_mask(path, tile_px)
        for convention, target in targets.items():
            scores = score_print(mask, target, kernels, ProcessCorners())
            claim = f"{clip.name}: {path.name}, target {convention}"
            rows.append(Row(f"{claim}: L2", scores.l2_nm2, "nm^2"))
            rows.append(Row(f"{claim}: PVB", scores.pv_band_nm2, "nm^2"))
            rows.append(edge_row(claim, clip, kernels, mask))
    return rows


def edge_row(claim: str, clip: Clip, kernels: FocusPair, mask: torch.Tensor) -> Row:
    """Return how many sites along the edges of the clip the nominal print violates."""
    rule = SiteRule()
    printed = aerial_image(mask, kernels.focus) >= ProcessCorners().threshold
    half_open = rasterize(clip.polygons, clip.grid) >= 0.5
    violated, sites = count_violations(printed, half_open, list_sites(clip.polygons, rule), clip.grid, rule)
    return Row(f"{claim}: EPE violations of {sites} sites", violated, "")


def warn_of_strangers(masks: Path, clips: list[Clip]) -> None:
    """Say which pictures belong to no clip, and so were not scored."""
    known = {path for clip in clips for path in find_masks(masks, clip.name)}
    for path in sorted(set(masks.glob("*.png")) - known):
        sys.stderr.write(f"{path.name} belongs to no clip by its name; it is not scored\n")


def measure(options: argparse.Namespace) -> list[Row]:
    """Run everything the options ask for."""
    torch.set_num_threads(1)
    kernels = load_kernel_pair(options.kernels)
    clips = load_clips(options.clips, options.tile)
    warn_of_strangers(options.masks, clips)
    rows = [row for clip in clips for row in clip_rows(clip, kernels, options.masks, options.tile)]
    rows += [
        Row("clear field, focus", kernels.focus.clear_field(), ""),
        Row("clear field, defocus", kernels.defocus.clear_field(), ""),
    ]
    rows += published.compare(rows, options.masks)
    if not options.no_speed:
        first = next(iter(sorted(options.clips.glob("*.glp"))))
        rows += speed.image_rows(first, options.kernels, options.tile)
        rows += speed.card_rows(first, kernels, options.tile)
        rows += own_optics.measure()
        if options.layout.is_file():
            for pixel_nm in (5.0, 2.0):
                rows += speed.raster_rows(options.layout, 10.0, pixel_nm)
    return rows


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = default_folder()
    parser.add_argument("--clips", type=Path, default=folder, help="folder of .glp files")
    parser.add_argument(
        "--kernels", type=Path, default=folder / "iccad13_kernels", help="folder with NAME and NAME_def"
    )
    parser.add_argument("--masks", type=Path, default=folder, help="folder of .png masks, one pixel a nanometre")
    parser.add_argument(
        "--layout", type=Path, default=folder / "tt06_tt_um_factory_test.gds", help="layout to rasterize"
    )
    parser.add_argument("--tile", type=int, default=2048, help="side of the tile that the kernels are made for, in nm")
    parser.add_argument("--no-speed", action="store_true", help="scores only")
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    options = parser.parse_args()
    try:
        rows = measure(options)
    except (InstrumentError, ImagingError, FileNotFoundError) as error:
        sys.stderr.write(f"refused: {error}\n")
        raise SystemExit(2) from error
    print_rows(rows, as_json=options.json)


if __name__ == "__main__":
    main()
