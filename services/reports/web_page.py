"""A report as one page of HTML that needs nothing else: no script, no font, no picture from elsewhere."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from services.reports.pages import Facts, Figure, Grid, Paragraph, Report

_VERDICTS = {"met": "met", "missed": "missed", "not shown": "open", "no data": "none", "no target": "none"}


def write_page(report: Report) -> bytes:
    """Return the page, UTF-8: the same bytes for the same report."""
    environment = Environment(
        loader=PackageLoader("services.reports", "templates"),
        autoescape=select_autoescape(default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html")
    sections = [
        {
            "name": section.name,
            "title": section.title,
            "blocks": [(_kind(block), block) for block in section.blocks],
        }
        for section in report.sections
    ]
    return template.render(report=report, sections=sections, cells=_cells, drawing=_drawing).encode()


def _kind(block: object) -> str:
    kinds: Sequence[tuple[type, str]] = ((Paragraph, "paragraph"), (Grid, "grid"), (Facts, "facts"), (Figure, "figure"))
    return next(name for kind, name in kinds if isinstance(block, kind))


def _cells(grid: Grid, row: Sequence[str]) -> list[tuple[str, str]]:
    """Return text and class of each cell."""
    found = []
    for place, text in enumerate(row):
        if place == grid.marked:
            kind = f"verdict {_VERDICTS.get(text, 'none')}"
        elif grid.columns[place].startswith(">"):
            kind = "number"
        else:
            kind = "fixed" if place in grid.fixed else ""
        found.append((text, kind))
    return found


def _drawing(figure: Figure, number: int) -> Markup:
    """Return the drawing with ids of its own: several drawings stand in one page."""
    svg = (
        figure.svg.replace('id="', f'id="f{number}-')
        .replace('"#', f'"#f{number}-')
        .replace("url(#", f"url(#f{number}-")
    )
    return Markup(svg)  # noqa: S704  (drawn here by matplotlib, letters as paths: no text of a file is in it)
