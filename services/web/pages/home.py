"""The first page: what needs somebody."""

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories import attention
from db.repositories.cases import CASES
from services.web.lists import load_rows
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
        cases = load_rows(unit, CASES, own, attention.MOST)
        quiet = not (found.quarantined or found.dead or found.agents or found.charts)
        return page.show(
            unit, "home.html", found=found, instruments=instruments, quiet=quiet and not cases, cases=cases
        )
