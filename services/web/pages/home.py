"""The first page: what needs somebody."""

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories import attention, report_attention
from db.repositories.case_load import list_open
from services.web.page import AnyPage, PageRoute
from services.web.schedule_words import tell_schedule

router = APIRouter(include_in_schema=False, route_class=PageRoute)

NEWS = timedelta(days=7)
SOON = timedelta(days=7)
"""How far ahead reports that will be due are told of."""


@router.get("/")
def show_home(page: AnyPage) -> Response:
    """Return what waits for a person in the programs that they see."""
    with page.read() as unit:
        now = datetime.now(UTC)
        found = attention.look(unit.connection, unit.caller, now - NEWS)
        reports = report_attention.look(unit.connection, unit.caller, now + SOON, now - NEWS)
        instruments = attention.names_of_instruments(unit.connection, unit.caller)
        cases = list_open(unit.connection, unit.caller, attention.MOST)
        quiet = not (found.quarantined or found.dead or found.agents or found.charts)
        quiet = quiet and not (cases or reports.not_made or reports.undelivered)
        return page.show(
            unit,
            "home.html",
            found=found,
            instruments=instruments,
            quiet=quiet,
            cases=cases,
            reports=reports,
            due={row["id"]: tell_schedule(row, now) for row in reports.due},
        )
