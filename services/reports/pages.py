"""What a report looks like, whatever it is written as: sections of paragraphs, lists, tables and figures."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Paragraph:
    """Text; ``kind`` is ``plain``, ``note`` (small) or ``warning``."""

    text: str
    kind: str = "plain"


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        columns: headings; one that begins with ``>`` is of numbers, to be set to the right.
        rows: texts; a row may have fewer cells than there are columns.
        widths: of the columns, relative.
        caption: above it.
        marked: column whose texts are verdicts, to be coloured; ``None`` for no column.
        fixed: columns whose texts are hashes, set in a fixed width.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    widths: Sequence[float]
    caption: str = ""
    marked: int | None = None
    fixed: Sequence[int] = ()


@dataclass(frozen=True)
class Facts:
    """Names with what they stand for."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Figure:
    """A drawing as SVG, of ``width_mm`` by ``height_mm``, with a caption that says it in words."""

    svg: str
    width_mm: float
    height_mm: float
    caption: str


Block = Paragraph | Grid | Facts | Figure


@dataclass(frozen=True)
class Section:
    """A part of a report; ``name`` is what others refer to it by."""

    name: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Report:
    """A whole report, ready to be written.

    Attributes:
        title, subtitle: heading.
        label: on every page, such as that data are simulated; empty for none.
        foot: at the end of every page.
        language: of the texts.
    """

    title: str
    subtitle: Sequence[str]
    label: str
    foot: str
    sections: Sequence[Section] = field(default=())
    language: str = "en"
