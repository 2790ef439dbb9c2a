"""How the laboratory does: queues and who serves them, graphics cards, cases on their way, turnaround."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.access import Action
from db.repositories.case_load import read_load
from db.repositories.queue_state import read_queues
from db.repositories.workers import list_workers
from services.web.page import AnyPage, PageRoute

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/operations")
def show_operations(page: AnyPage) -> Response:
    """Return the page."""
    with page.read() as unit:
        unit.caller.require(Action.READ_OPERATIONS)
        workers = list_workers(unit.connection, unit.caller)
        queues = read_queues(unit.connection, unit.caller)
        for queue in queues:
            queue["served_by"] = _serving(queue["queue"], workers)
        reads_cases = unit.caller.programs(Action.READ_RECORDS) != frozenset()
        load = read_load(unit.connection, unit.caller) if reads_cases else None
        return page.show(unit, "operations.html", queues=queues, workers=workers, load=load)


def _serving(queue: str, workers: list[dict[str, Any]]) -> int:
    """Return how many workers that give signs take jobs of the queue."""
    return sum(queue in worker["queues"] and worker["state"] != "silent" for worker in workers)
