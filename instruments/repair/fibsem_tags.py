"""What FEI/Thermo, Zeiss and TESCAN microscopes write into the tags of their TIFF images.

Each parser keeps the vendor's words verbatim, and gives the pixel pitch and the beam's parameters with explicit units.
A value that is empty or no number is unknown, never zero.
"""

import math
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from instruments.errors import CorruptField
from instruments.guarded_xml import parse_xml
from instruments.units import convert, find_unit, unit_of

FEI_TAGS = (34680, 34682)
FEI_XML_TAG = 34683
ZEISS_TAG = 34118
TESCAN_TAG = 50431
VENDOR_TAGS = (*FEI_TAGS, FEI_XML_TAG, ZEISS_TAG, TESCAN_TAG)
_PITCH_TOLERANCE = 0.02


@dataclass
class ImageFacts:
    """What the tags of one image say.

    Attributes:
        maker: ``fei``, ``zeiss`` or ``tescan``.
        verbatim: the vendor's sections, names and texts.
        beam: parameters by names that end with their unit, in SI units.
        pitch_x_m, pitch_y_m: distance of neighbouring pixels on the sample, ``None`` if unknown.
        data_bar_rows: rows at the bottom that are a caption, no image.
    """

    maker: str
    verbatim: dict[str, Any] = field(default_factory=dict)
    beam: dict[str, float | str] = field(default_factory=dict)
    pitch_x_m: float | None = None
    pitch_y_m: float | None = None
    data_bar_rows: int = 0
    warnings: list[str] = field(default_factory=list)

    def keep(self, name: str, value: float | str | None) -> None:
        """Keep a parameter of the beam if it is known."""
        if value is not None and value != "":
            self.beam[name] = value


def parse_number(text: str | None) -> float | None:
    """Return the finite number that ``text`` is, or ``None``."""
    try:
        value = float(text) if text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def parse_sections(text: str) -> dict[str, dict[str, str]]:
    """Return ``[section]`` and ``name=value`` lines as a mapping of mappings; lines before a section are in ``""``."""
    sections: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for raw in text.splitlines():
        line = raw.strip().strip("\x00")
        if line.startswith("[") and line.endswith("]"):
            current = sections.setdefault(line[1:-1], {})
        elif "=" in line:
            name, _, value = line.partition("=")
            if not sections:
                current = sections.setdefault("", {})
            current[name.strip()] = value.strip()
    return sections


def parse_fei(data: bytes, size: tuple[int, int]) -> ImageFacts:
    """Return what an FEI/Thermo tag says: sections in unlabelled SI units, or XML; ``size`` is rows, columns.

    Raises:
        CorruptField: the XML is damaged or has entities.
    """
    text = data.rstrip(b"\x00").decode("utf-8", "replace")
    if text.lstrip().startswith("<"):
        return _parse_fei_xml(data.rstrip(b"\x00"))
    sections = parse_sections(text)
    facts = ImageFacts("fei", dict(sections))
    scan = sections.get(sections.get("Beam", {}).get("Scan", ""), {}) or sections.get("Scan", {})
    beam = sections.get(sections.get("Beam", {}).get("Beam", ""), {}) or sections.get("Beam", {})
    facts.pitch_x_m = _positive(facts, "PixelWidth", scan.get("PixelWidth"))
    facts.pitch_y_m = _positive(facts, "PixelHeight", scan.get("PixelHeight"))
    column = sections.get("Beam", {}).get("Beam", "")
    facts.keep("column", {"EBeam": "electron", "IBeam": "ion"}.get(column, column))
    for name, source, key in (
        ("voltage_v", beam, "HV"),
        ("current_a", beam, "BeamCurrent"),
        ("working_distance_m", beam, "WD"),
        ("field_width_m", scan, "HorFieldsize"),
        ("dwell_s", scan, "Dwell"),
        ("frame_time_s", scan, "FrameTime"),
        ("stage_x_m", sections.get("Stage", {}), "StageX"),
        ("stage_y_m", sections.get("Stage", {}), "StageY"),
        ("stage_z_m", sections.get("Stage", {}), "StageZ"),
        ("stage_rotation_rad", sections.get("Stage", {}), "StageR"),
        ("stage_tilt_rad", sections.get("Stage", {}), "StageT"),
        ("chamber_pressure_pa", sections.get("Vacuum", {}), "ChPressure"),
    ):
        facts.keep(name, parse_number(source.get(key)))
    image = sections.get("Image", {})
    rows, columns = (parse_number(image.get(key)) for key in ("ResolutionY", "ResolutionX"))
    if rows is not None and 0 < rows < size[0]:
        facts.data_bar_rows = size[0] - int(rows)
    _check_field(facts, columns or float(size[1]))
    return facts


