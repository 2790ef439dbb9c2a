"""FIB and SEM images: TIFF files of FEI/Thermo, Zeiss and TESCAN, as rasters with the pitch in metres.

tifffile walks the directories and expands compressed strips; plain strips are read here, one after another. The bytes
of the strips must be rows x columns x samples x bytes of a sample, and lie within the file.
"""

import logging
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import Confidence, Sniff, Source
from instruments.description import Reach, RecordDescription, describe_record
from instruments.errors import (
    CorruptField,
    CountMismatch,
    InstrumentError,
    NotThisFormat,
    ReadingLimit,
    Truncated,
    UnsupportedVersion,
)
from instruments.records import Band, Raster, Record, Samples
from instruments.repair.fibsem_tags import PARSERS, VENDOR_TAGS, ImageFacts

_MAGICS = {b"II*\x00": "<", b"MM\x00*": ">"}
_MAX_ENTRIES = 4096
MAX_EXPANDED_BYTES = 1 << 30
MAX_TAG_BYTES = 64 << 20
_PALETTE = 3
_MOST_COMPLAINTS = 5
_STRIP_TAGS = ({273, 279}, {324, 325})
_INNER_DIRECTORIES = {330, 34665, 34853, 40965}
_NONE = 1


@dataclass(frozen=True)
class _Strips:
    """Where the plain bytes of an image lie."""

    path: Path
    places: tuple[tuple[int, int], ...]
    dtype: np.dtype[Any]

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield the samples strip by strip, little-endian."""
        with self.path.open("rb") as file:
            for offset, length in self.places:
                file.seek(offset)
                yield np.frombuffer(file.read(length), self.dtype).astype(self.dtype.newbyteorder("<"), copy=False)


class _Complaints(logging.Handler):
    """Keeps what tifffile logs while it reads, which is nothing for a sound file."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._logger = logging.getLogger("tifffile")
        self._found: list[str] = []
        self._propagated = True

    def emit(self, record: logging.LogRecord) -> None:
        self._found.append(record.getMessage())

    def __enter__(self) -> "_Complaints":
        self._propagated, self._logger.propagate = self._logger.propagate, False
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagated

    def texts(self) -> list[str]:
        """Return the first few, shortened."""
        return [f"the TIFF library complains: {text[:160]}" for text in dict.fromkeys(self._found)][:_MOST_COMPLAINTS]


