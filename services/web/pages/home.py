"""The first page: what needs somebody."""

from datetime import UTC, datetime, timedelta

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from db.pagination import PageRequest
from db.repositories import attention
from db.repositories.cases import CASES
from db.repositories.catalogue import list_page
from services.web.page import AnyPage, PageRoute

router = APIRouter(include_in_schema=False, route_class=PageRoute)

NEWS = timedelta(days=7)


@router.get("/")
def show_home(page: AnyPage) -> Response:
    """Return what waits for a person in the programs that they see."""
    with page.read() as unit:
        found = attention.look(unit.connection, unit.caller, datetime.now(UTC) - NEWS)
        instruments = attention.names_of_instruments(unit.connection, unit.caller)
        own = {"state": "open", "assigned_to": unit.caller.account_id}
        mine = list_page(unit.connection, unit.caller, CASES, own, PageRequest(attention.MOST))
        cases = [orjson.loads(row) for row in mine.rows]
        quiet = not (found.quarantined or found.dead or found.agents or found.charts)
        return page.show(
            unit, "home.html", found=found, instruments=instruments, quiet=quiet and not cases, cases=cases
        )
