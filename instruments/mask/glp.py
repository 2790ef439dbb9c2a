"""GLP clips: the text form of one layout window that the ICCAD-2013 mask optimisation contest uses.

    BEGIN     /* comment */
    EQUIV  1  1000  MICRON  +X,+Y
    CNAME Temp_Top
    LEVEL M1
    CELL Temp_Top PRIME
       RECT N M1  80  492  452  88
       PGON N M1  216  80  304  80  304  140  216 140
    ENDMSG

``EQUIV 1 1000 MICRON`` says that 1000 units are a micrometre. ``RECT`` has left, bottom, width and height, ``PGON`` its
vertices. No description of the format by its maker was found; what is read here is what the contest's files show, and
anything else is refused by line.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from instruments.adapter import HEAD_BYTES, Confidence, Sniff, Source
from instruments.description import Reach
from instruments.errors import CorruptField, NotThisFormat, ReadingLimit, Truncated, UnsupportedVersion
from instruments.mask.vocabulary import LAYOUT_POLYGON
from instruments.records import Record
from instruments.text_lines import decode_text, head_text, split_lines
from instruments.vocabulary import Remarks

MAX_BYTES = 64 << 20
_COMMENT = re.compile(r"/\*.*?\*/")
_START = re.compile(r"\s*(?:BEGIN\s+)?EQUIV\s+\S+\s+\S+\s+\w")
_UM_PER_NM = 1e-3
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_IGNORED = frozenset({"BEGIN", "CNAME", "LEVEL", "CELL"})


@dataclass(frozen=True)
class ClipLayout:
    """The polygons of a clip.

    Attributes:
        name: of the cell, or of the file.
        levels: level name to polygons, each float64 of shape ``(vertices, 2)``, x and y in nanometres.
        unit_nm: nanometres of a unit of the file.
        warnings: doubts about its text.
    """

    name: str
    levels: Mapping[str, tuple[NDArray[np.float64], ...]]
    unit_nm: float = 1.0
    warnings: tuple[str, ...] = ()

    def polygons(self) -> list[NDArray[np.float64]]:
        """Return the polygons of all levels."""
        return [polygon for polygons in self.levels.values() for polygon in polygons]


class GlpAdapter:
    """Reads a GLP clip into a ``layout_polygon`` table."""

    name = "glp"
    version = "1"
    formats = ("glp",)
    reach = Reach.WALK

    def sniff(self, source: Source) -> Sniff:
        """Look for BEGIN and EQUIV at the beginning of ``source``."""
        if not source.is_bundle and begins_like_glp(source.head):
            return Sniff(Confidence.CERTAIN, "it begins with BEGIN and EQUIV of a GLP clip")
        return Sniff(Confidence.NO, "it does not begin with BEGIN and EQUIV of a GLP clip")

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the polygons of ``source``, level by level in the order of the levels' first shapes.

        Raises:
            Truncated, CorruptField, UnsupportedVersion, ReadingLimit: see :func:`read_glp`.
        """
        clip = read_glp(source.path, source.name)
        rows = [(level, polygon) for level, polygons in clip.levels.items() for polygon in polygons]
        areas = np.asarray([_area(polygon) for _, polygon in rows])
        flat = int(np.count_nonzero(areas == 0))
        doubts = (f"{flat} of {len(rows)} polygons have no area",) if flat else ()
        low = np.asarray([polygon.min(axis=0) for _, polygon in rows]).reshape(-1, 2) * _UM_PER_NM
        high = np.asarray([polygon.max(axis=0) for _, polygon in rows]).reshape(-1, 2) * _UM_PER_NM
        columns = {
            "level": [level for level, _ in rows],
            "vertices": [len(polygon) for _, polygon in rows],
            "left_um": low[:, 0],
            "bottom_um": low[:, 1],
            "right_um": high[:, 0],
            "top_um": high[:, 1],
            "area_um2": areas * _UM_PER_NM**2,
            "points_nm": [json.dumps(polygon.tolist()) for _, polygon in rows],
        }
        remarks = Remarks({"cell": clip.name, "unit_nm": clip.unit_nm}, clip.warnings + doubts)
        return "glp", [LAYOUT_POLYGON.make_table(clip.name, columns, remarks)]


def _area(polygon: NDArray[np.float64]) -> float:
    """Return the area within ``polygon``, of the sign of no side."""
    x, y = (polygon - polygon[0]).T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def begins_like_glp(head: bytes) -> bool:
    """Return whether the beginning of a file is that of a clip: BEGIN or EQUIV, and EQUIV's words soon after."""
    text = _COMMENT.sub(" ", head_text(head))
    return _START.match(text) is not None


def is_glp(path: Path) -> bool:
    """Return whether the file at ``path`` begins like a clip, whatever it is called."""
    with path.open("rb") as file:
        return begins_like_glp(file.read(HEAD_BYTES))


