"""Report on reliability by schedule: when reports are due, what was made, to whom it was mailed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
serves_from = "0006"

_KINDS = "'instrument.out_of_control', 'file.quarantined', 'job.dead', 'agent.silent', 'agent.backlog'"
_NEW_KINDS = f"{_KINDS}, 'report.ready', 'report.undelivered'"


def _allow_events(kinds: str) -> None:
    op.drop_constraint(op.f("ck_event_kind"), "event", schema="faultlight", type_="check")
    # Not validated: rows from before satisfy the wider list, and looking at each of them would hold the lock.
    op.execute(f"ALTER TABLE faultlight.event ADD CONSTRAINT ck_event_kind CHECK (kind IN ({kinds})) NOT VALID")


def upgrade() -> None:
    _allow_events(_NEW_KINDS)
    op.create_table(
        "report_schedule",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("cron", sa.Text(), nullable=False, comment="minute, hour, day of month, month, day of week"),
        sa.Column("time_zone", sa.Text(), nullable=False, comment="IANA name that cron is read in"),
        sa.Column(
            "catch_up", sa.Text(), server_default="latest", nullable=False, comment="what becomes of missed due times"
        ),
        sa.Column("enabled", sa.Boolean(), server_default="true", nullable=False),
        sa.Column(
            "content", postgresql.JSONB(), nullable=False, comment="what is reported, and under which assumptions"
        ),
        sa.Column("recipients", sa.ARRAY(sa.Text()), nullable=False, comment="addresses of e-mail"),
        sa.Column("next_due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False, comment="counts changes"),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("catch_up IN ('all', 'latest', 'skip')", name=op.f("ck_report_schedule_catch_up")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_report_schedule_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_schedule")),
        sa.UniqueConstraint("program_id", "name", name=op.f("uq_report_schedule_program_id_name")),
        schema="faultlight",
        comment="When a program's reliability report is due; next_due_at is the first due time without a report.",
    )
    op.create_index(
        "ix_report_schedule_next_due_at",
        "report_schedule",
        ["next_due_at"],
        unique=False,
        schema="faultlight",
        postgresql_where=sa.text("enabled"),
    )
    op.create_index(
        "ix_report_schedule_program_id_id", "report_schedule", ["program_id", "id"], unique=False, schema="faultlight"
    )
    op.create_table(
        "report",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("schedule_id", sa.UUID(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column(
            "content", postgresql.JSONB(), nullable=False, comment="as the schedule had it when the report became due"
        ),
        sa.Column("recipients", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("freeze_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("period_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default="due", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it was skipped"),
        sa.Column("job_id", sa.UUID(), nullable=True),
        sa.Column("previous_id", sa.UUID(), nullable=True),
        sa.Column(
            "scorecard",
            postgresql.JSONB(),
            nullable=True,
            comment="headline numbers with their intervals; NULL: not made",
        ),
        sa.Column(
            "files", postgresql.JSONB(), nullable=True, comment="by form (document, html, pdf): key, sha256, size"
        ),
        sa.Column("inputs_sha256", sa.Text(), nullable=True, comment="of the list of inputs with their hashes"),
        sa.Column("simulated", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(state = 'ready') = (files IS NOT NULL AND scorecard IS NOT NULL AND inputs_sha256 IS NOT NULL "
            "AND made_at IS NOT NULL)",
            name=op.f("ck_report_made"),
        ),
        sa.CheckConstraint("(state = 'skipped') = (reason IS NOT NULL)", name=op.f("ck_report_reason_of_skipped")),
        sa.CheckConstraint("state IN ('due', 'ready', 'skipped')", name=op.f("ck_report_state")),
        sa.CheckConstraint("due_at IS NULL OR schedule_id IS NOT NULL", name=op.f("ck_report_due_by_schedule")),
        sa.CheckConstraint("period_from < freeze_at", name=op.f("ck_report_period")),
        sa.ForeignKeyConstraint(["job_id"], ["faultlight.job.id"], name=op.f("fk_report_job_id")),
        sa.ForeignKeyConstraint(["previous_id"], ["faultlight.report.id"], name=op.f("fk_report_previous_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_report_program_id")),
        sa.ForeignKeyConstraint(["schedule_id"], ["faultlight.report_schedule.id"], name=op.f("fk_report_schedule_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report")),
        sa.UniqueConstraint("schedule_id", "due_at", name=op.f("uq_report_schedule_id_due_at")),
        schema="faultlight",
        comment="One for each due time of a schedule, whoever found it due, and those that people asked for.",
    )
    op.create_index(op.f("ix_report_job_id"), "report", ["job_id"], unique=False, schema="faultlight")
    op.create_index(
        "ix_report_previous",
        "report",
        ["program_id", "title", "freeze_at"],
        unique=False,
        schema="faultlight",
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_index(op.f("ix_report_previous_id"), "report", ["previous_id"], unique=False, schema="faultlight")
    op.create_index("ix_report_program_id_id", "report", ["program_id", "id"], unique=False, schema="faultlight")
    op.create_table(
        "report_delivery",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("report_id", sa.UUID(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False, comment="counted at the claim"),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_token", sa.UUID(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True, comment="the mail server's last word"),
        sa.Column(
            "reason", sa.Text(), nullable=True, comment="why the last attempt failed, or why nothing is known of it"
        ),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(state = 'delivered') = (delivered_at IS NOT NULL)", name=op.f("ck_report_delivery_delivered")
        ),
        sa.CheckConstraint(
            "(state = 'sending') = (lease_token IS NOT NULL)", name=op.f("ck_report_delivery_lease_while_sending")
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'sending', 'delivered', 'unknown', 'failed')", name=op.f("ck_report_delivery_state")
        ),
        sa.CheckConstraint(
            "state NOT IN ('unknown', 'delivered') OR submitted_at IS NOT NULL",
            name=op.f("ck_report_delivery_submitted"),
        ),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_report_delivery_program_id")),
        sa.ForeignKeyConstraint(["report_id"], ["faultlight.report.id"], name=op.f("fk_report_delivery_report_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_delivery")),
        sa.UniqueConstraint("report_id", "recipient", name=op.f("uq_report_delivery_report_id_recipient")),
        schema="faultlight",
        comment="submitted_at: when this attempt was about to end the message, after which it may have been accepted.",
    )
    op.create_index(
        "ix_report_delivery_due",
        "report_delivery",
        ["next_attempt_at", "id"],
        unique=False,
        schema="faultlight",
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_report_delivery_leases",
        "report_delivery",
        ["lease_expires_at"],
        unique=False,
        schema="faultlight",
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_index(
        "ix_report_delivery_program_id_id", "report_delivery", ["program_id", "id"], unique=False, schema="faultlight"
    )


def downgrade() -> None:
    op.drop_index("ix_report_delivery_program_id_id", table_name="report_delivery", schema="faultlight")
    op.drop_index(
        "ix_report_delivery_leases",
        table_name="report_delivery",
        schema="faultlight",
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.drop_index(
        "ix_report_delivery_due",
        table_name="report_delivery",
        schema="faultlight",
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.drop_table("report_delivery", schema="faultlight")
    op.drop_index("ix_report_program_id_id", table_name="report", schema="faultlight")
    op.drop_index(op.f("ix_report_previous_id"), table_name="report", schema="faultlight")
    op.drop_index(
        "ix_report_previous", table_name="report", schema="faultlight", postgresql_where=sa.text("state = 'ready'")
    )
    op.drop_index(op.f("ix_report_job_id"), table_name="report", schema="faultlight")
    op.drop_table("report", schema="faultlight")
    op.drop_index("ix_report_schedule_program_id_id", table_name="report_schedule", schema="faultlight")
    op.drop_index(
        "ix_report_schedule_next_due_at",
        table_name="report_schedule",
        schema="faultlight",
        postgresql_where=sa.text("enabled"),
    )
    op.drop_table("report_schedule", schema="faultlight")
    _allow_events(_KINDS)
