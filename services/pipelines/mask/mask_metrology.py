"""Maps of masks' registration and widths, and trends: one function for ``faultlight repair metrology`` and the job."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analysis.metrology.least_squares import NotDetermined
from analysis.metrology.registration_map import LEVELS, RegistrationMap, Sites, map_registration
from analysis.metrology.trend import find_trend
from analysis.metrology.width_map import WidthMap, map_widths
from services.pipelines.table_source import SourceTable, TableRefused, read_tables
from services.pipelines.versions import METROLOGY_VERSION

Scale = Literal["mask", "wafer"]
FALSE_OUTLIER_RATE = 0.01
FEW_SITES = 10
"""Below so many an outlier hides easily, which a map then says."""
_LENGTHS = ("x_um", "y_um", "target_nm", "measured_nm", "sigma_nm", "dx_nm", "dy_nm", "dx_sigma_nm", "dy_sigma_nm")
_TREND_TERMS = ("magnification_ppm", "rotation_urad", "anisotropy_ppm", "orthogonality_urad")


@dataclass(frozen=True)
class Convention:
    """What the files do not say and the caller does.

    Attributes:
        scale: of files that do not state theirs; ``None`` refuses them.
        magnification: wafer to mask, needed for ``wafer``; figures at wafer scale are given when it is known.
        tone: of widths whose file states none; ``None`` refuses them.
    """

    scale: Scale | None = None
    magnification: float | None = None
    tone: str | None = None

    def __post_init__(self) -> None:
        if self.scale not in (None, "mask", "wafer"):
            raise TableRefused(f"the scale is mask or wafer, not {self.scale!r}")
        if self.magnification is not None and not (math.isfinite(self.magnification) and self.magnification > 0):
            raise TableRefused(f"a magnification is above 0, not {self.magnification}")
        if self.scale == "wafer" and self.magnification is None:
            raise TableRefused("values at wafer scale need a magnification (4 for most scanners)")
        if self.tone not in (None, "clear", "opaque"):
            raise TableRefused(f"the tone is clear or opaque, not {self.tone!r}")


def map_paths(paths: Sequence[Path], convention: Convention) -> dict[str, Any]:
    """Return the maps of the files ``paths``; raises what reading and :func:`map_tables` raise."""
    return map_tables(read_tables(paths, "metrology_site"), convention)


def map_tables(sources: list[SourceTable], convention: Convention) -> dict[str, Any]:
    """Return the answer of ``faultlight repair metrology --json``.

    Raises:
        TableRefused: scale or tone is not known, two say different things, or no site was measured.
        NotDetermined: a map has too few sites.
    """
    maps = [found for source in sources for found in _maps_of(source, convention)]
    trends, flags = _trends(maps)
    for item in maps:
        item.pop("moment")
    return {
        "verdict": "drifting" if any(trend["moves"] for trend in trends) else "measured",
        "maps": maps,
        "trends": trends,
        "flags": flags,
        "provenance": {
            "algorithm": "weighted least squares around a robust fit",
            "algorithm_version": METROLOGY_VERSION,
            "parameters": {**asdict(convention), "false_outlier_rate": FALSE_OUTLIER_RATE},
            "conventions": {
                "scale": "all figures at mask scale; those under at_wafer are divided by the magnification",
                "registration": "measured less designed; magnification and rotation about the origin of the positions",
                "three_sigma": "three standard deviations, freedom less the removed terms, outliers left out",
                "interval": "95 %, two-sided",
            },
            "inputs": sorted({source.sha256 for source in sources}),
            "adapters": sorted({source.adapter for source in sources}),
            "device": "cpu",
            "precision": "float64",
            "simulated": any(map(_simulated, sources)),
        },
    }


def _simulated(source: SourceTable) -> bool:
    return _comments(source).get("simulated", "").lower() in ("true", "yes", "1")


def _comments(source: SourceTable) -> dict[str, str]:
    comments = source.table.vendor_metadata.get("comments", {})
    return {str(key).lower(): str(value) for key, value in comments.items()} if isinstance(comments, dict) else {}


def _scale_of(source: SourceTable, convention: Convention) -> tuple[float, float | None, str]:
    """Return what to multiply lengths with, the magnification if known, and who says so; the adapter has scaled."""
    comments = _comments(source)
    stated = comments.get("scale", "").lower()
    if not stated:
        if convention.scale is None:
            raise TableRefused(
                f"{source.file} does not say whether its values are at mask or wafer scale; say it with --scale"
            )
        factor = convention.magnification if convention.scale == "wafer" else 1.0
        assert factor is not None
        return factor, convention.magnification, f"{convention.scale}, as the question says"
    if convention.scale is not None and convention.scale != stated:
        raise TableRefused(f"{source.file} is at {stated} scale, the question says {convention.scale}")
    text = comments.get("magnification", "").lower().rstrip("x")
    own = float(text) if text else None
    if own is not None and convention.magnification is not None and own != convention.magnification:
        raise TableRefused(f"{source.file} has a magnification of {own:g}, the question {convention.magnification:g}")
    return 1.0, own or convention.magnification, f"{stated}, as the file says"


def _maps_of(source: SourceTable, convention: Convention) -> list[dict[str, Any]]:
    """Return one map for each mask of the table."""
    factor, magnification, scale = _scale_of(source, convention)
    numbers = {name: source.numbers(name) * factor for name in _LENGTHS}
    masks = source.texts("mask_id")
    found = []
    for mask in dict.fromkeys(masks):
        rows = np.array([each == mask for each in masks])
        maps = _one_mask(source, convention, rows, numbers)
        moments = [text for text, kept in zip(source.texts("measured_at"), rows, strict=True) if kept and text]
        found.append(
            {
                "file": source.file,
                "mask_id": mask,
                "sites": int(rows.sum()),
                "scale": scale,
                "magnification": magnification,
                "measured_at": min(moments, default=None),
                "moment": _moment(min(moments, default="")),
                **maps,
                "at_wafer": None if magnification is None else _at_wafer(maps, magnification),
                "warnings": list(source.table.warnings),
            }
        )
    return found


def _one_mask(
    source: SourceTable, convention: Convention, rows: NDArray[np.bool_], numbers: dict[str, NDArray[np.float64]]
) -> dict[str, Any]:
    placed = rows & np.isfinite(numbers["x_um"]) & np.isfinite(numbers["y_um"])
    moved = placed & np.isfinite(numbers["dx_nm"]) & np.isfinite(numbers["dy_nm"])
    wide = placed & np.isfinite(numbers["measured_nm"]) & np.isfinite(numbers["target_nm"])
    if not (moved.any() or wide.any()):
        raise TableRefused(f"{source.file}: not one site has a place and a measured value")
    ids = source.texts("site_id")
    return {
        "without_value": int(rows.sum() - (moved | wide).sum()),
        "registration": _registration(source, moved, numbers, ids) if moved.any() else None,
        "widths": _widths(source, convention, wide, numbers, ids) if wide.any() else [],
    }


def _registration(
    source: SourceTable, rows: NDArray[np.bool_], numbers: dict[str, NDArray[np.float64]], ids: list[str]
) -> dict[str, Any]:
    stated = [numbers[name][rows] for name in ("dx_sigma_nm", "dy_sigma_nm")]
    usable = all(np.isfinite(each).all() and (each > 0).all() for each in stated)
    columns = [numbers[name][rows] for name in ("x_um", "y_um", "dx_nm", "dy_nm")]
    sites = Sites(*columns, *(stated if usable else (None, None)))
    correction = _comments(source).get("correction")
    levels, flags = [], []
    for level in LEVELS:
        try:
            levels.append(_level(map_registration(sites, level, FALSE_OUTLIER_RATE)))
        except NotDetermined as error:
            flags.append(f"{level}: {error}")
    if not levels:
        raise TableRefused(f"{source.file}: {flags[0]}")
    if correction is None:
        flags.append("the file does not say whether magnification and rotation were removed: raw may not be raw")
    elif correction.lower() != "raw":
        flags.append(f"the file says that {correction} was removed before: what is fitted is what remained")
    if rows.sum() < FEW_SITES:
        flags.append(_few(int(rows.sum())))
    kept = map_registration(sites, "raw", FALSE_OUTLIER_RATE).inlier
    names = [name for name, used in zip(ids, rows, strict=True) if used]
    return {
        "sites": int(rows.sum()),
        "errors_stated": usable,
        "correction_of_file": correction,
        "levels": levels,
        "outliers": [name for name, inlier in zip(names, kept, strict=True) if not inlier],
        "flags": flags,
    }


def _few(sites: int) -> str:
    return (
        f"among {sites} sites only a very large outlier is told: of those of 20 standard deviations 37 % stay in a "
        f"simulated registration map of 7 sites, 2 % in one of 9; measure {FEW_SITES} sites or more"
    )


def _level(found: RegistrationMap) -> dict[str, Any]:
    return {
        "level": found.level,
        "removed": {name: {"value": value, "standard_error": error} for name, (value, error) in found.terms.items()},
        "x": _finite(asdict(found.x)),
        "y": _finite(asdict(found.y)),
        "scale": found.scale,
    }


def _finite(axis: dict[str, Any]) -> dict[str, Any]:
    """Return the axis with an interval that has no end as ``None``."""
    interval = axis["interval_nm"]
    return axis | {"interval_nm": list(interval) if math.isfinite(interval[1]) else None}


def _widths(
    source: SourceTable,
    convention: Convention,
    rows: NDArray[np.bool_],
    numbers: dict[str, NDArray[np.float64]],
    ids: list[str],
) -> list[dict[str, Any]]:
    """Return one map for each tone, orientation, layer and feature."""
    names = ("tone", "orientation", "layer", "feature")
    texts = {name: [text.lower() for text in source.texts(name)] for name in names}
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row in np.flatnonzero(rows).tolist():
        tone = texts["tone"][row] or convention.tone
        if tone not in ("clear", "opaque"):
            said = f"says {tone!r}" if tone else "does not say it"
            raise TableRefused(
                f"{source.file}, site {ids[row]}: a width needs its tone, clear or opaque, and the file {said}; "
                "say it with --tone"
            )
        groups[tone, *(texts[name][row] for name in names[1:])].append(row)
    return [
        _width_group(source, dict(zip(names, key, strict=True)), group, numbers, ids) for key, group in groups.items()
    ]


def _width_group(
    source: SourceTable, kind: dict[str, str], group: list[int], numbers: dict[str, NDArray[np.float64]], ids: list[str]
) -> dict[str, Any]:
    x, y, target, measured, sigma = (numbers[name][group] for name in _LENGTHS[:5])
    usable = bool(np.isfinite(sigma).all() and (sigma > 0).all())
    described = {**kind, "sites": len(group), "errors_stated": usable}
    try:
        found = map_widths(x, y, measured - target, sigma if usable else None, FALSE_OUTLIER_RATE)
    except NotDetermined as error:
        return described | {"map": None, "outliers": [], "flags": [f"{source.file}: {error}"]}
    outliers = [ids[row] for row, inlier in zip(group, found.inlier, strict=True) if not inlier]
    flags = [_few(len(group))] if len(group) < FEW_SITES else []
    return described | {"map": _width_document(found), "outliers": outliers, "flags": flags}


def _width_document(found: WidthMap) -> dict[str, Any]:
    def spread(values: tuple[float, float, float] | None) -> dict[str, float] | None:
        return None if values is None else dict(zip(("value", "low", "high"), values, strict=True))

    def pair(values: tuple[float, float]) -> dict[str, float]:
        return {"value": values[0], "standard_error": values[1]}

    tilt = found.tilt_nm_per_mm
    return {
        "mean_to_target_nm": pair(found.mean_to_target_nm),
        "three_sigma_nm": spread(found.three_sigma_nm),
        "range_nm": found.range_nm,
        "tilt_nm_per_mm": None if tilt is None else {"x": pair(tilt[0]), "y": pair(tilt[1])},
        "flat_three_sigma_nm": spread(found.flat_three_sigma_nm),
        "scale": found.scale,
    }


def _at_wafer(maps: dict[str, Any], magnification: float) -> dict[str, Any]:
    """Return the chief lengths as they appear on the wafer."""
    registration = maps["registration"]
    levels = {} if registration is None else {level["level"]: level for level in registration["levels"]}
    return {
        "registration_three_sigma_nm": {
            name: [level[axis]["three_sigma_nm"] / magnification for axis in ("x", "y")]
            for name, level in levels.items()
        },
        "mean_to_target_nm": [
            group["map"] and group["map"]["mean_to_target_nm"]["value"] / magnification for group in maps["widths"]
        ],
    }


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _trends(maps: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the trends of each mask's figures over its maps."""
    by_mask: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for item in maps:
        by_mask[item["mask_id"]].append(item)
    trends, flags = [], []
    for mask, items in by_mask.items():
        timed = [item for item in items if item["moment"] is not None]
        if len(items) < 3:
            continue
        if len(timed) < len(items):
            flags.append(f"mask {mask or '(no name)'}: {len(items) - len(timed)} maps have no time and are in no trend")
        read = [(item["moment"], _figures(item)) for item in timed]
        for name in dict.fromkeys(name for _, figures in read for name in figures):
            points = [(moment, figures[name]) for moment, figures in read if name in figures]
            if len(points) < 3:
                continue
            days = np.array([(moment - points[0][0]).total_seconds() / 86400 for moment, _ in points])
            try:
                found = find_trend(days, np.array([value for _, value in points]))
            except NotDetermined as error:
                flags.append(f"mask {mask or '(no name)'}, {name}: {error}")
                continue
            trends.append({"mask_id": mask, "figure": name, **asdict(found)})
    return _adjusted(trends), flags


def _adjusted(trends: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Among many figures one moves by chance: p-values by Holm, and a trend needs its own below 5 %."""
    worst = 0.0
    for rank, trend in enumerate(sorted(trends, key=lambda item: float(item["p_value"]))):
        worst = max(worst, min(1.0, float(trend["p_value"]) * (len(trends) - rank)))
        trend["p_adjusted"] = worst
        trend["moves"] = bool(trend["moves"]) and worst < 0.05
    return trends


def _figures(item: dict[str, Any]) -> dict[str, float]:
    """Return the figures of a map that may move with time."""
    figures: dict[str, float] = {}
    levels = item["registration"]["levels"] if item["registration"] else []
    for level in levels:
        if level["level"] == "affine":
            figures |= {term: level["removed"][term]["value"] for term in _TREND_TERMS}
            figures |= {f"three_sigma_{axis}_nm": level[axis]["three_sigma_nm"] for axis in ("x", "y")}
    for group in item["widths"]:
        if group["map"]:
            kind = " ".join(group[name] for name in ("tone", "orientation", "layer", "feature") if group[name])
            figures[f"mean_to_target_nm {kind}"] = group["map"]["mean_to_target_nm"]["value"]
    return figures
