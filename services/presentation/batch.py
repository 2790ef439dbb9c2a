"""A batch of dies by their fail logs, as a person reads it in a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

MOST_SHOWN = 40
VERDICTS = {
    "recurring": "some nets are suspected more often than random defects make them",
    "no-recurrence": "no net is suspected more often than random defects may make it",
}


def print_batch(document: dict[str, Any], console: Console | None = None) -> None:
    """Print the verdict, the recurring nets, and a line for each die."""
    console = console or Console()
    label = " (SIMULATED)" if document["simulated"] else ""
    verdict = document["verdict"]
    console.print(f"\nVerdict: [bold]{verdict}[/] ({VERDICTS[verdict]}){label}")
    counts = ", ".join(f"{count} {name}" for name, count in sorted(document["counts"].items()))
    console.print(f"{len(document['dies'])} dies: {counts}")
    if document["recurrences"]:
        console.print(_recurrences(document))
    console.print(_dies(document["dies"][:MOST_SHOWN], len(document["dies"])))
    if document["counts"].get("no-fails"):
        console.print("no-fails: the log is empty; the die passed, or its log is unknown.")


def _recurrences(document: dict[str, Any]) -> Table:
    rate = document["false_discovery_rate"]
    table = Table(title=f"Recurring nets, at a false-discovery rate of {rate:g}", title_justify="left")
    for heading in ("net", "log10 e-value", "dies", "by chance", "surest dies", "cannot be told from"):
        table.add_column(heading, justify="right" if heading in ("log10 e-value", "dies", "by chance") else "left")
    for item in document["recurrences"]:
        table.add_row(
            item["net"],
            f"{item['log10_e']:.1f}",
            f"{item['dies']:.1f}",
            f"{item['by_chance']:.2f}",
            _few([member["name"] for member in item["members"]]),
            _few(item["alongside"]),
        )
    return table


def _dies(shown: list[dict[str, Any]], total: int) -> Table:
    table = Table(title=f"Dies ({len(shown)} of {total})", title_justify="left")
    for heading in ("die", "verdict", "first suspect", "posterior", "unmodelled", "sites of 95 %", "failing bits"):
        table.add_column(heading, justify="left" if heading in ("die", "verdict", "first suspect") else "right")
    for die in shown:
        first = die["suspects"][0] if die["suspects"] else None
        named = "" if first is None else f"{first['net']} {first['fault']}"
        sure = "" if first is None else f"{first['posterior']:.3f}"
        rest = ("", "") if first is None else (f"{die['unmodelled']:.3f}", str(die["credible_sites"]))
        table.add_row(die["name"], die["verdict"], named, sure, *rest, str(die["failing_bits"]))
    return table


def _few(names: list[str], most: int = 4) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
