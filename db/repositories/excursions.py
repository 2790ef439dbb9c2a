"""Which excursions of a control chart have been told of."""

import uuid

from sqlalchemy import Connection, select

from db.schema.events import event


def list_told(connection: Connection, chart_id: uuid.UUID, baseline_id: uuid.UUID) -> set[tuple[str, str]]:
    """Return the rule and the reading of each event about a chart under these limits."""
    of_chart = select(event.c.data["rule"].astext, event.c.data["reading_id"].astext).where(
        event.c.subject_id == chart_id, event.c.data["baseline"]["id"].astext == str(baseline_id)
    )
    return {(row[0], row[1]) for row in connection.execute(of_chart)}
