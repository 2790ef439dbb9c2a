"""Lists and single rows of reports, their schedules and deliveries; see :mod:`db.repositories.catalogue`."""

from db.repositories.access import Action
from db.repositories.catalogue import Listing, filter_by
from db.schema.reports import report, report_delivery, report_schedule

REPORT_SCHEDULES = Listing(
    "report schedule",
    report_schedule,
    Action.READ_RECORDS,
    detail_only=frozenset({"content"}),
    conditions=filter_by(report_schedule.c.program_id, report_schedule.c.name, report_schedule.c.enabled),
)
REPORTS = Listing(
    "report",
    report,
    Action.READ_RECORDS,
    detail_only=frozenset({"content"}),
    conditions=filter_by(report.c.program_id, report.c.schedule_id, report.c.state),
)
REPORT_DELIVERIES = Listing(
    "report delivery",
    report_delivery,
    Action.READ_RECORDS,
    hidden=frozenset({"lease_token"}),
    conditions=filter_by(report_delivery.c.program_id, report_delivery.c.report_id, report_delivery.c.state),
)
