"""The answer of ``reliability screen`` for people: the count first, then which parts and why."""

from collections.abc import Mapping
from typing import Any

import typer

from services.presentation.screening_reasons import describe_reason

_SHOWN = 20


def print_screening(document: dict[str, Any]) -> None:
    """Print the answer of ``reliability screen``."""
    head = document["headline"]
    out = "no screen could be made" if head["out"] is None else f"{head['out']} fall out"
    simulated = " (simulated)" if document["provenance"]["simulated"] else ""
    typer.echo(f"{out} of {head['passed']} parts that passed; {head['failed']} failed{simulated}")
    for row in document["screens"]:
        count = f"{row['out']} out"
        if row["out"] is None:
            count = f"{head['structured_wafers']} wafers structured" if row["groups"] else "refused"
        refusal = f"; {row['refused']} refused, the first: {row['first_refusal']}" if row["refused"] else ""
        typer.echo(f"  {row['screen']}: {count}, {row['groups']} groups{refusal}")
    for outlier in document["outliers"][:_SHOWN]:
        where = " ".join(each for each in (outlier["lot"], outlier["wafer"]) if each)
        place = "" if outlier["x"] is None else f" at {outlier['x']},{outlier['y']}"
        typer.echo(f"{where} part {outlier['part']}{place}: " + "; ".join(map(describe_reason, outlier["reasons"])))
    if len(document["outliers"]) > _SHOWN:
        typer.echo(f"… and {len(document['outliers']) - _SHOWN} more parts; --json has all")
    _print_wafers(document)
    _print_quality(document)
    typer.echo("conventions: " + ", ".join(f"{name} {value}" for name, value in document["conventions"].items()))
    for remark in document["remarks"][:_SHOWN]:
        typer.echo(f"note: {remark}")
    if len(document["remarks"]) > _SHOWN:
        typer.echo(f"… and {len(document['remarks']) - _SHOWN} more notes; --json has all")


def _print_wafers(document: Mapping[str, Any]) -> None:
    for row in document["groups"]:
        if row.get("structured"):
            tests = ", ".join(f"{each['kind']} p {each['p_value']:.2g}" for each in row["tests"])
            kinds = ", ".join(f"{each['kind']} of {len(each['parts'])}" for each in row["signatures"]) or "no window"
            typer.echo(f"{row['lot']} {row['wafer']}: {row['fails']} fails, not by chance ({tests}): {kinds}")


def _print_quality(document: Mapping[str, Any]) -> None:
    """Print escapes and overkill, of labelled parts and of planted ones."""
    for row in (document["quality"] or {"rows": ()})["rows"]:
        name = " ".join(row[key] for key in ("of", "lot", "wafer", "screen", "test") if row.get(key))
        typer.echo(f"labelled parts, {name}: escapes {_part(row['escapes'], row['escaped'], row['defective'])}; "
                   f"overkill {_part(row['overkill'], row['killed'], row['good'])}")  # fmt: skip
    planted = document["planted"]
    for row in planted["totals"] if planted else ():
        typer.echo(f"simulated, {planted['source']}: {row['screen']} lets {row['escaped']} of {row['planted']} escape "
                   f"({_range(row['escapes'])}); overkill at most {_range(row['overkill_at_most'])}")  # fmt: skip


def _part(interval: Mapping[str, float] | None, count: int, of: int) -> str:
    return f"{count} of {of}" + ("" if interval is None else f" ({_range(interval)})")


def _range(interval: Mapping[str, float]) -> str:
    return f"{100 * interval['low']:.3g} to {100 * interval['high']:.3g} %"
