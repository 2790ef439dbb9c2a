"""Find the few rows that pass a filter of a list by an index, instead of by a walk through the whole list."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None
serves_from = "0006"

_INDEXES: tuple[tuple[str, tuple[str, ...], str | None], ...] = (
    ("waveform", ("program_id", "net", "id"), "net IS NOT NULL"),
    ("waveform", ("program_id", "name", "id"), None),
    ("probing_session", ("program_id", "name", "id"), None),
    ("bundle", ("program_id", "name", "id"), None),
    ("raw_file", ("program_id", "filename", "id"), None),
    ("job", ("program_id", "kind", "id"), "kind <> 'ingest'"),
    ("job", ("program_id", "queue", "id"), "queue <> 'ingest'"),
    ("job", ("program_id", "state", "id"), "state IN ('failed', 'cancelled')"),
    ("result", ("program_id", "kind", "id"), None),
    ("finding", ("program_id", "kind", "id"), None),
    ("finding", ("program_id", "subject", "id"), None),
    ("audit_event", ("actor", "id"), None),
    ("audit_event", ("action", "id"), None),
    ("audit_event", ("subject_id", "id"), None),
)


def upgrade() -> None:
    for table, columns, condition in _INDEXES:
        op.create_index(_name(table, columns), table, list(columns), schema="faultlight", postgresql_where=condition)


def downgrade() -> None:
    for table, columns, _ in reversed(_INDEXES):
        op.drop_index(_name(table, columns), table_name=table, schema="faultlight")


def _name(table: str, columns: tuple[str, ...]) -> str:
    return f"ix_{table}_{'_'.join(columns)}"
