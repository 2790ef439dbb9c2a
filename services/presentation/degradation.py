"""The answer of ``reliability degradation`` for people: per parameter the method, the law, then the units at risk."""

from collections.abc import Mapping
from typing import Any

import typer

_SHOWN = 15


def print_degradation(document: dict[str, Any]) -> None:
    """Print the answer of ``reliability degradation``."""
    simulated = " (simulated)" if document["provenance"]["simulated"] else ""
    for each in document["parameters"]:
        if each["verdict"] == "refused":
            typer.echo(f"{each['parameter']}: refused, {each['reason']}")
            continue
        _print_parameter(each, simulated)
    typer.echo("conventions: " + ", ".join(f"{name} {value}" for name, value in document["conventions"].items()))
    for remark in document["remarks"]:
        typer.echo(f"note: {remark}")


def _print_parameter(each: Mapping[str, Any], simulated: str) -> None:
    drift = each["drift"]
    seen = "drifts" if each["verdict"] == "forecast" else "shows no drift"
    typer.echo(
        f"{each['parameter']} [{each['unit']}] {seen} (p {drift['p_value']:.2g}): {each['units']} units, "
        f"{each['readouts']} "
        f"readouts to {each['seen_h']:g} h{simulated}"
    )
    typer.echo(f"used: {each['selected']}; {each['why']}")
    for row in each["methods"]:
        if row["refused"]:
            typer.echo(f"  {row['name']} ({row['kind']}): refused, {row['refused']}")
            continue
        mark = "  <- used" if row["selected"] else ""
        typer.echo(
            f"  {row['name']} ({row['kind']}): error {row['rmse']:.4g} on {row['readouts']} later readouts, "
            f"{100 * row['coverage_uncalibrated']:.0f} % in its bands before calibration{mark}"
        )
    for row in each["laws"]:
        if row["difference"] is None:
            typer.echo(f"  law {row['name']}: refused, {row['refused']}")
            continue
        said = ", ".join(_parameter(value) for value in row["parameters"])
        typer.echo(
            f"  law {row['name']}, {row['formula']}: weight {row['weight']:.3f} (AICc +{row['difference']:.2f}); {said}"
        )
    _print_crossings(each)
    _print_population(each["population"])
    _print_pseudo(each["pseudo_lifetimes"])
    for remark in each["remarks"]:
        typer.echo(f"note: {remark}")


def _parameter(row: Mapping[str, Any]) -> str:
    if "low" not in row:
        return f"{row['name']} {row['value']:.4g}"
    return f"{row['name']} {row['value']:.4g} ({row['low']:.4g} to {row['high']:.4g})"


def _print_crossings(each: Mapping[str, Any]) -> None:
    found = each["crossings"]
    if found is None:
        return
    if "refused" in found:
        typer.echo(f"times to the threshold: refused, {found['refused']['message']}")
        return
    limit = each["threshold"]
    side = "above" if limit["direction"] == "rising" else "below"
    typer.echo(
        f"past {limit['value']:g} {each['unit']} ({side} fails): {found['crossed']} units have, "
        f"{found['expected']:.1f} are expected "
        f"to by {found['horizon_h']:g} h"
    )
    for row in found["units"][:_SHOWN]:
        if row["state"] == "crossed":
            typer.echo(f"  {row['unit']}: crossed between {row['after_h']:g} and {row['before_h']:g} h")
            continue
        middle = row["hours"]["50 %"]
        said = "not by then, as likely as not" if middle is None else f"median {middle:.4g} h"
        typer.echo(
            f"  {row['unit']}: {row['probability']:.3f} ({row['low']:.3f} to {row['high']:.3f}), {said}, "
            f"never by then {row['never']:.3f}"
        )
    if len(found["units"]) > _SHOWN:
        typer.echo(f"  … and {len(found['units']) - _SHOWN} more units; --json has all")


def _print_population(found: Mapping[str, Any] | None) -> None:
    if found is None:
        return
    if "refused" in found:
        typer.echo(f"in use: refused, {found['refused']['message']}")
        return
    typer.echo(
        f"in use at {found['temperature_c']:g} C, past it by {found['hours']:g} h: {found['ppm']:.4g} ppm, "
        f"{found['low_ppm']:.4g} to "
        f"{found['high_ppm']:.4g} ppm ({100 * found['level']:g} %); laws: "
        + ", ".join(f"{name} {value:.4g}" for name, value in found["by_law"].items())
    )


def _print_pseudo(found: Mapping[str, Any] | None) -> None:
    if found is None:
        return
    typer.echo(f"pseudo-lifetimes by {found['formula']}:")
    for row in found["units"][:_SHOWN]:
        said = f"{row['hours']:.5g} h" if row["hours"] is not None else f"none: {row['reason']}"
        typer.echo(f"  {row['unit']}: {said}")
    fit = found["weibull"]
    if "refused" in fit:
        typer.echo(f"  weibull: refused, {fit['refused']}")
    else:
        said = ", ".join(f"{name} {each['value']:.6g}" for name, each in fit["parameters"].items())
        typer.echo(
            f"  weibull: {said}; failed by {fit['hours']:g} h: {fit['ppm']:.4g} ppm ({fit['low_ppm']:.4g} "
            f"to {fit['high_ppm']:.4g})"
        )
    for remark in found["remarks"]:
        typer.echo(f"note: {remark}")
