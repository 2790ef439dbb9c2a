"""Lists and single rows of learned models, their versions, decisions and watches."""

from db.repositories.access import Action
from db.repositories.catalogue import Listing, filter_by
from db.schema.models import model, model_decision, model_version, model_watch

MODELS = Listing(
    "model",
    model,
    Action.READ_RECORDS,
    conditions=filter_by(model.c.program_id, model.c.name, model.c.kind),
)
MODEL_VERSIONS = Listing(
    "model version",
    model_version,
    Action.READ_RECORDS,
    hidden=frozenset({"blob_key"}),
    detail_only=frozenset({"card"}),
    conditions=filter_by(model_version.c.program_id, model_version.c.model_id, model_version.c.state),
)
MODEL_DECISIONS = Listing(
    "model decision",
    model_decision,
    Action.READ_RECORDS,
    conditions=filter_by(
        model_decision.c.program_id, model_decision.c.model_id, model_decision.c.version_id, model_decision.c.kind
    ),
)
MODEL_WATCHES = Listing(
    "model watch",
    model_watch,
    Action.READ_RECORDS,
    conditions=filter_by(
        model_watch.c.program_id, model_watch.c.version_id, model_watch.c.table_id, model_watch.c.verdict
    ),
)
