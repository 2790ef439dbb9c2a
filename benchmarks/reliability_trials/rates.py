"""Cases of numbers alone: acceleration factors, bounds, plans, priors, physics, growth, limits of outliers, paths."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
from scipy.special import ndtr

from analysis.reliability.burn_in import BurnInPlan, Defects, hours_for_remaining
from analysis.reliability.failure_rate import (
    EarlyLifeTest,
    Exposure,
    early_life_rate,
    failure_rate,
    fraction_bounds,
    poisson_bounds,
)
from analysis.reliability.growth import Growth, fit_grouped_growth, fit_growth
from analysis.reliability.mechanisms import Measured, accelerate, find_mechanism, scale_by_area
from analysis.reliability.test_planning import bayes_test_hours, gamma_prior, length_factor, sample_size
from analysis.screening.limits import LimitRule, QuartileRule, robust_limits
from benchmarks.reliability_trials.case import Case, Unsolved
from benchmarks.reliability_trials.life import Answer


def answer_growth(case: Case) -> Answer:
    """Fit the power law; words tell modified maximum likelihood, and the level of the interval."""
    level_named = re.search(r"(\d+)\s*%", case.words)
    level = float(level_named.group(1)) / 100 if level_named else 0.9
    lists = {str(key).lower(): value for key, value in case.extra.items() if isinstance(value, list)}
    if "counts" in lists:
        ends = next((lists[key] for key in ("interval_ends", "ends", "times", "t") if key in lists), None)
        if ends is None:
            raise Unsolved("counts without the ends of their intervals")
        growth = fit_grouped_growth(ends, lists["counts"], level)
    else:
        times = next((lists[key] for key in ("times", "failures", "failure_times", "t") if key in lists), None)
        if times is None:
            times = case.numbers("lo").tolist() if case.columns else None
        if times is None:
            raise Unsolved("no failure times")
        growth = fit_growth(times, case.given("T", "end", "test_end", "T_end"), level)
    modified = "modified" in case.words.lower() or "unbiased" in case.words.lower()
    values = growth_values(growth, modified=modified)

    def answer(name: str) -> float:
        if name.lower() not in values:
            raise Unsolved(f"growth has no {name}")
        return values[name.lower()]

    return answer


def growth_values(growth: Growth, *, modified: bool) -> dict[str, float]:
    """Return the numbers of a growth fit by the names that publications give them."""
    beta = growth.beta_unbiased if modified else growth.beta
    scale = growth.scale_unbiased if modified else growth.scale
    intensity = scale * beta * growth.end_h ** (beta - 1)
    reach = (growth.mean_time_low_h / growth.mean_time_h, growth.mean_time_high_h / growth.mean_time_h)
    values = {
        "beta": beta, "b": beta, "beta_mle": growth.beta, "beta_unbiased": growth.beta_unbiased, "beta_bar":
        growth.beta_unbiased, "lambda": scale, "lam": scale, "a": scale, "beta_growth": 1 - beta,
        "growth_rate": 1 - beta, "growth": 1 - beta, "intensity": intensity, "rocof": intensity,
        "mtbf": 1 / intensity, "dmtbf_i": 1 / intensity,
        "mtbf_i": 1 / intensity, "mtbf_inst": 1 / intensity, "dmtbf_c": growth.end_h / growth.failures, "mtbf_c":
        growth.end_h / growth.failures, "ml": reach[0] / intensity, "mu": reach[1] / intensity, "beta_lo":
        growth.beta_low, "beta_hi": growth.beta_high,
    }  # fmt: skip
    if growth.statistic is not None:
        values |= {"cvm": growth.statistic, "cramer_von_mises": growth.statistic, "c2": growth.statistic}
    return values


def answer_rates(case: Case) -> Answer:
    """Acceleration factors by temperature, and bounds by confidence."""

    def answer(name: str) -> float:
        temperature = re.fullmatch(r"(?:AF_?)?(-?\d+\.?\d*)_?C", name)
        if temperature:
            return _arrhenius(case, float(temperature.group(1)))
        found = re.fullmatch(r"(?:LTPD|upper)_(\d+)_(\d+)(?:pct)?", name)
        if found:
            return fraction_bounds(0, int(found.group(1)), int(found.group(2)) / 100).high
        if name.lower() in ("af", "acceleration"):
            return _factor(case)
        bound = re.fullmatch(r"(?i)factor_?(\d+)?|chi2.*", name)
        if bound:
            named = re.search(r"chi2\(\s*(0?\.\d+)\s*,\s*(\d+)\s*\)", case.words)
            level = float(bound.group(1)) / 100 if bound.group(1) else float(named.group(1)) if named else 0.6
            failures = (int(named.group(2)) - 2) // 2 if named else int(case.given("r", "f", "failures") or 0)
            return poisson_bounds(failures, level).high
        return _rate(case, name)

    return answer


def _rate(case: Case, name: str) -> float:
    found = re.fullmatch(
        r"(?i)(FIT|MTTF|MTBF|lambda|ELFR|ppm|DPPM|elfr_ppm|fit_upper|point_fit)(?:_?(\d+))?(?:pct)?(?:_ppm)?", name
    )
    if not found:
        raise Unsolved(f"{name} is no rate known here")
    level = float(found.group(2)) / 100 if found.group(2) else (case.given("CL", "confidence") or _percent(case))
    level = level / 100 if level > 1 else level
    failures = int(case.given("r", "f", "failures", "fails") or 0)
    said = re.search(r"(\d+)\s*h\b", case.words)
    devices = _devices(case)
    hours = case.given("t", "H", "hours", "test_h") or (float(said.group(1)) if said else case.need("t"))
    kind = found.group(1).lower()
    if kind in ("elfr", "ppm", "dppm", "elfr_ppm"):
        early = case.given("t_elf", "telf", "early_h", "t_ELF") or hours
        factor = _factor(case) if early != hours else 1.0
        beta = case.given("m", "beta") or 1.0
        return early_life_rate([EarlyLifeTest(failures, devices, hours, factor)], early, level, beta).ppm.high
    rate = failure_rate([Exposure("all", failures, devices * hours, _factor(case))], level)
    if kind == "point_fit":
        return rate.total.fit.point
    return rate.total.mean_life_h if kind in ("mttf", "mtbf") else rate.total.fit.high


def _percent(case: Case) -> float:
    found = re.search(r"(\d+)\s*%", case.words)
    return float(found.group(1)) / 100 if found else 0.6


def _devices(case: Case) -> int:
    named = case.given("N", "n", "units", "devices", "sample")
    lots = re.search(r"(\d+)\s*[x\u00d7]\s*(\d+)", case.words)
    if named is not None:
        return int(named)
    if lots:
        return int(lots.group(1)) * int(lots.group(2))
    raise Unsolved("the number of devices is not given")


def _temperatures(case: Case) -> tuple[float | None, float | None]:
    """Use and stress temperature in Celsius, as far as the case says."""
    use, stress = case.given("Tu", "T_use", "Tuse", "use_c"), case.given("Ts", "T_stress", "Tstress", "stress_c")
    arrow = re.search(r"(\d+)\s*(?:°?\s*C)?\s*(?:->|→|to)\s*(\d+)\s*°?\s*C", case.words)
    if arrow and use is None and stress is None:
        return float(arrow.group(2)), float(arrow.group(1))
    if use is None:
        found = re.search(r"to\s+(\d+)\s*°?\s*C\b", case.words)
        use = float(found.group(1)) if found else None
    if stress is None:
        found = re.search(r"(\d+)\s*°?\s*C\s+stress|stress\s*(?:at)?\s*(\d+)\s*°?\s*C", case.words)
        stress = float(found.group(1) or found.group(2)) if found else None
    return use, stress


def _arrhenius(case: Case, celsius: float) -> float:
    use, stress = _temperatures(case)
    if use is None and stress is None:
        raise Unsolved("neither temperature of use nor of stress is given")
    pair = (use, celsius) if use is not None else (celsius, stress)
    assert pair[0] is not None
    assert pair[1] is not None
    return _thermal(case, pair[0], pair[1])


def _thermal(case: Case, use_c: float, stress_c: float) -> float:
    energy = {"ea_ev": Measured(case.need("Ea", "ea_ev"))}
    return accelerate(
        "arrhenius", {"temperature_c": use_c}, {"temperature_c": stress_c}, energy, case.constants
    ).factor.value


def _factor(case: Case) -> float:
    named = case.given("AF", "Af", "acceleration")
    if named is not None and "arrhenius af +" not in case.model:
        return named
    use, stress = _temperatures(case)
    if use is None or stress is None:
        if named is None:
            raise Unsolved("neither the acceleration factor nor both temperatures are given")
        return named
    return _thermal(case, use, stress)


def answer_plan(case: Case) -> Answer:
    """Test lengths over the mean life, sample sizes, test hours."""

    def answer(name: str) -> float:
        found = re.fullmatch(r"r(\d+)_(\d+)", name)
        if found:
            return length_factor(int(found.group(1)), int(found.group(2)) / 100)
        if name.lower() in ("n", "sample_size", "devices"):
            part = case.given("fraction", "p", "LTPD", "ltpd")
            reliability = case.given("R", "reliability")
            part = part if part is not None else 1 - reliability if reliability is not None else None
            if part is None:
                raise Unsolved("no fraction to be shown")
            level = case.given("CL", "confidence") or _percent(case)
            return sample_size(part, level / 100 if level > 1 else level, int(case.given("r", "c", "failures") or 0))
        if name.lower() in ("t", "hours", "test_time", "device_hours"):
            life = case.given("MTBF", "MTTF", "mean_life")
            level = case.given("CL", "confidence") or _percent(case)
            if life is None:
                raise Unsolved("no mean life to be shown")
            return life * length_factor(int(case.given("r", "failures") or 0), level / 100 if level > 1 else level)
        return answer_rates(case)(name)

    return answer


def answer_bayes(case: Case) -> Answer:
    """Gamma prior of a constant rate, and the test it leaves to be done."""
    lives = {int(level): float(value) for level, value in re.findall(r"MTBF(\d+)\s*=\s*(\d+\.?\d*)", case.words)}
    a, b = case.given("prior_a", "a0"), case.given("prior_b", "b0")
    if 50 not in lives or len(lives) < 2:
        raise Unsolved(f"two quantiles of the mean life are needed, not {lives} ({a}, {b})")
    low = min(lives)
    prior = gamma_prior(lives[50], lives[low], low / 100)

    def answer(name: str) -> float:
        found = re.fullmatch(r"T_(\d+)h?_(\d+)pct_r(\d+)", name)
        if found:
            return bayes_test_hours(prior, float(found.group(1)), int(found.group(2)) / 100, int(found.group(3)))
        if name in ("a", "b"):
            return float(getattr(prior, name))
        raise Unsolved(f"a gamma prior has no {name}")

    return answer


def answer_burn_in(case: Case) -> Answer:
    """What a burn-in of given hours leaves, or the hours that leave what is given."""
    defects = Defects(case.need("p", "part"), case.need("eta", "alpha"), case.need("beta", "m"))
    plan = BurnInPlan(defects, case.given("t_field", "field_h", "t") or 87600.0, case.given("AF", "A") or 1.0)

    def answer(name: str) -> float:
        if name.lower() in ("tb", "burnin_h", "hours", "t_burn_in"):
            return hours_for_remaining(plan, 1e6 * case.need("remaining", "target"), of_all=True).hours
        judged = plan.judge(case.need("tb", "burnin_h", "hours"))
        found = {
            "remaining": judged.remaining_of_all_ppm / 1e6, "remaining_ppm": judged.remaining_of_all_ppm,
            "escapes": judged.escapes_ppm / 1e6, "escapes_ppm": judged.escapes_ppm, "d": judged.escapes_ppm / 1e6,
            "fallout": judged.fallout, "fallout_ppm": 1e6 * judged.fallout,
        }  # fmt: skip
        if name.lower() not in found:
            raise Unsolved(f"a burn-in has no {name}")
        return found[name.lower()]

    return answer


_STRESSES: Mapping[str, tuple[str, str, str]] = {
    "electromigration": ("current_density_a_per_cm2", "Ju", "Js"),
    "peck": ("humidity_percent", "RHu", "RHs"),
    "coffin-manson": ("temperature_swing_k", "dTu", "dTs"),
    "tddb-e": ("field_mv_per_cm", "Eu", "Es"),
    "tddb-inverse-e": ("field_mv_per_cm", "Eu", "Es"),
    "tddb-power": ("voltage_v", "Vu", "Vs"),
    "inverse-power": ("stress", "Vu", "Vs"),
    "temperature-voltage": ("voltage_v", "Vu", "Vs"),
    "hot-carrier": ("substrate_current_ua_per_um", "Iu", "Is"),
}
_WORDS = (
    ("black|electromigration", "electromigration"), ("peck|humidity", "peck"), ("coffin", "coffin-manson"),
    ("1/e", "tddb-inverse-e"), ("e-model|e model", "tddb-e"), ("tddb.*power|power.*tddb|v\\^-n", "tddb-power"),
    ("hot.?carrier|hci", "hot-carrier"), ("inverse power|ipl", "inverse-power"), ("voltage", "temperature-voltage"),
    ("eyring", "eyring"), ("arrhenius", "arrhenius"),
)  # fmt: skip
_COEFFICIENTS = {
    "ea_ev": ("Ea", "ea"), "n": ("n", "N"), "q": ("q", "m", "n", "exponent"), "gamma_cm_per_mv": ("gamma", "g"),
    "g_mv_per_cm": ("G",), "gamma_per_v": ("gamma", "B", "g"), "m": ("m",),
}  # fmt: skip


def answer_physics(case: Case) -> Answer:
    """A mechanism's factor, and the life and fraction failing that follow."""
    words = case.words.lower()
    kind = next((kind for pattern, kind in _WORDS if re.search(pattern, words)), None)
    if "area" in words and case.given("area_ratio", "A_ratio", "ratio") is not None:
        return lambda _name: scale_by_area(
            case.need("t", "t0", "life", "eta", "t63"),
            case.need("area_ratio", "A_ratio", "ratio"),
            case.need("beta", "m"),
        )
    if kind is None:
        raise Unsolved("no mechanism is named")
    mechanism = find_mechanism(kind)
    use: dict[str, float] = {}
    stress: dict[str, float] = {}
    if "temperature_c" in mechanism.conditions:
        use["temperature_c"], stress["temperature_c"] = case.need("Tu"), case.need("Ts")
    if kind in _STRESSES:
        name, at_use, at_stress = _STRESSES[kind]
        use[name], stress[name] = case.need(at_use), case.need(at_stress)
    given = {
        name: Measured(value)
        for name in mechanism.coefficients
        if (value := case.given(*_COEFFICIENTS.get(name, (name,)))) is not None
    }
    factor = accelerate(kind, use, stress, given, case.constants).factor.value

    def answer(name: str) -> float:
        if name.lower() in ("af", "factor", "acceleration"):
            return factor
        stressed = case.given("T50s", "T50_stress", "t50", "median", "ttf", "TTF")
        if stressed is None:
            raise Unsolved(f"no life under stress is given for {name}")
        if name.lower() in ("t50_use", "t50u", "ttf_use", "life_use"):
            return factor * stressed
        if name in ("F", "F_use", "fraction"):
            return float(ndtr(np.log(case.need("t") / (factor * stressed)) / case.need("sigma")))
        if name in ("ppm", "F_ppm"):
            return float(1e6 * ndtr(np.log(case.need("t") / (factor * stressed)) / case.need("sigma")))
        raise Unsolved(f"{kind} has no {name}")

    return answer


