"""A localization's answer as a person reads it in a terminal."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.presentation.die import print_places
from services.presentation.slow_path import shorten_fault
from services.presentation.time_offset import describe_offset

WRONG_ABOVE = 0.5

VERDICTS = {
    "located": "one site holds at least 0.95 of the posterior",
    "ambiguous": "several sites remain; probe the first of the next probes",
    "unmodelled": "no fault that is modelled explains the measurements",
    "no-fault": "fail log and waveforms agree with a good die",
}


def print_localization(document: dict[str, Any], console: Console | None = None, *, most: int = 5) -> None:
    """Print verdict, the first ``most`` suspects, the wrong waveforms and the next probes."""
    console = console or Console()
    verdict = str(document["verdict"])
    label = " (SIMULATED)" if document["simulated"] else ""
    console.print(f"\nVerdict: [bold]{verdict}[/] ({VERDICTS.get(verdict, '')}){label}")
    offset = describe_offset(document)
    if offset:
        console.print(f"[bold]{offset}[/]")
    candidates = document["candidates"]
    if candidates:
        console.print(_suspects(candidates[:most], len(candidates)))
    console.print(f"No fault: {document['no_fault']:.3f}, unmodelled: {document['unmodelled']:.3f}")
    wrong = [item for item in document["waveforms"] if (item.get("p_faulty") or 0.0) > WRONG_ABOVE]
    console.print(_waveforms(wrong, len(document["waveforms"])))
    for item in document["zero_power"]:
        console.print(_zero_power(item))
    print_places(document, console)
    probes = document["next_probes"]
    if probes and verdict != "located":
        console.print(_next_probes(probes[:most]))
        console.print(
            f"Expected to take {document['expected_probes']:.0f} more, {document['missing_bits']:.1f} bits are missing."
        )


def _suspects(candidates: list[dict[str, Any]], total: int) -> Table:
    table = Table(title=f"Ranked suspects ({len(candidates)} of {total})", title_justify="left")
    for heading in ("#", "gate output", "fault", "posterior"):
        table.add_column(heading, justify="right" if heading in ("#", "posterior") else "left")
    for rank, item in enumerate(candidates, 1):
        table.add_row(str(rank), str(item["net"]), escape(shorten_fault(item["fault"])), f"{item['posterior']:.4f}")
    return table


def _waveforms(wrong: list[dict[str, Any]], total: int) -> Table:
    table = Table(title=f"Waveforms that are wrong ({len(wrong)} of {total})", title_justify="left")
    for heading in ("net", "P(wrong)", "SNR per cycle", "skew"):
        table.add_column(heading, justify="left" if heading == "net" else "right")
    for item in sorted(wrong, key=lambda entry: -float(entry["p_faulty"])):
        skew = item.get("skew_ps")
        sigma = item.get("skew_sigma_ps")
        text = "unknown" if skew is None else f"{skew:.0f} ps" + (f" +- {sigma:.0f}" if sigma is not None else "")
        snr = item.get("snr")
        table.add_row(str(item["net"]), f"{item['p_faulty']:.4f}", "unknown" if snr is None else f"{snr:.1f}", text)
    return table


def _zero_power(item: dict[str, Any]) -> str:
    """Return a net's delay without the laser in one line."""
    powers = ", ".join(f"{power:g}" for power in item["powers_mw"])
    slope = f"{item['slope_ps_per_mw']:.1f} +- {item['slope_sigma_ps_per_mw']:.1f} ps a milliwatt"
    skew = f"{item['skew_ps']:.1f} +- {item['skew_sigma_ps']:.1f} ps"
    return f"{item['net']} without the laser: {skew} ({slope}; at {powers} mW)"


def _next_probes(probes: list[dict[str, Any]]) -> Table:
    table = Table(title="Next probes", title_justify="left")
    for heading in ("net", "x um", "y um", "bits", "minutes", "averages"):
        table.add_column(heading, justify="left" if heading == "net" else "right")
    for item in probes:
        place = ["?" if item.get(axis) is None else f"{item[axis]:.2f}" for axis in ("x_um", "y_um")]
        averages = "as before" if item.get("averages") is None else str(item["averages"])
        table.add_row(str(item["net"]), *place, f"{item['bits']:.2f}", f"{item['seconds'] / 60:.1f}", averages)
    return table
