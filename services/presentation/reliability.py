"""Reliability answers for people: the headline first, then what it rests on."""

from collections.abc import Mapping
from typing import Any

import typer


def print_life(document: dict[str, Any]) -> None:
    """Print the answer of ``reliability fit``."""
    print_headline(document["headline"])
    failures, devices = document["failures"], document["devices"]
    typer.echo(f"{failures:g} of {devices:g} devices failed; model: {document['model'] or 'none'}")
    for row in document.get("models") or ():
        if "refused" in row:
            typer.echo(f"  {row['name']}: refused, {row['refused']}")
        else:
            typer.echo(f"  {row['name']}: AIC {row['aic']:.2f} (+{row['aic_difference']:.2f}), {row['ppm']:.4g} ppm")
    for test in document.get("tests") or ():
        typer.echo(f"  {test['larger']} over {test['smaller']}: LR {test['statistic']:.2f}, p {test['p_value']:.2g}")
    for cause in document.get("causes") or ():
        typer.echo(f"  {cause['cause']}: {cause['ppm']:.4g} ppm")
    for row in document.get("parameters") or ():
        error = "" if row["standard_error"] is None else f" ± {row['standard_error']:.3g}"
        typer.echo(
            f"  {row['name']} {row['value']:.6g}{error}"
            if row["value"] is not None
            else f"  {row['name']} beyond numbers"
        )
    for row in document.get("lives") or ():
        if row["hours"] is None:
            typer.echo(f"  {1e6 * row['failed_part']:g} ppm failed: {row.get('reason', 'beyond numbers')}")
        else:
            typer.echo(f"  {1e6 * row['failed_part']:g} ppm failed after {row['hours']:.4g} h")
    posterior = document.get("posterior")
    if posterior and "refused" in posterior:
        typer.echo(f"  posterior: refused, {posterior['refused']}")
    elif posterior:
        typer.echo(
            f"  posterior: {posterior['ppm']:.4g} ppm ({posterior['low_ppm']:.4g} to {posterior['high_ppm']:.4g}), "
            f"R-hat {posterior['r_hat']:.3f}, {posterior['effective_samples']:.0f} effective samples"
        )
    _print_rest(document)


def print_answer(document: dict[str, Any]) -> None:
    """Print any other answer: headline, coefficients or parameters, conventions, remarks."""
    if "headline" in document:
        print_headline(document["headline"])
    for row in document.get("coefficients") or document.get("parameters") or ():
        value, error = _number(row["value"]), _number(row["standard_error"])
        typer.echo(f"  {row['name']} {value} ± {error} {row.get('source', '')}".rstrip())
    for name, each in (document.get("burn_in") or {}).items():
        typer.echo(
            f"  {name}: {each['hours']:.4g} h, fallout {1e6 * each['fallout']:.4g} ppm, escapes "
            f"{each['escapes_ppm']:.4g} ppm" + ("" if each["cost"] is None else f", cost {each['cost']:.4g} per unit")
        )
    for name, value in (document.get("plans") or {}).items():
        typer.echo(f"  {name}: {value}" if not isinstance(value, Mapping) else f"  {name}: {value['devices']} devices, "
                   f"{value['test_h']:.4g} h each, shows {value['shown_ppm']:.4g} ppm")  # fmt: skip
    for row in document.get("mechanisms") or ():
        typer.echo(f"  {row['mechanism']}: {row['failures']} failures, {row['equivalent_hours']:.4g} h, "
                   f"at most {row['fit']['high']:.4g} FIT")  # fmt: skip
    _print_rest(document)


def _number(value: float | None) -> str:
    return "beyond numbers" if value is None else f"{value:.6g}"


def print_headline(headline: Mapping[str, Any]) -> None:
    """Print the one number asked for, with its interval."""
    if "high_ppm" in headline:
        estimate = "" if headline["ppm"] is None else f"{headline['ppm']:.4g} ppm, "
        typer.echo(
            f"failed by {headline['hours']:g} h: {estimate}{headline['low_ppm']:.4g} to {headline['high_ppm']:.4g} ppm "
            f"({100 * headline['level']:g} %, {headline['method']})"
        )
        return
    parts = [f"{headline['quantity']}:"]
    parts += [f"{name} {value:.6g}" if isinstance(value, float) else f"{name} {value}"
              for name, value in headline.items() if name != "quantity" and value is not None]  # fmt: skip
    typer.echo(" ".join(parts))


def _print_rest(document: Mapping[str, Any]) -> None:
    said = ", ".join(
        f"{name} {value}" for name, value in document["conventions"].items() if not isinstance(value, dict)
    )
    typer.echo(f"conventions: {said}")
    for remark in document["remarks"]:
        typer.echo(f"note: {remark}")
