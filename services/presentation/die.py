"""Where the beams of a localization were, as a person reads it in a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

MOST_SHOWN = 12
MOST_PARTS = 3


def print_places(document: dict[str, Any], console: Console) -> None:
    """Print what is to be known of the alignment, and of each spot: the least certain ones first."""
    for warning in (document.get("alignment") or {}).get("warnings", ()):
        console.print(f"Alignment: {warning}")
    known = [item for item in document["waveforms"] if item.get("spot")]
    if known:
        console.print(_spots(sorted(known, key=lambda item: float(item["spot"]["p_on_net"]))[:MOST_SHOWN], len(known)))
    for item in known:
        for doubt in item["doubts"]:
            console.print(f"{item['net']}: {doubt}.")


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
