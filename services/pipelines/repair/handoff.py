"""Where the laser stops and the ion beam takes over: one function for ``faultlight repair handoff`` and the job."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from analysis.repair.ablation import OPTIMUM_RATIO, Law, Shot, depth_per_pulse, find_law, volume_per_pulse_um3
from analysis.repair.constants import ConstantTable
from analysis.repair.depth_model import DepthModel, MeasuredDepth, Scan, condition_on_depth, model_depth
from analysis.repair.handoff import (
    Handoff,
    Layer,
    WrongRuns,
    find_handoff,
    kinds_of_runs,
    probability_of_damage,
    simulate_depths,
)
from analysis.repair.margin import Margin, Surroundings, find_surroundings, floor_width, lateral_margin
from analysis.repair.milling import Beam, Milling, mill
from services.pipelines.repair.constant_table import describe_constants, make_table
from services.pipelines.repair.handoff_request import HandoffRequest, LaserPart, read_request
from services.pipelines.repair.repair_constants import SIMULATED, GivenConstant, read_constants
from services.pipelines.versions import HANDOFF_VERSION

_DRAWS = 2000
_ROUNDS = 6
_NORMAL_95 = 1.959964


def plan_path(request: Path, constants: Path | None = None) -> dict[str, Any]:
    """Return the plan for the question in the file ``request``, with the laboratory's file of ``constants``."""
    return plan_handoff(read_request(request), read_constants(constants) if constants is not None else ())


def plan_handoff(request: HandoffRequest, given: Sequence[GivenConstant] = ()) -> dict[str, Any]:
    """Return the answer of ``faultlight repair handoff --json``; the request's own constants come before ``given``.

    Raises:
        ValueError: of the types ``OutsideModel`` and ``ConstantsRefused`` among others: the numbers are in the message.
    """
    own = {item.key for item in request.constants}
    table = make_table([*(item for item in given if item.key not in own), *request.constants])
    wrong = WrongRuns(table["outlying_run_ratio"].value, table["outlying_run_scale"].value)
    around, layer, model, found = _find(request, table, wrong)
    law, shot = model.law, model.shot
    margin = lateral_margin(around, found.depth_um[0])
    times = _times(request, table, found, margin)
    either = _harm_of_either_run(model, (layer, around), found, wrong)
    flags = [
        *around.flags,
        *_flags(request, model, found),
        *_warn(wrong, found, either, model),
        *_unlearned(model, found),
        *_beyond(table, model, found),
        *times.pop("flags"),
    ]
    verdict = _verdict(request, found, times)
    if verdict == "fib-alone" and found.passes:
        flags.append("the ion beam alone is faster than laser, transfer and beam together")
    document = {
        "verdict": verdict,
        "material": request.material,
        "law": law.name,
        "handoff": {
            "passes": found.passes,
            "pulses_per_place": found.passes * model.pulses_per_pass,
            "depth_um": dict(zip(("median", "mean", "sigma"), found.depth_um, strict=True))
            | {"interval95": list(found.depth_interval_um)},
            "remaining_um": dict(zip(("mean", "sigma"), found.remaining_um, strict=True))
            | {"interval95": list(found.remaining_interval_um)},
            "p_damage": found.p_damage,
            "p_damage_next_pass": found.p_damage_next,
            **either,
            "bound": request.risk,
        },
        "pulse": _pulse(request, law, shot) | {"regime": around.regime},
        "margin_um": asdict(margin),
        "times": times,
        "doubt": _doubt(model, found),
        "monte_carlo": _monte_carlo(model, (layer, around), found, wrong) if found.passes else None,
        "flags": flags,
        "constants": describe_constants(table.used),
    }
    return document | {"provenance": _provenance(request, document)}


def _pulse(request: HandoffRequest, law: Law, shot: Shot) -> dict[str, Any]:
    """Return what the first pulse does to a place."""
    threshold = law.threshold_j_cm2.value
    return {
        "fluence_j_cm2": shot.fluence_j_cm2,
        "threshold_j_cm2": threshold,
        "fluence_over_threshold": shot.fluence_j_cm2 / threshold,
        "optimum_over_threshold": OPTIMUM_RATIO if law.strong is None and shot.profile == "gaussian" else None,
        "depth_nm": float(depth_per_pulse(law, np.asarray(shot.fluence_j_cm2), shot.profile)),
        "volume_um3": volume_per_pulse_um3(law, shot, request.laser.spot_um / 2),
        "crossing_j_cm2": law.crossing_j_cm2,
    }


