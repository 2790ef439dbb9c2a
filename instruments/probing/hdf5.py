"""HDF5 files by an explicit mapping: a bundle of the file and ``mapping.json``, as ``hdf5_mapping`` documents it.

An HDF5 file alone is refused with a list of its datasets: what they mean is not in the file. The count of a dataset is
its shape; the second count is its storage (``hdf5_datasets``).
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
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
    UnsupportedVersion,
)
from instruments.probing.hdf5_datasets import (
    SIGNATURE,
    check_storage,
    find_dataset,
    find_object,
    list_datasets,
    open_hdf5,
    read_attribute,
    read_rows,
    refusals_of_h5py,
    row_blocks,
)
from instruments.probing.hdf5_mapping import FILE, Quantity, Selection, WaveformMapping, read_mapping
from instruments.probing.signal_map_document import BandSource, MapDescription
from instruments.probing.signal_map_raster import hollow_plane, make_raster, outline_raster
from instruments.records import Raster, Record, Samples, Segment, Waveform

REGULARITY = 0.01
"""How far a sample time may lie from a regular grid, in distances of samples."""
MAXIMUM_MAP_BYTES = 512 << 20
MAXIMUM_SEGMENTS = 1_000_000
USER_BLOCKS = (0, 512, 1024, 2048)
KEPT_BYTES = 32 << 20
"""What is kept in memory of all waveforms of a file."""


class Hdf5Adapter:
    """Reads the waveforms and maps that ``mapping.json`` names from the HDF5 file beside it."""

    name = "hdf5"
    version = "1"
    formats = ("hdf5",)
    reach = Reach.HEADER

    def sniff(self, source: Source) -> Sniff:
        """Look for ``mapping.json`` in a bundle; a lone HDF5 file is known by its signature, to be refused."""
        if source.is_bundle:
            if FILE in source.members and "session.json" not in source.members:
                return Sniff(Confidence.CERTAIN, f"the bundle has {FILE}")
            return Sniff(Confidence.NO, f"the bundle has no {FILE}")
        if any(source.head[start : start + 8] == SIGNATURE for start in USER_BLOCKS):
            return Sniff(Confidence.LIKELY, f"an HDF5 file; to be read it needs {FILE} beside it")
        return Sniff(Confidence.NO, "no HDF5 signature")

    def describe(self, source: Source) -> tuple[str, Iterable[RecordDescription]]:
        """Return what the records of the mapping are, by the shapes and storage of the datasets.

        Of a dataset of times the first and the last are read.

        Raises:
            UnsupportedVersion, CorruptField, CountMismatch, Truncated, ReadingLimit: as ``read``.
        """
        return "hdf5", tuple(map(describe_record, _records(source, outline=True)))

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return ``"hdf5"`` and the records of the mapping.

        Raises:
            UnsupportedVersion: an HDF5 file without a mapping; storage or links outside the file.
            CorruptField: the mapping, or what it names, is not right.
            CountMismatch: a dataset's storage is not that of its shape.
            Truncated, ReadingLimit: the file is cut, or expands too far.
        """
        return "hdf5", _records(source, outline=False)


def _records(source: Source, *, outline: bool) -> tuple[Waveform | Raster, ...]:
    """Return the records of the mapping; in ``outline`` their samples are left alone."""
    try:
        if not source.is_bundle:
            _refuse_lone_file(source)
        if FILE not in source.members:
            raise NotThisFormat(f"the bundle has no {FILE}")
        mapping = read_mapping(dict(source.members), source.name)
        path = source.members[mapping.member]
        with open_hdf5(path, source.name, outline=outline) as opened, refusals_of_h5py():
            metadata = {"mapping": mapping.document, "file": mapping.member, "attributes": _attributes(opened)}
            records: list[Waveform | Raster] = []
            left = KEPT_BYTES
            for item in mapping.waveforms:
                for found in _waveforms(opened, path, item, metadata, outline=outline):
                    if outline:
                        records.append(found)
                        continue
                    size = found.samples.count * found.samples.dtype.itemsize
                    keep = size <= left  # to unpack them again would cost as much as all the rest
                    left -= size if keep else 0
                    records.append((replace(found, samples=found.samples.kept()) if keep else found).measured())
            records += [_raster(opened, item, metadata, outline=outline) for item in mapping.maps]
        others = sorted(set(source.members) - {FILE, mapping.member})
    except InstrumentError as error:
        error.file = source.name
        raise
    if others:
        raise CorruptField(f"{FILE} does not name {others[0][:100]}", file=source.name, found=len(others))
    return tuple(records)


