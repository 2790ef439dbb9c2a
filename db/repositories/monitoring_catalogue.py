"""Lists and single rows of control charts, events and webhooks; see :mod:`db.repositories.catalogue`."""

from sqlalchemy import any_, func, or_

from db.repositories.access import Action
from db.repositories.catalogue import Listing, filter_by
from db.schema.events import event, webhook_delivery, webhook_subscription
from db.schema.monitoring import chart_baseline, control_chart, reference_reading

CONTROL_CHARTS = Listing(
    "control chart",
    control_chart,
    Action.READ_OPERATIONS,
    detail_only=frozenset({"evaluation"}),
    conditions=filter_by(
        control_chart.c.program_id,
        control_chart.c.instrument_id,
        control_chart.c.node,
        control_chart.c.quantity,
        control_chart.c.state,
    ),
)
REFERENCE_READINGS = Listing(
    "reference reading",
    reference_reading,
    Action.READ_OPERATIONS,
    conditions=filter_by(
        reference_reading.c.program_id,
        reference_reading.c.chart_id,
        reference_reading.c.raw_file_id,
        reference_reading.c.bundle_id,
    ),
)
CHART_BASELINES = Listing(
    "chart baseline",
    chart_baseline,
    Action.READ_OPERATIONS,
    conditions=filter_by(chart_baseline.c.program_id, chart_baseline.c.chart_id, chart_baseline.c.state),
)
EVENTS = Listing(
    "event",
    event,
    Action.READ_OPERATIONS,
    hidden=frozenset({"event_key"}),
    conditions=filter_by(event.c.program_id, event.c.kind, event.c.instrument_id, event.c.subject_id),
)
WEBHOOKS = Listing(
    "webhook",
    webhook_subscription,
    Action.READ_WEBHOOKS,
    hidden=frozenset({"secret", "previous_secret"}),
    conditions=filter_by(webhook_subscription.c.program_id)
    | {
        "kind": lambda kind: or_(
            func.cardinality(webhook_subscription.c.kinds) == 0, kind == any_(webhook_subscription.c.kinds)
        )
    },
)
WEBHOOK_DELIVERIES = Listing(
    "webhook delivery",
    webhook_delivery,
    Action.READ_WEBHOOKS,
    hidden=frozenset({"lease_token"}),
    conditions=filter_by(webhook_delivery.c.program_id, webhook_delivery.c.state, webhook_delivery.c.event_id)
    | {"webhook": webhook_delivery.c.subscription_id.__eq__},
)