def _positive(facts: ImageFacts, name: str, text: str | None) -> float | None:
    value = parse_number(text)
    if value is not None and value > 0:
        return value
    facts.warnings.append(f"{name} is {text!r}; the pixel pitch is unknown" if text else f"there is no {name}")
    return None


def _check_field(facts: ImageFacts, columns: float) -> None:
    """Compare the pitch with the width of the field, which the tools write independently."""
    width = facts.beam.get("field_width_m")
    if facts.pitch_x_m is None or not isinstance(width, float):
        return
    if abs(facts.pitch_x_m * columns / width - 1) > _PITCH_TOLERANCE if width > 0 else True:
        facts.warnings.append("the pixel pitch does not agree with the width of the field")


def _parse_fei_xml(data: bytes) -> ImageFacts:
    """Read pairs of path and value with units, ``unit="m"`` or ``MementoItemUnitMeter``."""
    root = parse_xml("", data)
    found: dict[str, tuple[str, str]] = {}
    _flatten_xml(root, "", found, 0)
    facts = ImageFacts("fei", {path: " ".join(pair).strip() for path, pair in found.items()})
    for axis, names in (("x", ("Width", "X")), ("y", ("Height", "Y"))):
        value = _xml_quantity(found, [f"PixelSize.{name}" for name in names], "m")
        setattr(facts, f"pitch_{axis}_m", value if value is not None and value > 0 else None)
    if facts.pitch_x_m is None or facts.pitch_y_m is None:
        facts.warnings.append("the XML gives no pixel size in metres; the pixel pitch is unknown")
    for name, endings, unit in (
        ("voltage_v", ["AccelerationVoltage", "HighVoltage"], "V"),
        ("current_a", ["BeamCurrent"], "A"),
        ("working_distance_m", ["WorkingDistance"], "m"),
        ("dwell_s", ["DwellTime"], "s"),
    ):
        facts.keep(name, _xml_quantity(found, endings, unit))
    return facts


def _flatten_xml(element: Any, above: str, found: dict[str, tuple[str, str]], depth: int) -> None:
    tag = element.tag.rpartition("}")[2]
    path = above
    if tag == "MementoItem":
        named = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in element}
        path = f"{above}.{named.get('Name', '')}".strip(".")
        if "anyType" in named:
            unit = named.get("MementoItemUnit", "").removeprefix("MementoItemUnit")
            found[path] = (named["anyType"], {"Meter": "m", "Scalar": ""}.get(unit, unit))
            return
    elif tag not in ("item", "key", "value", "MementoItemSection"):
        path = f"{above}.{tag}".strip(".")
        if not len(element) and (element.text or "").strip():
            found[path] = (element.text.strip(), element.attrib.get("unit", ""))
    if depth < 64:
        for child in element:
            _flatten_xml(child, path, found, depth + 1)


def _xml_quantity(found: Mapping[str, tuple[str, str]], endings: list[str], unit: str) -> float | None:
    """Return the quantity whose path ends so in ``unit``, if its own unit is given and of the same dimension."""
    target = unit_of(unit, "a quantity")
    for ending in endings:
        for path, (text, given) in found.items():
            source = find_unit(given) if given else None
            value = parse_number(text)
            if path.endswith(ending) and source and source.dimension == target.dimension and value is not None:
                return convert(value, source, target)
    return None


_ZEISS_KEY = re.compile(r"(?:AP|DP|SV)_[A-Z0-9_@]+")


def parse_zeiss(data: bytes, size: tuple[int, int]) -> ImageFacts:
    """Return what the Zeiss tag says: pairs of lines, a key and ``Name = value unit``; ``size`` is rows, columns.

    ``AP_IMAGE_PIXEL_SIZE`` is of this image; ``AP_PIXEL_SIZE`` of the monitor, and another at most resolutions.
    """
    lines = data.rstrip(b"\x00").decode("latin-1").splitlines()
    facts = ImageFacts("zeiss")
    values: dict[str, str] = {}
    first = next((place for place, line in enumerate(lines) if _ZEISS_KEY.fullmatch(line)), len(lines))
    for key, line in zip(lines[first:], lines[first + 1 :], strict=False):
        if _ZEISS_KEY.fullmatch(key) and not _ZEISS_KEY.fullmatch(line):
            values[key] = line
    keys = sum(1 for line in lines if _ZEISS_KEY.fullmatch(line))
    declared = lines[first - 1].strip() if 0 < first < len(lines) else ""
    if declared.isdigit() and int(declared) != keys:
        facts.warnings.append(f"the metadata hold {keys} entries and say {declared}")
    facts.verbatim = {"header": lines[: max(first - 1, 0)], "entries": values}
    ion = "FIB" in values.get("DP_FIB_IMAGING", "").partition("=")[2]
    facts.keep("column", "ion" if ion else "electron")
    pitch = _zeiss_quantity(facts, values, "AP_IMAGE_PIXEL_SIZE", "m")
    width = _zeiss_quantity(facts, values, "AP_WIDTH", "m")
    facts.keep("field_width_m", width)
    if pitch is None or pitch <= 0:
        facts.warnings.append("there is no image pixel size; the pixel pitch is unknown")
    else:
        facts.pitch_x_m = facts.pitch_y_m = pitch
        _check_field(facts, float(size[1]))
    for name, key, unit in (
        ("voltage_v", "AP_FIB_EHT_ACTUAL" if ion else "AP_ACTUALKV", "V"),
        ("current_a", "AP_FIB_PROBE_CURRENT_ACTUAL" if ion else "AP_IPROBE", "A"),
        ("working_distance_m", "AP_FIB_WORKING_DISTANCE" if ion else "AP_WD", "m"),
        ("dwell_s", "DP_DWELL_TIME", "s"),
        ("frame_time_s", "AP_FRAME_TIME", "s"),
        ("stage_x_m", "AP_STAGE_AT_X", "m"),
        ("stage_y_m", "AP_STAGE_AT_Y", "m"),
        ("stage_z_m", "AP_STAGE_AT_Z", "m"),
        ("stage_rotation_rad", "AP_STAGE_AT_R", "rad"),
        ("stage_tilt_rad", "AP_STAGE_AT_T", "rad"),
    ):
        facts.keep(name, _zeiss_quantity(facts, values, key, unit))
    return facts


