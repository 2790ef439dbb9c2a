"""How a benchmark reports: rows of one claim each, printed as a table or as JSON."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One claim with the value measured in this run.

    ``target`` is a bound in words that starts with ``>=`` or ``<=``, or empty where the value is only shown.
    """

    claim: str
    value: float
    unit: str
    target: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the value keeps the target; ``None`` without one."""
        if not self.target:
            return None
        sign, bound = self.target.split()[:2]
        if sign == ">=":
            return self.value >= float(bound)
        if sign == "<=":
            return self.value <= float(bound)
        raise ValueError(f"a target starts with >= or <=, not {self.target!r}")

    def to_document(self) -> dict[str, object]:
        """Return ``{"claim", "value", "unit", "target", "holds"}``."""
        return asdict(self) | {"holds": self.holds}


def print_rows(rows: list[Row], *, as_json: bool) -> None:
    """Print the rows on standard output."""
    if as_json:
        sys.stdout.write(json.dumps([row.to_document() for row in rows], indent=1) + "\n")
        return
    table = Table()
    for heading in ("claim", "value", "unit", "target", "holds"):
        table.add_column(heading, justify="right" if heading == "value" else "left", overflow="fold")
    for row in rows:
        holds = {True: "yes", False: "NO", None: ""}[row.holds]
        table.add_row(row.claim, f"{row.value:.4g}", row.unit, row.target, holds)
    Console(width=140).print(table)


def main(measure: Callable[[], list[Row]]) -> None:
    """Run one benchmark module from the command line, with ``--json`` for machine output."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true", help="machine output on standard output and nothing else")
    arguments = parser.parse_args()
    print_rows(measure(), as_json=arguments.json)
