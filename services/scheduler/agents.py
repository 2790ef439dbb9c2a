"""Watching the agents on instrument PCs: one that falls silent, and files that wait too long, are events."""

import structlog
from sqlalchemy import Engine

from db.repositories.agent_watch import find_backlogs, find_silent
from db.unit_of_work import begin
from services.settings import Settings

log = structlog.get_logger(__name__)


def watch_agents(engine: Engine, settings: Settings) -> int:
    """Record an event for each agent that has fallen silent or behind since the last look; return how many."""
    with begin(engine) as unit:
        silent = find_silent(unit.connection, settings.agent_silent_after_s)
        behind = find_backlogs(unit.connection, settings.agent_backlog_after_s)
    if silent or behind:
        log.warning("agents_in_trouble", silent=silent, backlog=behind)
    return silent + behind
