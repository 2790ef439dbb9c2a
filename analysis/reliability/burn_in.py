"""Burn-in: how many latent defects escape, what it costs, and what it takes of the good devices' life.

A part ``p`` of the units has a defect and dies by a Weibull law; burn-in for ``t`` hours ages them by ``A t`` hours of
use. Of the units shipped, those fail in the field that would have died between ``A t`` and ``A t`` plus the field time
(Meeker, Technometrics 29, 1987; Kuo & Kuo, Proc. IEEE 71, 1983). The good units age too: a burn-in that uses up more
than a stated part of their wear-out life is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from analysis.reliability import jets
from analysis.reliability.distributions import Mixture, Moments
from analysis.reliability.errors import LifeDataError
from analysis.reliability.fitting import LifeFit
from analysis.reliability.intervals import Interval, interval_of
from analysis.reliability.jets import Floats, Jet


@dataclass(frozen=True)
class Defects:
    """Units with a latent defect.

    Attributes:
        part: of all units, between 0 and 1.
        eta_h, beta: Weibull life in hours under the conditions of ``acceleration`` 1.
    """

    part: float
    eta_h: float
    beta: float

    def dead(self, hours: float) -> float:
        """Return the probability that a defective unit is dead after ``hours``."""
        return float(-np.expm1(-((hours / self.eta_h) ** self.beta)))

    def alive(self, hours: float) -> float:
        """Return the probability that a defective unit is alive after ``hours``."""
        return float(np.exp(-((hours / self.eta_h) ** self.beta)))

    def check(self) -> None:
        """Refuse impossible numbers.

        Raises:
            LifeDataError: a number is impossible.
        """
        if not (0 < self.part < 1 and self.eta_h > 0 and self.beta > 0 and np.isfinite(self.eta_h * self.beta)):
            raise LifeDataError("a defective part lies between 0 and 1; its Weibull scale and shape are above 0")


@dataclass(frozen=True)
class WearOut:
    """Life of good units, and what of it a burn-in may take.

    Attributes:
        eta_h, beta: Weibull life in hours of use.
        acceleration: of the burn-in for wear-out, which need not be that for defects.
        early_fraction: fraction failed whose time is the intrinsic life.
        most_consumed: part of that time that a burn-in may take.
    """

    eta_h: float
    beta: float
    acceleration: float
    early_fraction: float = 1e-4
    most_consumed: float = 0.1

    @property
    def intrinsic_h(self) -> float:
        """Hours of use after which ``early_fraction`` of the good units are worn out."""
        return float(self.eta_h * (-np.log1p(-self.early_fraction)) ** (1 / self.beta))

    def consumed(self, burn_in_h: float) -> float:
        """Return the part of the intrinsic life that ``burn_in_h`` hours of burn-in take."""
        return self.acceleration * burn_in_h / self.intrinsic_h


@dataclass(frozen=True)
class Costs:
    """Costs in one currency.

    Attributes:
        fixed: of any burn-in at all, per unit.
        per_hour: per unit and hour of burn-in.
        per_escape: of one unit that fails in the field.
        per_loss: of a unit that dies in burn-in.
    """

    fixed: float
    per_hour: float
    per_escape: float
    per_loss: float = 0.0


@dataclass(frozen=True)
class BurnIn:
    """What a burn-in does.

    Attributes:
        hours: of burn-in.
        fallout: part of all units that dies in it.
        escapes_ppm: parts per million of the units shipped that fail in the field time from their defect.
        remaining_ppm: parts per million of the units shipped that still have a defect.
        remaining_of_all_ppm: those, per million units that went into burn-in (Meeker 1987).
        cost: per unit; ``None`` without costs.
        consumed: part of the good units' intrinsic life that it takes; ``None`` where wear-out is not given.
    """

    hours: float
    fallout: float
    escapes_ppm: float
    remaining_ppm: float
    remaining_of_all_ppm: float
    cost: float | None
    consumed: float | None


@dataclass(frozen=True)
class BurnInPlan:
    """Conditions that a burn-in is judged under.

    Attributes:
        defects: the units with a latent defect, their life in hours of use.
        field_h: hours in the field that count.
        acceleration: hours of use for one hour of burn-in, for defects.
        costs: of it; ``None`` where only escapes count.
        wear_out: of good units; ``None`` where it is not known, which results say.
    """

    defects: Defects
    field_h: float
    acceleration: float
    costs: Costs | None = None
    wear_out: WearOut | None = None

    def judge(self, hours: float) -> BurnIn:
        """Return what ``hours`` of burn-in do.

        Raises:
            LifeDataError: a number is impossible.
        """
        self.defects.check()
        if not (hours >= 0 and self.field_h > 0 and self.acceleration > 0):
            raise LifeDataError("burn-in hours are not below 0; field hours and acceleration are above 0")
        part, aged = self.defects.part, self.acceleration * hours
        fallout = part * self.defects.dead(aged)
        # Differences of exponentials, without cancellation where a device hardly ages.
        more = (((aged + self.field_h) / self.defects.eta_h) ** self.defects.beta) - (
            (aged / self.defects.eta_h) ** self.defects.beta
        )
        late = self.defects.alive(aged) * float(-np.expm1(-more))
        escapes = part * late / (1 - fallout)
        remaining = part * self.defects.alive(aged) / (1 - fallout)
        cost = None
        if self.costs is not None:
            paid = (self.costs.fixed if hours > 0 else 0.0) + self.costs.per_hour * hours
            cost = paid + self.costs.per_escape * escapes * (1 - fallout) + self.costs.per_loss * fallout
        consumed = None if self.wear_out is None else self.wear_out.consumed(hours)
        of_all = 1e6 * part * self.defects.alive(aged)
        return BurnIn(hours, fallout, 1e6 * escapes, 1e6 * remaining, of_all, cost, consumed)

    def longest_h(self) -> float:
        """Return the hours of burn-in that wear-out allows; infinite where wear-out is not given."""
        wear = self.wear_out
        return np.inf if wear is None else wear.most_consumed * wear.intrinsic_h / wear.acceleration


def hours_for_remaining(plan: BurnInPlan, remaining_ppm: float, *, of_all: bool = False) -> BurnIn:
    """Return the burn-in of ``plan`` after which ``remaining_ppm`` of the units shipped still have a defect.

    With ``of_all`` they are counted per unit that went into burn-in, as Meeker (1987) does.

    Raises:
        LifeDataError: it takes more of the good units' life than the plan allows, or a number is impossible.
    """
    return _shortest(plan, "remaining_of_all_ppm" if of_all else "remaining_ppm", remaining_ppm)


def hours_for_escapes(plan: BurnInPlan, escapes_ppm: float) -> BurnIn:
    """Return the shortest burn-in of ``plan`` that lets at most ``escapes_ppm`` through.

    Raises:
        LifeDataError: it takes more of the good units' life than the plan allows, or a number is impossible.
    """
    return _shortest(plan, "escapes_ppm", escapes_ppm)


def _shortest(plan: BurnInPlan, quantity: str, target_ppm: float) -> BurnIn:
    if not target_ppm > 0:
        raise LifeDataError("parts per million are above 0: no burn-in removes every defect")
    none = plan.judge(0.0)
    if getattr(none, quantity) <= target_ppm:
        return none
    # Log time from a billionth of the defects' scale: escapes of a rising hazard first grow with burn-in.
    grid = np.log(plan.defects.eta_h / plan.acceleration) + np.linspace(-25, 25, 4001)
    values = np.asarray([getattr(plan.judge(float(np.exp(each))), quantity) for each in grid])
    good = np.flatnonzero(values <= target_ppm)
    if not good.size:
        raise LifeDataError(f"no burn-in brings {quantity.replace('_', ' ')} down to {target_ppm:g}")
    place = int(good[0])
    if place == 0:
        found = float(np.exp(grid[0]))
    else:
        found = float(
            np.exp(
                brentq(
                    lambda log_h: np.log(getattr(plan.judge(float(np.exp(log_h))), quantity) / target_ppm),
                    grid[place - 1],
                    grid[place],
                    xtol=1e-14,
                )
            )
        )
    _check_wear(plan, found)
    return plan.judge(found)


def cheapest(plan: BurnInPlan) -> BurnIn:
    """Return the burn-in of ``plan`` with the least cost, none at all among them, within what wear-out allows.

    Raises:
        LifeDataError: the plan has no costs, or a number is impossible.
    """
    costs = plan.costs
    if costs is None:
        raise LifeDataError("the cheapest burn-in needs costs: per hour, per escape")
    if not min(costs.fixed, costs.per_hour, costs.per_escape, costs.per_loss) >= 0 or not costs.per_hour > 0:
        raise LifeDataError("costs are not below 0, and an hour of burn-in costs something")
    none = plan.judge(0.0)
    longest = min(plan.longest_h(), max(none.cost or 0.0, 1e-12) / costs.per_hour)
    grid = longest * np.geomspace(1e-9, 1.0, 400)
    values = [plan.judge(float(hours)).cost or 0.0 for hours in grid]
    best = int(np.argmin(values))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
    found = minimize_scalar(
        lambda log_h: plan.judge(float(np.exp(log_h))).cost,
        bounds=(np.log(low), np.log(high)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    candidates = [none, plan.judge(float(np.exp(found.x))), plan.judge(float(grid[best]))]
    return min(candidates, key=lambda each: each.cost if each.cost is not None else np.inf)


def _check_wear(plan: BurnInPlan, hours: float) -> None:
    if hours > plan.longest_h():
        wear = plan.wear_out
        raise LifeDataError(
            f"{hours:.4g} h of burn-in would take {100 * (wear.consumed(hours) if wear else 0):.3g} % of the good "
            f"units' intrinsic life; at most {plan.longest_h():.4g} h are allowed"
        )


def defects_of(fit: LifeFit) -> Defects:
    """Return the defective units of ``fit``, of the model ``defective-weibull``.

    Raises:
        LifeDataError: the fit is of another model.
    """
    if not isinstance(fit.model, Mixture) or fit.model.second is not None or fit.model.first.family != "weibull":
        raise LifeDataError(f"burn-in needs a defective-weibull fit, not {fit.model.name}")
    named = fit.natural()
    return Defects(named["p"][0], named["eta_h"][0], named["beta"][0])


def failing_between(fit: LifeFit, begin_h: float, end_h: float, level: float = 0.9) -> Interval:
    """Return the probability that a unit alive at ``begin_h`` has failed by ``end_h`` under ``fit``, with its interval.

    Likelihood ratio, two-sided ``level``: of the units that a burn-in of ``begin_h`` hours has left, the escapes.

    Raises:
        LifeDataError: the hours are not in order, or the interval is not found.
    """
    if not 0 <= begin_h < end_h < np.inf:
        raise LifeDataError(f"hours must grow from 0 on, not from {begin_h:g} to {end_h:g}")
    begin, end = Moments.at([begin_h]), Moments.at([end_h])

    def log_hazard(theta: Sequence[Jet]) -> Jet:
        later = fit.model.hazards(theta, end)[1]
        return jets.log(later - fit.model.hazards(theta, begin)[1] if begin_h > 0 else later)

    return interval_of(fit, log_hazard, level).through(lambda value: float(-np.expm1(-np.exp(min(value, 700.0)))))


def remaining_defects(fit: LifeFit, hours: Floats) -> Floats:
    """Return the part of units still alive at ``hours``, ``(n,)``, that carry a defect, by a defective ``fit``.

    float64 of shape ``(n,)``.
    """
    defects = defects_of(fit)
    total = fit.model.hazards(jets.variables(fit.maximum.theta), Moments.at(hours))[1].value
    return np.asarray([defects.part * defects.alive(float(hour)) for hour in hours] / np.exp(-total))
