"""From a report's document to its sections: screening, burn-in, latent risk, excursions, conventions, inputs."""

from collections.abc import Mapping
from typing import Any

from services.pipelines.reliability.report_scorecard import NONE, figure, hours, percent
from services.reports.pages import Block, Facts, Grid, Paragraph, Section

MOST_EVENTS = 40


def _interval(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return NONE
    return f"{figure(found['ppm'])} ({figure(found['low_ppm'])} to {figure(found['high_ppm'])})"


def screening_section(document: Mapping[str, Any]) -> Section:
    """Return what falls out of screening, by screen, by lot and wafer, and the worst groups."""
    screening = document["sections"]["screening"]
    blocks: list[Block] = []
    if "empty" in screening:
        return Section("screening", "Screening", [Paragraph(screening["empty"], "warning")])
    for run in screening["runs"]:
        if "refused" in run:
            blocks.append(Paragraph(f"{run['name']}: {run['refused']}", "warning"))
            continue
        level = percent(run["ppm"]["level"]) if run["ppm"] is not None else ""
        rows = [
            [
                row["screen"],
                str(row["out"]) if row["out"] is not None else NONE,
                _interval(row["ppm"]),
                f"{row['groups']} done, {row['refused']} refused"
                + (f": {row['first_refusal']}" if row["first_refusal"] else ""),
            ]
            for row in run["screens"]
        ]
        rows.append(["all screens", str(run["out"]), _interval(run["ppm"]), ""])
        caption = (
            f"{run['name'].capitalize()}: {run['passed']:,} parts passed, {run['failed']:,} failed, "
            f"{run['without_verdict']:,} without verdict; {run['structured_wafers']} wafers with a signature"
        )
        heads = ("Screen", ">Fall out", f">ppm of passed ({level})", "Groups")
        blocks.append(Grid(heads, rows, (24, 11, 27, 38), caption=caption))
        blocks += _fallout_grids(run)
        blocks += [Paragraph(text, "note") for text in run["remarks"]]
        if run["more_remarks"]:
            blocks.append(Paragraph(f"and {run['more_remarks']} further remarks in the document", "note"))
    return Section("screening", "Screening", blocks)


def _fallout_grids(run: Mapping[str, Any]) -> list[Block]:
    blocks: list[Block] = []
    if run["lots"]:
        rows = [[row["lot"], row["wafer"] or NONE, str(row["out"])] for row in run["lots"]]
        blocks.append(Grid(("Lot", "Wafer", ">Fall out"), rows, (45, 35, 20), caption="Lots and wafers with the most"))
    if run["groups"]:
        rows = [
            [
                row["screen"],
                row["test"] or NONE,
                row["lot"],
                row["wafer"] or NONE,
                str(row["out"]),
                str(row["parts"] or NONE),
            ]
            for row in run["groups"]
        ]
        heads = ("Screen", "Test", "Lot", "Wafer", ">Fall out", ">Parts")
        blocks.append(Grid(heads, rows, (20, 30, 18, 12, 10, 10), caption="Tests and groups with the most"))
    return blocks


def burn_in_section(document: Mapping[str, Any]) -> Section:
    """Return the fallout of burn-in and what would still fail in the field."""
    burn_in = document["sections"]["burn_in"]
    if "empty" in burn_in:
        return Section("burn_in", "Burn-in", [Paragraph(burn_in["empty"], "warning")])
    blocks: list[Block] = []
    for test in burn_in["tests"]:
        level = percent(test["level"])
        fallout = f"{test['failures']} of {test['devices']:,} in up to {hours(test['hours'])} h"
        if "fallout_ppm" in test:
            ends = f"{figure(test['fallout_low_ppm'])} to {figure(test['fallout_high_ppm'])}, {level}"
            fallout = f"{figure(test['fallout_ppm'])} ppm ({ends}): {fallout}"
        blocks.append(Facts([(test["condition"], fallout)]))
        if "refused" in test:
            what = "Escapes" if "fallout_ppm" in test else "Fallout and escapes"
            blocks.append(Paragraph(f"{what} are not stated: {test['refused']}", "warning"))
            continue
        rows = [[f"{row['hours']:g}", _interval(row)] for row in test["escapes"]]
        caption = (
            f"Units shipped that fail within {hours(test['field_h'])} h of use after so much burn-in, by the "
            f"{test['model']} model and the factor {figure(test['factor'])} ({test['factor_origin']})"
        )
        blocks.append(Grid((">Burn-in, h", f">ppm ({level})"), rows, (30, 70), caption=caption))
        blocks += [Paragraph(text, "note") for text in test["remarks"]]
    return Section("burn_in", "Burn-in", [*blocks, Paragraph(burn_in["assumed"], "note")])


def latent_risk_section(document: Mapping[str, Any]) -> Section:
    """Return the calibration of the model of latent risk."""
    risk = document["sections"]["latent_risk"]
    if "empty" in risk:
        return Section("latent_risk", "Latent-risk model", [Paragraph(risk["empty"], "warning")])
    blocks: list[Block] = []
    for model in risk["models"]:
        blocks += _model_blocks(model)
    return Section("latent_risk", "Latent-risk model", blocks)


def _model_blocks(model: Mapping[str, Any]) -> list[Block]:
    facts = [
        ("Model", f"{model['name']} version {model['number']}, decided by {model['person']} on {model['decided_at']}"),
        ("AUC", f"{figure(model['auc'])} ({figure(model['auc_low'])} to {figure(model['auc_high'])}, 95 %)"),
        ("Brier score", figure(model["brier"])),
        (
            "Calibration error",
            f"{figure(model['error'])}; {figure(model['error_by_chance'])} if every probability were right "
            f"({model['bins_method']})",
        ),
        ("Failures said and seen", f"{figure(model['expected'])} and {model['seen']}, p {figure(model['p_value'])}"),
        (
            "Caught in the worst 1 % and 5 %",
            f"{_part(model['caught_1'])} and {_part(model['caught_5'])} of the failing",
        ),
        ("Better than the plain models", "yes" if model["beats_baselines"] else "no: use the plain model"),
        ("Drift", model["drift"]),
    ]
    rows = [
        [
            figure(row["probability"]), f"{row['units']:,}", str(row["failed"]), figure(row["failed_part"]),
            f"{figure(row['low'])} to {figure(row['high'])}",
        ]
        for row in model["bins"]
    ]  # fmt: skip
    caption = f"Said against seen, on {model['units']:,} units later than all that it was learned from"
    heads = (">Probability said", ">Units", ">Failed", ">Part failed", ">95 % interval")
    label = [Paragraph("This model was learned from simulated data.", "warning")] if model["simulated"] else []
    return [*label, Facts(facts), Grid(heads, rows, (20, 20, 20, 20, 20), caption=caption)]


def _part(value: float | None) -> str:
    return NONE if value is None else percent(round(value, 3))


def field_section() -> Section:
    """Return what is known of the field: nothing, and why."""
    text = (
        "Faultlight keeps no shipments and no returned quantities: there is no field DPPM here. Returned units are in "
        "the failure-analysis cases of the next section."
    )
    return Section("field", "Field returns", [Paragraph(text, "warning")])


def excursions_section(document: Mapping[str, Any]) -> Section:
    """Return the excursions of instruments in the period, and the failure-analysis cases."""
    known = document["sections"]["excursions"]
    title = "Excursions and failure analysis"
    if "empty" in known:
        return Section("excursions", title, [Paragraph(known["empty"], "warning")])
    blocks: list[Block] = []
    events = known["events"]
    if events:
        rows = [
            [row["at"], row["instrument"], f"{row['node']} {row['quantity']}".strip(), row["meaning"]]
            for row in events[:MOST_EVENTS]
        ]
        caption = f"{len(events)} excursion{'s' if len(events) > 1 else ''}" + (
            f", the first {MOST_EVENTS}" if len(events) > MOST_EVENTS else ""
        )
        blocks.append(Grid(("Time", "Instrument", "Chart", "Rule"), rows, (20, 22, 24, 34), caption=caption))
    else:
        blocks.append(Paragraph("No control chart left its limits in the period."))
    facts = [
        ("Cases open at the freeze", str(known["open_cases"])),
        ("Cases opened in the period", str(known["opened_cases"])),
        ("Cases closed in the period", str(len(known["closed"]))),
        ("Files quarantined in the period", str(known["quarantined"])),
    ]
    blocks.append(Facts(facts))
    if known["closed"]:
        rows = [[row["closed_at"], row["title"], row["mechanism"], row["root_cause"]] for row in known["closed"]]
        blocks.append(Grid(("Closed", "Case", "Mechanism", "Root cause"), rows, (20, 40, 20, 20)))
    return Section("excursions", title, blocks)


def conventions_section(document: Mapping[str, Any]) -> Section:
    """Return constants and conventions, and every assumption of the report."""
    question = document["question"]
    stresses = question["stresses"]
    rates = document["sections"]["rates"]
    facts = [
        ("Boltzmann's constant", f"{question['boltzmann_ev_per_k']:.9g} eV/K"),
        ("0 °C", f"{question['zero_celsius_k']:g} K"),
        ("Use", f"{question['use_temperature_c']:g} °C junction, mission {hours(question['mission_h'])} h"),
        ("One-sided bounds", ", ".join(percent(each) for each in question["confidences"])),
        ("Two-sided intervals", percent(question["level"])),
        ("FIT", "failures in 10^9 device hours of use; chi-squared bound, 2r+2 degrees of freedom; " + _sums(rates)),
        (
            "Early life",
            f"{hours(question['early_life']['hours'])} h of use, shape {question['early_life']['beta']:g} assumed",
        ),
        ("Life models", f"{', '.join(question['models'])}; the least AIC is shown; likelihood-ratio intervals"),
        ("Points of plots", "product-limit estimate over readouts; Clopper-Pearson, Greenwood after withdrawals"),
        ("Operating life is called", ", ".join(stresses["rate"])),
        ("Early life is called", ", ".join(stresses["early_life"])),
        ("Burn-in is called", ", ".join(stresses["burn_in"])),
        ("Tests without a name are", stresses["unnamed"].replace("_", " ")),
        ("Lots", ", ".join(question["lots"]) or "all"),
    ]
    runs = [run for run in document["sections"]["screening"].get("runs", ()) if "conventions" in run]
    if runs:
        facts += [(f"Screening: {name.replace('_', ' ')}", str(text)) for name, text in runs[0]["conventions"].items()]
    targets = [
        f"{name.replace('_', ' ')} {value:g}" for name, value in question["targets"].items() if value is not None
    ]
    facts.append(("Targets", ", ".join(targets) or "none were set"))
    return Section("conventions", "Constants and conventions", [Facts(facts)])


def _sums(rates: Mapping[str, Any]) -> str:
    several = len(rates.get("mechanisms", ())) > 1
    return "tests of one mechanism are added before the bound" + (", bounds of mechanisms after it" if several else "")


def freeze_section(document: Mapping[str, Any]) -> Section:
    """Return what was in when the data were frozen, and what could not be used."""
    inputs = document["inputs"]
    kinds: dict[str, int] = {}
    for row in inputs:
        kinds[row["what"]] = kinds.get(row["what"], 0) + 1
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "nothing"
    text = (
        f"Files that had arrived by {document['freeze_at'].replace('T', ' ').replace('Z', ' UTC')} are in this report, "
        f"as they could be read when it was made; what came later is not. In it are: {told}."
    )
    blocks: list[Block] = [Paragraph(text)]
    if document["left_out"]:
        blocks.append(Grid(("Left out, and why",), [[each] for each in document["left_out"]], (100,)))
    else:
        blocks.append(Paragraph("Nothing that had arrived was left out."))
    return Section("freeze", "Data freeze", blocks)


def inputs_section(document: Mapping[str, Any]) -> Section:
    """Return every input with its hash: the same inputs give the same bytes."""
    rows = [
        [
            row["what"],
            row["name"],
            row["adapter"] or NONE,
            f"{row['rows']:,}" if row["rows"] is not None else NONE,
            row["sha256"],
        ]
        for row in document["inputs"]
    ]
    versions = ", ".join(f"{name}/{version}" for name, version in document["provenance"]["analyses"].items())
    blocks: list[Block] = [
        Grid(("What", "Name", "Read by", ">Rows", "sha256"), rows, (13, 24, 15, 7, 41), fixed=(4,))
        if rows
        else Paragraph("There were no inputs.", "warning"),
        Facts([("sha256 of this list", document["inputs_sha256"]), ("Analyses", versions)]),
    ]
    return Section("inputs", "Inputs", blocks)
