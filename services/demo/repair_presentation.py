"""Answers about repairs, as a person reads them in a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table


def print_handoff(document: dict[str, Any], console: Console | None = None) -> None:
    """Print a hand-off plan: where to stop, how far beside, the times, the doubts and the constants."""
    console = console or Console()
    plan, pulse, margin, times = (document[key] for key in ("handoff", "pulse", "margin_um", "times"))
    depth, left = plan["depth_um"], plan["remaining_um"]
    console.print(f"\nVerdict: [bold]{document['verdict']}[/] ({document['law']})")
    table = _table("Plan", "", "value")
    table.add_row("laser passes", str(plan["passes"]))
    table.add_row("depth", f"{depth['median']:.3g} um (95 %: {_span(depth['interval95'])})")
    table.add_row("left above the layer", f"{left['mean']:.3g} um (95 %: {_span(left['interval95'])})")
    table.add_row("probability of harm", f"{plan['p_damage']:.2g} (bound {plan['bound']:g})")
    table.add_row("after one more pass", f"{plan['p_damage_next_pass']:.2g}")
    parts = ", ".join(f"{name} {margin[name + '_um']:.2f}" for name in ("haz", "taper", "alignment", "recast"))
    table.add_row("margin on each side", f"{margin['total_um']:.2f} um ({parts})")
    table.add_row("fluence over threshold", f"{pulse['fluence_over_threshold']:.2f}")
    table.add_row("depth of the first pulse", f"{pulse['depth_nm']:.1f} nm")
    console.print(table)
    clock = _table("Time", "", "duration")
    for label, key in (("laser", "laser_s"), ("transfer", "transfer_s"), ("ion beam", "fib_s"), ("total", "total_s")):
        clock.add_row(label, duration(times[key]))
    clock.add_row("ion beam alone", duration(times["fib_alone_s"]))
    if times["saved_ratio"] is not None:
        clock.add_row("alone / total", f"{times['saved_ratio']:.2f}")
    console.print(clock)
    if document["doubt"]:
        shares = sorted(document["doubt"].items(), key=lambda item: -item[1])
        console.print("Doubt of the depth: " + ", ".join(f"{name} {100 * part:.0f} %" for name, part in shares))
    _print_flags(console, document["flags"])
    print_constants(document["constants"], console)


def print_constants(constants: list[dict[str, Any]], console: Console) -> None:
    """Print the constants that an answer has used, each with its spread and source."""
    console.print("Constants", style="italic")
    for row in constants:
        spread = f"{row['spread']:g} {row['unit']}" if row["kind"] == "normal" else row["kind"]
        spread = f"{100 * row['spread']:.0f} %" if row["kind"] == "lognormal" else spread
        value = f"{row['value']:.4g} {row['unit']}".strip()
        console.print(f"  {row['key']} = {value} ({spread.strip()}; {row['label']}): {row['source']}", highlight=False)


def duration(seconds: float | None) -> str:
    """Return ``seconds`` in the unit that a person would use."""
    if seconds is None:
        return "not known"
    for limit, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= limit:
            return f"{seconds / limit:.2f} {unit}"
    return f"{seconds:.3g} s"


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _span(interval: list[float]) -> str:
    return f"{interval[0]:.3g} to {interval[1]:.3g}"


def _print_flags(console: Console, flags: list[str]) -> None:
    for flag in flags:
        console.print(f"  note: {flag}")