def answer_outlier_limits(case: Case) -> Answer:
    """Robust limits of a part average test; the quantile rule is the one named, numpy's default otherwise."""
    values = np.asarray(case.extra.get("x"), float)
    if values.ndim != 1 or not values.size:
        raise Unsolved("no measurements are given")
    named = re.search(r"quartiles?[:= ]+(linear|hazen|weibull|median_unbiased)", case.model)
    rule = named.group(1) if named else "linear"
    # Published examples are small; the service itself asks for 30 parts.
    limits = robust_limits(values, LimitRule(quartiles=cast(QuartileRule, rule), least_parts=4))
    found = {
        "robust_mean": limits.centre, "robust_sigma": limits.sigma_low, "lpl": limits.low, "upl": limits.high,
        "rejects": float(limits.outside(values).sum()),
    }  # fmt: skip
    return lambda name: float(found[name.lower()])


def answer_paths(case: Case) -> Answer:
    """When straight paths of degradation reach the threshold that the title names."""
    threshold = re.search(r"at\s+(\d+\.?\d*)\s*%", case.words)
    path = _path_file(case)
    if threshold is None or path is None:
        raise Unsolved("the measured paths or the threshold are not there")
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    heads = [head.lower() for head in rows[0]]
    unit, time, value = (
        _column(heads, names)
        for names in (("unit", "id"), ("hour", "time", "t"), ("current", "percent", "y", "value", "increase"))
    )
    paths: dict[str, list[tuple[float, float]]] = {}
    for row in rows[1:]:
        paths.setdefault(row[unit], []).append((float(row[time]), float(row[value])))
    crossed = []
    for points in paths.values():
        slope, level = np.polyfit(*np.asarray(points).T, 1)
        crossed.append((float(threshold.group(1)) - level) / slope)
    return lambda _name: crossed


def _column(heads: list[str], names: tuple[str, ...]) -> int:
    for name in names:
        for place, head in enumerate(heads):
            if head.startswith(name) or (len(name) > 2 and name in head):
                return place
    raise Unsolved(f"no column like {names[0]} in the paths")


def _path_file(case: Case) -> Path | None:
    named = re.search(r"[\w/]+_paths\.csv", case.words)
    if named and (case.folder / named.group(0)).is_file():
        return case.folder / named.group(0)
    words = set(re.findall(r"[a-z]+", case.words.lower()))
    for path in sorted((case.folder.parent / "degradation").glob("*.csv")):
        # A file called gaaslaser.csv belongs to a title with the words GaAs and laser.
        if any(first + second == path.stem.lower() for first in words for second in words):
            return path
    return None
