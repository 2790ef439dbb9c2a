"""Figures that others published or measured, beside those of this run where it had the same clips and kernels.

L2 (inclusive), PVB and EPE of the mask ``openilt_simpleilt_mask_M1_test7.png`` are OpenILT's own (its README,
SimpleILT). The others were measured once with an independent script in float32; where a pixel lies within a millionth
of the threshold, one or two pixels may fall on the other side.
"""

from collections.abc import Iterable
from pathlib import Path

from benchmarks.report import Row

_MASK = "iccad13_M1_test7: openilt_simpleilt_mask_M1_test7.png, target"
EXACT = {
    f"{_MASK} inclusive: L2": 29566,
    f"{_MASK} inclusive: PVB": 44576,
    f"{_MASK} half-open: L2": 30687,
    f"{_MASK} half-open: EPE violations of 126 sites": 0,
}
MEASURED = {
    "iccad13_M1_test1: mask = target, half-open": (116661, 42919),
    "iccad13_M1_test2: mask = target, half-open": (124365, 33162),
    "iccad13_M1_test3: mask = target, half-open": (159150, 30526),
    "iccad13_M1_test4: mask = target, half-open": (82560, 0),
    "iccad13_M1_test7: mask = target, half-open": (108484, 57349),
    "iccad13_M1_test1: mask = target, inclusive": (116184, 45874),
    "iccad13_M1_test2: mask = target, inclusive": (117801, 37037),
    "iccad13_M1_test3: mask = target, inclusive": (160846, 32646),
    "iccad13_M1_test4: mask = target, inclusive": (84037, 101),
    "iccad13_M1_test7: mask = target, inclusive": (103219, 54316),
}
_CLEAR = {"clear field, focus": 0.951537, "clear field, defocus": 0.941749}
_SAMPLE = "openilt_simpleilt_mask_M1_test7.png"


def compare(rows: Iterable[Row], masks: Path) -> list[Row]:
    """Return how far the figures in ``rows`` are from those known; none unless the sample mask is in ``masks``."""
    values = {row.claim: row.value for row in rows}
    if not (masks / _SAMPLE).is_file():
        return []
    found = [
        Row(f"{claim}, away from {known}", abs(values[claim] - known), "" if "EPE" in claim else "nm^2", "<= 0")
        for claim, known in EXACT.items()
        if claim in values
    ]
    away = [
        abs(values[f"{claim}: {score}"] - figure)
        for claim, known in MEASURED.items()
        for score, figure in zip(("L2", "PVB"), known, strict=True)
        if f"{claim}: {score}" in values
    ]
    if away:
        found.append(Row(f"mask = target, {len(away)} figures, worst distance", max(away), "nm^2", "<= 1"))
    found += [
        Row(f"{claim}, away from {known}", abs(values[claim] - known), "", "<= 1e-6") for claim, known in _CLEAR.items()
    ]
    return found