class FibsemImageAdapter:
    """Reads the images of a file that an FEI/Thermo, Zeiss or TESCAN microscope wrote, as native grey values."""

    name = "fibsem_image"
    version = "1"
    formats = ("fei-tiff", "zeiss-tiff", "tescan-tiff")
    reach = Reach.HEADER

    def sniff(self, source: Source) -> Sniff:
        """Look for a maker's tag in the first directory of ``source``, if the beginning of the file holds it."""
        order = _MAGICS.get(source.head[:4])
        if order is None or source.is_bundle:
            return Sniff(Confidence.NO, "it is no TIFF file")
        tags = _tags_in_head(source.head, order)
        if tags is None:
            return Sniff(Confidence.POSSIBLE, "a TIFF file whose directory lies further on")
        known = sorted(tags & set(VENDOR_TAGS))
        if known:
            return Sniff(Confidence.CERTAIN, f"a TIFF file with the tag {known[0]}")
        return Sniff(Confidence.NO, "a TIFF file without a tag of FEI, Zeiss or TESCAN")

    def describe(self, source: Source) -> tuple[str, Iterable[RecordDescription]]:
        """Return what each image of ``source`` is, by its directories and tags; nothing is expanded.

        Raises:
            NotThisFormat, Truncated, CountMismatch, CorruptField, UnsupportedVersion, ReadingLimit: as ``read``.
        """
        name, rasters = _open_rasters(source, expand=False)
        return name, tuple(map(describe_record, rasters))

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return each image of ``source``.

        Raises:
            NotThisFormat: it is no TIFF file, or none of these makers'.
            Truncated, CountMismatch, CorruptField: the strips or tags are not right.
            UnsupportedVersion: samples or compression that are not read.
            ReadingLimit: a tag is too long, or a compressed image expands to more than is read.
        """
        name, rasters = _open_rasters(source, expand=True)
        return name, [raster.measured() for raster in rasters]


def _open_rasters(source: Source, *, expand: bool) -> tuple[str, list[Raster]]:
    """Return the images without their range; without ``expand`` those that are not plain have no samples."""
    import tifffile  # noqa: PLC0415 - only images need it

    if source.head[:4] not in _MAGICS:
        raise NotThisFormat("it is no TIFF file", file=source.name)
    complaints = _Complaints()
    try:
        with complaints, tifffile.TiffFile(source.path) as file:
            pages = list(file.pages)
            records = [
                _read_page(source, page, f" {number + 1}" if number else "", expand=expand)
                for number, page in enumerate(pages)
            ]
            after = _bytes_after(source, file, pages)
    except InstrumentError as error:
        error.file = source.name
        raise
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:
        message = f"the TIFF file is damaged: {type(error).__name__}: {str(error)[:120]}"
        raise CorruptField(message.replace(str(source.path), source.name), file=source.name) from error
    made = [record for record in records if record is not None]
    if not made:
        raise NotThisFormat("the TIFF file has no tag of FEI, Zeiss or TESCAN", file=source.name)
    doubts = [f"{len(records) - len(made)} images have no maker's tag and were not read"]
    doubts = doubts if len(records) > len(made) else []
    doubts += complaints.texts()
    doubts += [f"{after} bytes after the last part of the file were ignored"] if after > 0 else []
    first = replace(made[0][0], warnings=(*made[0][0].warnings, *doubts))
    return f"{made[0][1].maker}-tiff", [first, *(raster for raster, _ in made[1:])]


def _tags_in_head(head: bytes, order: str) -> set[int] | None:
    """Return the tags of the first directory; ``None`` when it is not wholly in ``head``."""
    if len(head) < 8:
        return None
    place = struct.unpack_from(f"{order}I", head, 4)[0]
    if place + 2 > len(head):
        return None
    count = struct.unpack_from(f"{order}H", head, place)[0]
    if place + 2 + 12 * count > len(head):
        return None
    return {struct.unpack_from(f"{order}H", head, place + 2 + 12 * entry)[0] for entry in range(count)}


def _bytes_after(source: Source, file: Any, pages: list[Any]) -> int:
    """Return how many bytes follow the last one that a directory, a tag or a strip takes; 0 when that is not clear."""
    end = 0
    for page in pages:
        if _INNER_DIRECTORIES & set(page.tags.keys()):
            return 0
        entry = 20 if file.tiff.is_bigtiff else 12
        ends = [page.offset + 2 + entry * len(page.tags) + 4]
        ends += [tag.valueoffset + tag.valuebytecount for tag in page.tags.values()]
        ends += [offset + length for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True)]
        end = max(end, *ends)
    # An odd end is filled up to a word.
    return source.size_bytes - end - end % 2


def _read_page(source: Source, page: Any, ending: str, *, expand: bool) -> tuple[Raster, ImageFacts] | None:
    tag = next((page.tags[code] for code in VENDOR_TAGS if code in page.tags), None)
    if tag is None:
        return None
    if len(page.tags) > _MAX_ENTRIES:
        raise CorruptField("a directory has too many entries", file=source.name, found=len(page.tags))
    if tag.valueoffset + tag.valuebytecount > source.size_bytes:
        message = "the file ends inside the maker's tag"
        end = tag.valueoffset + tag.valuebytecount
        raise Truncated(message, file=source.name, offset=tag.valueoffset, expected=end, found=source.size_bytes)
    if tag.valuebytecount > MAX_TAG_BYTES:
        message = "the maker's tag is too long"
        raise ReadingLimit(message, file=source.name, expected=MAX_TAG_BYTES, found=tag.valuebytecount)
    with source.path.open("rb") as file:
        file.seek(tag.valueoffset)
        data = file.read(tag.valuebytecount)
    facts = PARSERS[tag.code](data, (page.imagelength, page.imagewidth))
    samples, bands = _samples(source, page, facts, expand=expand)
    name = Path(source.name).stem or source.name
    raster = Raster(
        name=f"{name}{ending}",
        samples=samples,
        rows=page.imagelength,
        columns=page.imagewidth,
        bands=tuple(Band(band, "") for band in bands),
        kind="image",
        pitch_x_m=facts.pitch_x_m,
        pitch_y_m=facts.pitch_y_m,
        vendor_metadata={
            "maker": facts.maker,
            "beam": facts.beam,
            "data_bar_rows": facts.data_bar_rows,
            "tags": facts.verbatim,
        },
        warnings=tuple(facts.warnings),
    )
    return raster, facts


def _samples(source: Source, page: Any, facts: ImageFacts, *, expand: bool) -> tuple[Samples, tuple[str, ...]]:
    """Return the samples and the names of the bands, after the bytes were counted."""
    dtype = page.dtype
    if dtype is None or dtype.kind not in "uif" or page.bitspersample not in (8, 16, 32, 64):
        message = "images with such samples are not read"
        raise UnsupportedVersion(message, file=source.name, expected="8, 16, 32 or 64 bits", found=page.bitspersample)
    if page.imagedepth != 1 or page.samplesperpixel not in (1, 3) or not page.imagelength or not page.imagewidth:
        message = "images of this shape are not read"
        raise UnsupportedVersion(message, file=source.name, expected="1 or 3 samples", found=page.samplesperpixel)
    expected = page.imagelength * page.imagewidth * page.samplesperpixel * dtype.itemsize
    if not any(tags <= set(page.tags.keys()) for tags in _STRIP_TAGS):
        raise CorruptField("the directory does not say where the image lies and how long it is", file=source.name)
    places = tuple(zip(page.dataoffsets, page.databytecounts, strict=True))
    if not all(isinstance(number, int) and number >= 0 for place in places for number in place):
        message = "the offsets and lengths of the image are no counts of bytes"
        raise CorruptField(message, file=source.name)
    beyond = next((place for place in places if place[0] + place[1] > source.size_bytes), None)
    if beyond is not None:
        message = "the file ends inside the image"
        end = beyond[0] + beyond[1]
        raise Truncated(message, file=source.name, offset=beyond[0], expected=end, found=source.size_bytes)
    if page.photometric == _PALETTE and not _is_grey(page):
        facts.warnings.append("the values are numbers of colours in a palette")
    bands = ("grey",) if page.samplesperpixel == 1 else ("red", "green", "blue")
    if page.compression == _NONE and not page.is_tiled:
        counted = sum(length for _, length in places)
        if counted != expected or any(length % dtype.itemsize for _, length in places):
            message = "the strips do not hold as many bytes as the image has"
            raise CountMismatch(message, file=source.name, expected=expected, found=counted)
        if page.samplesperpixel == 1:
            native = np.dtype(dtype).newbyteorder(page.parent.byteorder)
            strips = _Strips(source.path, places, native)
            count = page.imagelength * page.imagewidth
            return Samples(native.newbyteorder("<"), count, strips.blocks), bands
    if expected > MAX_EXPANDED_BYTES:
        message = "the image expands to more than is read"
        raise ReadingLimit(message, file=source.name, expected=MAX_EXPANDED_BYTES, found=expected)
    if expand:
        return Samples.of(_expand(source, page, expected)), bands
    return Samples(np.dtype(dtype).newbyteorder("<"), expected // dtype.itemsize, partial(iter, ())), bands


def _is_grey(page: Any) -> bool:
    """Tell whether the palette is a ramp from black to white, so that a value is its own grey."""
    table = page.colormap
    if table is None:
        return False
    ramp = np.arange(table.shape[1]) * (65535 // (table.shape[1] - 1))
    return bool(all(np.abs(channel.astype(np.int64) - ramp).max() <= 257 for channel in table))


def _expand(source: Source, page: Any, expected: int) -> NDArray[Any]:
    """Return the samples of an image that is compressed, tiled or of several bands, band after band."""
    try:
        array = page.asarray(maxworkers=1)
    except (ValueError, KeyError, ImportError) as error:
        name = getattr(page.compression, "name", str(page.compression))
        message = f"the image does not expand from {name}: {str(error)[:80]}"
        raise UnsupportedVersion(message, file=source.name) from error
    if array.nbytes != expected:
        message = "the image does not expand to as many bytes as it has"
        raise CountMismatch(message, file=source.name, expected=expected, found=int(array.nbytes))
    if page.samplesperpixel > 1 and page.planarconfig == 1:
        array = np.moveaxis(array, -1, 0)
    made: NDArray[Any] = np.ascontiguousarray(array)
    return made
