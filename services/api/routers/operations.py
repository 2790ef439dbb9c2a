"""How the installation does, in one look."""

from dataclasses import asdict

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories.case_load import read_load
from db.repositories.queue_state import read_queues
from db.repositories.workers import list_workers
from services.api.answers import JsonAnswer
from services.api.context import ReadsOperations
from services.api.operations_documents import OperationsOverview

router = APIRouter(prefix="/operations", tags=["operations"])


@router.get("", responses={200: {"model": OperationsOverview}})
def read_operations(context: ReadsOperations) -> Response:
    """Return queues, workers with their graphics cards, open cases by stage, and turnaround of signed-off cases."""
    with context.read() as unit:
        document = {
            "queues": read_queues(unit.connection, unit.caller),
            "workers": list_workers(unit.connection, unit.caller),
            "cases": asdict(read_load(unit.connection, unit.caller)),
        }
    return JsonAnswer(document)
