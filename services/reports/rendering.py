"""A report's document as files for people."""

from collections.abc import Mapping
from typing import Any

from services.reports.composition import compose_report
from services.reports.print_page import write_print
from services.reports.web_page import write_page


def render_report(document: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the report ``document`` as ``html`` and ``pdf``: the same bytes for the same document."""
    report = compose_report(document)
    return {"html": write_page(report), "pdf": write_print(report)}
