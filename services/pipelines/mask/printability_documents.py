"""Answers about printing defects and verified repairs as documents."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.mask.gauges import AXES, Gauge, GaugeChange, TopologyChange
from analysis.mask.print_verdict import Printability
from analysis.mask.printability import ConditionChange, Scene
from analysis.mask.repair_verification import RepairVerification

_ORDER = ("prints", "marginal", "refused", "does-not-print")


def verdict_of(defects: Sequence[Mapping[str, Any]]) -> str:
    """Return the worst verdict of all defects; one that was not judged is worse than one that does not print."""
    return next(verdict for verdict in _ORDER if any(each["verdict"] == verdict for each in defects))


def describe_printability(found: Printability, scene: Scene) -> dict[str, Any]:
    """Return ``found`` as a document; places are on the wafer."""
    common = found.common_window
    measured = _has_widths(found.worst)
    return {
        "verdict": found.verdict,
        "reason": found.reason,
        "fraction": found.fraction if measured else None,
        "at_least": found.worst.lost > 0,
        "sigma": None if found.worst.lost or not measured else found.sigma,
        "uncertainty": dict(found.components),
        "severity": found.severity if measured or found.severity else None,
        "limits": {
            "prints": scene.limits.prints,
            "marginal": scene.limits.marginal,
            "source": scene.limits.source,
            "one_sided_error": 0.05,
        },
        "worst": _condition(found.worst, scene),
        "gauges": [_change(each, scene) for each in found.gauges],
        "conditions": [_condition(each, scene) for each in found.conditions],
        "common_window": {
            "gauge": None if common.gauge is None else _gauge(common.gauge, scene),
            "without_defect": common.without,
            "with_defect": common.with_defect,
            "conditions": common.conditions,
            "width_tolerance": scene.exposure.width_tolerance,
        },
        "window_nm": list(scene.window.box),
        "polygons": len(scene.window.polygons),
        "source_cells_across": found.source_points,
    }


def describe_repair(found: RepairVerification, scene: Scene) -> dict[str, Any]:
    """Return a verified repair as a document; its verdict is that of what was left."""
    before = describe_printability(found.before, scene)
    after = None if found.after is None else describe_printability(found.after, scene)
    return {
        "verdict": "does-not-print" if after is None else after["verdict"],
        "reason": found.reason,
        "outcome": found.outcome,
        "before": before,
        "after": after,
        "fraction": 0.0 if after is None else after["fraction"],
        "sigma": None if after is None else after["sigma"],
        "severity": 0.0 if after is None else after["severity"],
        "improvement": found.improvement,
        "improvement_sigma": found.improvement_sigma,
        "intensity_change": found.intensity_change,
        "largest_intensity_change": found.largest_intensity_change,
    }


def _condition(each: ConditionChange, scene: Scene) -> dict[str, Any]:
    return {
        "dose": each.dose,
        "defocus_nm": each.defocus_nm,
        "counted": each.counted,
        "fraction": each.fraction if _has_widths(each) else None,
        "edges_lost": each.lost,
        "topology": [_topology(change, scene) for change in each.topology],
        "gauge": None if each.worst is None else _change(each.worst, scene),
        "lowest_intensity": each.low_intensity,
        "highest_intensity": each.high_intensity,
    }


def _has_widths(each: ConditionChange) -> bool:
    """Say whether there is any feature near whose width could be measured."""
    return each.worst is not None or each.lost > 0


def _topology(change: TopologyChange, scene: Scene) -> dict[str, Any]:
    x, y = change.x_nm + scene.window.left_nm, change.y_nm + scene.window.bottom_nm
    return {"kind": change.kind, "phase": change.phase, "x_nm": x, "y_nm": y}


def _change(change: GaugeChange, scene: Scene) -> dict[str, Any]:
    return _gauge(change.gauge, scene) | {
        "width_change_nm": change.width_change_nm,
        "fraction": change.fraction,
        "edge_shifts_nm": [change.low_shift_nm, change.high_shift_nm],
        "on_defect": _touches(change.gauge, scene),
    }


def _gauge(gauge: Gauge, scene: Scene) -> dict[str, Any]:
    corner = (scene.window.left_nm, scene.window.bottom_nm)
    middle = (gauge.low_nm + gauge.high_nm) / 2 + corner[gauge.axis]
    across = gauge.at_nm + corner[1 - gauge.axis]
    x, y = (middle, across) if gauge.axis == 0 else (across, middle)
    return {
        "axis": AXES[gauge.axis],
        "x_nm": x,
        "y_nm": y,
        "phase": gauge.phase,
        "width_nm": gauge.width_nm,
    }


def _touches(gauge: Gauge, scene: Scene) -> bool:
    """Say whether the feature that is gauged has the defect within its edges along the line."""
    box = scene.defect_box()
    low, high = box[gauge.axis], box[gauge.axis + 2]
    return bool(low < gauge.high_nm and high > gauge.low_nm)
