"""A golden-die comparison's answer as a person reads it in a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

VERDICTS = {
    "different": "something does not do what the golden die does",
    "same": "every net and map that was compared does what the golden die does",
    "unclear": "nothing differs, but not all could be compared well enough to say the same",
}


def print_comparison(document: dict[str, Any], console: Console | None = None) -> None:
    """Print verdict, nets, maps and scan chain."""
    console = console or Console()
    label = " (SIMULATED)" if document["simulated"] else ""
    console.print(f"\nVerdict: [bold]{document['verdict']}[/] ({VERDICTS[document['verdict']]}){label}")
    console.print(_nets(document["nets"]))
    for each in document["maps"]:
        console.print(_map(each))
    chain = document["scan_chain"]
    if chain is not None:
        best = max(chain["cells"], key=lambda cell: float(cell["posterior"]), default=None)
        told = f"; likeliest {best['cell']} with {best['posterior']:.3f}" if best else f": {chain['reason']}"
        console.print(f"Scan chain: {chain['verdict']}{told}")


def _nets(nets: list[dict[str, Any]]) -> Table:
    table = Table(title="Nets", title_justify="left")
    for heading in (
        "net",
        "verdict",
        "false-discovery adjusted p",
        "cycles that differ",
        "correlation (baseline)",
        "why",
    ):
        table.add_column(heading, justify="left" if heading in ("net", "verdict", "why") else "right")
    for net in nets:
        adjusted, correlation = net["adjusted"], net.get("correlation")
        table.add_row(
            str(net["net"]),
            str(net["verdict"]),
            "" if adjusted is None else f"{adjusted:.2g}",
            str(net.get("cycles_found", "")),
            "" if correlation is None else f"{correlation:.3f}",
            str(net["reason"]),
        )
    return table


def _map(each: dict[str, Any]) -> Table:
    title = f"Map {each['map']}: {each['verdict']} {each['reason']}"
    table = Table(title=title, title_justify="left")
    for heading in ("column", "row", "x um", "y um", "sigma", "adjusted p", "amplitude ratio", "phase rad"):
        table.add_column(heading, justify="right")
    names = ("column", "row", "x_um", "y_um", "height_sigma", "adjusted", "amplitude_ratio", "phase_rad")
    for place in each["differences"][:20]:
        table.add_row(*("" if place[name] is None else f"{place[name]:.4g}" for name in names))
    return table
