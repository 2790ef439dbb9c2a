"""What a result found, row by row: to filter, page and take away as a file."""

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.catalogue import FINDINGS
from services.api.listing import FindingQuery
from services.web.lists import ListSource, answer_export, load_list, wants_export
from services.web.page import AnyPage, PageRoute

router = APIRouter(prefix="/findings", include_in_schema=False, route_class=PageRoute)

LIST = ListSource(FINDINGS, FindingQuery, "findings")


@router.get("")
def list_findings(page: AnyPage) -> Response:
    """Return the findings, of one result or of all."""
    if wants_export(page):
        return answer_export(page, LIST, "findings")
    with page.read() as unit:
        return page.show(unit, "findings.html", shown=load_list(page, unit, LIST))
