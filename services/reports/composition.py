"""From a report's document to its sections: scorecard, tests, rates, mechanisms, life distributions."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.pipelines.reliability.report_scorecard import figure, hours, percent
from services.reports.composition_of_records import (
    burn_in_section,
    conventions_section,
    excursions_section,
    field_section,
    freeze_section,
    inputs_section,
    latent_risk_section,
    screening_section,
)
from services.reports.pages import Block, Facts, Figure, Grid, Paragraph, Report, Section
from services.reports.probability_plot import HEIGHT_MM, WIDTH_MM, draw_probability_plot

_PURPOSES = {"rate": "operating life", "early_life": "early life", "burn_in": "burn-in", "other": "other"}


def compose_report(document: Mapping[str, Any]) -> Report:
    """Return the report that ``document`` (:mod:`services.pipelines.reliability.report_document`) tells."""
    sections = [
        scorecard_section(document),
        tests_section(document),
        rates_section(document),
        mechanisms_section(document),
        life_section(document),
        screening_section(document),
        burn_in_section(document),
        latent_risk_section(document),
        field_section(),
        excursions_section(document),
        conventions_section(document),
        freeze_section(document),
        inputs_section(document),
    ]
    return Report(
        title=document["title"],
        subtitle=[
            f"Program {document['program']}",
            f"Period {_words(document['period_from'])} to {_words(document['freeze_at'])}; data frozen at its end",
            f"Faultlight {document['provenance']['code_version']}, {document['provenance']['algorithm']}",
        ],
        label="SIMULATED DATA" if document["simulated"] else "",
        foot=f"{document['title']} · {document['program']} · inputs {document['inputs_sha256'][:16]}",
        sections=sections,
    )


def _words(moment: str) -> str:
    return moment.replace("T", " ").replace(":00Z", " UTC").replace("Z", " UTC")


def scorecard_section(document: Mapping[str, Any]) -> Section:
    """Return the scorecard: each headline number, its target, its verdict and its trend."""
    numbers = {name: place for place, name in enumerate(_SECTION_NAMES, 1)}
    rows = [
        [
            row["label"],
            row["text"],
            figure(row["target"]) if row["target"] is not None else "none",
            row["verdict"],
            row["trend"]["text"],
            f"{numbers[row['section']]}",
        ]
        for row in document["scorecard"]
    ]
    previous = document["previous"]
    since = (
        "There is no report before this one."
        if previous is None
        else f"Trend: against the report with data to {_words(previous['freeze_at'])}."
    )
    blocks: list[Block] = [
        Grid(("Quantity", "Value", ">Target", "Verdict", "Trend", "§"), rows, (23, 35, 9, 12, 16, 5), marked=3),
        Paragraph(
            f"{since} A target is met when the first upper bound keeps it, missed when the estimate exceeds it, and "
            "not shown in between: too few devices to tell. Without failures a bound is all there is.",
            "note",
        ),
    ]
    return Section("scorecard", "Scorecard", blocks)


_SECTION_NAMES = (
    "scorecard", "tests", "rates", "mechanisms", "life", "screening", "burn_in", "latent_risk", "field", "excursions",
    "conventions", "freeze", "inputs",
)  # fmt: skip


def tests_section(document: Mapping[str, Any]) -> Section:
    """Return the stress tests: lots, devices, hours and failures by readout."""
    tests = document["sections"]["tests"]
    if not tests:
        return Section("tests", "Stress tests", [Paragraph("There are no lifetimes in this report.", "warning")])
    rows = [
        [
            test["condition"],
            _PURPOSES[test["purpose"]],
            test["lots_text"],
            f"{test['devices']:,}",
            figure(test["hours"]),
            figure(test["device_hours"]),
            f"{test['failures']:,}",
            _by_readout(test),
        ]
        for test in tests
    ]
    columns = ("Condition", "Purpose", "Lots", ">Devices", ">Hours", ">Device h", ">Failed", "Failed by (h)")
    blocks: list[Block] = [
        Grid(columns, rows, (20, 11, 14, 9, 8, 10, 8, 20)),
        Paragraph(
            "Device hours end when a device was last known to be alive: a failure found at a readout counts the hours "
            "to the readout before, so that rates are not understated.",
            "note",
        ),
        *(Paragraph(f"{test['condition']}: {test['remark']}.", "warning") for test in tests if test["remark"]),
    ]
    return Section("tests", "Stress tests", blocks)


def _by_readout(test: Mapping[str, Any]) -> str:
    if test["readouts_refused"]:
        return f"not by readout: {test['readouts_refused']}"
    steps = test["readouts"]
    if not steps:
        return "none"
    told = [f"{step['hours']:g}: {step['failures']}" for step in steps[:8]]
    return ", ".join(told) + (f" and {len(steps) - 8} more times" if len(steps) > 8 else "")


def rates_section(document: Mapping[str, Any]) -> Section:
    """Return FIT, parts failing in the mission, and early life."""
    rates, early = document["sections"]["rates"], document["sections"]["early_life"]
    question = document["question"]
    blocks: list[Block] = []
    if "empty" in rates:
        blocks.append(Paragraph(rates["empty"], "warning"))
    else:
        blocks += _rate_blocks(rates, question)
    if "empty" in early:
        blocks.append(Paragraph(f"Early life: {early['empty']}", "warning"))
    else:
        rows = [
            [f"early life, {hours(early['hours'])} h of use", *_bound_cells(early["bounds"])],
            *([f"  {part['mechanism']}", *_bound_cells(part["bounds"])] for part in early["parts"]),
        ]
        counts = f"{early['failures']} failures of {early['devices']:,} devices in {', '.join(early['tests'])}"
        blocks.append(Grid(("ppm", ">Seen", *_bound_heads(early["bounds"])), rows, _bound_widths(early["bounds"])))
        blocks.append(Paragraph(f"{counts}; {early['method']}.", "note"))
    blocks.append(Paragraph(document["demonstration"], "note"))
    return Section("rates", "Failure rates", blocks)


def _rate_blocks(rates: Mapping[str, Any], question: Mapping[str, Any]) -> list[Block]:
    interval, mission = rates["interval"], rates["mission"]
    level = percent(question["level"])
    rows = [
        [
            "FIT",
            _seen(interval),
            _between(interval),
            *(f"≤ {figure(each['high'])}" for each in rates["bounds"]),
        ],
        [
            f"ppm in {hours(rates['mission_h'])} h",
            _seen(mission["interval"]),
            _between(mission["interval"]),
            *(f"≤ {figure(each['high'])}" for each in mission["bounds"]),
        ],
        ["mean life, h, at the bound", "", "", *(f"≥ {figure(each)}" for each in rates["mean_life_h"])],
    ]
    heads = _bound_heads(rates["bounds"])
    counts = (
        f"{rates['failures']} failures in {figure(rates['device_hours'])} device hours of {rates['devices']:,} devices "
        f"({', '.join(rates['tests'])}), at {question['use_temperature_c']:g} °C of use. {rates['method']}."
    )
    blocks: list[Block] = [
        Grid(("Rate", ">Seen", f">{level} interval", *heads), rows, (28, 14, 22, *(16 for _ in heads))),
        Paragraph(counts, "note"),
    ]
    cautious = rates["bound_at_low_factors"]
    if cautious is not None:
        blocks.append(
            Paragraph(
                f"With every acceleration factor at the low end of its {level} interval: at most "
                f"{figure(cautious['high'])} FIT, {figure(cautious['mission_ppm'])} ppm in the mission "
                f"({percent(cautious['confidence'])}).",
                "note",
            )
        )
    else:
        text = "No coefficient has a standard error: the factors, and with them these rates, are taken as exact."
        blocks.append(Paragraph(text, "warning"))
    return blocks


def _seen(bounds: Mapping[str, Any]) -> str:
    """Return the estimate; without failures there is none, and a 0 would be read as one."""
    return figure(bounds["point"]) if bounds["point"] else "none"


def _between(bounds: Mapping[str, Any]) -> str:
    return f"{figure(bounds['low'])} to {figure(bounds['high'])}"


def _bound_heads(bounds: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f">≤ at {percent(each['confidence'])}" for each in bounds]


def _bound_cells(bounds: Sequence[Mapping[str, Any]]) -> list[str]:
    return [_seen(bounds[0]), *(f"≤ {figure(each['high'])}" for each in bounds)]


def _bound_widths(bounds: Sequence[Mapping[str, Any]]) -> list[float]:
    return [40.0, 16.0, *(22.0 for _ in bounds)]


def mechanisms_section(document: Mapping[str, Any]) -> Section:
    """Return the mechanisms: law, coefficients with their source, factor, failures and share of the rate."""
    rates = document["sections"]["rates"]
    if not rates.get("factors"):
        reason = rates.get("empty", "No mechanism has a factor.")
        return Section("mechanisms", "Mechanisms", [Paragraph(reason, "warning")])
    rows = []
    for row in rates["factors"]:
        factor = figure(row["factor"])
        if row["low"] is not None:
            factor += f" ({figure(row['low'])} to {figure(row['high'])})"
        rows.append(
            [row["mechanism"], row["condition"], row["formula"], _coefficients(row), factor, str(row["failures"])]
        )
    blocks: list[Block] = [
        Grid(("Mechanism", "Test", "Life", "Coefficients", "Factor to use", ">Failed"), rows, (13, 18, 18, 29, 16, 7))
    ]
    if "mechanisms" in rates:
        heads = _bound_heads(rates["bounds"])
        shares = [
            [
                row["name"], str(row["failures"]), figure(row["equivalent_hours"]), _seen(row["interval"]),
                _between(row["interval"]), *(figure(each["high"]) for each in row["bounds"]),
                percent(round(row["share_of_bound"], 3)),
            ]
            for row in rates["mechanisms"]
        ]  # fmt: skip
        blocks.append(
            Grid(
                ("Mechanism", ">Failed", ">Device h of use", ">FIT seen", ">FIT interval", *heads, ">Share"),
                shares,
                (18, 9, 14, 11, 18, *(12 for _ in heads), 9),
                caption="FIT by mechanism; the share is of the interval's upper end. Bounds of mechanisms are added.",
            )
        )
    remarks = sorted({row["remark"] for row in rates["factors"] if row["remark"]})
    blocks += [Paragraph(text, "note") for text in remarks]
    return Section("mechanisms", "Mechanisms", blocks)


def _coefficients(row: Mapping[str, Any]) -> str:
    told = []
    for each in row["coefficients"]:
        error = f" ± {figure(each['standard_error'])}" if each["standard_error"] else ""
        unit = f" {each['unit']}" if each["unit"] else ""
        told.append(f"{each['name']} = {figure(each['value'])}{error}{unit} ({each['source']})")
    return "; ".join(told)


def life_section(document: Mapping[str, Any]) -> Section:
    """Return the life distributions with their probability plots."""
    life = document["sections"]["life"]
    if "empty" in life:
        return Section("life", "Life distributions", [Paragraph(life["empty"], "warning")])
    blocks: list[Block] = []
    for test in life["tests"]:
        blocks += _life_blocks(test)
    return Section("life", "Life distributions", blocks)


def _life_blocks(test: Mapping[str, Any]) -> list[Block]:
    blocks: list[Block] = []
    if test["points"] or test.get("band"):
        caption = f"Probability plot, {test['condition']}"
        if test.get("points_refused"):
            caption += f". No points: {test['points_refused']}"
        blocks.append(Figure(draw_probability_plot(test), WIDTH_MM, HEIGHT_MM, caption))
    if "refused" in test:
        return [*blocks, Paragraph(f"{test['condition']}: no model was accepted: {test['refused']}", "warning")]
    end = test["at_end"]
    facts = [
        ("Best model by AIC", f"{test['model']} ({', '.join(_model_words(each) for each in test['models'])})"),
        (f"Failed by {hours(end['hours'])} h of stress", _ppm(end)),
    ]
    mission = test["at_mission"]
    if "refused" in mission:
        facts.append(("Failed in the mission", f"not stated: {mission['refused']}"))
    else:
        beyond = "; beyond what was tested, holds if the model does" if mission["beyond"] else ""
        how = f"by the factor {figure(mission['factor'])} of {mission['mechanism']}"
        facts.append((f"Failed in {hours(mission['mission_h'])} h of use", f"{_ppm(mission)}, {how}{beyond}"))
    if test["defective"] is not None:
        known = test["defective"]
        facts.append(("Units with a latent defect", known.get("refused") or _ppm(known)))
    blocks.append(Facts(facts))
    causes = test["causes"]
    if causes is not None and "rows" in causes:
        rows = [[row["cause"], str(row["failures"]), figure(row["ppm"])] for row in causes["rows"]]
        caption = f"By cause, failed first of it by {hours(causes['hours'])} h (competing Weibull risks)"
        blocks.append(Grid(("Cause", ">Failed", ">ppm"), rows, (50, 20, 30), caption=caption))
    elif causes is not None:
        blocks.append(Paragraph(f"Causes are not told apart: {causes['refused']}", "note"))
    return [*blocks, *(Paragraph(text, "note") for text in test["remarks"])]


def _model_words(row: Mapping[str, Any]) -> str:
    if "refused" in row:
        return f"{row['name']} refused"
    return f"{row['name']} {row['aic_difference']:+.1f}"


def _ppm(row: Mapping[str, Any]) -> str:
    return f"{figure(row['ppm'])} ppm ({figure(row['low_ppm'])} to {figure(row['high_ppm'])}, {percent(row['level'])})"