def _zeiss_quantity(facts: ImageFacts, values: Mapping[str, str], key: str, unit: str) -> float | None:
    text = values.get(key, "").partition("=")[2].strip()
    number, _, given = text.partition(" ")
    value = parse_number(number)
    if value is None:
        return None
    source, target = find_unit(given), unit_of(unit, key)
    if source is None or source.dimension != target.dimension:
        facts.warnings.append(f"{key} is {text!r}, whose unit is not understood")
        return None
    return convert(value, source, target)


_TESCAN_BLOCKS = {2: "MAIN", 3: "SEM", 4: "GAMA", 5: "FIB"}


def parse_tescan(data: bytes, size: tuple[int, int]) -> ImageFacts:
    """Return what the TESCAN tag says: blocks of a length, a number and lines ``Name=value`` in SI units.

    Block 1 is a picture, 2 to 5 are sections, 0 ends the list; some versions write ``[SECTION]`` text instead.

    Raises:
        CorruptField: a block is longer than the tag, or the list does not end.
    """
    facts = ImageFacts("tescan")
    if data.lstrip()[:1] == b"[":
        facts.verbatim = dict(parse_sections(data.decode("utf-8", "replace")))
    else:
        for number, block in _tescan_blocks(data):
            if number != 1:
                sections = parse_sections(block.decode("utf-8", "replace"))
                facts.verbatim[_TESCAN_BLOCKS.get(number, f"block {number}")] = sections.get("", {})
    main = facts.verbatim.get("MAIN", {})
    column = next((name for name in ("FIB", "SEM") if name in facts.verbatim), "")
    beam = facts.verbatim.get(column, {})
    facts.pitch_x_m = _positive(facts, "PixelSizeX", main.get("PixelSizeX"))
    facts.pitch_y_m = _positive(facts, "PixelSizeY", main.get("PixelSizeY"))
    facts.keep("column", {"FIB": "ion", "SEM": "electron"}.get(column, ""))
    for name, key in (
        ("voltage_v", "HV"),
        ("current_a", "PredictedBeamCurrent"),
        ("working_distance_m", "WD"),
        ("dwell_s", "DwellTime"),
        ("stage_x_m", "StageX"),
        ("stage_y_m", "StageY"),
        ("stage_z_m", "StageZ"),
        ("chamber_pressure_pa", "ChamberPressure"),
    ):
        facts.keep(name, parse_number(beam.get(key)))
    bar = parse_number(main.get("ImageStripSize"))
    facts.data_bar_rows = int(bar) if bar is not None and 0 < bar < size[0] else 0
    return facts


def _tescan_blocks(data: bytes) -> list[tuple[int, bytes]]:
    blocks: list[tuple[int, bytes]] = []
    place = 0
    while place + 6 <= len(data):
        length, number = struct.unpack_from("<IH", data, place)
        if length < 2 or place + 4 + length > len(data):
            message = "a block of the TESCAN tag is longer than the tag"
            raise CorruptField(message, expected=len(data) - place - 4, found=length)
        if number == 0:
            return blocks
        blocks.append((number, data[place + 6 : place + 4 + length]))
        place += 4 + length
    raise CorruptField("the blocks of the TESCAN tag do not end")


PARSERS: dict[int, Callable[[bytes, tuple[int, int]], ImageFacts]] = {
    34680: parse_fei,
    34682: parse_fei,
    FEI_XML_TAG: parse_fei,
    ZEISS_TAG: parse_zeiss,
    TESCAN_TAG: parse_tescan,
}
