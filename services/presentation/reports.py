"""Reports and due times as text."""

from typing import Any

import typer


def print_report(document: dict[str, Any]) -> None:
    """Print the scorecard of a report, and what was left out."""
    label = "SIMULATED: " if document["simulated"] else ""
    typer.echo(f"{label}{document['title']}, data to {document['freeze_at']}")
    for row in document["scorecard"]:
        typer.echo(f"  {row['label']}: {row['text']}  [{row['verdict']}; {row['trend']['text']}]")
    for text in document["left_out"]:
        typer.echo(f"left out: {text}")
    typer.echo(f"{len(document['inputs'])} inputs, sha256 of their list {document['inputs_sha256']}")


def print_due_times(document: dict[str, Any]) -> None:
    """Print due times in UTC and as the clock on the wall shows them."""
    typer.echo(f"{document['explanation']} ({document['time_zone']})")
    for row in document["due"]:
        typer.echo(f"  {row['due_at']}  {row['local']}")
