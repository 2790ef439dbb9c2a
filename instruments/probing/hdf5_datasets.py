"""Datasets of an HDF5 file that stay within it: links are followed by hand, storage is counted before it is read.

h5py follows external links and external storage silently and gives fill values for chunks that were never written.
Here a path is resolved link by link, and a dataset's shape times the bytes of an item must be what its storage holds:
the bytes of a contiguous one, the number of written chunks of a chunked one.
"""

import math
import mmap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.errors import CorruptField, CountMismatch, InstrumentError, ReadingLimit, Truncated, UnsupportedVersion

SIGNATURE = b"\x89HDF\r\n\x1a\n"
HEAP = b"GCOL\x01\x00\x00\x00"
BLOCK_BYTES = 2 << 20
MAXIMUM_CHUNK_BYTES = 64 << 20
EXPANSION_FLOOR_BYTES = 16 << 20
MAXIMUM_EXPANSION = 1100  # deflate reaches 1032:1
LEFT_OUT_BYTES = 1 << 16
"""Storage of fewer bytes is looked at like the rest of a file; it would take longer to find out where it lies."""
MAXIMUM_LINKS = 16
LISTED = 40
MAXIMUM_ATTRIBUTE_POINTS = 1000


def open_hdf5(path: Path, file: str, *, outline: bool = False) -> Any:
    """Return the open h5py file ``path``; ``file`` is its name for messages.

    In ``outline`` the storage of its datasets is not looked at.

    Raises:
        Truncated: it is shorter than it says.
        CorruptField: h5py refuses it, or a heap of texts is damaged.
    """
    if outline:
        opened = _open(path, file)
        try:
            check_heaps(path, file, _storage(opened))
        except BaseException:
            opened.close()
            raise
        return opened
    check_heaps(path, file)
    return _open(path, file)


def _open(path: Path, file: str) -> Any:
    import h5py  # noqa: PLC0415 - loaded only where an HDF5 file is read

    try:
        return h5py.File(path, "r", locking=False)
    except Exception as error:
        text = " ".join(str(error).split())
        if "truncated" in text:
            raise Truncated("the HDF5 file is shorter than it says", file=file, offset=path.stat().st_size) from error
        raise CorruptField(f"h5py refuses the file: {text[:200]}", file=file) from error


def _storage(opened: Any) -> list[tuple[int, int]]:
    """Return where the raw data of the larger datasets lie, ``(start, end)`` in bytes of the file, in order."""
    import h5py  # noqa: PLC0415

    found: list[tuple[int, int]] = []

    def note(_: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset) or item.id.get_storage_size() < LEFT_OUT_BYTES:
            return
        if item.chunks is None:
            start = item.id.get_offset()
            if start is not None:
                found.append((start, start + item.id.get_storage_size()))
        else:
            item.id.chunk_iter(lambda chunk: found.append((chunk.byte_offset, chunk.byte_offset + chunk.size)))

    try:
        with refusals_of_h5py():
            opened.visititems(note)
    except CorruptField:  # something that nobody may have asked for is damaged: then nothing is left out
        return []
    return sorted(found)


def check_heaps(path: Path, file: str, left_out: Iterable[tuple[int, int]] = ()) -> None:
    """Walk the global heaps, where texts of any length lie: the library loops for ever over a damaged one.

    Source: HDF5 File Format Specification 3.0, III.E. A collection holds objects, each with 16 bytes of header, filled
    up to 8 bytes; object 0 is what is left. No heap is looked for in ``left_out``, ranges of bytes in order.

    Raises:
        CorruptField: the objects of a collection are not its size.
    """
    size = path.stat().st_size
    if not size:
        return
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        begin = 0
        for start, end in (*left_out, (size, size)):
            if start > begin:
                _walk_heaps(data, (begin, min(start + len(HEAP) - 1, size)), size, file)
            begin = max(begin, end)


def _walk_heaps(data: mmap.mmap, span: tuple[int, int], size: int, file: str) -> None:
    place = data.find(HEAP, *span)
    while place >= 0:
        end = place + int.from_bytes(data[place + 8 : place + 16], "little")
        at = place + 16
        while at + 16 <= min(end, size):
            index, length = (
                int.from_bytes(data[at : at + 2], "little"),
                int.from_bytes(data[at + 8 : at + 16], "little"),
            )
            if index == 0:
                if length != end - at:
                    break
                at = end
            else:
                at += 16 + (length + 7) // 8 * 8
        if end > size or not end - 16 < at <= end:
            raise CorruptField("a heap of texts in the HDF5 file is damaged", file=file, offset=place)
        place = data.find(HEAP, place + len(HEAP), span[1])


@contextmanager
def refusals_of_h5py() -> Iterator[None]:
    """Make an error of h5py within the block, which it raises of many types for a damaged file, one of ours.

    Raises:
        CorruptField: with h5py's words.
    """
    try:
        yield
    except (KeyError, RuntimeError, OSError, ValueError, TypeError, OverflowError) as error:
        text = " ".join(str(error).split())
        raise CorruptField(f"h5py refuses the file: {text[:200]}") from error


def list_datasets(opened: Any) -> str:
    """Return the paths, shapes and types of the datasets in an open file, links not followed."""
    import h5py  # noqa: PLC0415

    found: list[str] = []

    def note(name: str, item: Any) -> bool | None:
        if isinstance(item, h5py.Dataset):
            shape = " x ".join(map(str, item.shape or ())) or "scalar"
            found.append(f"/{name} ({shape}, {item.dtype})")
        return True if len(found) > LISTED else None

    opened.visititems(note)
    more = ", ..." if len(found) > LISTED else ""
    return ", ".join(found[:LISTED]) + more if found else "no dataset"


