"""Nets, places and windows of a layout, as a person reads them in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

MOST_ROWS = 60
_MOST_PINS = 4


def print_nets(document: dict[str, Any], console: Console | None = None) -> None:
    """Print the nets, the largest first, and what is doubtful about them."""
    console = console or Console()
    counts = document["counts"]
    console.print(
        f"\n{document['layout']}: cell [bold]{document['cell']}[/], {counts['nets_of_top_cell']} nets at the top, "
        f"{counts['nets'] - counts['nets_of_top_cell']} inside {counts['instances']} instances "
        f"(process {document['process']['name']})"
    )
    table = Table(title="Nets by area", title_justify="left")
    for heading in ("net", "layers", "area um2", "pins", ""):
        table.add_column(heading, justify="right" if heading in ("area um2", "pins") else "left")
    ranked = sorted(document["nets"], key=lambda each: -sum(each["area_um2"].values()))
    for net in ranked[:MOST_ROWS]:
        pins = [f"{item['cell'].rpartition('__')[2]}.{item['pin']}" for item in net["pins"]]
        more = ", …" if len(pins) > _MOST_PINS else ""
        table.add_row(
            _named(net),
            ", ".join(net["area_um2"]),
            f"{sum(net['area_um2'].values()):.2f}",
            str(sum(item["count"] for item in net["pins"])),
            ", ".join(pins[:_MOST_PINS]) + more,
        )
    console.print(table)
    if len(ranked) > MOST_ROWS:
        console.print(f"… and {len(ranked) - MOST_ROWS} more (--json has all)")
    print_warnings(console, document["warnings"])


def print_places(document: dict[str, Any], console: Console | None = None) -> None:
    """Print what lies under each place."""
    console = console or Console()
    for place in document["places"][:MOST_ROWS]:
        sigma = " x ".join(f"{value:g}" for value in place["sigma_nm"])
        name = f"{place['name']}: " if place["name"] else ""
        outside = "" if place["inside"] else " [bold]outside the layout[/]"
        console.print(f"\n{name}({place['x_um']:g}, {place['y_um']:g}) um, sigma {sigma} nm{outside}")
        table = Table()
        for heading in ("layer", "net", "probability", "centre", "none of the layer"):
            table.add_column(heading, justify="left" if heading in ("layer", "net") else "right")
        for net in place["nets"]:
            nothing = place["none"].get(net["layer"], 1.0)
            at = "yes" if net["at_centre"] else ""
            table.add_row(net["layer"], _named(net), f"{net['probability']:.4f}", at, f"{nothing:.4f}")
        console.print(table)
        for cell in place["cells"][:_MOST_PINS]:
            console.print(f"  in {cell['instance']} with {cell['probability']:.4f}")
    if len(document["places"]) > MOST_ROWS:
        console.print(f"… and {len(document['places']) - MOST_ROWS} more places (--json has all)")
    print_warnings(console, document["warnings"])


def print_window(document: dict[str, Any], console: Console | None = None) -> None:
    """Print how much each layer holds in the window."""
    console = console or Console()
    left, bottom, right, top = document["window_um"]
    cut = "cut at the window" if document["clipped"] else "whole"
    console.print(f"\n{document['layout']}: {left:g} … {right:g} by {bottom:g} … {top:g} um, polygons {cut}")
    table = Table()
    for heading in ("layer", "name", "shapes", "polygons", "area um2"):
        table.add_column(heading, justify="left" if heading in ("layer", "name") else "right")
    for layer in document["layers"]:
        number = f"{layer['layer']}/{layer['datatype']}"
        count = str(len(layer["polygons"]))
        table.add_row(number, layer["name"], str(layer["shapes"]), count, f"{layer['area_um2']:.4f}")
    console.print(table)
    print_warnings(console, [{"message": each} for each in document["warnings"]])


def print_warnings(console: Console, warnings: Sequence[Mapping[str, Any]]) -> None:
    """Print what is doubtful, a line each."""
    for warning in warnings:
        console.print(f"warning: {warning['message']}", markup=False)


def _named(net: Mapping[str, Any]) -> str:
    labels = net["labels"]
    return f"{net['name']} (labels {', '.join(labels)})" if len(labels) > 1 else str(net["name"])


def print_conversion(document: dict[str, Any], console: Console | None = None) -> None:
    """Print a place in both frames and the maps between them."""
    console = console or Console()
    source, target = document["source"], document["target"]
    for place in document["places"]:
        for frame, part in ((source, place["source"]), (target, place["target"])):
            (x, y), sigma = part["xy"], " x ".join(f"{value:.4g}" for value in part["sigma"])
            console.print(f"{frame['frame']}: ({x:.10g}, {y:.10g}) {frame['unit']}, sigma {sigma}")
    for link in document["links"]:
        fit = f", rms {link['rms']:.4g}, outliers {link['outliers'] or 'none'}" if link["fitted"] else ""
        mirror = ", mirrored" if link["mirrored"] else ""
        scale = " x ".join(f"{value:.6g}" for value in link["scale"])
        turn = f"{link['rotation_deg']:.4f} deg"
        console.print(f"  {link['source']} -> {link['target']}: scale {scale}, turned {turn}{mirror}{fit}")


def print_tiles(document: dict[str, Any], console: Console | None = None) -> None:
    """Print how many tiles each layer has, and their pitch."""
    console = console or Console()
    pitch = ", ".join(f"{each:.4g}" for each in document["pitch_nm"])
    console.print(f"\n{document['layout']}: tiles in {document['folder']}, pixels of {pitch} nm by level")
    for layer in document["layers"]:
        console.print(f"  {layer['layer']}/{layer['datatype']}: {layer['tiles']} tiles")
