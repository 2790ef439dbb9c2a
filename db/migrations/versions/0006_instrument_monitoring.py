"""Control charts of instruments, events, and webhooks that tell of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_subscription",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", sa.ARRAY(sa.Text()), nullable=False, comment="of events; empty: every kind"),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("disabled_reason", sa.Text(), nullable=True, comment="when the service has disabled it"),
        sa.Column("secret", sa.Text(), nullable=False, comment="signs; shown once"),
        sa.Column("previous_secret", sa.Text(), nullable=True, comment="signs as well until previous_secret_until"),
        sa.Column("previous_secret_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["program_id"], ["faultlight.program.id"], name=op.f("fk_webhook_subscription_program_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_subscription")),
        schema="faultlight",
        comment="Where events of a program are sent.",
    )
    op.create_index(
        "ix_webhook_subscription_program_id_id",
        "webhook_subscription",
        ["program_id", "id"],
        unique=False,
        schema="faultlight",
    )
    op.create_table(
        "control_chart",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("instrument_id", sa.UUID(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False, comment="net or channel; laser: of the session's laser"),
        sa.Column("quantity", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column(
            "setup", postgresql.JSONB(), nullable=False, comment="what must be equal for readings to be comparable"
        ),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), server_default="collecting", nullable=False, comment="of the newest point"),
        sa.Column(
            "revision",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="counts changes of readings and limits",
        ),
        sa.Column(
            "evaluated_revision",
            sa.BigInteger(),
            nullable=True,
            comment="the revision that evaluation tells of; NULL: none yet",
        ),
        sa.Column("evaluated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "evaluation",
            postgresql.JSONB(),
            nullable=True,
            comment="points, limits, signals, the baseline with its provenance",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "quantity IN ('amplitude', 'snr', 'edge_position', 'edge_skew', 'laser_power')",
            name=op.f("ck_control_chart_quantity"),
        ),
        sa.CheckConstraint(
            "state IN ('collecting', 'in-control', 'out-of-control')", name=op.f("ck_control_chart_state")
        ),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["faultlight.instrument.id"], name=op.f("fk_control_chart_instrument_id")
        ),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_control_chart_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_control_chart")),
        sa.UniqueConstraint("id", "program_id", name=op.f("uq_control_chart_id_program_id")),
        sa.UniqueConstraint(
            "instrument_id", "node", "quantity", "unit", "setup", "simulated", name="uq_control_chart_series"
        ),
        schema="faultlight",
        comment="One quantity of one reference node of one instrument, under one setup.",
    )
    op.create_index(
        "ix_control_chart_program_id_id", "control_chart", ["program_id", "id"], unique=False, schema="faultlight"
    )
    op.create_table(
        "event",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("event_key", sa.Text(), nullable=False, comment="sha256 of what happened: it happens once"),
        sa.Column("instrument_id", sa.UUID(), nullable=True),
        sa.Column("subject_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.UUID(), nullable=False),
        sa.Column("data", postgresql.JSONB(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "kind IN ('instrument.out_of_control', 'file.quarantined', 'job.dead', 'agent.silent', 'agent.backlog')",
            name=op.f("ck_event_kind"),
        ),
        sa.ForeignKeyConstraint(["instrument_id"], ["faultlight.instrument.id"], name=op.f("fk_event_instrument_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_event_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.UniqueConstraint("event_key", name=op.f("uq_event_event_key")),
        schema="faultlight",
        comment="Append-only; triggers refuse UPDATE, DELETE and TRUNCATE.",
    )
    op.create_index(op.f("ix_event_instrument_id"), "event", ["instrument_id"], unique=False, schema="faultlight")
    op.create_index("ix_event_program_id_id", "event", ["program_id", "id"], unique=False, schema="faultlight")
    op.create_index(op.f("ix_event_subject_id"), "event", ["subject_id"], unique=False, schema="faultlight")
    op.create_table(
        "chart_baseline",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("chart_id", sa.UUID(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("to_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("robust", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("centre", sa.Double(), nullable=True, comment="in the chart's unit"),
        sa.Column("sigma", sa.Double(), nullable=True, comment="of a single value, in the chart's unit"),
        sa.Column("count", sa.BigInteger(), nullable=True, comment="readings that they were estimated from"),
        sa.Column("method", sa.Text(), nullable=True),
        sa.Column("warnings", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column(
            "parameters",
            postgresql.JSONB(),
            nullable=False,
            comment="Nelson's rules; weight and width of EWMA; those of CUSUM",
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it was refused"),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(state = 'frozen') = (centre IS NOT NULL AND sigma IS NOT NULL AND method IS NOT NULL "
            "AND frozen_at IS NOT NULL)",
            name=op.f("ck_chart_baseline_frozen"),
        ),
        sa.CheckConstraint("sigma > 0 AND sigma < 'Infinity'", name=op.f("ck_chart_baseline_sigma")),
        sa.CheckConstraint("state IN ('requested', 'frozen', 'refused')", name=op.f("ck_chart_baseline_state")),
        sa.ForeignKeyConstraint(
            ["chart_id", "program_id"],
            ["faultlight.control_chart.id", "faultlight.control_chart.program_id"],
            name="fk_chart_baseline_chart_id",
        ),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_chart_baseline_program_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chart_baseline")),
        schema="faultlight",
        comment="Limits of phase I; a trigger refuses changes once they are frozen. The newest frozen one counts.",
    )
    op.create_index(
        "ix_chart_baseline_chart_id_id", "chart_baseline", ["chart_id", "id"], unique=False, schema="faultlight"
    )
    op.create_index(
        "ix_chart_baseline_program_id_id", "chart_baseline", ["program_id", "id"], unique=False, schema="faultlight"
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("subscription_id", sa.UUID(), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False, comment="counted at the claim"),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_token", sa.UUID(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True, comment="HTTP status of the last answer"),
        sa.Column("reason", sa.Text(), nullable=True, comment="why the last attempt failed"),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(state = 'sending') = (lease_token IS NOT NULL)", name=op.f("ck_webhook_delivery_lease_while_sending")
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'sending', 'delivered', 'dead')", name=op.f("ck_webhook_delivery_state")
        ),
        sa.ForeignKeyConstraint(["event_id"], ["faultlight.event.id"], name=op.f("fk_webhook_delivery_event_id")),
        sa.ForeignKeyConstraint(["program_id"], ["faultlight.program.id"], name=op.f("fk_webhook_delivery_program_id")),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["faultlight.webhook_subscription.id"],
            name=op.f("fk_webhook_delivery_subscription_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_delivery")),
        sa.UniqueConstraint("subscription_id", "event_id", name=op.f("uq_webhook_delivery_subscription_id_event_id")),
        schema="faultlight",
        comment="Inserted with its event: the row is the outbox.",
    )
    op.create_index(
        "ix_webhook_delivery_due",
        "webhook_delivery",
        ["next_attempt_at", "id"],
        unique=False,
        schema="faultlight",
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        op.f("ix_webhook_delivery_event_id"), "webhook_delivery", ["event_id"], unique=False, schema="faultlight"
    )
    op.create_index(
        "ix_webhook_delivery_leases",
        "webhook_delivery",
        ["lease_expires_at"],
        unique=False,
        schema="faultlight",
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_index(
        "ix_webhook_delivery_program_id_id", "webhook_delivery", ["program_id", "id"], unique=False, schema="faultlight"
    )
    op.create_table(
        "reference_reading",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("program_id", sa.UUID(), nullable=False),
        sa.Column("chart_id", sa.UUID(), nullable=False),
        sa.Column("raw_file_id", sa.UUID(), nullable=False),
        sa.Column("bundle_id", sa.UUID(), nullable=True),
        sa.Column("member_path", sa.Text(), server_default="", nullable=False),
        sa.Column("record_index", sa.Integer(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False, comment="in the chart's unit"),
        sa.Column("sigma", sa.Double(), nullable=True, comment="its standard error; NULL: unknown"),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("result_id", sa.UUID(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("value > '-Infinity' AND value < 'Infinity'", name=op.f("ck_reference_reading_finite")),
        sa.ForeignKeyConstraint(["bundle_id"], ["faultlight.bundle.id"], name=op.f("fk_reference_reading_bundle_id")),
        sa.ForeignKeyConstraint(
            ["chart_id", "program_id"],
            ["faultlight.control_chart.id", "faultlight.control_chart.program_id"],
            name="fk_reference_reading_chart_id",
        ),
        sa.ForeignKeyConstraint(
            ["program_id"], ["faultlight.program.id"], name=op.f("fk_reference_reading_program_id")
        ),
        sa.ForeignKeyConstraint(
            ["raw_file_id"], ["faultlight.raw_file.id"], name=op.f("fk_reference_reading_raw_file_id")
        ),
        sa.ForeignKeyConstraint(["result_id"], ["faultlight.result.id"], name=op.f("fk_reference_reading_result_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reference_reading")),
        sa.UniqueConstraint(
            "chart_id",
            "raw_file_id",
            "bundle_id",
            "member_path",
            "record_index",
            name="uq_reference_reading_place",
            postgresql_nulls_not_distinct=True,
        ),
        schema="faultlight",
        comment="One value of a chart; observed_at: when its file was received; its result says how it was made.",
    )
    op.create_index(
        op.f("ix_reference_reading_bundle_id"), "reference_reading", ["bundle_id"], unique=False, schema="faultlight"
    )
    op.create_index(
        "ix_reference_reading_chart_id_observed_at_id",
        "reference_reading",
        ["chart_id", "observed_at", "id"],
        unique=False,
        schema="faultlight",
    )
    op.create_index(
        "ix_reference_reading_program_id_id",
        "reference_reading",
        ["program_id", "id"],
        unique=False,
        schema="faultlight",
    )
    op.create_index(
        op.f("ix_reference_reading_raw_file_id"),
        "reference_reading",
        ["raw_file_id"],
        unique=False,
        schema="faultlight",
    )
    op.create_index(
        op.f("ix_reference_reading_result_id"), "reference_reading", ["result_id"], unique=False, schema="faultlight"
    )
    op.add_column(
        "agent_report", sa.Column("silent_since", sa.DateTime(timezone=True), nullable=True), schema="faultlight"
    )
    op.add_column(
        "agent_report", sa.Column("backlog_since", sa.DateTime(timezone=True), nullable=True), schema="faultlight"
    )

    op.execute(
        "CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE ON faultlight.event "
        "FOR EACH ROW EXECUTE FUNCTION faultlight.refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER event_no_truncate BEFORE TRUNCATE ON faultlight.event "
        "FOR EACH STATEMENT EXECUTE FUNCTION faultlight.refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER chart_baseline_frozen BEFORE UPDATE ON faultlight.chart_baseline "
        "FOR EACH ROW WHEN (OLD.state <> 'requested') EXECUTE FUNCTION faultlight.refuse_change()"
    )


def downgrade() -> None:
    op.drop_column("agent_report", "backlog_since", schema="faultlight")
    op.drop_column("agent_report", "silent_since", schema="faultlight")
    op.drop_index(op.f("ix_reference_reading_result_id"), table_name="reference_reading", schema="faultlight")
    op.drop_index(op.f("ix_reference_reading_raw_file_id"), table_name="reference_reading", schema="faultlight")
    op.drop_index("ix_reference_reading_program_id_id", table_name="reference_reading", schema="faultlight")
    op.drop_index("ix_reference_reading_chart_id_observed_at_id", table_name="reference_reading", schema="faultlight")
    op.drop_index(op.f("ix_reference_reading_bundle_id"), table_name="reference_reading", schema="faultlight")
    op.drop_table("reference_reading", schema="faultlight")
    op.drop_index("ix_webhook_delivery_program_id_id", table_name="webhook_delivery", schema="faultlight")
    op.drop_index(
        "ix_webhook_delivery_leases",
        table_name="webhook_delivery",
        schema="faultlight",
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.drop_index(op.f("ix_webhook_delivery_event_id"), table_name="webhook_delivery", schema="faultlight")
    op.drop_index(
        "ix_webhook_delivery_due",
        table_name="webhook_delivery",
        schema="faultlight",
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.drop_table("webhook_delivery", schema="faultlight")
    op.drop_index("ix_chart_baseline_program_id_id", table_name="chart_baseline", schema="faultlight")
    op.drop_index("ix_chart_baseline_chart_id_id", table_name="chart_baseline", schema="faultlight")
    op.drop_table("chart_baseline", schema="faultlight")
    op.drop_index(op.f("ix_event_subject_id"), table_name="event", schema="faultlight")
    op.drop_index("ix_event_program_id_id", table_name="event", schema="faultlight")
    op.drop_index(op.f("ix_event_instrument_id"), table_name="event", schema="faultlight")
    op.drop_table("event", schema="faultlight")
    op.drop_index("ix_control_chart_program_id_id", table_name="control_chart", schema="faultlight")
    op.drop_table("control_chart", schema="faultlight")
    op.drop_index("ix_webhook_subscription_program_id_id", table_name="webhook_subscription", schema="faultlight")
    op.drop_table("webhook_subscription", schema="faultlight")
