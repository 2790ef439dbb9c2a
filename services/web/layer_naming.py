"""The form that says what a layout's layers are called, filled in from a process or from another layout's names."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from db.repositories import layer_names
from db.repositories.catalogue import FILES, fetch_row
from db.repositories.layer_names import NamedFile
from services.api.context import RequestUnit
from services.api.layer_names import LayerNames, load_layer_names
from services.problems import Problem
from services.web.layer_text import names_of_process, process_names, write_layer_text
from services.web.page import Page

MOST_OTHERS = 8
MOST_SHOWN = 120
"""Characters of a file's name that are told as where names are from."""


@dataclass(frozen=True)
class Naming:
    """What the layers are called, and the form that says so: its text may be filled in from elsewhere.

    ``others`` are the files of the program whose layers somebody has named, the last named first.
    """

    names: LayerNames
    text: str
    source: str
    filled: bool
    processes: Sequence[str]
    others: Sequence[NamedFile]


def read_naming(unit: RequestUnit, page: Page, file_id: uuid.UUID, tiles: Mapping[str, Any]) -> Naming:
    """Return the form for the layers in ``tiles``, filled in as ``fill`` or ``names_of`` of the address ask.

    What is filled in names drawn layers that have no name yet.

    Raises:
        Problem: there is no such process or file.
        RowNotFound: there is no such file that the caller may see.
    """
    names = load_layer_names(unit, page.context.state.blobs, file_id)
    drawn = [f"{each['layer']}/{each['datatype']}" for each in tiles["body"].get("layers", ())]
    found = _fill(unit, page, file_id)
    offered, source = found or ({}, "")
    known = {key: name for key, name in offered.items() if key in drawn} | {**names.in_file, **names.given.names}
    return Naming(
        names,
        write_layer_text(drawn, known),
        names.given.source or source,
        found is not None,
        process_names(),
        layer_names.list_named(unit.connection, unit.caller, file_id, MOST_OTHERS),
    )


def _fill(unit: RequestUnit, page: Page, file_id: uuid.UUID) -> tuple[Mapping[str, str], str] | None:
    """Return the names that the address asks for and where they are from; ``None`` where it asks for none."""
    process, other = page.query.get("fill"), page.query.get("names_of")
    if process is not None:
        if process not in process_names():
            raise Problem("not-found", f"there is no process {process[:40]!r}")
        return names_of_process(process), f"process {process}"
    if other is None:
        return None
    try:
        other_id = uuid.UUID(other)
    except ValueError as error:
        raise Problem("not-found", f"there is no file {other[:40]!r}") from error
    here, there = (
        fetch_row(unit.connection, unit.caller, FILES, each, ("program_id", "filename")) for each in (file_id, other_id)
    )
    if here["program_id"] != there["program_id"]:
        raise Problem("not-found", "names are taken from a file of the same program")
    names = load_layer_names(unit, page.context.state.blobs, other_id)
    return {**names.in_file, **names.given.names}, f"names of {there['filename'][:MOST_SHOWN]}"
