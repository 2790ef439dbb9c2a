"""Latent risk for people: the suspects first, each with what says so."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

_MOST_ROWS = 20
_LEAST_TOLD = 0.005


def print_training(document: dict[str, Any], console: Console | None = None) -> None:
    """Print the answer of ``reliability risk train``."""
    console = console or Console()
    on = document["trained_on"]
    console.print(f"\nVerdict: [bold]{document['verdict']}[/]{_label(document)}; model: {document.get('model', '')}")
    console.print(f"learned from {on['units']} units, {on['failed']} failed, judged {on['from']} to {on['to']}")
    for each in document["heads"]:
        console.print(f"  {each['modality']}: {each['head'] or 'not learned'} ({each['reason']})")
    _print_evaluation(document["evaluation"], console)
    _print_rest(document, console)


def print_evaluation(document: dict[str, Any], console: Console | None = None) -> None:
    """Print the answer of ``reliability risk evaluate``."""
    console = console or Console()
    console.print(f"\nVerdict: [bold]{document['verdict']}[/]{_label(document)}")
    _print_evaluation(document["evaluation"], console)
    _print_rest(document, console)


def _label(document: Mapping[str, Any]) -> str:
    return " (SIMULATED)" if document["provenance"]["simulated"] else ""


def _print_evaluation(found: Mapping[str, Any], console: Console) -> None:
    console.print(f"judged by {found['units']} later units, {found['failed']} failed")
    table = Table(title="On later units", title_justify="left")
    for heading in ("what", "AUC", "95 %", "log loss", "of failed", "of survived", "calibration error"):
        table.add_column(heading, overflow="fold")
    rows = [("as they came", found, found["calibration"]["error"])]
    rows += [(" + ".join(each["modalities"]), each, each["calibration_error"]) for each in found["patterns"]]
    rows += [(f"plain: {each['name']}", each, None) for each in found["baselines"]]
    for name, each, error in rows:
        table.add_row(
            name, _number(each["auc"]), f"{each['auc_low']:.4f} to {each['auc_high']:.4f}", _number(each["log_loss"]),
            _number(each["log_loss_of_failed"]), _number(each["log_loss_of_survived"]), _number(error),
        )  # fmt: skip
    console.print(table)
    calibration, sets = found["calibration"], found["sets"]
    console.print(
        f"  {calibration['expected_failures']:.1f} failures expected, {calibration['failures']} seen (p "
        f"{calibration['p_value']:.2g}); calibration error {calibration['error']:.4f}, "
        f"{calibration['error_by_chance']:.4f} by chance"
    )
    for name in ("failed", "survived"):
        each = sets[name]
        console.print(f"  sets hold {_number(each['covered'])} of {each['units']} units that {name} "
                      f"(promised {1 - sets['alpha']:.3f}; {each['low_by_chance']:.3f} to "
                      f"{each['high_by_chance']:.3f} by chance)")  # fmt: skip


def print_scores(document: dict[str, Any], console: Console | None = None) -> None:
    """Print the answer of ``reliability risk score``."""
    console = console or Console()
    counts = document["counts"]
    console.print(f"\nVerdict: [bold]{document['verdict']}[/]{_label(document)}")
    console.print(
        f"{counts['units']} units, {counts['refused']} refused, {counts['expected_failures']:.2f} failures expected"
    )
    table = Table(title="Most suspected", title_justify="left")
    for heading in ("unit", "probability", "low to high", "may have", "log odds"):
        table.add_column(heading, overflow="fold")
    for unit in document["units"][:_MOST_ROWS]:
        told = ", ".join(
            f"{name} {value:+.2f}" for name, value in unit["log_odds"].items() if abs(value) >= _LEAST_TOLD
        )
        table.add_row(
            unit["unit"], f"{unit['probability']:.4g}", f"{unit['low']:.3g} to {unit['high']:.3g}",
            " or ".join(unit["set"]) or "unlike both", told,
        )  # fmt: skip
    console.print(table)
    for each in document["refused"][:_MOST_ROWS]:
        console.print(f"  refused {each['unit']}: {each['reason']}")
    for each in document["provenance"]["evidence_results"][:_MOST_ROWS]:
        console.print(f"  evidence from the stored result {each}")
    _print_rest(document, console)


def print_drift(document: dict[str, Any], console: Console | None = None) -> None:
    """Print the answer of ``reliability risk drift``."""
    console = console or Console()
    console.print(f"\nVerdict: [bold]{document['verdict']}[/]{_label(document)}; {document['units']} units")
    for each in document["stability"][:_MOST_ROWS]:
        console.print(f"  {each['name']}: PSI {each['psi']:.3f} (by chance {each['by_chance']:.2g}), {each['verdict']}")
    calibration = document["calibration"]
    console.print(f"calibration: {calibration['verdict']}, {calibration['reason']}")
    for each in calibration["periods"]:
        console.print(f"  {each['from']} to {each['to']}: {each['expected_failures']:.1f} expected, {each['failures']} "
                      f"of {each['units']} failed (p {each['p_value']:.2g})")  # fmt: skip
    _print_rest(document, console)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _print_rest(document: Mapping[str, Any], console: Console) -> None:
    for remark in document["remarks"]:
        console.print(f"  note: {remark}")
