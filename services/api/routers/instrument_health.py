"""The health of instruments: agents report it, people read it."""

import uuid
from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.responses import Response

from db.repositories import instrument_health
from db.repositories.instrument_health import AgentReport
from services.api.answers import JsonAnswer
from services.api.context import ReadsOperations, Uploads
from services.api.contract import describe_problems
from services.api.health_documents import AgentReportDocument, InstrumentHealth

router = APIRouter(prefix="/instruments", tags=["instruments"])


@router.put("/self/health", status_code=204, response_class=Response)
def report_health(report: AgentReportDocument, context: Uploads) -> Response:
    """Take an agent's report in place of its last one. Only an instrument's key reports; it reports of itself."""
    received_at = datetime.now(UTC)
    with context.begin() as unit:
        instrument_health.record(unit.connection, unit.caller, AgentReport(**report.model_dump()), received_at)
    return Response(status_code=204)


@router.get("/{instrument_id}/health", responses={200: {"model": InstrumentHealth}, **describe_problems("not-found")})
def read_health(instrument_id: uuid.UUID, context: ReadsOperations) -> Response:
    """Return the last upload, what the agents report, and what was quarantined, by adapter version."""
    with context.read() as unit:
        document = instrument_health.read(unit.connection, unit.caller, instrument_id)
    return JsonAnswer(document)