def _refuse_lone_file(source: Source) -> None:
    if not any(source.head[start : start + 8] == SIGNATURE for start in USER_BLOCKS):
        raise NotThisFormat("no HDF5 signature")
    with open_hdf5(source.path, source.name) as opened, refusals_of_h5py():
        found = list_datasets(opened)
    message = f"HDF5 does not say what its datasets are: put the file in a bundle with {FILE}, which names them"
    raise UnsupportedVersion(message, expected=f"a bundle with {FILE}", found=found)


def _attributes(item: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in list(item.attrs)[:200]:
        try:
            found[str(name)] = str(read_attribute(item, name))[:1000]
        except Exception as error:  # an attribute of a type that h5py does not know
            found[str(name)] = f"not readable: {type(error).__name__}"
    return found


def _number(opened: Any, quantity: Quantity, what: str) -> float | None:
    """Return a number of the mapping, or of the attribute or dataset that it refers to."""
    if quantity is None or isinstance(quantity, float):
        return quantity
    place = f"{quantity.path}@{quantity.attribute}" if quantity.attribute else quantity.path
    if quantity.attribute is None:
        dataset = find_dataset(opened, quantity.path)
        check_storage(dataset, quantity.path)
        if math.prod(dataset.shape) != 1:
            raise CorruptField(f"{what} refers to {place}, which is not one number", found=str(dataset.shape))
        found = dataset[()]
    else:
        holder = find_object(opened, quantity.path)
        if quantity.attribute not in holder.attrs:
            raise CorruptField(f"{what} refers to {place}, which is not there", found=", ".join(_attributes(holder)))
        found = read_attribute(holder, quantity.attribute)
    values = np.asarray(found).ravel()
    if values.size != 1 or values.dtype.kind not in "iuf" or not np.isfinite(values[0]):
        raise CorruptField(f"{what} refers to {place}, which is no finite number", found=str(found)[:80])
    return float(values[0])


def _select(opened: Any, selection: Selection) -> tuple[Any, tuple[int, ...]]:
    """Return the dataset, checked, and the shape that is left after the index."""
    dataset = find_dataset(opened, selection.path)
    check_storage(dataset, selection.path)
    if len(selection.index) >= len(dataset.shape):
        message = f"the index of {selection.path} leaves no axis"
        raise CorruptField(message, expected=f"< {len(dataset.shape)} numbers", found=len(selection.index))
    for position, length in zip(selection.index, dataset.shape, strict=False):
        if position >= length:
            raise CorruptField(f"the index of {selection.path} is outside it", expected=f"< {length}", found=position)
    return dataset, tuple(dataset.shape[len(selection.index) :])


def _waveforms(
    opened: Any, path: Path, item: WaveformMapping, metadata: dict[str, Any], *, outline: bool
) -> Iterator[Waveform]:
    dataset, shape = _select(opened, item.values)
    if len(shape) != (1 if item.segments_axis is None else 2):
        message = f"{item.name}: {item.values.path} has {len(shape)} axes after its index"
        expected = "1, or 2 with segments_axis" if item.segments_axis is None else "2"
        raise CorruptField(message, expected=expected, found=str(shape))
    segments, each = (
        (1, shape[0]) if item.segments_axis is None else (shape[item.segments_axis], shape[1 - item.segments_axis])
    )
    if segments > MAXIMUM_SEGMENTS:
        raise ReadingLimit(f"{item.name} has too many segments", expected=MAXIMUM_SEGMENTS, found=segments)
    gain, offset = _number(opened, item.gain, "gain"), _number(opened, item.offset, "offset")
    if not gain:
        raise CorruptField(f"{item.name}: the gain is 0")
    dt_s, t0_s = _time(opened, item, each, outline=outline)
    triggers = _trigger_offsets(opened, item, segments)
    warnings = (
        () if dt_s is not None else ("the mapping gives neither dt_s nor time: the distance of samples is unknown",)
    )
    parts: tuple[tuple[str, Callable[[NDArray[Any]], NDArray[Any]]], ...] = (("", lambda block: block),)
    if dataset.dtype.kind == "c":
        parts = ((" (real)", lambda block: block.real), (" (imaginary)", lambda block: block.imag))
    for ending, part in parts:
        blocks = partial(_blocks, path, item, part)
        dtype = np.dtype("u1") if dataset.dtype.kind == "b" else dataset.dtype.newbyteorder("<")
        if ending:
            dtype = np.dtype(f"<f{dtype.itemsize // 2}")
        yield Waveform(
            name=f"{item.name}{ending}",
            samples=Samples(dtype, segments * each, blocks),
            unit=item.unit,
            dt_s=dt_s,
            segments=tuple(Segment(each, t0_s, trigger) for trigger in triggers),
            gain=gain,
            offset=offset or 0.0,
            averages=item.averages,
            vendor_metadata=metadata | {"dataset": item.values.path, "dataset_attributes": _attributes(dataset)},
            warnings=warnings,
        )


def _blocks(path: Path, item: WaveformMapping, part: Callable[[NDArray[Any]], NDArray[Any]]) -> Iterator[NDArray[Any]]:
    with open_hdf5(path, path.name) as opened:
        dataset, shape = _select(opened, item.values)
        if item.segments_axis == 1:
            # Segments are columns: one pass over the dataset for each block of them.
            each = max(1, (1 << 18) // shape[0])
            for start in range(0, shape[1], each):
                rows = [
                    block[:, start : start + each] for block in row_blocks(dataset, item.values.index, item.values.path)
                ]
                yield np.ascontiguousarray(part(np.concatenate(rows).T)).ravel()
            return
        for block in row_blocks(dataset, item.values.index, item.values.path):
            yield np.ascontiguousarray(part(block)).ravel()


def _time(opened: Any, item: WaveformMapping, each: int, *, outline: bool) -> tuple[float | None, float | None]:
    """Return the distance of samples and the time of the first one, in seconds; in ``outline`` from two times only."""
    t0_s = _number(opened, item.t0_s, "t0_s")
    if item.time is None:
        dt_s = _number(opened, item.dt_s, "dt_s")
        if dt_s is not None and dt_s <= 0:
            raise CorruptField(f"{item.name}: dt_s is not positive", found=dt_s)
        return dt_s, t0_s
    dataset, shape = _select(opened, item.time)
    if shape != (each,):
        message = f"{item.name}: {item.time.path} has not one time for each sample"
        raise CountMismatch(message, expected=each, found=str(shape))
    if dataset.dtype.kind not in "iuf" or each < 2:
        raise CorruptField(f"{item.name}: {item.time.path} are no times", found=str(dataset.dtype))
    first = float(read_rows(dataset, (), 0, 1, item.time.path)[0])
    last = float(read_rows(dataset, (), each - 1, each, item.time.path)[0])
    step = (last - first) / (each - 1)
    if not (math.isfinite(step) and step > 0):
        raise CorruptField(f"{item.name}: the times do not rise", found=f"{first} to {last}")
    done = 0
    for block in () if outline else row_blocks(dataset, (), item.time.path):
        expected = first + np.arange(done, done + block.size) * step
        wrong = ~(np.abs(block.astype(np.float64) - expected) <= REGULARITY * step)
        if wrong.any():
            place = int(np.argmax(wrong))
            message = f"{item.name}: the times are not regular, first at sample {done + place}"
            raise CorruptField(message, expected=f"{expected[place]:.12g}", found=f"{block[place]:.12g}")
        done += block.size
    start = first * item.time_scale
    if t0_s is not None and abs(t0_s - start) > step * item.time_scale:
        raise CorruptField(f"{item.name}: t0_s is not the first time", expected=t0_s, found=start)
    return step * item.time_scale, start


def _trigger_offsets(opened: Any, item: WaveformMapping, segments: int) -> list[float | None]:
    if item.trigger_offsets is None:
        return [None] * segments
    dataset, shape = _select(opened, item.trigger_offsets)
    if shape != (segments,) or dataset.dtype.kind not in "iuf":
        message = f"{item.name}: {item.trigger_offsets.path} has not one time for each segment"
        raise CountMismatch(message, expected=segments, found=str(shape))
    values = read_rows(dataset, (), 0, segments, item.trigger_offsets.path).astype(np.float64)
    if not np.isfinite(values).all():
        raise CorruptField(f"{item.name}: a trigger time is no finite number")
    return [float(value) for value in values]


def _raster(opened: Any, item: MapDescription, metadata: dict[str, Any], *, outline: bool) -> Raster:
    arrays = [_plane(opened, band, item.name, outline=outline) for band in item.bands]
    make = outline_raster if outline else make_raster
    return make(item, arrays, metadata | {"technique": item.technique}, ())


def _plane(opened: Any, band: BandSource, name: str, *, outline: bool) -> NDArray[Any]:
    dataset, shape = _select(opened, band.place)
    if len(shape) != 2:
        message = f"{name}: {band.place.path} is no image after its index"
        raise CorruptField(message, expected="2 axes", found=str(shape))
    size = math.prod(shape) * dataset.dtype.itemsize
    if size > MAXIMUM_MAP_BYTES:
        raise ReadingLimit(f"{name}: {band.place.path} is too large a map", expected=MAXIMUM_MAP_BYTES, found=size)
    if outline:
        dtype = np.dtype(np.uint8) if dataset.dtype.kind == "b" else dataset.dtype.newbyteorder("<")
        return hollow_plane(*shape, dtype)
    return np.concatenate(list(row_blocks(dataset, band.place.index, band.place.path)))