def _find(
    request: HandoffRequest, table: ConstantTable, wrong: WrongRuns
) -> tuple[Surroundings, Layer, DepthModel, Handoff]:
    """Return the hand-off; the doubt from incubation is reckoned where it turns out to be, so it is found in rounds."""
    laser, layer = request.laser, Layer(request.layer.depth_um, request.layer.sigma_um)
    shot = Shot(laser.wavelength_nm, laser.pulse_s, _fluence(laser), laser.profile)
    law = find_law(table, request.material, shot)
    around = find_surroundings(table, request.material, shot, laser.walls)
    bent_at = float(request.most_passes)
    for _ in range(_ROUNDS):
        model = _model(request, table, (law, shot), bent_at)
        found = find_handoff(model, layer, around, request.risk, request.most_passes, wrong)
        if abs(found.passes - bent_at) <= 0.02 * bent_at:
            break
        bent_at = max(1.0, float(found.passes))
    return around, layer, model, found


def _model(request: HandoffRequest, table: ConstantTable, what: tuple[Law, Shot], bent_at: float) -> DepthModel:
    laser, (law, shot), part = request.laser, what, request.measured
    seen = None if part is None else MeasuredDepth(part.passes, part.depth_um, part.sigma_um)
    scan = Scan(laser.spot_um / 2, laser.pitch_x_um, laser.pitch_y_um, laser.pulses_per_pixel, laser.repetition_rate_hz)
    joined = table.find(f"laser.{law.name}.threshold_penetration_correlation")
    model = model_depth(
        law,
        shot,
        scan,
        fluence_log_sigma=table["fluence_log_sigma"].value,
        most_passes=request.most_passes + 1,
        correlation=0.0 if joined is None else joined.value,
        # A measurement is compared with the doubt of where it was made.
        bent_at=bent_at if seen is None else seen.passes,
    )
    if seen is None:
        return model
    return condition_on_depth(model, seen, bent_at)


def _fluence(laser: LaserPart) -> float:
    """Return the fluence; of a pulse's energy the peak, which for a Gaussian spot is twice the mean."""
    if laser.fluence_j_cm2 is not None:
        return laser.fluence_j_cm2
    assert laser.energy_uj is not None
    area_cm2 = math.pi * (laser.spot_um / 2 * 1e-4) ** 2
    return (2.0 if laser.profile == "gaussian" else 1.0) * laser.energy_uj * 1e-6 / area_cm2


def _verdict(request: HandoffRequest, found: Handoff, times: dict[str, Any]) -> str:
    if found.passes == 0:
        return "fib-alone"
    if request.measured is not None and found.passes < request.measured.passes:
        return "stop"
    total, alone = times["total_s"], times["fib_alone_s"]
    return "fib-alone" if total is not None and total >= alone else "hand-off"


def _times(request: HandoffRequest, table: ConstantTable, found: Handoff, margin: Margin) -> dict[str, Any]:
    """Return seconds and volumes of the laser, the beam after it, and the beam alone."""
    window, laser = request.window, request.laser
    area = window.x_um * window.y_um
    beam = Beam(request.fib.beam_na, request.fib.beam_kv, request.fib.species)
    alone = mill(table, request.material, area * request.layer.depth_um, beam)
    flags = []
    if found.passes == 0:
        rest, opening, laser_s = alone, None, 0.0
        doubt = alone.log_sigma
    else:
        rest, opening, doubt = _rest(request, table, found, margin)
        rate = laser.repetition_rate_hz
        pixels = opening[0] * opening[1] / (laser.pitch_x_um * laser.pitch_y_um)
        laser_s = None
        if rate is not None:
            pulses = pixels * laser.pulses_per_pixel * found.passes
            laser_s = pulses / rate * table["laser_overhead_ratio"].value
        else:
            flags.append("without a repetition rate the laser's time and the total are not known")
    transfer = table["transfer_s"].value if found.passes else 0.0
    total = None if laser_s is None else laser_s + transfer + rest.seconds
    return {
        "laser_s": laser_s,
        "transfer_s": transfer,
        "fib_s": rest.seconds,
        "fib_interval95_s": _interval(rest.seconds, doubt),
        "fib_volume_um3": rest.volume_um3,
        "fib_mass_ng": rest.mass_ng,
        "total_s": total,
        "fib_alone_s": alone.seconds,
        "fib_alone_interval95_s": _interval(alone.seconds, alone.log_sigma),
        "saved_ratio": None if total is None else alone.seconds / total,
        "opening_um": None if opening is None else list(opening),
        "flags": flags,
    }


