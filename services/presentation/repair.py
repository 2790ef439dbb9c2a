"""Answers about repairs, as a person reads them in a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table


def print_handoff(document: dict[str, Any], console: Console | None = None) -> None:
    """Print a hand-off plan: where to stop, how far beside, the times, the doubts and the constants."""
    console = console or Console()
    plan, pulse, margin, times = (document[key] for key in ("handoff", "pulse", "margin_um", "times"))
    depth, left = plan["depth_um"], plan["remaining_um"]
    label = " (SIMULATED constants)" if document["provenance"]["simulated"] else ""
    console.print(f"\nVerdict: [bold]{document['verdict']}[/] ({document['law']}){label}")
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


def print_learning(document: dict[str, Any], console: Console | None = None) -> None:
    """Print prior and posterior of each constant side by side, and the runs that stand out."""
    console = console or Console()
    label = " (SIMULATED)" if document["provenance"]["simulated"] else ""
    console.print(f"\nVerdict: [bold]{document['verdict']}[/]{label}")
    for part in document["learned"]:
        table = _table(f"{part['what']}: {part['runs']} runs", "constant", "before", "after", "spread ratio")
        for row in part["quantities"]:
            before, after = row["prior"], row["posterior"]
            name = row["key"].rpartition(".")[2]
            table.add_row(name, _believed(before), _believed(after), f"{row['spread_ratio']:.2f}")
        console.print(table)
        for run in part["outliers"]:
            console.print(f"  outlying: {run['file']}, step {run['step']} (p = {run['p_value']:.2g})")
        _print_flags(console, part["warnings"])
    for item in document["failed"]:
        console.print(f"  not learned: {item['what']}: {item['reason']}")
    for item in document["not_used"]:
        console.print(f"  not used: {item['file']}, step {item['step']}: {item['reason']}")


def _believed(belief: dict[str, float]) -> str:
    return f"{belief['value']:.4g} ({belief['low']:.4g} to {belief['high']:.4g})"


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
