"""Where the rows of a page come from, for the part of the page that says so."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from db.repositories.origins import find_origins
from services.api.context import RequestUnit


def origins_of(unit: RequestUnit, rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the files and bundles that ``rows`` name as ``raw_file_id`` and ``bundle_id``, as far as the viewer may.

    A row of a bundle that names its member too is told by the member alone.
    """
    files, bundles = set(), set()
    for row in rows:
        if row.get("raw_file_id"):
            files.add(uuid.UUID(str(row["raw_file_id"])))
        elif row.get("bundle_id"):
            bundles.add(uuid.UUID(str(row["bundle_id"])))
    return find_origins(unit.connection, unit.caller, files, bundles)
