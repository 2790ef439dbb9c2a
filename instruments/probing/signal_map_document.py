"""What a sidecar says of a signal map: its bands, pitch, frequency, orientation, and where it lies on the layout.

A map of ``map.json`` (schema ``faultlight.signal-map/1``) or of ``mapping.json`` (``faultlight.hdf5-mapping/1``) has

* ``name``, ``technique`` (``LVI``, ``EOFM``, ``reflectance``, …): texts, optional.
* ``bands``: a list of ``{"name", "unit", …}``; a name is ``amplitude``, ``phase``, ``real``, ``imaginary``,
  ``reflectance``, ``grey`` or ``complex`` (which becomes ``real`` and ``imaginary``). ``phase`` is in ``rad`` or
  ``deg``. ``gain`` and ``offset`` make the value of a sample. Where the samples are: in ``map.json`` ``file`` with
  ``page`` (TIFF, from 0) or ``skip_lines`` (grid of numbers as text); in ``mapping.json`` ``dataset`` with ``index``.
* ``pitch_nm``, or ``pitch_x_nm`` and ``pitch_y_nm``: distance of the stored image's columns and rows on the sample.
* ``frequency_hz`` and ``resolution_bandwidth_hz`` of the lock-in or spectrum analyser.
* ``orientation``: ``{"mirrored": true, "rotated_deg": 90}`` turns the stored image into the layout's view: first the
  columns are reversed (a view from the back), then it is turned counter-clockwise. Rows go down.
* ``affine_um``: rows of the 2x3 matrix from (column, row, 1) to micrometres on the layout. ``affine_of`` says of which
  image: ``stored``, or ``oriented``; it must be there when there is an orientation.
* ``phase_wrapped``: whether phases are kept within one turn.
* ``rows``, ``columns``: of the stored image, checked where given.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from instruments.errors import CorruptField
from instruments.probing.sidecar import Fields, is_count, is_flag, is_number, is_positive, is_scale, is_text

BANDS = ("amplitude", "phase", "real", "imaginary", "reflectance", "grey", "complex")
PHASE_UNITS = ("rad", "deg")
PITCH_TOLERANCE = 0.02
Place = TypeVar("Place")
Affine = tuple[tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True)
class BandSource:
    """One band of the document: what it is, and in ``place`` where its samples are."""

    name: str
    unit: str
    gain: float
    offset: float
    place: Any


@dataclass(frozen=True)
class MapDescription:
    """A map of a sidecar, checked. ``pitch_x_m``, ``pitch_y_m`` are of the stored image, ``affine_um`` as given."""

    name: str
    technique: str
    bands: tuple[BandSource, ...]
    pitch_x_m: float | None
    pitch_y_m: float | None
    frequency_hz: float | None
    resolution_bandwidth_hz: float | None
    mirrored: bool
    rotated_deg: int
    affine_um: Affine | None
    affine_is_of_stored: bool
    phase_wrapped: bool | None
    rows: int | None
    columns: int | None


def take_map(fields: Fields, take_place: Callable[[Fields], Any], default_name: str) -> MapDescription:
    """Return the map that ``fields`` describe; ``take_place`` takes where a band's samples are from its fields.

    Raises:
        CorruptField: a key is missing, not known, or holds what it must not.
    """
    bands = tuple(_take_band(item, take_place) for item in fields.items("bands"))
    _check_bands(bands, fields)
    pitch_x, pitch_y = _take_pitch(fields)
    orientation = fields.within("orientation")
    mirrored = orientation.take("mirrored", is_flag, "true or false", False)
    rotated = orientation.take("rotated_deg", lambda value: value in (0, 90, 180, 270), "0, 90, 180 or 270", 0)
    orientation.finish()
    affine = _take_affine(fields)
    turned = bool(mirrored or rotated)
    of = fields.take("affine_of", lambda value: value in ("stored", "oriented"), "stored or oriented", None)
    if affine is not None and turned and of is None:
        raise fields.refuse("affine_of", "stored or oriented, because there is an orientation", None)
    made = MapDescription(
        name=fields.take("name", is_text, "a text", default_name),
        technique=fields.take("technique", is_text, "a text", ""),
        bands=bands,
        pitch_x_m=pitch_x,
        pitch_y_m=pitch_y,
        frequency_hz=fields.take("frequency_hz", is_positive, "a positive number", None),
        resolution_bandwidth_hz=fields.take("resolution_bandwidth_hz", is_positive, "a positive number", None),
        mirrored=mirrored,
        rotated_deg=int(rotated),
        affine_um=affine,
        affine_is_of_stored=of != "oriented",
        phase_wrapped=fields.take("phase_wrapped", is_flag, "true or false", None),
        rows=fields.take("rows", is_count, "a positive whole number", None),
        columns=fields.take("columns", is_count, "a positive whole number", None),
    )
    fields.finish()
    return made


def _take_band(fields: Fields, take_place: Callable[[Fields], Any]) -> BandSource:
    name = fields.take("name", lambda value: value in BANDS, ", ".join(BANDS))
    unit = fields.take("unit", is_text, "a text")
    if name == "phase" and unit not in PHASE_UNITS:
        raise fields.refuse("unit", "rad or deg", unit)
    gain = float(fields.take("gain", is_scale, "a number other than 0", 1.0))
    offset = float(fields.take("offset", is_number, "a number", 0.0))
    made = BandSource(name, unit, gain, offset, take_place(fields))
    fields.finish()
    return made


def _check_bands(bands: tuple[BandSource, ...], fields: Fields) -> None:
    names = [band.name for band in bands]
    if not names:
        raise fields.refuse("bands", "a list with at least one band", None)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise CorruptField(f"{fields.label}.bands has two bands {twice}", file=fields.file)
    if "complex" in names and {"real", "imaginary"} & set(names):
        raise CorruptField(f"{fields.label}.bands has complex and its parts", file=fields.file)
    if ("real" in names) != ("imaginary" in names):
        missing = "imaginary" if "real" in names else "real"
        raise CorruptField(f"{fields.label}.bands lacks {missing}", file=fields.file)


def _take_pitch(fields: Fields) -> tuple[float | None, float | None]:
    if fields.has("pitch_nm"):
        if fields.has("pitch_x_nm") or fields.has("pitch_y_nm"):
            raise CorruptField(f"{fields.label} has pitch_nm and pitch_x_nm or pitch_y_nm", file=fields.file)
        pitch = fields.take("pitch_nm", is_positive, "a positive number") / 1e9
        return pitch, pitch
    x = fields.take("pitch_x_nm", is_positive, "a positive number", None)
    y = fields.take("pitch_y_nm", is_positive, "a positive number", None)
    if (x is None) != (y is None):
        raise CorruptField(f"{fields.label} has only one of pitch_x_nm and pitch_y_nm", file=fields.file)
    return (x / 1e9, y / 1e9) if x is not None and y is not None else (None, None)


def is_affine(value: Any) -> bool:
    """Return whether ``value`` is two rows of three finite numbers that turn an area into an area."""
    rows = isinstance(value, list) and len(value) == 2 and all(isinstance(row, list) and len(row) == 3 for row in value)
    if not rows or not all(is_number(item) for row in value for item in row):
        return False
    (a, b, _), (c, d, _) = value
    return bool(abs(a * d - b * c) > 1e-12 * (math.hypot(a, c) * math.hypot(b, d)) > 0)


def _take_affine(fields: Fields) -> Affine | None:
    value = fields.take("affine_um", is_affine, "two rows of three numbers", None)
    if value is None:
        return None
    (a, b, c), (d, e, f) = value
    return (float(a), float(b), float(c)), (float(d), float(e), float(f))
