"""Lists and single rows of who may do what, and of what was done."""

from db.repositories.access import Action
from db.repositories.catalogue import Listing, filter_by
from db.schema.people import audit_event, membership

AUDIT_EVENTS = Listing(
    "audit event",
    audit_event,
    Action.READ_ADMINISTRATION,
    conditions=filter_by(
        audit_event.c.program_id,
        audit_event.c.actor,
        audit_event.c.action,
        audit_event.c.subject_id,
    )
    | {"since": audit_event.c.id.__ge__, "until": audit_event.c.id.__lt__},
)
MEMBERSHIPS = Listing(
    "membership",
    membership,
    Action.READ_ADMINISTRATION,
    conditions=filter_by(membership.c.program_id, membership.c.account_id, membership.c.role),
)
