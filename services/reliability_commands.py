"""The commands ``faultlight reliability …``: life data, rates, plans, offline; the work is in what each imports."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from services import report_commands, risk_commands
from services.offline_answers import JsonFlag, answer_offline

app = typer.Typer(help="Life data, failure rates, test plans.", no_args_is_help=True, add_completion=False)
app.add_typer(risk_commands.app, name="risk")
Files = Annotated[list[Path], typer.Argument(help="Tables of lifetimes: status, time_h, count, …")]
Confidence = Annotated[float, typer.Option(help="Of a one-sided upper bound, such as 0.6 or 0.9.")]
Level = Annotated[float, typer.Option(help="Of two-sided intervals.")]
Acceleration = Annotated[float, typer.Option(help="Hours of use for one hour under stress.")]


@app.command()
def fit(
    files: Files,
    model: Annotated[list[str] | None, typer.Option("--model", help="Compared; several; default: six.")] = None,
    hours: Annotated[float | None, typer.Option(help="By when units fail; default: the end of the data.")] = None,
    level: Level = 0.9,
    method: Annotated[str, typer.Option(help="likelihood-ratio or wald.")] = "likelihood-ratio",
    by_cause: Annotated[bool, typer.Option("--by-cause", help="Competing risks by the column mode.")] = False,
    bayes: Annotated[bool, typer.Option("--bayes", help="The posterior as well.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Fit life models to lifetimes and say how many units fail by when, with how sure that is."""
    from services.pipelines.reliability.life_data import fit_paths
    from services.pipelines.reliability.life_requests import ask
    from services.presentation.reliability import print_life

    def compute() -> dict[str, Any]:
        asked: dict[str, Any] = {"level": level, "method": method, "by_cause": by_cause, "bayes": bayes, "hours": hours}
        return fit_paths(files, ask(asked | ({"models": model} if model else {})))

    answer_offline(compute, print_life, as_json=as_json)


@app.command()
def rate(
    test: Annotated[
        list[str],
        typer.Option("--test", help="FAILURES,DEVICES,HOURS[,ACCELERATION[,MECHANISM]]; several, joined by mechanism."),
    ],
    confidence: Confidence = 0.6,
    sides: Annotated[str, typer.Option(help="one or two.")] = "one",
    mission_h: Annotated[float, typer.Option(help="Hours of use for ppm.")] = 87600.0,
    as_json: JsonFlag = False,
) -> None:
    """Bound the failure rate in FIT by chi-squared, mechanism by mechanism."""

    def compute() -> dict[str, Any]:
        from analysis.reliability.failure_rate import Exposure
        from services.pipelines.reliability.reliability_answers import answer_rate

        rows = [_test_row(each) for each in test]
        exposures = [
            Exposure(name, failures, devices * hours, factor) for failures, devices, hours, factor, name in rows
        ]
        return answer_rate(exposures, confidence, sides, mission_h)

    _answer(compute, as_json=as_json)


@app.command()
def elfr(
    test: Annotated[
        list[str],
        typer.Option("--test", help="FAILURES,DEVICES,HOURS[,ACCELERATION[,MECHANISM]]; several, joined by mechanism."),
    ],
    early_h: Annotated[float, typer.Option(help="Hours of use that are early life.")] = 4380.0,
    confidence: Confidence = 0.6,
    beta: Annotated[float, typer.Option(help="Weibull shape: 1 constant rate, below 1 decreasing.")] = 1.0,
    as_json: JsonFlag = False,
) -> None:
    """Bound the early-life failure rate in ppm."""

    def compute() -> dict[str, Any]:
        from analysis.reliability.failure_rate import EarlyLifeTest
        from services.pipelines.reliability.reliability_answers import answer_early_life

        rows = [_test_row(each) for each in test]
        tests = [
            EarlyLifeTest(failures, devices, hours, factor, name) for failures, devices, hours, factor, name in rows
        ]
        return answer_early_life(tests, early_h, confidence, beta)

    _answer(compute, as_json=as_json)