def find_dataset(opened: Any, path: str, links: int = MAXIMUM_LINKS) -> Any:
    """Return the dataset ``path`` of an open file.

    Raises:
        CorruptField: it is not there, or no dataset; its message lists what is.
        UnsupportedVersion: a link, or the dataset's storage, leaves the file.
    """
    import h5py  # noqa: PLC0415

    item = find_object(opened, path, links)
    if not isinstance(item, h5py.Dataset):
        raise CorruptField(f"{path} is no dataset", found=list_datasets(opened))
    if item.external:
        raise UnsupportedVersion(f"the samples of {path} are in another file, which is not read")
    if item.is_virtual:
        raise UnsupportedVersion(f"the dataset {path} is a view of others, which is not read")
    return item


def find_object(opened: Any, path: str, links: int = MAXIMUM_LINKS) -> Any:
    """Return the group or dataset ``path``; see :func:`find_dataset`."""
    import h5py  # noqa: PLC0415

    item: Any = opened
    walked: list[str] = []
    for part in (piece for piece in path.split("/") if piece):
        name = part.encode("utf-8", "surrogateescape")
        # The high-level look-ups would open the target of an external link.
        if not isinstance(item, h5py.Group) or not item.id.links.exists(name):
            raise CorruptField(f"the file has no {path}", found=list_datasets(opened))
        kind = item.id.links.get_info(name).type
        if kind == h5py.h5l.TYPE_HARD:
            item = item[part]
        elif kind == h5py.h5l.TYPE_SOFT:
            if not links:
                raise CorruptField(f"{path} leads through too many links", expected=f"<= {MAXIMUM_LINKS}")
            target = item.id.links.get_val(name).decode("utf-8", "replace")
            target = target if target.startswith("/") else "/".join(["", *walked, target])
            item = find_object(opened, target, links - 1)
        else:
            raise UnsupportedVersion(f"{path} is a link to another file, which is not followed")
        walked.append(part)
    return item


def read_attribute(item: Any, name: str) -> Any:
    """Return the attribute ``name`` of a group or dataset: numbers or texts.

    Raises:
        UnsupportedVersion: it is of another type, or long; the library does not survive some damaged ones.
    """
    import h5py  # noqa: PLC0415

    identifier = item.attrs.get_id(name)
    kind = identifier.get_type()
    simple = isinstance(kind, h5py.h5t.TypeIntegerID | h5py.h5t.TypeFloatID | h5py.h5t.TypeStringID)
    points = math.prod(identifier.shape) if identifier.shape is not None else 0
    if not simple or points > MAXIMUM_ATTRIBUTE_POINTS:
        raise UnsupportedVersion(f"the attribute {name[:80]} holds something else than a few numbers or texts")
    width = 16 if isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str() else kind.get_size()
    if identifier.get_storage_size() != points * width:
        message = f"the attribute {name[:80]} is not of its size"
        raise CountMismatch(message, expected=points * width, found=identifier.get_storage_size())
    return item.attrs[name]


def check_storage(dataset: Any, path: str) -> None:
    """Count what the storage of ``dataset`` holds and compare it with its shape.

    Raises:
        CountMismatch: they differ.
        ReadingLimit: chunks are too large, or the file is too small for what it claims to hold.
        CorruptField, UnsupportedVersion: it holds no numbers.
    """
    if dataset.shape is None or 0 in dataset.shape:
        raise CorruptField(f"the dataset {path} is empty", found=str(dataset.shape))
    if dataset.dtype.kind not in "iufcb" or dataset.dtype.itemsize > 16:
        raise UnsupportedVersion(f"the dataset {path} does not hold numbers", found=str(dataset.dtype))
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    if dataset.chunks is None:
        if stored != size:
            message = f"the storage of {path} is not that of its shape"
            raise CountMismatch(message, expected=size, found=stored)
        return
    chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize
    if chunk > MAXIMUM_CHUNK_BYTES:
        raise ReadingLimit(f"the chunks of {path} are too large", expected=MAXIMUM_CHUNK_BYTES, found=chunk)
    if size > EXPANSION_FLOOR_BYTES and size > MAXIMUM_EXPANSION * max(1, stored):
        message = f"the dataset {path} expands too far"
        raise ReadingLimit(message, expected=MAXIMUM_EXPANSION * stored, found=size)
    expected = math.prod(-(-length // step) for length, step in zip(dataset.shape, dataset.chunks, strict=True))
    found = dataset.id.get_num_chunks()
    if found != expected:
        raise CountMismatch(f"chunks of {path} were never written", expected=expected, found=found)


def read_rows(dataset: Any, index: tuple[int, ...], start: int, stop: int, path: str) -> NDArray[Any]:
    """Return ``dataset[index][start:stop]``, little-endian.

    Raises:
        CorruptField: h5py cannot read it: damaged, or a filter that is not there.
        CountMismatch: it gave less than asked for.
    """
    try:
        values = np.asarray(dataset[(*index, slice(start, stop))])
    except InstrumentError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise CorruptField(f"h5py cannot read {path}: {text[:200]}") from error
    if len(values) != stop - start:
        raise CountMismatch(f"h5py gave less of {path} than asked for", expected=stop - start, found=len(values))
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<"))


def row_blocks(dataset: Any, index: tuple[int, ...], path: str) -> Iterator[NDArray[Any]]:
    """Yield ``dataset[index]`` in blocks along its first remaining axis, each about a block or a chunk long."""
    shape = dataset.shape[len(index) :]
    row = math.prod(shape[1:]) * dataset.dtype.itemsize
    each = max(1, BLOCK_BYTES // max(1, row))
    if dataset.chunks is not None:
        step = dataset.chunks[len(index)]
        each = max(step, each // step * step)
    for start in range(0, shape[0], each):
        yield read_rows(dataset, index, start, min(start + each, shape[0]), path)
