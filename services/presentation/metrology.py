"""Maps of registration and widths, as a person reads them in a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table


def print_metrology(document: dict[str, Any], console: Console | None = None) -> None:
    """Print each mask's maps and the trends over them."""
    console = console or Console()
    label = " (SIMULATED)" if document["provenance"]["simulated"] else ""
    console.print(f"\nVerdict: [bold]{document['verdict']}[/]{label}")
    for item in document["maps"]:
        name = item["mask_id"] or "mask without a name"
        console.print(f"\n{name} ({item['file']}, {item['measured_at'] or 'no time'}), scale: {item['scale']}")
        if item["registration"]:
            _print_registration(console, item["registration"])
        if item["widths"]:
            _print_widths(console, item["widths"])
        for warning in item["warnings"]:
            console.print(f"  warning: {warning}")
    for trend in document["trends"]:
        slope, low, high = trend["slope_per_day"]
        moves = "moves" if trend["moves"] else "does not move"
        console.print(
            f"{trend['mask_id']} {trend['figure']} {moves}: {slope:.3g} a day ({low:.3g} to {high:.3g}), "
            f"{trend['points']} maps in {trend['days']:.3g} days"
        )
    for flag in document["flags"]:
        console.print(f"  note: {flag}")


def _print_registration(console: Console, registration: dict[str, Any]) -> None:
    table = Table(title=f"Registration: {registration['sites']} sites", title_justify="left")
    for heading in ("removed", "3 sigma x [nm]", "3 sigma y [nm]", "terms"):
        table.add_column(heading, overflow="fold")
    for level in registration["levels"]:
        terms = ", ".join(
            f"{name} {term['value']:.3g} ± {term['standard_error']:.2g}" for name, term in level["removed"].items()
        )
        table.add_row(level["level"], _axis(level["x"]), _axis(level["y"]), terms)
    console.print(table)
    if registration["outliers"]:
        console.print(f"  outliers: {', '.join(registration['outliers'])}")
    for flag in registration["flags"]:
        console.print(f"  note: {flag}")


def _axis(axis: dict[str, Any]) -> str:
    interval = axis["interval_nm"]
    return f"{axis['three_sigma_nm']:.3g}" + (f" ({interval[0]:.3g} to {interval[1]:.3g})" if interval else "")


def _print_widths(console: Console, groups: list[dict[str, Any]]) -> None:
    table = Table(title="Widths", title_justify="left")
    for heading in ("feature", "sites", "mean to target [nm]", "3 sigma [nm]", "flat 3 sigma [nm]", "outliers"):
        table.add_column(heading, overflow="fold")
    for group in groups:
        kind = " ".join(group[name] for name in ("tone", "orientation", "layer", "feature") if group[name])
        found = group["map"]
        if found is None:
            table.add_row(kind, str(group["sites"]), "; ".join(group["flags"]), "", "", "")
            continue
        mean = found["mean_to_target_nm"]
        table.add_row(
            kind,
            str(group["sites"]),
            f"{mean['value']:.3g} ± {mean['standard_error']:.2g}",
            _spread(found["three_sigma_nm"]),
            _spread(found["flat_three_sigma_nm"]),
            ", ".join(group["outliers"]),
        )
    console.print(table)


def _spread(spread: dict[str, float] | None) -> str:
    return "" if spread is None else f"{spread['value']:.3g} ({spread['low']:.3g} to {spread['high']:.3g})"
