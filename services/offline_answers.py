"""How every offline command answers: JSON or a presentation on stdout, a refusal in one sentence and exit code 2."""

import json
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="Machine output on stdout and nothing else.")]


def answer_offline(
    compute: Callable[[], dict[str, Any]], present: Callable[[dict[str, Any]], None], *, as_json: bool
) -> None:
    """Print what ``compute`` makes, as JSON or by ``present``; a refusal is told and ends the command with 2."""
    from instruments.errors import InstrumentError  # noqa: PLC0415 (the uploader stays light)

    try:
        document = compute()
    except (InstrumentError, ValueError, FileNotFoundError, PermissionError) as error:
        print_refusal(refusal_of(error), as_json=as_json)
        raise typer.Exit(2) from error
    if as_json:
        print_json(document)
    else:
        present(document)


def print_json(document: dict[str, Any]) -> None:
    """Write ``document`` as one line of JSON."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n")


def refusal_of(error: Exception) -> dict[str, Any]:
    """Return the document of any error that means bad input."""
    from instruments.errors import InstrumentError  # noqa: PLC0415 (the uploader stays light)

    if isinstance(error, InstrumentError):
        return error.to_document()
    return {"type": type(error).__name__, "message": str(error), "offset": None, "expected": None, "found": None}


def print_refusal(error: dict[str, Any], *, as_json: bool) -> None:
    """Tell of ``error``, the document of a refusal: as JSON on stdout, or to a person on stderr.

    Where adapters took the file for theirs and refused it, a person is not told what the others looked for.
    """
    if as_json:
        print_json({"error": error})
        return
    typer.echo(f"refused: {error['message']}", err=True)
    reasons = error.get("reasons") or ()
    refused = [each for each in reasons if each.get("verdict") == "refused"]
    for reason in refused or reasons:
        if reason.get("reason") != error["message"]:
            typer.echo(f"  {reason.get('adapter', '?')}: {reason.get('reason', '')}", err=True)
