"""The commands ``upload``, ``watch`` and ``status``: options in, exit code out."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from services.uploader.client import Outcome, UploadClient
from services.uploader.errors import BadInput, UploadFailed, show
from services.uploader.folder import SESSION_FILE, Ignoring, list_files
from services.uploader.transfer import Timing

DEFAULT_URL = "http://127.0.0.1:8460"
JsonFlag = Annotated[bool, typer.Option("--json", help="Machine output on stdout and nothing else.")]
UrlOption = Annotated[str, typer.Option("--url", envvar="FAULTLIGHT_URL", help="The service's address.")]
ProgramOption = Annotated[
    str | None, typer.Option("--program", envvar="FAULTLIGHT_PROGRAM", help="Not needed with an instrument's key.")
]


def read_key() -> str:
    """Return the key from ``FAULTLIGHT_KEY``, or from the file that ``FAULTLIGHT_KEY_FILE`` names.

    Raises:
        ValueError: there is none.
    """
    key = os.environ.get("FAULTLIGHT_KEY", "").strip()
    if key:
        return key
    name = os.environ.get("FAULTLIGHT_KEY_FILE", "")
    if not name:
        raise ValueError("no key: set FAULTLIGHT_KEY or FAULTLIGHT_KEY_FILE")
    try:
        key = Path(name).read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise ValueError(f"the key file {name} cannot be read: {error}") from error
    if not key:
        raise ValueError(f"the key file {name} is empty")
    return key


def find_items(paths: list[Path], ignoring: Ignoring, *, bundle: bool) -> list[tuple[Path, bool]]:
    """Return what to send for the paths of a command line: (path, whether it is a bundle).

    Raises:
        BadInput: there is nothing at a path.
    """
    items: list[tuple[Path, bool]] = []
    for path in paths:
        if not path.is_dir():
            items.append((path, False))
        elif bundle or (path / SESSION_FILE).is_file():
            items.append((path, True))
        else:
            listing = list_files(path, ignoring)
            if not listing.files:
                raise BadInput(path, "holds no file")
            items += [(file, False) for file in listing.files]
    return items


def upload(
    paths: Annotated[list[Path], typer.Argument(help="Files; folders with session.json go as one bundle.")],
    program: ProgramOption = None,
    bundle: Annotated[bool, typer.Option("--bundle", help="Send each folder as one bundle.")] = False,
    url: UrlOption = DEFAULT_URL,
    tries: Annotated[int, typer.Option(min=1, help="Tries of a step without progress.")] = 8,
    as_json: JsonFlag = False,
) -> None:
    """Send files to the service: nothing twice, and on after any cut."""
    ignoring = Ignoring()
    code = 0
    try:
        with UploadClient(url, read_key(), timing=Timing(tries=tries)) as client:
            for path, is_bundle in find_items(paths, ignoring, bundle=bundle):
                try:
                    outcome = client.upload_bundle(path, program) if is_bundle else client.upload_file(path, program)
                except UploadFailed as error:
                    code = code or error.exit_code
                    _tell_failure(path, error.to_document(), as_json=as_json)
                else:
                    _tell_outcome(path, outcome, as_json=as_json)
    except (ValueError, BadInput) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    raise typer.Exit(code)


def _tell_outcome(path: Path, outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        _print_json({"path": show(path), **outcome.to_document()})
    else:
        typer.echo(f"{show(path)}: {'known, nothing sent' if outcome.known else f'sent {outcome.sent_bytes} bytes'}")


def _tell_failure(path: Path, document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        _print_json({"path": show(path), "error": document})
    else:
        typer.echo(f"{show(path)}: {document['message']}", err=True)


def _print_json(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n")


def watch(folder: Annotated[Path, typer.Argument(help="The folder that the instrument writes to.")]) -> None:
    """Send what appears in a folder, for weeks."""
    typer.echo(f"watching {folder} is not possible in this version", err=True)
    raise typer.Exit(2)


def status() -> None:
    """Tell whether the service can be reached."""
    typer.echo("not possible in this version", err=True)
    raise typer.Exit(2)