def _rest(
    request: HandoffRequest, table: ConstantTable, found: Handoff, margin: Margin
) -> tuple[Milling, tuple[float, float], float]:
    """Return what is left to the beam, the laser's opening, and the doubt of the beam's time."""
    window, beam = request.window, Beam(request.fib.beam_na, request.fib.beam_kv, request.fib.species)
    if request.work == "access":
        # The margin on each side keeps heat and recast of the walls out of the window.
        opening = (window.x_um + 2 * margin.total_um, window.y_um + 2 * margin.total_um)
        rest = mill(table, request.material, window.x_um * window.y_um * found.remaining_um[0], beam)
        return rest, opening, math.hypot(rest.log_sigma, found.remaining_um[1] / found.remaining_um[0])
    taper = margin.taper_um / found.depth_um[0]
    floor_width(window.y_um, found.depth_um[0], math.degrees(math.atan(taper)))
    # The trench ends a margin before the section: the beam removes what lies between, down to the layer.
    rest = mill(table, request.material, margin.total_um * window.x_um * request.layer.depth_um, beam)
    return rest, (window.x_um, window.y_um), math.hypot(rest.log_sigma, margin.taper_sigma_um / margin.total_um)


def _interval(seconds: float, log_sigma: float) -> list[float]:
    """Return 95 % of a lognormal time."""
    factor = math.exp(_NORMAL_95 * log_sigma)
    return [seconds / factor, seconds * factor]


def _doubt(model: DepthModel, found: Handoff) -> dict[str, float] | None:
    """Return how much of the variance of the logarithm of the depth each cause brings, to first order."""
    if found.passes == 0 or model.measured is not None:
        return None
    middle, step = len(model.nodes) // 2, 1
    depth = model.curve.at(found.passes * model.pulses_per_pass)
    slope = 0.0
    if model.x_sigma and depth[middle - step] > 0 and depth[middle + step] > 0:
        run = model.nodes[middle + step] - model.nodes[middle - step]
        slope = math.log(depth[middle + step] / depth[middle - step]) / run
    law, threshold = model.law, model.law.threshold_j_cm2.log_sigma
    parts = {
        "threshold": (slope * threshold) ** 2,
        "fluence": slope**2 * max(0.0, model.x_sigma**2 - threshold**2),
        "penetration": law.penetration_nm.log_sigma**2,
        "run": law.run_scatter.value**2,
        "incubation": model.bent**2,
    }
    whole = math.fsum(parts.values())
    return {name: part / whole for name, part in parts.items()}


def _monte_carlo(
    model: DepthModel, there: tuple[Layer, Surroundings], found: Handoff, wrong: WrongRuns
) -> dict[str, Any]:
    drawn = simulate_depths(model, *there, found.passes, np.random.default_rng(0), _DRAWS, wrong)
    expected = probability_of_damage(model, *there, found.passes, wrong)
    error = max(drawn.p_standard_error, math.sqrt(expected * (1 - expected) / drawn.draws))
    agrees = abs(drawn.p_damage - expected) < 4 * error + 1 / drawn.draws
    agrees &= 0.8 < drawn.sigma_um / found.depth_um[2] < 1.25
    return asdict(drawn) | {"agrees": bool(agrees)}


