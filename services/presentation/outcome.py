"""How repairs went and what to do, as a person reads it in a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

_MOST_ROWS = 20
_STATUSES = {
    "suitable": "suitable",
    "unsuitable": "does not suit",
    "not-known": "not known",
    "no-rule": "no rule",
}


def print_outcome(document: dict[str, Any], console: Console | None = None) -> None:
    """Print the rates by tool and recipe, the models beside each other, and what could not be joined."""
    console = console or Console()
    label = " (SIMULATED)" if document["provenance"]["simulated"] else ""
    judged = document["judged"]
    console.print(f"\nVerdict: [bold]{document['verdict']}[/]{label}; {judged['ships']} ships: {judged['reason']}")
    runs = len(document["runs"])
    console.print(
        f"{runs} runs, {document['joined']} joined to a defect, {document['without_outcome']} without outcome"
    )
    for title, key in (("By tool and recipe", "by_recipe"), ("By technique and defect", "by_type")):
        table = Table(title=title, title_justify="left")
        for heading in ("group", "held", "runs", "probability", "95 %", "raw rate"):
            table.add_column(heading, overflow="fold")
        for row in sorted(document[key], key=lambda item: -int(item["runs"]))[:_MOST_ROWS]:
            interval = f"{row['low']:.2f} to {row['high']:.2f}"
            raw = f"{row['raw']['probability']:.2f}"
            table.add_row(
                row["group"], str(row["successes"]), str(row["runs"]), f"{row['probability']:.2f}", interval, raw
            )
        console.print(table)
    for name, score in judged["scores"].items():
        console.print(f"  {name}: log score {score['log_score']:.4f}, Brier {score['brier']:.4f}")
    for flag in document["flags"]:
        console.print(f"  note: {flag}")
    if document["frame"]["used"] is None:
        console.print(f"  note: joined by id only: {document['frame']['reason']}")
    for run in document["runs"]:
        if run["disagree"]:
            console.print(f"  note: {run['file']}, {run['defect']}: {run['by']} against {', '.join(run['disagree'])}")
    if document["printed_without_run"]:
        console.print(f"  note: imaged, and no run was on: {', '.join(document['printed_without_run'][:10])}")
    if document["unknown_words"]:
        console.print(f"  note: results that are not known: {', '.join(document['unknown_words'][:10])}")


def print_advice(document: dict[str, Any], console: Console | None = None) -> None:
    """Print what is advised, and the reasons for and against each technique."""
    console = console or Console()
    advised = ", ".join(document["advised"]) or "none"
    console.print(f"\nVerdict: [bold]{document['verdict']}[/]: {advised}")
    for opinion in document["opinions"]:
        record = opinion["record"]
        held = f"; {record['successes']} of {record['runs']} held" if record else ""
        console.print(f"{opinion['technique']}: {_STATUSES[opinion['status']]}{held}")
        for rule in opinion["reasons"]:
            console.print(f"  {rule['stance']}: {rule['reason']} ({rule['label']}: {rule['source']})")
        if opinion["missing"]:
            console.print(f"  depends on: {', '.join(opinion['missing'])}")
    for note in document["notes"]:
        console.print(f"  note: {note}")
