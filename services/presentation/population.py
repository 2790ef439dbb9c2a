"""Dies that stand out, as a person reads it in a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

MOST_SHOWN = 40
VERDICTS = {
    "outliers": "some dies stand out",
    "no-outliers": "no die stands out",
    "unclear": "nothing can be promised of some dies",
}


def print_population(document: dict[str, Any], console: Console | None = None) -> None:
    """Print the verdict, a line for each die, what was left out, and what is doubtful."""
    console = console or Console()
    label = f" ({document['simulated_dies']} of them SIMULATED)" if document["simulated"] else ""
    verdict = document["verdict"]
    console.print(f"\nVerdict: [bold]{verdict}[/] ({VERDICTS[verdict]})")
    against = f"{document['reference_dies']} dies known to be good" if document["reference_dies"] else "each other"
    console.print(
        f"{len(document['dies'])} dies{label} on {', '.join(document['nets'])}, compared with {against};"
        f" at most {document['false_alarms']:.3g} of good dies are false alarms"
    )
    console.print(_dies(document["dies"]))
    for each in document["left_out"]:
        console.print(f"left out: {each['name']}: {each['reason']}")
    for warning in document["warnings"]:
        console.print(f"warning: {warning}")


def _dies(dies: list[dict[str, Any]]) -> Table:
    shown = dies[:MOST_SHOWN]
    table = Table(title=f"Dies ({len(shown)} of {len(dies)})", title_justify="left")
    headings = ("die", "verdict", "score", "p", "baseline p", "net", "cycles that differ", "follows (usual)", "why")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("die", "verdict", "net", "why") else "right")
    for die in shown:
        net = max(die["nets"], key=lambda each: float(each["score"]), default=None)
        table.add_row(
            die["name"],
            die["verdict"],
            _number(die["score"], ".2f"),
            _number(die["p_value"], ".3f"),
            _number(die["baseline_p_value"], ".3f"),
            "" if net is None else net["net"],
            str(net["cycles_found"]) if net is not None and die["verdict"] == "outlier" else "",
            "" if net is None else f"{net['follows']:.2f} ({net['usual_follows']:.2f})",
            die["reason"],
        )
    return table


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
