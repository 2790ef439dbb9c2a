"""A report as PDF (A4), with the fonts that matplotlib brings: the same bytes for the same report."""

import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path

import matplotlib as mpl
from fpdf import FPDF, XPos, YPos
from fpdf.enums import TableBordersLayout, TableHeadingsDisplay
from fpdf.fonts import FontFace

from services.reports.pages import Block, Facts, Figure, Grid, Paragraph, Report, Section

_MARGIN_MM = 15.0
_FOOT_MM = 14.0
_NO_DATE = datetime(2000, 1, 1, tzinfo=UTC)
"""In the metadata: when the bytes were made is not part of them."""
_TEXT, _SMALL, _TINY = 9.0, 8.0, 6.5
_LINE = 1.35
_MM_PER_POINT = 25.4 / 72
_DARK, _GREY, _BLUE = (34, 34, 34), (85, 85, 85), (31, 78, 121)
_VERDICTS = {"met": (29, 107, 47), "missed": (138, 28, 28), "not shown": (122, 82, 0)}
_SPELT = "[U+...] is the letter of that number in Unicode, which the fonts of this PDF lack; the page in HTML has it."
_FONTS = {"": "DejaVuSans.ttf", "B": "DejaVuSans-Bold.ttf", "I": "DejaVuSans-Oblique.ttf"}