def _flags(request: HandoffRequest, model: DepthModel, found: Handoff) -> list[str]:
    flags = []
    unverified = [
        constant.key
        for constant in (model.law.threshold_j_cm2, model.law.penetration_nm)
        if constant.label == "unverified"
    ]
    if unverified:
        flags.append(f"the depth rests on defaults without a source: {', '.join(unverified)}; learn them from runs")
    if model.shot.fluence_j_cm2 < 2 * model.law.threshold_j_cm2.value:
        flags.append("the fluence is below twice the threshold, where a small change of it changes the depth a lot")
    if found.passes and found.depth_um[2] > 0.3 * found.depth_um[1]:
        flags.append(
            f"the depth is known to {100 * found.depth_um[2] / found.depth_um[1]:.0f} % only: "
            "measure it after some passes, or learn the constants"
        )
    if request.measured is not None and found.passes < request.measured.passes:
        flags.append(f"{request.measured.passes} passes were already made: the bound was passed after {found.passes}")
    if found.passes == 0:
        flags.append(f"not even one pass keeps the probability of harm at or below {request.risk:g}")
    return flags


def _harm_of_either_run(
    model: DepthModel, there: tuple[Layer, Surroundings], found: Handoff, wrong: WrongRuns
) -> dict[str, float | None]:
    """Return the probability of harm of a run like the others and of one gone wrong, and that of the latter kind."""
    names = ("p_damage_like_run", "p_damage_outlying_run", "p_outlying_run")
    if found.passes == 0:
        return dict.fromkeys(names)
    part = kinds_of_runs(model, wrong)[1][0] if wrong.part else 0.0
    kinds = (model, model.of_scattered_run(wrong.times))
    harms = [probability_of_damage(kind, *there, found.passes) for kind in kinds]
    return dict(zip(names, [*harms, part], strict=True))


def _warn(wrong: WrongRuns, found: Handoff, either: Mapping[str, float | None], model: DepthModel) -> list[str]:
    """Say what keeps the plan back where that is the chance of a run gone wrong."""
    part, other = either["p_outlying_run"], either["p_damage_outlying_run"]
    if part is None or other is None or part * other <= found.p_damage / 2:
        return []
    advice = "a depth measured on the way tells" if model.measured is None else "a depth measured more exactly tells"
    return [
        f"most of the harm is that of a run gone wrong, of {wrong.times:g} times the others' scatter, which it is with "
        f"a probability of {100 * part:.2g} %: it then harms with a probability of {other:.2g}; "
        f"{advice}, and lets the laser go deeper"
    ]


def _unlearned(model: DepthModel, found: Handoff) -> list[str]:
    """Say that incubation, which decides on deep pits, was learned from nothing."""
    law = model.law
    if found.passes * model.pulses_per_pass <= 1 or "unverified" not in (law.incubation.label, law.floor_ratio.label):
        return []
    return [
        f"incubation is not learned: the threshold is taken to fall to {law.floor_ratio.value:g} of itself with the "
        f"exponent {law.incubation.value:g}, defaults without a source whose doubt is in the answer"
    ]


def _beyond(table: ConstantTable, model: DepthModel, found: Handoff) -> list[str]:
    """A law that was learned on shallow pits is stretched by a deep one."""
    seen = table.find(f"laser.{model.law.name}.depth_seen_um")
    if seen is None or found.depth_um[0] <= seen.value:
        return []
    return [f"{found.depth_um[0]:.3g} um is deeper than any run that the constants were learned from, {seen.value:.3g}"]


def _provenance(request: HandoffRequest, document: dict[str, Any]) -> dict[str, Any]:
    asked = request.model_dump_json()
    return {
        "algorithm": "logarithmic law with saturating incubation; probability of harm integrated on a grid",
        "algorithm_version": HANDOFF_VERSION,
        "inputs": [hashlib.sha256(asked.encode()).hexdigest()],
        "parameters": request.model_dump(mode="json", by_alias=True),
        "conventions": {
            "fluence": "at the middle of a Gaussian spot: twice the pulse's energy over the area of the 1/e2 radius",
            "margin": "HAZ + depth tan(taper) + 2 sigma of alignment + recast, at the median depth",
            "harm": "depth + roughness of the floor + HAZ reach the layer; the HAZ is taken below as beside the pit",
            "p_damage": "of a run of which nobody knows whether it goes wrong: of both kinds by their part, which a "
            "depth measured on the way moves by Bayes' rule",
            "interval": "95 %, two-sided",
        },
        "unverified_constants": [item["key"] for item in document["constants"] if item["label"] == "unverified"],
        "device": "cpu",
        "precision": "float64",
        "simulated": any(item["source"].endswith(SIMULATED) for item in document["constants"]),
    }