@app.command()
def accelerate(
    mechanism: Annotated[str | None, typer.Argument(help="arrhenius, electromigration, tddb-e, peck, …")] = None,
    use: Annotated[list[str] | None, typer.Option("--use", help="NAME=VALUE of use, such as temperature_c=55.")] = None,
    stress: Annotated[list[str] | None, typer.Option("--stress", help="NAME=VALUE under stress.")] = None,
    coefficient: Annotated[
        list[str] | None, typer.Option("--coefficient", help="NAME=VALUE or NAME=VALUE±ERROR (or +-), measured.")
    ] = None,
    fit_files: Annotated[
        list[Path] | None, typer.Option("--fit", help="Lifetimes under several stresses, instead of a mechanism.")
    ] = None,
    law: Annotated[str, typer.Option(help="Of --fit: arrhenius, inverse-power, peck, …")] = "arrhenius",
    family: Annotated[str, typer.Option(help="Of --fit: weibull, lognormal, loglogistic, exponential.")] = "lognormal",
    hours: Annotated[float | None, typer.Option(help="Of --fit: by when units fail under use.")] = None,
    boltzmann: Annotated[float, typer.Option(help="Boltzmann constant in eV/K.")] = 8.617333262e-5,
    zero_celsius: Annotated[float, typer.Option(help="0 C in kelvin.")] = 273.15,
    level: Level = 0.9,
    as_json: JsonFlag = False,
) -> None:
    """Say how much faster stress ages than use: from a mechanism's formula, or fitted to lifetimes."""

    def compute() -> dict[str, Any]:
        from analysis.reliability.acceleration import Constants
        from services.pipelines.reliability.reliability_answers import answer_acceleration, answer_law

        constants = Constants(boltzmann, zero_celsius)
        if fit_files:
            return answer_law(fit_files, law, family, _pairs(use), hours, constants, level)
        if mechanism is None:
            raise ValueError("name a mechanism, or give lifetimes with --fit")
        conditions = (_pairs(use), _pairs(stress))
        return answer_acceleration(mechanism, conditions, _measured(coefficient), constants, level)

    _answer(compute, as_json=as_json)


@app.command()
def plan(
    rate_fit: Annotated[float | None, typer.Option(help="Rate to be shown, FIT.")] = None,
    fraction: Annotated[float | None, typer.Option(help="Fraction defective to be shown (LTPD).")] = None,
    ppm: Annotated[float | None, typer.Option(help="Parts per million failing in the mission, to be shown.")] = None,
    test_h: Annotated[float | None, typer.Option(help="Hours of the test, with --ppm.")] = None,
    devices: Annotated[int | None, typer.Option(help="Devices to be had, with --ppm.")] = None,
    failures: Annotated[int, typer.Option(help="Failures that are allowed.")] = 0,
    confidence: Confidence = 0.9,
    acceleration: Acceleration = 1.0,
    beta: Annotated[float, typer.Option(help="Weibull shape assumed.")] = 1.0,
    mission_h: Annotated[float, typer.Option(help="Hours of use.")] = 87600.0,
    as_json: JsonFlag = False,
) -> None:
    """Say how many devices must be tested for how long, and what no test can show."""

    def compute() -> dict[str, Any]:
        from services.pipelines.reliability.reliability_answers import answer_plan

        question = {
            "rate_fit": rate_fit, "fraction": fraction, "ppm": ppm, "test_h": test_h, "devices": devices,
            "failures": failures,
        }  # fmt: skip
        return answer_plan(question, confidence, acceleration, beta, mission_h)

    _answer(compute, as_json=as_json)