class _Paper(FPDF):
    """Pages with the report's label on top and its foot below."""

    def __init__(self, report: Report) -> None:
        super().__init__(format="A4", unit="mm")
        self._report = report
        self.spelt = False
        folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
        for style, name in _FONTS.items():
            self.add_font("sans", style, folder / name)
        self.add_font("mono", "", folder / "DejaVuSansMono.ttf")
        self.set_margins(_MARGIN_MM, _MARGIN_MM)
        self.set_auto_page_break(auto=True, margin=_MARGIN_MM + 4)
        self.set_title(report.title)
        self.set_lang(report.language)
        self.set_creator("Faultlight")
        self.set_producer("Faultlight")
        self.set_creation_date(_NO_DATE)
        self.alias_nb_pages()

    def header(self) -> None:
        """Write the label on every page."""
        if not self._report.label:
            return
        self.set_font("sans", "B", _SMALL)
        self.set_text_color(138, 28, 28)
        self.cell(0, 5, self._report.label, align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_text_color(*_DARK)

    def footer(self) -> None:
        """Write the foot and the number of the page."""
        self.set_y(-_FOOT_MM)
        self.set_font("sans", "", _TINY)
        self.set_text_color(*_GREY)
        room = self.epw - 22
        self.set_font_size(_TINY * min(1.0, room / max(room, self.get_string_width(self._report.foot))))
        self.cell(self.epw - 20, 5, self._report.foot)
        self.set_font_size(_TINY)
        self.cell(20, 5, f"{self.page_no()} / {{nb}}", align="R")
        self.set_text_color(*_DARK)

    def normalize_text(self, text: str) -> str:
        """Return ``text`` with each letter that the font lacks spelt as its code point: a box would stand for any."""
        normal = super().normalize_text(text)
        known = getattr(self.current_font, "cmap", None)
        if known is None or all(ord(letter) in known or letter.isspace() for letter in normal):
            return normal
        self.spelt = True
        return "".join(
            letter if ord(letter) in known or letter.isspace() else f"[U+{ord(letter):04X}]" for letter in normal
        )

    def file_id(self) -> str:
        """Return an id made of the report instead of the time."""
        digest = hashlib.sha256(repr(self._report).encode()).hexdigest()[:32].upper()
        return f"<{digest}><{digest}>"


def write_print(report: Report) -> bytes:
    """Return the report as PDF."""
    paper = _Paper(report)
    paper.add_page()
    paper.set_font("sans", "B", 17)
    paper.multi_cell(0, 8, report.title, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    for line in report.subtitle:
        _write(paper, line, _TEXT, colour=_GREY)
    paper.ln(2)
    for number, section in enumerate(report.sections, 1):
        _write_section(paper, section, number)
    if paper.spelt:
        paper.ln(2)
        _write(paper, _SPELT, _SMALL, colour=_GREY)
    return bytes(paper.output())


def _write_section(paper: _Paper, section: Section, number: int) -> None:
    title = f"{number}  {section.title}"
    _keep_room(paper, 28)
    paper.ln(3)
    paper.set_draw_color(*_BLUE)
    paper.set_line_width(0.5)
    paper.line(paper.l_margin, paper.get_y(), paper.l_margin + paper.epw, paper.get_y())
    paper.ln(1.5)
    paper.start_section(title)
    paper.set_font("sans", "B", 12)
    paper.cell(0, 6, title, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    paper.ln(1)
    for block in section.blocks:
        _write_block(paper, block)


def _write_block(paper: _Paper, block: Block) -> None:
    if isinstance(block, Paragraph):
        _write_paragraph(paper, block)
    elif isinstance(block, Facts):
        _write_facts(paper, block)
    elif isinstance(block, Grid):
        _write_grid(paper, block)
    else:
        _write_figure(paper, block)


def _keep_room(paper: _Paper, height_mm: float) -> None:
    if paper.will_page_break(height_mm):
        paper.add_page()


def _write(paper: _Paper, text: str, size: float, style: str = "", colour: tuple[int, int, int] = _DARK) -> None:
    paper.set_font("sans", style, size)
    paper.set_text_color(*colour)
    paper.multi_cell(0, size * _MM_PER_POINT * _LINE, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    paper.set_text_color(*_DARK)


def _write_paragraph(paper: _Paper, block: Paragraph) -> None:
    if block.kind != "warning":
        note = block.kind == "note"
        _write(paper, block.text, _SMALL if note else _TEXT, colour=_GREY if note else _DARK)
        paper.ln(1.2)
        return
    paper.set_font("sans", "", _TEXT)
    paper.set_fill_color(255, 244, 214)
    height = _TEXT * _MM_PER_POINT * 1.5
    paper.multi_cell(0, height, block.text, align="L", fill=True, padding=1, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    paper.set_fill_color(255, 255, 255)
    paper.ln(1.2)


def _write_facts(paper: _Paper, block: Facts) -> None:
    grid = Grid(("", ""), [list(row) for row in block.rows], (32, 68))
    _write_table(paper, grid, headed=False)


def _write_grid(paper: _Paper, block: Grid) -> None:
    if block.caption:
        _keep_room(paper, 20)
        paper.ln(1)
        _write(paper, block.caption, _SMALL, "B")
    _write_table(paper, block, headed=True)


def _write_table(paper: _Paper, block: Grid, *, headed: bool) -> None:
    paper.set_font("sans", "", _SMALL)
    paper.set_draw_color(200, 200, 200)
    paper.set_line_width(0.1)
    numbers = [column.startswith(">") for column in block.columns]
    with paper.table(
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        col_widths=tuple(block.widths),
        text_align=tuple("RIGHT" if number else "LEFT" for number in numbers),
        line_height=_SMALL * _MM_PER_POINT * _LINE,
        padding=(0.6, 1.2, 0.6, 0),
        first_row_as_headings=headed,
        headings_style=FontFace(emphasis="BOLD", color=_GREY),
        repeat_headings=TableHeadingsDisplay.ON_TOP_OF_EVERY_PAGE if headed else TableHeadingsDisplay.NONE,
        v_align="TOP",
    ) as table:
        if headed:
            table.row([column.removeprefix(">") for column in block.columns])
        for cells in block.rows:
            row = table.row()
            for place, text in enumerate(cells):
                row.cell(text, style=_style(block, place, text, headed=headed))
    paper.ln(2)


def _style(block: Grid, place: int, text: str, *, headed: bool) -> FontFace | None:
    if place == block.marked:
        return FontFace(emphasis="BOLD", color=_VERDICTS[text]) if text in _VERDICTS else FontFace(color=_GREY)
    if place in block.fixed:
        return FontFace(family="mono", size_pt=5)
    return FontFace(color=_GREY) if not headed and place == 0 else None


def _write_figure(paper: _Paper, block: Figure) -> None:
    _keep_room(paper, block.height_mm + 8)
    paper.image(io.BytesIO(block.svg.encode()), w=block.width_mm, h=block.height_mm, x=paper.l_margin)
    _write(paper, block.caption, _SMALL, colour=_GREY)
    paper.ln(1.5)
