"""Where the beams of a localization were, as a person reads it in a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

MOST_SHOWN = 12
MOST_PARTS = 3
SURE_ABOVE = 0.9
STRANGER_BELOW = 0.01


def print_places(document: dict[str, Any], console: Console) -> None:
    """Print what is to be known of the alignment, and of each spot: the least certain ones first."""
    for warning in (document.get("alignment") or {}).get("warnings", ()):
        console.print(f"Alignment: {warning}")
    known = [item for item in document["waveforms"] if item.get("spot")]
    if known:
        console.print(_spots(sorted(known, key=lambda item: float(item["spot"]["p_on_net"]))[:MOST_SHOWN], len(known)))
    for item in known:
        _print_doubts(item, console)


def _spots(shown: list[dict[str, Any]], total: int) -> Table:
    table = Table(title=f"Where the spots were ({len(shown)} of {total})", title_justify="left")
    for heading in ("net", "P(on net)", "P(elsewhere)", "1 sigma nm", "nets in the waveform"):
        table.add_column(heading, justify="left" if heading.startswith("net") else "right")
    for item in shown:
        spot, ellipse = item["spot"], item["spot"]["ellipse"]
        size = "?" if ellipse is None else f"{ellipse['major_nm']:.0f} x {ellipse['minor_nm']:.0f}"
        parts = sorted(item["mixture"], key=lambda part: -abs(float(part["weight"])))[:MOST_PARTS]
        mixture = ", ".join(f"{part['net']} {part['weight']:+.2f} +- {part['sigma']:.2f}" for part in parts)
        on_net, elsewhere = (f"{spot[key]:.3f}" for key in ("p_on_net", "p_elsewhere"))
        table.add_row(str(item["net"]), on_net, elsewhere, size, mixture)
    return table


def _print_doubts(item: dict[str, Any], console: Console) -> None:
    spot = item["spot"]
    if spot["p_on_net"] < SURE_ABOVE and spot["nets"] and spot["nets"][0]["net"] != item["net"]:
        first = spot["nets"][0]
        console.print(f"{item['net']}: the spot was rather on {first['net']} ({first['probability']:.2f}).")
    residual = spot["residual"]
    if residual["p_stranger"] is not None and residual["p_stranger"] < STRANGER_BELOW:
        console.print(f"{item['net']}: {residual['stranger']} shows in the waveform, which is not under the spot.")
