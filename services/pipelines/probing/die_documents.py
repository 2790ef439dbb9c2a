"""Where on the die, in the answer of a localization: mixtures by net, spots with their ellipses, the heat map."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.localization import overlay, spot_nets
from analysis.localization.mixture import Spot
from analysis.results import Localization, NetWeight, NextProbe, SpotReport, WaveformVerdict
from analysis.waveforms import unmixing
from analysis.waveforms.quality import assess_quality
from services.pipelines.probing.session_places import StageMap, ellipse_document, place_of_spot, stage_place

Places = Mapping[str, tuple[float, float]]


SURE_ABOVE = 0.9
"""Probability of being on its net below which a spot is doubted, where another net is likelier."""
STRANGE_BELOW = 0.01
"""Probability of a residual by chance below which it is told."""


def waveform_places(verdict: WaveformVerdict, spot: Spot | None) -> dict[str, Any]:
    """Return the mixture of a waveform by net, where its spot was, and what is doubtful about that."""
    return {
        "mixture": [_part(part) for part in verdict.mixture],
        "spot": _spot(verdict.spot, spot),
        "counted": not verdict.uncounted,
        "doubts": [*_not_counted(verdict), *([] if verdict.spot is None else _doubts(verdict.net, verdict.spot))],
    }


def _not_counted(verdict: WaveformVerdict) -> list[str]:
    told = f"{verdict.uncounted}, so that the waveform does not count for the suspects"
    return [told] if verdict.uncounted else []


def _doubts(net: str, report: SpotReport) -> list[str]:
    found = []
    first = report.nets[0] if report.nets else None
    if first is not None and first.net != net and report.on_net < SURE_ABOVE:
        found.append(
            f"the spot was rather on {first.net} ({first.probability:.2f}) than on {net} ({report.on_net:.2f}): "
            "probe again, or correct the session"
        )
    residual = report.residual
    if residual.p_stranger is not None and residual.p_stranger < STRANGE_BELOW:
        found.append(f"{residual.stranger} shows in the waveform and is not under the spot")
    return found


def _part(part: NetWeight) -> dict[str, Any]:
    return {"net": part.net, "weight": part.weight, "sigma": part.sigma, "low": part.low, "high": part.high}


def _spot(report: SpotReport | None, spot: Spot | None) -> dict[str, Any] | None:
    if report is None:
        return None
    residual = report.residual
    place = None if spot is None else place_of_spot(spot)
    return {
        "x_um": None if place is None else place.x_um,
        "y_um": None if place is None else place.y_um,
        "ellipse": None if place is None else ellipse_document(place),
        "p_on_net": report.on_net,
        "p_elsewhere": report.elsewhere,
        "nets": [{"net": item.net, "probability": item.probability} for item in report.nets],
        "swing": report.swing,
        "detector_tail": report.detector_tail,
        "residual": {
            "stranger": residual.stranger,
            "p_stranger": residual.p_stranger,
            "excess": residual.excess,
            "p_excess": residual.p_excess,
            "p_memory": residual.p_memory,
        },
    }


def candidate_place(net: str, places_um: Places) -> dict[str, float | None]:
    """Return the drain of ``net`` on the layout, micrometres; nothing known where it has no place."""
    x_um, y_um = places_um.get(net, (None, None))
    return {"x_um": x_um, "y_um": y_um}


def quality_document(net: str, values: NDArray[np.float64]) -> dict[str, Any]:
    """Return what is good or bad about the waveform ``values`` (shape ``(samples,)``) on ``net``."""
    quality = assess_quality(values)
    return {
        "net": net,
        "low_level": quality.low_level,
        "high_level": quality.high_level,
        "sample_noise": quality.noise,
        "sample_snr": quality.sample_snr if math.isfinite(quality.sample_snr) else None,
        "clipped_part": quality.clipped_part,
        "drift": quality.drift,
        "problems": list(quality.problems),
    }


def history_document(result: Localization) -> list[dict[str, Any]]:
    """Return what each waveform changed: the posterior of the fail log alone, and after each waveform more."""
    return [
        {
            "waveforms": step.waveforms,
            "net": step.net,
            "sites": [{"net": net, "posterior": posterior} for net, posterior in step.sites],
            "no_fault": step.no_fault,
            "unmodelled": step.unmodelled,
            "bits": step.bits,
        }
        for step in result.history
    ]


def time_offset_document(result: Localization) -> dict[str, float] | None:
    """Return how many cycles later than stated the waveforms come, how likely that is, and that they come as stated."""
    offset = result.time_offset
    if offset is None:
        return None
    return {"cycles": offset.cycles, "probability": offset.probability, "stated": offset.stated}


def next_probe(probe: NextProbe, stage: StageMap | None) -> dict[str, Any]:
    """Return ``probe`` with its place on the layout, and on the stage where ``stage`` is known."""
    return {
        "net": probe.net,
        "x_um": probe.x_um,
        "y_um": probe.y_um,
        "bits": probe.bits,
        "seconds": probe.seconds,
        "averages": probe.averages,
        **stage_place(probe.x_um, probe.y_um, stage),
    }


def heat_map_document(result: Localization, places_um: Places) -> dict[str, Any] | None:
    """Return the suspects of ``result`` on the placement; ``None`` where there is none, or nothing was localized."""
    found = overlay.heat_map(result.sites, places_um, result.no_fault) if result.sites else None
    if found is None:
        return None
    return {
        "x_um": found.x_um,
        "y_um": found.y_um,
        "cell_um": found.cell_um,
        "columns": found.columns,
        "rows": found.rows,
        "no_fault": found.no_fault,
        "unplaced": found.unplaced,
        "cells": [
            {
                "column": cell.column,
                "row": cell.row,
                "probability": cell.probability,
                "resembling": cell.resembling,
                "credible": cell.credible,
                "nets": list(cell.nets),
            }
            for cell in found.cells
        ],
    }


CONVENTIONS = {
    "mixture": "parts of the sum of absolute weights if the beam was near its place; mean, standard error, 95 %",
    "counted": "for the suspects; one whose stated place is not on its net, or sees too many nets, says nothing",
    "p_on_net": "that the net's drain was the nearest to the beam, given placement, ellipse and waveform",
    "ellipse": "one standard deviation; the alignment's error is in it, and common to all probes",
    "p_stranger": "that noise alone looks as much like a net that is not under the spot, all nets asked",
    "heat_map": "row 0 has the smallest y; credible is the smallest credible region that holds the cell",
}


def parameters() -> dict[str, Any]:
    """Return every constant that mixtures, spots and the map depend on."""
    return {
        "unmixing_ratios": [float(unmixing.RATIOS[0]), float(unmixing.RATIOS[-1]), int(unmixing.RATIOS.size)],
        "unmixing_draws": unmixing.DRAWS,
        "spot_hypotheses": spot_nets.MOST_HYPOTHESES,
        "spot_reach": spot_nets.REACH,
        "spot_sure_above": SURE_ABOVE,
        "stranger_below": STRANGE_BELOW,
        "detector_tails": [list(tail) for tail in spot_nets.TAILS],
        "heat_map_across": overlay.MOST_CELLS_ACROSS,
    }
