"""The maps that a probing session names: ``"maps": [{"file", "frequency_hz", "kind", …}]`` in ``session.json``.

An entry is read when it says what its numbers are: with ``bands`` and the other keys of ``signal_map_document`` (a
band without ``file`` is in the entry's own), or, for one band, with ``kind`` (a band's name) and ``unit``. An entry
that says less stays in the document, and a warning says so.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from instruments.adapter import Source
from instruments.errors import CorruptField, InstrumentError
from instruments.probing.sidecar import Fields, is_positive, is_text
from instruments.probing.signal_map import Images, Plane, take_plane
from instruments.probing.signal_map_document import BANDS, take_map
from instruments.probing.signal_map_raster import make_raster
from instruments.records import Raster

LABEL = "session.json.maps"


def read_session_maps(
    source: Source, document: Mapping[str, Any]
) -> tuple[dict[str, tuple[Raster, ...]], tuple[str, ...]]:
    """Return the rasters of the maps that ``document`` of ``source`` describes, by file, and warnings.

    Raises:
        CorruptField: an entry is not right, or names a file that is not in the bundle.
        InstrumentError: an image is refused.
    """
    members = dict(source.members)
    images = Images(members)
    found: dict[str, tuple[Raster, ...]] = {}
    warnings: list[str] = []
    for number, entry in enumerate(document.get("maps") or ()):
        label = f"{LABEL}[{number}]"
        fields = Fields(entry, label, source.name)
        file = str(fields.take("file", is_text, "a file name"))
        if file not in members:
            raise CorruptField(f"maps: the session names {file[:100]}, which is not in the bundle", file=source.name)
        keys = _complete(fields, entry, file)
        if keys is None:
            warnings.append(f"the map {file} was not read: session.json gives neither its bands nor its kind and unit")
            continue

        def take_place(band: Fields, file: str = file) -> Plane:
            return take_plane(band, members, file)

        try:
            description = take_map(Fields(keys, label, source.name), take_place, PurePosixPath(file).stem)
            arrays = [images.read(band.place) for band in description.bands]
            raster = make_raster(description, arrays, {"entry": dict(entry)}, images.warnings())
        except InstrumentError as error:
            if LABEL not in error.message:
                error.message = f"{file} is refused: {error.message}"
            error.file = source.name
            raise
        found[file] = (*found.get(file, ()), raster)
    return found, tuple(warnings)


def _complete(fields: Fields, entry: Mapping[str, Any], file: str) -> dict[str, Any] | None:
    """Return the entry with all keys of a map, or ``None`` when it does not say what its numbers are."""
    kind = fields.take("kind", is_text, "a text", "")
    fields.take("frequency_hz", is_positive, "a positive number", None)
    keys = {key: value for key, value in entry.items() if key not in ("file", "kind")}
    if fields.has("bands"):
        return {"technique": kind or None, **keys}
    if kind not in BANDS or not fields.has("unit"):
        return None
    of_band = {key: keys.pop(key) for key in ("unit", "gain", "offset", "page", "skip_lines") if key in keys}
    return {**keys, "bands": [{"name": kind, "file": file, **of_band}]}


def map_files(document: Mapping[str, Any]) -> set[str]:
    """Return the files that the maps of ``document`` name."""
    entries = [entry for entry in document.get("maps") or () if isinstance(entry, dict)]
    bands = [band for entry in entries for band in entry.get("bands") or () if isinstance(band, dict)]
    return {str(item["file"]) for item in (*entries, *bands) if item.get("file")}
