"""Process traces against their history, as a person reads it in a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

MOST_SHOWN = 30
VERDICTS = {
    "strange": "some runs are unlike those before them",
    "usual": "every run is like those before it",
    "unclear": "nothing is strange, but of some series nothing can be promised",
}


def print_traces(document: dict[str, Any], console: Console | None = None) -> None:
    """Print the verdict, the strangest runs, and the series of which nothing can be said."""
    console = console or Console()
    label = " (SIMULATED)" if document["simulated"] else ""
    verdict = document["verdict"]
    console.print(f"\nVerdict: [bold]{verdict}[/] ({VERDICTS[verdict]}){label}")
    console.print(
        f"{document['alarms']} of {document['runs_judged']} runs since {document['since']} are alarms; at most"
        f" {document['false_alarms']:.3g} of the good runs of a series are, as long as the process is as before"
    )
    console.print(_runs(document["runs"][:MOST_SHOWN]))
    for row in document["series"]:
        if row["verdict"] == "unjudged":
            name = " ".join(each for each in (row["equipment"], row["parameter"], row["context"]) if each)
            console.print(f"unjudged: {name}: {row['reason']}")


def _runs(runs: list[dict[str, Any]]) -> Table:
    table = Table(title="Strangest runs", title_justify="left")
    for heading in ("parameter", "context", "begin", "alarm", "score", "p", "baseline p", "strangest at", "value"):
        table.add_column(heading, justify="right" if heading in ("score", "p", "baseline p", "value") else "left")
    for run in runs:
        table.add_row(
            run["parameter"],
            run["context"],
            run["begin"],
            "alarm" if run["alarm"] else "",
            f"{run['score']:.2f}",
            f"{run['p_value']:.3f}",
            f"{run['baseline_p_value']:.3f}",
            run["peak_at"],
            f"{run['peak_value']:.5g} {run['unit']}".strip(),
        )
    return table
