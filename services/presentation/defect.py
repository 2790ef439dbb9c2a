"""Defects on a layout, matched, and their signatures, as a person reads them in a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from services.presentation.layout import MOST_ROWS, print_warnings

VERDICTS = {
    "critical": "some defects may make a fault",
    "nuisance": "every defect is nuisance",
    "undecided": "defects without a size, or outside the layout, are not judged; all others are nuisance",
}


def print_overlay(document: dict[str, Any], console: Console | None = None) -> None:
    """Print the defects, the most critical first."""
    console = console or Console()
    counts = document["counts"]
    console.print(f"\n{document['inspection']} on {document['layout']} ({document['cell']})")
    console.print(f"Verdict: [bold]{document['verdict']}[/] ({VERDICTS[document['verdict']]})")
    console.print(f"{counts['defects']} defects, {counts['inside']} in the layout, {counts['nuisance']} nuisance")
    table = Table()
    for heading in ("defect", "at um", "size um", "criticality", "how", "nets touched"):
        table.add_column(heading, justify="left" if heading in ("how", "nets touched") else "right")
    for defect in document["defects"][:MOST_ROWS]:
        layer = next((each for each in defect["layers"] if each["layer"] == defect["layer"]), None)
        nets = "" if layer is None else ", ".join(_net(each) for each in layer["nets"][:3])
        critical = "?" if defect["criticality"] is None else f"{defect['criticality']:.3f}"
        table.add_row(
            str(defect["defect_id"]),
            f"{defect['x_um']:.3f}, {defect['y_um']:.3f}",
            "?" if defect["size_um"] is None else f"{defect['size_um']:.3f}",
            critical,
            "nuisance" if defect["nuisance"] else f"{defect['mode']} {defect['layer'] or ''}",
            nets,
        )
    console.print(table)
    if len(document["defects"]) > MOST_ROWS:
        console.print(f"… and {len(document['defects']) - MOST_ROWS} more (--json has all)")
    print_warnings(console, document["warnings"])


def _net(net: dict[str, Any]) -> str:
    return f"{net['name']} {net['touched']:.2f}" if net["touched"] is not None else f"{net['name']} on {net['on']:.2f}"


def print_signatures(document: dict[str, Any], console: Console | None = None) -> None:
    """Print the tests of each sample and what was found."""
    console = console or Console()
    for sample in document["samples"]:
        console.print(f"\n{document['inspection']}, {sample['sample']}: {sample['defects']} defects")
        console.print(f"inspected: {sample['region']['source']}, {sample['region']['area_mm2']:.6g} mm2")
        table = Table()
        for heading in ("test", "surprise", "typical by chance", "p", "found at rate"):
            table.add_column(heading, justify="left" if heading == "test" else "right")
        for test in sample["tests"]:
            values = (f"{test['surprise']:.2f}", f"{test['typical']:.2f}", f"{test['p_value']:.4f}")
            table.add_row(test["kind"], *values, f"{test['adjusted']:.4f}")
        console.print(table)
        for each in sample["signatures"]:
            about = ", ".join(f"{name} {value:.6g}" for name, value in each["about"].items())
            console.print(f"{each['kind']} of {len(each['defects'])} defects: {about}")
    console.print(f"Verdict: [bold]{document['verdict']}[/]")
    print_warnings(console, document["warnings"])


def print_matching(document: dict[str, Any], console: Console | None = None) -> None:
    """Print the pairs, the likeliest first."""
    console = console or Console()
    counts, (first, second) = document["counts"], document["inspections"]
    console.print(
        f"\n{counts['first']} defects of {first}, {counts['second']} of {second}, {counts['common']} in common"
    )
    if document["shift_um"] is not None:
        x_um, y_um = document["shift_um"]
        console.print(f"the second is shifted by ({x_um:.4g}, {y_um:.4g}) um onto the first")
    table = Table()
    for heading in ("first", "second", "probability", "distance um", "deviations", "assigned"):
        table.add_column(heading, justify="right")
    for each in document["matches"][:MOST_ROWS]:
        values = (f"{each['probability']:.4f}", f"{each['distance_um']:.3f}", f"{each['deviations']:.2f}")
        table.add_row(str(each["first"]), str(each["second"]), *values, "yes" if each["assigned"] else "")
    console.print(table)
