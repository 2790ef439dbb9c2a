"""Maps of a signal over the die (LVI, EOFM, reflectance): TIFF pages or grids of text with the sidecar ``map.json``.

An image alone does not say what its numbers are, at which frequency they were taken, nor how large a pixel is. So maps
are read in a bundle with ``map.json`` (schema ``faultlight.signal-map/1``, documented in ``signal_map_document``), and
never by guess. One document may describe several maps: then it has ``maps``, a list.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach, RecordDescription, describe_record
from instruments.errors import CorruptField, InstrumentError, NotThisFormat, UnsupportedVersion
from instruments.probing.sidecar import Fields, is_index, read_sidecar, take_member
from instruments.probing.signal_map_document import MapDescription, take_map
from instruments.probing.signal_map_planes import TiffPages, read_grid
from instruments.probing.signal_map_raster import hollow_plane, make_raster, outline_raster
from instruments.records import Raster, Record

FILE = "map.json"
SCHEMA = "faultlight.signal-map/1"
_Made = TypeVar("_Made")
TIFF_MAGICS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


@dataclass(frozen=True)
class Plane:
    """Where a band's samples are: a page of a TIFF file, or a grid of text after some lines."""

    member: str
    page: int | None
    skip_lines: int | None


class SignalMapAdapter:
    """Reads the maps that ``map.json`` describes."""

    name = "signal_map"
    version = "2"
    formats = ("signal-map",)
    reach = Reach.HEADER
    """Of a grid of text only where the sidecar gives its rows and columns; else the description says that it walked."""

    def sniff(self, source: Source) -> Sniff:
        """Look for ``map.json`` in a bundle; a lone TIFF is possibly a map, to be refused without its sidecar."""
        if source.is_bundle:
            if FILE in source.members and not {"session.json", "mapping.json"} & set(source.members):
                return Sniff(Confidence.CERTAIN, f"the bundle has {FILE}")
            return Sniff(Confidence.NO, f"the bundle has no {FILE}")
        if source.head.startswith(TIFF_MAGICS):
            return Sniff(Confidence.POSSIBLE, f"a TIFF image; to be read as a map it needs {FILE} beside it")
        return Sniff(Confidence.NO, f"neither a bundle with {FILE} nor a TIFF image")

    def describe(self, source: Source) -> tuple[str, Iterable[RecordDescription]]:
        """Return what each map is, by the sidecar and the directories of its images.

        A grid of text whose rows and columns the sidecar does not give is read.

        Raises:
            UnsupportedVersion, CorruptField, Truncated, CountMismatch, ReadingLimit: as ``read``.
        """
        return "signal-map", _each_map(source, _describe_map)

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return ``"signal-map"`` and one raster for each map.

        Raises:
            UnsupportedVersion: an image without its sidecar, or with samples that are not read.
            CorruptField: the sidecar, or an image that it names, is not right.
            Truncated, CountMismatch, ReadingLimit: an image is cut, is not of its size, or is too large.
        """
        return "signal-map", _each_map(source, _read_map)


def _each_map(source: Source, make: "Callable[[_Map, Images], Callable[[], _Made]]") -> tuple[_Made, ...]:
    """Look at all images of ``source``, then make something of each map, with what is doubtful about any image."""
    try:
        if not source.is_bundle:
            _refuse_lone_file(source)
        if FILE not in source.members:
            raise NotThisFormat(f"the bundle has no {FILE}")
        maps = _find_maps(source)
        images = Images(dict(source.members))
        looked_at = [make(item, images) for item in maps]
        return tuple(finish() for finish in looked_at)
    except InstrumentError as error:
        error.file = source.name
        raise


def _refuse_lone_file(source: Source) -> None:
    if not source.head.startswith(TIFF_MAGICS):
        raise NotThisFormat("no TIFF image")
    pages = TiffPages(source.path, source.name).directories
    sizes = ", ".join(f"{page.rows} x {page.columns}, {page.bits[0]} bits" for page in pages[:5])
    message = f"an image does not say what it is a map of: put it in a bundle with {FILE}, which says it"
    raise UnsupportedVersion(message, expected=f"a bundle with {FILE}", found=f"{len(pages)} pages: {sizes}")


@dataclass(frozen=True)
class _Map:
    """A map of the sidecar, with what is kept of the sidecar."""

    description: MapDescription
    metadata: dict[str, Any]


def _find_maps(source: Source) -> list[_Map]:
    members = dict(source.members)
    fields, document = read_sidecar(members[FILE], FILE, SCHEMA, source.name)

    def take_place(band: Fields) -> Plane:
        return take_plane(band, members)

    stem = PurePosixPath(source.name).stem or "map"
    if fields.has("maps"):
        items = fields.items("maps")
        descriptions = [take_map(item, take_place, f"{stem} {number}") for number, item in enumerate(items, 1)]
        fields.finish()
    else:
        descriptions = [take_map(fields, take_place, stem)]
    names = [item.name for item in descriptions]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None or not names:
        raise CorruptField(f"{FILE} has two maps called {twice}" if twice else f"{FILE} has no map")
    named = {band.place.member for item in descriptions for band in item.bands}
    unnamed = sorted(set(members) - named - {FILE})
    if unnamed:
        raise CorruptField(f"{FILE} does not name {unnamed[0][:100]}", found=len(unnamed))
    return [_Map(item, _metadata(item, document)) for item in descriptions]


def _read_map(item: _Map, images: "Images") -> Callable[[], Raster]:
    arrays = [images.read(band.place) for band in item.description.bands]
    return lambda: make_raster(
        item.description, arrays, item.metadata, (*images.warnings(), *_unchecked(item.description, images))
    )


def _describe_map(item: _Map, images: "Images") -> Callable[[], RecordDescription]:
    size = (item.description.rows, item.description.columns)
    arrays = [images.outline(band.place, size) for band in item.description.bands]
    walked = any(band.place.member in images.grids for band in item.description.bands)

    def finish() -> RecordDescription:
        warnings = (*images.warnings(), *_unchecked(item.description, images))
        outline = outline_raster(item.description, arrays, item.metadata, warnings)
        return describe_record(outline, Reach.WALK if walked else Reach.HEADER)

    return finish


def take_plane(band: Fields, members: dict[str, Path], default: str | None = None) -> Plane:
    """Return where a band's samples are; ``default`` is the member for a band that names none.

    Raises:
        CorruptField: the band's keys are not right.
    """
    member = take_member(band, "file", members, default)
    page = band.take("page", is_index, "a whole number from 0", None)
    skip_lines = band.take("skip_lines", is_index, "a whole number from 0", None)
    if page is not None and skip_lines is not None:
        raise CorruptField(f"{band.label} has page and skip_lines")
    return Plane(member, page, skip_lines)


def _unchecked(item: MapDescription, images: "Images") -> tuple[str, ...]:
    texts = any(band.place.member in images.grids for band in item.bands)
    if texts and (item.rows is None or item.columns is None):
        return (f"{FILE} gives no rows and columns: a cut grid of text would not be noticed",)
    return ()


class Images:
    """The image files of a bundle, each looked into once."""

    def __init__(self, members: Mapping[str, Path]) -> None:
        self._members = members
        self._pages: dict[str, TiffPages] = {}
        self.grids: dict[str, bool] = {}

    def read(self, place: Plane) -> NDArray[Any]:
        """Return a band's stored samples, shape ``(rows, columns)``."""
        pages = self._find_pages(place)
        if pages is not None:
            return pages.read(place.page or 0)
        path = self._members[place.member]
        values, self.grids[place.member] = read_grid(path, place.skip_lines or 0, place.member)
        return values

    def outline(self, place: Plane, size: tuple[int | None, int | None]) -> NDArray[Any]:
        """Return an array of the shape and type of a band's samples, which is empty of them where it can be.

        ``size`` is rows and columns as the sidecar gives them: a grid of text without them is read.
        """
        pages = self._find_pages(place)
        if pages is not None:
            return hollow_plane(*pages.outline(place.page or 0))
        rows, columns = size
        if rows is not None and columns is not None:
            return hollow_plane(rows, columns, np.dtype(np.float64))
        return self.read(place)

    def _find_pages(self, place: Plane) -> TiffPages | None:
        """Return the pages of a TIFF image; of a grid of text there are none."""
        path = self._members[place.member]
        with path.open("rb") as stream:
            is_tiff = stream.read(4) in TIFF_MAGICS
        if not is_tiff:
            if place.page is not None:
                raise CorruptField(f"{place.member} is no TIFF image and has no pages")
            return None
        if place.skip_lines is not None:
            raise CorruptField(f"{place.member} is a TIFF image and has no lines to skip")
        if place.member not in self._pages:
            self._pages[place.member] = TiffPages(path, place.member)
        return self._pages[place.member]

    def warnings(self) -> tuple[str, ...]:
        """Say which pages were not named, and which texts may be cut."""
        pages = [f"{item.unused} pages of {name} are not named" for name, item in self._pages.items() if item.unused]
        cut = [
            f"the last line of {name} has no line end: it may be cut" for name, ended in self.grids.items() if not ended
        ]
        return (*sorted(pages), *sorted(cut))


def _metadata(item: MapDescription, document: dict[str, Any]) -> dict[str, Any]:
    return {
        "technique": item.technique,
        "resolution_bandwidth_hz": item.resolution_bandwidth_hz,
        "phase_wrapped": item.phase_wrapped,
        "sidecar": document,
    }