def read_glp(path: Path, name: str | None = None) -> ClipLayout:
    """Return the clip in the file at ``path``, which is called ``name`` in errors.

    Raises:
        NotThisFormat: it does not begin with BEGIN or EQUIV.
        Truncated: ENDMSG is missing.
        CorruptField: a line is not as the format has it; the line is named.
        UnsupportedVersion: an axis or a unit, or a record, that is not known.
        ReadingLimit: the file is too large.
    """
    name = path.name if name is None else name
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ReadingLimit("the clip is too large", file=name, expected=f"<= {MAX_BYTES}", found=size)
    try:
        text, doubts = decode_text(path.read_bytes())
    except UnicodeDecodeError:
        raise NotThisFormat("the file is no text", file=name, offset=0) from None
    return replace(_Reader(name).read(split_lines(text)), warnings=doubts)


class _Reader:
    """Reads line by line; holds what has been read."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.name = Path(file).stem
        self.nm_per_unit: float | None = None
        self.levels: dict[str, list[NDArray[np.float64]]] = {}

    def read(self, lines: list[str]) -> ClipLayout:
        started = ended = False
        for number, line in enumerate(lines, 1):
            words = _COMMENT.sub(" ", line).split()
            if not words:
                continue
            if ended:
                raise self._corrupt("there is more after ENDMSG", number, "nothing", words[0])
            if not started and words[0] not in ("BEGIN", "EQUIV"):
                raise NotThisFormat(
                    "a clip begins with BEGIN or EQUIV",
                    file=self.file,
                    offset=number,
                    offset_unit="line",
                    expected="BEGIN",
                    found=words[0][:40],
                )
            started = True
            ended = words[0] == "ENDMSG"
            if not ended:
                self._record(words, number)
        if not ended:
            raise Truncated(
                "the clip ends before ENDMSG", file=self.file, offset=len(lines), offset_unit="line", expected="ENDMSG"
            )
        levels = {level: tuple(polygons) for level, polygons in self.levels.items()}
        return ClipLayout(self.name, levels, self.nm_per_unit or 1.0)

    def _record(self, words: list[str], number: int) -> None:
        keyword = words[0]
        if keyword == "EQUIV":
            self._scale(words, number)
        elif keyword in ("RECT", "PGON"):
            self._shape(words, number)
        elif keyword not in _IGNORED:
            raise UnsupportedVersion(
                "the record is not known",
                file=self.file,
                offset=number,
                offset_unit="line",
                expected="BEGIN, EQUIV, CNAME, LEVEL, CELL, RECT, PGON or ENDMSG",
                found=keyword[:40],
            )
        elif keyword == "CELL" and len(words) > 1:
            self.name = words[1]

    def _scale(self, words: list[str], number: int) -> None:
        if len(words) != 5 or words[3] != "MICRON" or words[4] != "+X,+Y":
            raise UnsupportedVersion(
                "the scale is not known",
                file=self.file,
                offset=number,
                offset_unit="line",
                expected="EQUIV 1 <units> MICRON +X,+Y",
                found=" ".join(words)[:60],
            )
        microns, units = self._numbers(words[1:3], number)
        if microns <= 0 or units <= 0:
            raise self._corrupt("a scale is positive", number, "> 0", " ".join(words[1:3]))
        self.nm_per_unit = 1000.0 * float(microns) / float(units)

    def _shape(self, words: list[str], number: int) -> None:
        if self.nm_per_unit is None:
            raise self._corrupt("a shape comes before EQUIV", number, "EQUIV", words[0])
        if len(words) < 3 or words[1] != "N":
            raise self._corrupt("a shape's mode is N", number, "N", words[1] if len(words) > 1 else "nothing")
        values = self._numbers(words[3:], number)
        if words[0] == "RECT":
            if values.size != 4:
                raise self._corrupt("a RECT has four numbers", number, 4, values.size)
            left, bottom, width, height = values
            if width <= 0 or height <= 0:
                raise self._corrupt("a RECT has a positive size", number, "> 0", f"{width:g} x {height:g}")
            points = [left, bottom, left + width, bottom, left + width, bottom + height, left, bottom + height]
            values = np.asarray(points)
        elif values.size % 2 or values.size < 6:
            raise self._corrupt("a PGON has three or more pairs of numbers", number, "an even number >= 6", values.size)
        self.levels.setdefault(words[2], []).append(values.reshape(-1, 2) * self.nm_per_unit)

    def _numbers(self, words: list[str], number: int) -> NDArray[np.float64]:
        wrong = next((word for word in words if not _NUMBER.fullmatch(word)), None)
        if wrong is not None:
            raise self._corrupt("that is no number", number, "a number", wrong[:40])
        values = np.asarray([float(word) for word in words])
        if not np.isfinite(values).all():
            raise self._corrupt("a number is too large", number, "a finite number", " ".join(words)[:60])
        return values

    def _corrupt(self, message: str, number: int, expected: str | int, found: str | int) -> CorruptField:
        return CorruptField(message, file=self.file, offset=number, offset_unit="line", expected=expected, found=found)
