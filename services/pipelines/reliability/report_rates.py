"""Failure rates of a report: FIT mechanism by mechanism, early life, and parts failing in the mission."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from analysis.reliability.acceleration import Constants
from analysis.reliability.errors import LifeDataError
from analysis.reliability.failure_rate import EarlyLifeTest, Exposure, early_life_rate, failure_rate
from analysis.reliability.mechanism_laws import MECHANISMS
from analysis.reliability.mechanisms import Measured, MechanismFactor, accelerate
from services.pipelines.reliability.report_requests import ReportContent, ReportedMechanism
from services.pipelines.reliability.report_tests import Condition, StressTest

LEFT_OVER = "of no listed mechanism"


@dataclass(frozen=True)
class RatedTest:
    """A test for one mechanism: its failures, and the factor to use, or why there is none."""

    test: StressTest
    failures: int
    factor: MechanismFactor | None
    refused: str


def factor_of(mechanism: ReportedMechanism, condition: Condition, content: ReportContent) -> MechanismFactor:
    """Return how much faster ``condition`` ages by ``mechanism`` than use does.

    Raises:
        LifeDataError: a condition or coefficient of its law is missing or impossible.
    """
    names = MECHANISMS[mechanism.law].conditions
    known = {name: value for name, value in vars(condition).items() if isinstance(value, float)}
    at_use = _join(mechanism.name, {"temperature_c": content.use_temperature_c}, mechanism.use)
    under_stress = _join(mechanism.name, known, mechanism.stress)
    strange = sorted((set(mechanism.use) | set(mechanism.stress)) - set(names))
    if strange:
        raise LifeDataError(f"{mechanism.law} has no condition {', '.join(strange)}")
    given = {name: Measured(each.value, each.standard_error) for name, each in mechanism.coefficients.items()}
    return accelerate(
        mechanism.law,
        {name: at_use[name] for name in names if name in at_use},
        {name: under_stress[name] for name in names if name in under_stress},
        given,
        constants_of(content),
        content.level,
    )


def _join(mechanism: str, told: Mapping[str, float], given: Mapping[str, float]) -> dict[str, float]:
    """Return the conditions ``told`` by the test and those ``given`` with ``mechanism``, which must not differ."""
    for name in sorted(told.keys() & given.keys()):
        if told[name] != given[name]:
            raise LifeDataError(f"{name} is {told[name]:g}, and {given[name]:g} with the mechanism {mechanism}")
    return {**told, **given}


def constants_of(content: ReportContent) -> Constants:
    """Return the conventions that ``content`` names."""
    return Constants(content.boltzmann_ev_per_k, content.zero_celsius_k)


def assign_failures(test: StressTest, mechanisms: Sequence[ReportedMechanism]) -> tuple[list[int], int]:
    """Return the failures of each mechanism in ``test``, and those of none."""
    by_mode = {mode.lower(): place for place, each in enumerate(mechanisms) for mode in each.modes}
    rest = next((place for place, each in enumerate(mechanisms) if not each.modes), None)
    found, left = [0] * len(mechanisms), 0
    for mode, number in test.modes.items():
        place = by_mode.get(mode.lower(), rest)
        if place is None:
            left += number
        else:
            found[place] += number
    return found, left


def only_mechanism(test: StressTest, content: ReportContent) -> ReportedMechanism:
    """Return the mechanism that all failures of ``test`` are of.

    Raises:
        LifeDataError: they are of several, which age differently, or of none that is listed.
    """
    found, left = assign_failures(test, content.mechanisms)
    own = [place for place, number in enumerate(found) if number]
    if left or len(own) != 1:
        names = ", ".join([content.mechanisms[place].name for place in own] + ([LEFT_OVER] if left else []))
        raise LifeDataError(
            f"the failures are of several mechanisms ({names}): one factor does not carry them to use"
            if own
            else f"the failures are {LEFT_OVER}"
        )
    return content.mechanisms[own[0]]


def rate_tests(tests: Sequence[StressTest], content: ReportContent, place: int) -> list[RatedTest]:
    """Return ``tests`` with factor and failures of the mechanism at ``place``."""
    found = []
    for test in tests:
        failures = assign_failures(test, content.mechanisms)[0][place]
        try:
            factor = factor_of(content.mechanisms[place], test.condition, content)
            found.append(RatedTest(test, failures, factor, ""))
        except LifeDataError as error:
            found.append(RatedTest(test, failures, None, str(error)))
    return found


def report_rates(tests: Sequence[StressTest], content: ReportContent) -> dict[str, Any]:
    """Return FIT and parts failing in the mission, mechanism by mechanism, from the tests of operating life."""
    chosen = [test for test in tests if test.purpose == "rate" and (test.device_hours > 0 or test.failures)]
    if not chosen:
        names = ", ".join(content.stresses.rate)
        return {"empty": f"No lifetimes are of a test of operating life ({names}): there is no rate to state."}
    rated = [rate_tests(chosen, content, place) for place in range(len(content.mechanisms))]
    left = sum(assign_failures(test, content.mechanisms)[1] for test in chosen)
    refused = [
        f"{mechanism.name}, {row.test.condition.label}: {row.refused}"
        for mechanism, rows in zip(content.mechanisms, rated, strict=True)
        for row in rows
        if row.factor is None
    ]
    refused += [f"{test.condition.label}: {test.no_rate}" for test in chosen if test.no_rate]
    if left:
        refused.append(f"{left} failures are {LEFT_OVER}: name their modes, or a mechanism without modes for the rest")
    exposures = [
        Exposure(mechanism.name, row.failures, row.test.device_hours, row.factor.factor.value)
        for mechanism, rows in zip(content.mechanisms, rated, strict=True)
        for row in rows
        if row.factor is not None
    ]
    document: dict[str, Any] = {
        "factors": [
            _factor_row(mechanism, row)
            for mechanism, rows in zip(content.mechanisms, rated, strict=True)
            for row in rows
            if row.factor is not None
        ],
        "refused": refused,
        "tests": [test.condition.label for test in chosen],
        "devices": sum(test.devices for test in chosen),
        "failures": sum(test.failures for test in chosen),
        "device_hours": sum(test.device_hours for test in chosen),
    }
    if refused:
        reason = "There is no total: a mechanism whose factor or failures are not known would be left out of it. "
        return document | {"empty": reason + "; ".join(refused) + "."}
    return document | _bounds(exposures, rated, content)


def _bounds(exposures: list[Exposure], rated: list[list[RatedTest]], content: ReportContent) -> dict[str, Any]:
    one_sided = [failure_rate(exposures, each, "one", content.mission_h) for each in content.confidences]
    two_sided = failure_rate(exposures, content.level, "two", content.mission_h)
    cautious = _at_low_factors(rated, content)
    shares = two_sided.total.fit.high
    mechanisms = []
    for place, rate in enumerate(two_sided.mechanisms):
        exposure = rate.exposure
        assert exposure is not None
        mechanisms.append(
            {
                "name": exposure.mechanism,
                "failures": exposure.failures,
                "equivalent_hours": exposure.equivalent_hours,
                "interval": asdict(rate.fit),
                "bounds": [asdict(each.mechanisms[place].fit) for each in one_sided],
                "share_of_bound": rate.fit.high / shares,
            }
        )
    return {
        "mechanisms": mechanisms,
        "interval": asdict(two_sided.total.fit),
        "bounds": [asdict(each.total.fit) for each in one_sided],
        "bound_at_low_factors": cautious,
        "mean_life_h": [each.total.mean_life_h for each in one_sided],
        "mission_h": content.mission_h,
        "mission": {
            "interval": asdict(two_sided.mission_ppm),
            "bounds": [asdict(each.mission_ppm) for each in one_sided],
        },
        "method": one_sided[0].total.fit.method,
    }


def _at_low_factors(rated: list[list[RatedTest]], content: ReportContent) -> dict[str, Any] | None:
    """The first bound with every factor at the low end of its interval; ``None`` where no factor has one."""
    if not any(row.factor is not None and row.factor.factor.log_sigma > 0 for rows in rated for row in rows):
        return None
    exposures = [
        Exposure(mechanism.name, row.failures, row.test.device_hours, row.factor.factor.low)
        for mechanism, rows in zip(content.mechanisms, rated, strict=True)
        for row in rows
        if row.factor is not None
    ]
    found = failure_rate(exposures, content.confidences[0], "one", content.mission_h)
    return asdict(found.total.fit) | {"mission_ppm": found.mission_ppm.high}


def _factor_row(mechanism: ReportedMechanism, row: RatedTest) -> dict[str, Any]:
    assert row.factor is not None
    factor, law = row.factor.factor, row.factor.mechanism
    return {
        "mechanism": mechanism.name,
        "condition": row.test.condition.label,
        "law": mechanism.law,
        "formula": law.formula,
        "source": law.source,
        "failures": row.failures,
        "device_hours": row.test.device_hours,
        "factor": factor.value,
        "low": factor.low if factor.log_sigma > 0 else None,
        "high": factor.high if factor.log_sigma > 0 else None,
        "level": factor.level,
        "coefficients": [
            {
                "name": name,
                "value": each.value,
                "standard_error": each.standard_error,
                "unit": law.coefficients[name].unit,
                "source": _source(mechanism, name, row.factor.sources[name]),
            }
            for name, each in row.factor.coefficients.items()
        ],
        "remark": law.remark,
    }


def _source(mechanism: ReportedMechanism, name: str, found: str) -> str:
    given = mechanism.coefficients.get(name)
    if given is None:
        return f"default: {found}"
    return given.source or "given, without a source"


def report_early_life(tests: Sequence[StressTest], content: ReportContent) -> dict[str, Any]:
    """Return the part that fails in early life, from the tests of it."""
    chosen = [test for test in tests if test.purpose == "early_life" and test.endings]
    if not chosen:
        names = ", ".join(content.stresses.early_life)
        return {"empty": f"No lifetimes are of a test of early life ({names})."}
    entries: list[EarlyLifeTest] = []
    refused = [f"{test.condition.label}: {test.no_part}" for test in chosen if test.no_part]
    for place, mechanism in enumerate(content.mechanisms):
        for row in rate_tests(chosen, content, place):
            if row.factor is None:
                refused.append(f"{mechanism.name}, {row.test.condition.label}: {row.refused}")
            else:
                entries += _early_life_tests(mechanism.name, row, row.factor.factor.value)
    left = sum(assign_failures(test, content.mechanisms)[1] for test in chosen)
    if left:
        refused.append(f"{left} failures are {LEFT_OVER}")
    if refused:
        return {"empty": "There is no early-life rate: " + "; ".join(refused) + "."}
    hours, beta = content.early_life.hours, content.early_life.beta
    found = [early_life_rate(entries, hours, each, beta) for each in content.confidences]
    return {
        "bounds": [asdict(each.ppm) for each in found],
        "parts": [
            {"mechanism": name, "bounds": [asdict(dict(each.parts)[name]) for each in found]}
            for name, _ in found[0].parts
        ],
        "hours": hours,
        "beta": beta,
        "tests": [test.condition.label for test in chosen],
        "devices": sum(test.devices for test in chosen),
        "failures": sum(test.failures for test in chosen),
        "method": found[0].ppm.method,
    }


def _early_life_tests(name: str, row: RatedTest, factor: float) -> list[EarlyLifeTest]:
    """Return the test by the hours that its devices were watched.

    With which hours a failure is told does not matter: failures and hours of a mechanism are added.
    """
    found, left = [], row.failures
    for hours, devices in row.test.endings:
        own = min(left, devices)
        left -= own
        found.append(EarlyLifeTest(own, devices, hours, factor, name))
    return found
