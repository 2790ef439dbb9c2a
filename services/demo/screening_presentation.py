"""The answer of ``reliability screen`` for people: the count first, then which parts and why."""

from collections.abc import Mapping
from typing import Any

import typer

_SHOWN = 20


def print_screening(document: dict[str, Any]) -> None:
    """Print the answer of ``reliability screen``."""
    head = document["headline"]
    out = "no screen could be made" if head["out"] is None else f"{head['out']} fall out"
    simulated = " (simulated)" if document["provenance"]["simulated"] else ""
    typer.echo(f"{out} of {head['passed']} parts that passed; {head['failed']} failed{simulated}")
    for row in document["screens"]:
        count = "refused" if row["out"] is None else f"{row['out']} out"
        refusal = f"; {row['refused']} refused, the first: {row['first_refusal']}" if row["refused"] else ""
        typer.echo(f"  {row['screen']}: {count}, {row['groups']} groups{refusal}")
    for outlier in document["outliers"][:_SHOWN]:
        where = " ".join(each for each in (outlier["lot"], outlier["wafer"]) if each)
        place = "" if outlier["x"] is None else f" at {outlier['x']},{outlier['y']}"
        typer.echo(f"{where} part {outlier['part']}{place}: " + "; ".join(map(describe_reason, outlier["reasons"])))
    if len(document["outliers"]) > _SHOWN:
        typer.echo(f"… and {len(document['outliers']) - _SHOWN} more parts; --json has all")
    typer.echo("conventions: " + ", ".join(f"{name} {value}" for name, value in document["conventions"].items()))
    for remark in document["remarks"][:_SHOWN]:
        typer.echo(f"note: {remark}")
    if len(document["remarks"]) > _SHOWN:
        typer.echo(f"… and {len(document['remarks']) - _SHOWN} more notes; --json has all")


def describe_reason(reason: Mapping[str, Any]) -> str:
    """Return why a part falls out, in a few words."""
    screen = reason["screen"]
    if screen in ("part-average", "neighbour-residual"):
        kind = f"{reason['limits']} limits" if "limits" in reason else "residual"
        sigmas = reason["sigmas"] if isinstance(reason["sigmas"], str) else f"{reason['sigmas']:+.1f}"
        return (
            f"{reason['test']} {_number(reason['value'])} {reason['unit']}".rstrip()
            + f" ({kind} {reason['low']:.6g} to {reason['high']:.6g}, {sigmas} sigma)"
        )
    if screen == "bad-neighbourhood":
        return f"fail score {reason['score']:.3g} around it"
    if screen == "stack":
        return f"its place failed on {reason['fails']} of {reason['wafers']} wafers (p {reason['p_value']:.1g})"
    return f"distance {reason['distance']:.3g} over {', '.join(reason['tests'])}"


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
