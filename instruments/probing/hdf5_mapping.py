"""``mapping.json``: what the datasets of an HDF5 file are, schema ``faultlight.hdf5-mapping/1``.

HDF5 is a container, no format: nothing in it says which dataset is a waveform and what its numbers mean. So the file
is read in a bundle with this document, and never by guess:

* ``file``: the HDF5 file in the bundle; may be left out when there is only one.
* ``waveforms``: a list of

  * ``name``, and ``values``: the path of the dataset; ``index``: whole numbers that select along its first axes.
  * ``unit``; ``gain`` and ``offset``, ``value = gain * sample + offset``; ``averages``.
  * ``dt_s``, or ``time``: a dataset of sample times, which must be regular, in ``time_unit`` (``s ms us ns ps fs``);
    without either the distance of samples is unknown. ``t0_s``: time of the first sample after its trigger.
  * ``segments_axis``: 0 or 1, which axis of a two-dimensional dataset counts segments; ``trigger_offsets_s``: a
    dataset of the segments' trigger times.

* ``maps``: a list of maps as in ``signal_map_document``, whose bands have ``dataset`` and ``index``.

``gain``, ``offset``, ``dt_s`` and ``t0_s`` are numbers, or ``{"dataset": path}`` of a single number, or
``{"dataset": path, "attribute": name}``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instruments.errors import CorruptField
from instruments.probing.sidecar import (
    REQUIRED,
    Fields,
    is_count,
    is_index,
    is_number,
    is_positive,
    is_scale,
    is_text,
    read_sidecar,
    take_member,
)
from instruments.probing.signal_map_document import MapDescription, take_map

FILE = "mapping.json"
SCHEMA = "faultlight.hdf5-mapping/1"
TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12, "fs": 1e-15}
ENDINGS = (".h5", ".hdf5", ".hdf", ".he5", ".nxs")


@dataclass(frozen=True)
class Reference:
    """A number in the file: an attribute of the object ``path``, or the dataset itself when that is ``None``."""

    path: str
    attribute: str | None


Quantity = float | Reference | None


@dataclass(frozen=True)
class Selection:
    """A dataset, and whole numbers along its first axes."""

    path: str
    index: tuple[int, ...] = ()


@dataclass(frozen=True)
class WaveformMapping:
    """One waveform of the document, checked."""

    name: str
    values: Selection
    unit: str
    gain: Quantity
    offset: Quantity
    dt_s: Quantity
    t0_s: Quantity
    time: Selection | None
    time_scale: float
    segments_axis: int | None
    trigger_offsets: Selection | None
    averages: int | None


@dataclass(frozen=True)
class Mapping:
    """The whole document: the member of the bundle that it is of, its waveforms and maps, and its words verbatim."""

    member: str
    waveforms: tuple[WaveformMapping, ...]
    maps: tuple[MapDescription, ...]
    document: dict[str, Any]


def read_mapping(members: dict[str, Path], file: str) -> Mapping:
    """Return the checked mapping of a bundle; ``file`` is its name for messages.

    Raises:
        CorruptField: a key is missing, not known, or holds what it must not.
        UnsupportedVersion: the schema is another.
    """
    fields, document = read_sidecar(members[FILE], FILE, SCHEMA, file)
    candidates = [name for name in members if name.lower().endswith(ENDINGS)]
    if not fields.has("file") and len(candidates) != 1:
        raise fields.refuse("file", "the name of the HDF5 file, as there is not one alone", None)
    member = take_member(fields, "file", members, candidates[0] if candidates else None)
    waveforms = tuple(_take_waveform(item) for item in fields.items("waveforms"))
    maps = tuple(
        take_map(item, take_selection, f"map {number + 1}") for number, item in enumerate(fields.items("maps"))
    )
    fields.finish()
    if not waveforms and not maps:
        raise fields.refuse("", "waveforms or maps", None)
    names = [*(item.name for item in waveforms), *(item.name for item in maps)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise CorruptField(f"{FILE} has two records called {twice[:80]}", file=file)
    return Mapping(member, waveforms, maps, document)


def take_selection(fields: Fields, key: str = "dataset") -> Selection:
    """Return the dataset that ``key`` names, with ``index``."""
    path = fields.take(key, is_text, "the path of a dataset")
    return Selection(path, tuple(fields.take("index", _is_indices, "a list of whole numbers from 0", ())))


def _is_indices(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 30 and all(is_index(item) for item in value)


def _take_waveform(fields: Fields) -> WaveformMapping:
    name = fields.take("name", is_text, "a text")
    values = take_selection(fields, "values")
    time = fields.take("time", is_text, "the path of a dataset", None)
    if time is not None and fields.has("dt_s"):
        raise CorruptField(f"{fields.label} has dt_s and time", file=fields.file)
    time_unit = fields.take(
        "time_unit", lambda value: value in TIME_UNITS, "s, ms, us, ns, ps or fs", REQUIRED if time else None
    )
    if time is None and time_unit is not None:
        raise CorruptField(f"{fields.label} has a time_unit, but no time", file=fields.file)
    offsets = fields.take("trigger_offsets_s", is_text, "the path of a dataset", None)
    axis = fields.take("segments_axis", lambda value: value in (0, 1) and is_index(value), "0 or 1", None)
    if offsets is not None and axis is None:
        raise CorruptField(f"{fields.label} has trigger_offsets_s, but no segments_axis", file=fields.file)
    made = WaveformMapping(
        name=name,
        values=values,
        unit=fields.take("unit", is_text, "a text"),
        gain=_take_quantity(fields, "gain", is_scale, 1.0),
        offset=_take_quantity(fields, "offset", is_number, 0.0),
        dt_s=_take_quantity(fields, "dt_s", is_positive, None),
        t0_s=_take_quantity(fields, "t0_s", is_number, None),
        time=Selection(time) if time is not None else None,
        time_scale=TIME_UNITS[time_unit or "s"],
        segments_axis=axis,
        trigger_offsets=Selection(offsets) if offsets is not None else None,
        averages=fields.take("averages", is_count, "a positive whole number", None),
    )
    fields.finish()
    return made


def _take_quantity(fields: Fields, key: str, check: Any, default: float | None) -> Quantity:
    expected = "a number, or {dataset, attribute}"
    value = fields.take(key, lambda item: isinstance(item, dict) or check(item), expected, default)
    if not isinstance(value, dict):
        return float(value) if value is not None else None
    inner = Fields(value, f"{fields.label}.{key}", fields.file)
    path = inner.take("dataset", is_text, "the path of a dataset or group")
    attribute = inner.take("attribute", is_text, "the name of an attribute", None)
    inner.finish()
    return Reference(path, attribute)