@app.command(name="burn-in")
def burn_in(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Lifetimes that show the defects, instead of numbers.")
    ] = None,
    part: Annotated[float | None, typer.Option(help="Part of units with a defect.")] = None,
    eta_h: Annotated[float | None, typer.Option(help="Weibull scale of defective units, hours.")] = None,
    beta: Annotated[float | None, typer.Option(help="Weibull shape of defective units.")] = None,
    field_h: Annotated[float, typer.Option(help="Hours in the field that count.")] = 87600.0,
    acceleration: Acceleration = 1.0,
    hours: Annotated[float | None, typer.Option(help="Judge a burn-in of so many hours.")] = None,
    escapes_ppm: Annotated[float | None, typer.Option(help="Find the shortest burn-in for so many escapes.")] = None,
    cost: Annotated[str | None, typer.Option(help="FIXED,PER_HOUR,PER_ESCAPE[,PER_LOSS]: find the cheapest.")] = None,
    wear_out: Annotated[
        str | None, typer.Option(help="ETA_H,BETA,ACCELERATION of good units' wear-out; most of 10 % may be taken.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Weigh escapes of a burn-in against its cost and the life it takes of good units."""

    def compute() -> dict[str, Any]:
        from analysis.reliability.burn_in import BurnInPlan, Costs, Defects, WearOut
        from services.pipelines.reliability.reliability_answers import answer_burn_in, defects_from

        lifetimes: dict[str, Any] | None = None
        if files:
            defects, lifetimes = defects_from(files)
        elif part is None or eta_h is None or beta is None:
            raise ValueError("give lifetimes, or part, eta-h and beta of the defective units")
        else:
            defects = Defects(part, eta_h, beta)
        costs = Costs(*_numbers(cost, 3, 4)) if cost else None
        wear = WearOut(*_numbers(wear_out, 3, 3)) if wear_out else None
        return answer_burn_in(BurnInPlan(defects, field_h, acceleration, costs, wear), hours, escapes_ppm, lifetimes)

    _answer(compute, as_json=as_json)


@app.command()
def growth(
    times: Annotated[str, typer.Option(help="Failure times in system hours, comma-separated; or ends of intervals.")],
    end_h: Annotated[float | None, typer.Option(help="When the test ended; without it: at the last failure.")] = None,
    counts: Annotated[str | None, typer.Option(help="Failures in each interval: --times are their ends.")] = None,
    level: Level = 0.9,
    as_json: JsonFlag = False,
) -> None:
    """Say whether a repairable system gets better (Crow-AMSAA)."""

    def compute() -> dict[str, Any]:
        from services.pipelines.reliability.reliability_answers import answer_growth

        hours = _numbers(times, 1, 1_000_000)
        groups = (hours, [int(each) for each in _numbers(counts, 1, 1_000_000)]) if counts else None
        return answer_growth(hours, end_h, groups, level)

    _answer(compute, as_json=as_json)


@app.command()
def screen(
    files: Annotated[list[Path], typer.Argument(help="Testers' logs (STDF, ATDF) or wafer maps, of one product.")],
    only: Annotated[
        list[str] | None,
        typer.Option("--screen", help="part-average, neighbour-residual, bad-neighbourhood, stack, …; default: all."),
    ] = None,
    test: Annotated[list[str] | None, typer.Option("--test", help="Number or name of a test; default: all.")] = None,
    group: Annotated[str, typer.Option(help="Dynamic limits by wafer or lot.")] = "wafer",
    sigmas: Annotated[float, typer.Option(help="Robust sigmas from the median to a limit.")] = 6.0,
    quartiles: Annotated[str, typer.Option(help="linear, hazen, weibull or median_unbiased.")] = "linear",
    shape: Annotated[str, typer.Option(help="symmetric, asymmetric or by-skewness.")] = "symmetric",
    least_parts: Annotated[int, typer.Option(help="Fewer parts make no limit.")] = 30,
    threshold: Annotated[float, typer.Option(help="Failing neighbours that make a bad neighbourhood.")] = 4.0,
    together: Annotated[
        str, typer.Option(help="What is screened by several tests: readings, residuals, both.")
    ] = "both",
    labels: Annotated[
        Path | None, typer.Option(help="CSV of lot,wafer,part,defective: escapes and overkill of known parts.")
    ] = None,
    planted: Annotated[int, typer.Option(help="Outliers to plant in each test and group: simulated escapes.")] = 0,
    planted_sigmas: Annotated[float, typer.Option(help="Robust sigmas that planted parts are moved by.")] = 8.0,
    scores: Annotated[Path | None, typer.Option(help="Where the scores of every part go (Parquet).")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Find parts that passed and yet are outliers, by their readings and their neighbours."""
    from services.pipelines.reliability.screening import screen_paths
    from services.pipelines.reliability.screening_requests import ask_screen
    from services.presentation.screening import print_screening

    def compute() -> dict[str, Any]:
        asked: dict[str, Any] = {"group": group, "sigmas": sigmas, "quartiles": quartiles, "shape": shape}
        asked |= {"least_parts": least_parts, "fail_threshold": threshold, "tests": test or []}
        asked |= {"together": together}
        asked |= {"planted": planted, "planted_sigmas": planted_sigmas} | ({"screens": only} if only else {})
        return screen_paths(files, ask_screen(asked), labels, scores)

    answer_offline(compute, print_screening, as_json=as_json)


@app.command()
def degradation(
    files: Annotated[list[Path], typer.Argument(help="Readouts: device_id, time_h, parameter, value, unit, …")],
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", help="Name; several; default: all in the files.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Value that means failure; default: the limit in the rows.")
    ] = None,
    direction: Annotated[
        str | None, typer.Option(help="rising or falling towards it; default: away from where units start.")
    ] = None,
    horizon: Annotated[float | None, typer.Option(help="Hours to look ahead; default: 1.5 x the last readout.")] = None,
    use_temperature: Annotated[
        float | None, typer.Option(help="C of use: which part of a population passes, by Arrhenius.")
    ] = None,
    use_hours: Annotated[float, typer.Option(help="Hours of that use.")] = 87600.0,
    pseudo: Annotated[
        str | None, typer.Option(help="Pseudo-lifetimes by linear, exponential, power, logarithmic or lloyd-lipow.")
    ] = None,
    method: Annotated[list[str] | None, typer.Option("--method", help="To be tried; several; default: all.")] = None,
    level: Level = 0.9,
    columns: Annotated[
        str | None,
        typer.Option(help="Of a plain CSV: device=HEADING,time=HEADING,value=HEADING[,temperature=HEADING]."),
    ] = None,
    value_unit: Annotated[str, typer.Option(help="Of the value, with --columns.")] = "1",
    time_unit: Annotated[str, typer.Option(help="h, min, s or d, with --columns.")] = "h",
    as_json: JsonFlag = False,
) -> None:
    """Forecast drifting readouts, name their law, and say when each unit passes a threshold."""
    from services.pipelines.reliability.degradation import degradation_of_paths
    from services.pipelines.reliability.degradation_requests import ask_degradation
    from services.presentation.degradation import print_degradation

    def compute() -> dict[str, Any]:
        asked: dict[str, Any] = {"threshold": threshold, "direction": direction, "horizon_h": horizon, "level": level}
        asked |= {"use_temperature_c": use_temperature, "use_hours": use_hours, "pseudo": pseudo}
        asked |= {"parameters": parameter or []} | ({"methods": method} if method else {})
        headings = _headings(columns) if columns else None
        return degradation_of_paths(files, ask_degradation(asked), headings, (value_unit, time_unit))

    answer_offline(compute, print_degradation, as_json=as_json)


def _headings(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(separator and value.strip() for _, separator, value in pairs):
        raise ValueError(f"{text!r} is not device=HEADING,time=HEADING,value=HEADING")
    return {name.strip(): value.strip() for name, _, value in pairs}


app.command()(report_commands.report)
app.command()(report_commands.due)


def _answer(compute: Callable[[], dict[str, Any]], *, as_json: bool) -> None:
    """Answer with what JSON can hold: an infinite bound is none."""
    from services.presentation.reliability import print_answer

    def finite() -> dict[str, Any]:
        from services.pipelines.reliability.reliability_answers import finite_document

        document: dict[str, Any] = finite_document(compute())
        return document

    answer_offline(finite, print_answer, as_json=as_json)


def _numbers(text: str, least: int, most: int) -> list[float]:
    try:
        found = [float(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ValueError(f"{text!r} is not a list of numbers") from error
    if not least <= len(found) <= most:
        raise ValueError(f"{text!r} has {len(found)} numbers, {least} to {most} are needed")
    return found


def _test_row(text: str) -> tuple[int, int, float, float, str]:
    parts = [part.strip() for part in text.split(",")]
    if not 3 <= len(parts) <= 5:
        raise ValueError(f"a test is FAILURES,DEVICES,HOURS[,ACCELERATION[,MECHANISM]], not {text!r}")
    failures, devices, hours = _numbers(",".join(parts[:3]), 3, 3)
    if failures != int(failures) or devices != int(devices):
        raise ValueError(f"failures and devices are whole numbers, not {text!r}")
    factor = _numbers(parts[3], 1, 1)[0] if len(parts) > 3 else 1.0
    return int(failures), int(devices), hours, factor, parts[4] if len(parts) > 4 else "all"


def _pairs(texts: list[str] | None) -> dict[str, float]:
    found = {}
    for text in texts or ():
        name, separator, value = text.partition("=")
        if not separator:
            raise ValueError(f"{text!r} is not NAME=VALUE")
        found[name.strip()] = _numbers(value, 1, 1)[0]
    return found


def _measured(texts: list[str] | None) -> dict[str, Any]:
    from analysis.reliability.mechanisms import Measured

    found = {}
    for text in texts or ():
        name, _, value = text.replace("±", "+-").partition("=")
        centre, _, error = value.partition("+-")
        found[name.strip()] = Measured(_numbers(centre, 1, 1)[0], _numbers(error, 1, 1)[0] if error else 0.0)
    return found
