"""Printing defects and verified repairs, as a person reads them in a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

MOST_ROWS = 60
_STYLES = {"prints": "bold red", "marginal": "yellow", "does-not-print": "green", "refused": "magenta"}


def print_printability(document: dict[str, Any], console: Console | None = None) -> None:
    """Print the verdicts, worst first, and the gauges of the worst defect."""
    console = console or Console()
    optics = document["provenance"]["parameters"]["optics"]
    console.print(
        f"\n{document['layout']}: [bold]{document['verdict']}[/] "
        f"({optics['wavelength_nm']:g} nm, NA {optics['numerical_aperture']:g}, {optics['source']['shape']}; "
        f"lengths on the wafer)"
    )
    ranked = sorted(document["defects"], key=lambda each: -(each.get("severity") or 0.0))
    console.print(_verdicts(ranked[:MOST_ROWS]))
    if len(ranked) > MOST_ROWS:
        console.print(f"… and {len(ranked) - MOST_ROWS} more (--json has all)")
    for each in ranked[:MOST_ROWS]:
        console.print(f"  {each['name']}: {each.get('refused') or each['reason']}")
        for warning in each.get("warnings", ()):
            console.print(f"    warning: {warning}")
    worst = ranked[0]
    if "conditions" in worst:
        console.print(_conditions(worst))
        console.print(_gauges(worst))
    for warning in document["warnings"]:
        console.print(f"warning: {warning}")
    console.print("not modelled: " + "; ".join(document["provenance"]["not_modelled"]))


def _verdicts(defects: list[dict[str, Any]]) -> Table:
    table = Table(title="Defects, the worst first", title_justify="left")
    for heading in ("defect", "kind", "verdict", "worst change", "+-", "severity", "dose", "defocus nm", "repair"):
        table.add_column(heading, justify="left" if heading in ("defect", "kind", "verdict", "repair") else "right")
    for each in defects:
        verdict = f"[{_STYLES[each['verdict']]}]{each['verdict']}[/]"
        if "fraction" not in each:
            table.add_row(each["name"], each["kind"], verdict, *[""] * 6)
            continue
        shown = each if "worst" in each else each["after"]
        worst = None if shown is None else shown["worst"]
        table.add_row(
            each["name"],
            each["kind"],
            verdict,
            "0.0%" if worst is None else _fraction(worst),
            "" if each["sigma"] is None else f"{each['sigma']:.1%}",
            "" if each["severity"] is None else f"{each['severity']:.2f}",
            "" if worst is None else f"{worst['dose']:g}",
            "" if worst is None else f"{worst['defocus_nm']:g}",
            each.get("outcome", ""),
        )
    return table


def _conditions(defect: Mapping[str, Any]) -> Table:
    """Return the worst change of a width by dose and focus."""
    table = Table(title=f"{defect['name']}: worst change of a width by dose and defocus (nm)", title_justify="left")
    focuses = list(dict.fromkeys(each["defocus_nm"] for each in defect["conditions"]))
    table.add_column("dose", justify="right")
    for focus in focuses:
        table.add_column(f"{focus:g}", justify="right")
    cells = {(each["dose"], each["defocus_nm"]): each for each in defect["conditions"]}
    for dose in dict.fromkeys(each["dose"] for each in defect["conditions"]):
        table.add_row(f"{dose:g}", *(_condition(cells[dose, focus]) for focus in focuses))
    return table


def _condition(each: Mapping[str, Any]) -> str:
    if not each["counted"]:
        return "pattern fails"
    events = ", ".join(sorted({change["kind"] for change in each["topology"]}))
    return _fraction(each) + (f" {events}" if events else "")


def _fraction(condition: Mapping[str, Any]) -> str:
    """Return the change of a width, if there is one; where an edge is gone it is known from below only."""
    if condition["fraction"] is None:
        return "no width"
    at_least = ">= " if condition["edges_lost"] else ""
    return f"{at_least}{condition['fraction']:.1%}"


def _gauges(defect: Mapping[str, Any]) -> Table:
    table = Table(title=f"{defect['name']}: features at its worst condition", title_justify="left")
    for heading in ("feature", "along", "x nm", "y nm", "width nm", "change nm", "change", "edges nm", "defect on it"):
        table.add_column(heading, justify="left" if heading in ("feature", "along", "defect on it") else "right")
    for each in defect["gauges"]:
        low, high = each["edge_shifts_nm"]
        table.add_row(
            each["phase"],
            each["axis"],
            f"{each['x_nm']:.1f}",
            f"{each['y_nm']:.1f}",
            f"{each['width_nm']:.2f}",
            f"{each['width_change_nm']:+.2f}",
            f"{each['fraction']:+.1%}",
            f"{low:+.2f} {high:+.2f}",
            "yes" if each["on_defect"] else "",
        )
    return table
