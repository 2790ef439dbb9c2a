"""Whether probes need more averages, as a person reads it in a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

VERDICTS = {
    "enough": "no probe needs more averages",
    "average-on": "some probes are worth more averages",
}
STATUSES = {
    "decided": "decided: stop averaging",
    "undecided": "average on",
    "not-worth-it": "what is left hardly differs here: probe another net",
    "unexplained": "like none of the suspects: more averages will not help",
}


def print_averaging(document: dict[str, Any], console: Console | None = None) -> None:
    """Print the verdict, and a line for each probe."""
    console = console or Console()
    label = " (SIMULATED)" if document["simulated"] else ""
    console.print(f"\nVerdict: [bold]{document['verdict']}[/] ({VERDICTS[document['verdict']]}){label}")
    table = Table(title="Probes", title_justify="left")
    for heading in ("net", "status", "repeats", "needed", "to go", "as simulated", "likeliest behaviour", "snr"):
        table.add_column(heading, justify="left" if heading in ("net", "status", "likeliest behaviour") else "right")
    for probe in document["probes"]:
        needed, to_go = probe["repeats_needed"], probe["repeats_to_go"]
        table.add_row(
            str(probe["net"]),
            STATUSES[probe["status"]],
            str(probe["repeats"]),
            "" if needed is None else str(needed),
            "never" if to_go is None else f"{to_go:.0f}",
            f"{probe['as_simulated']:.3f}",
            _behaviour(probe),
            _snr(probe["snr"]),
        )
    console.print(table)


def _behaviour(probe: dict[str, Any]) -> str:
    best = max(probe["behaviours"], key=lambda item: float(item["posterior"]), default=None)
    if best is None or probe["elsewhere"] > best["posterior"]:
        return f"of another net ({probe['elsewhere']:.3f})"
    named = ", ".join(best["faults"][:2]) or "as it should"
    return f"{named} ({best['posterior']:.3f})"


def _snr(interval: dict[str, float | None] | None) -> str:
    if interval is None or interval["estimate"] is None:
        return ""
    low, high = (f"{interval[key]:.3g}" if interval[key] is not None else "?" for key in ("low", "high"))
    return f"{interval['estimate']:.3g} ({low} to {high})"
