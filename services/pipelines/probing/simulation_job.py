"""The job ``simulation``: a stored probing session and names of nets in, what a good die does there out."""

from services.pipelines.computation import analyse
from services.pipelines.context import Completion, JobContext
from services.pipelines.probing.session_job import describe_inputs, find_stored, store_result
from services.pipelines.probing.stored_session import rebuild_session


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``simulation``.

    Raises:
        JobRefused: there is no such session, or nothing says what its good die does.
    """
    from services.pipelines.probing.simulation import simulate_session  # noqa: PLC0415  (numerics load in workers only)

    payload = context.claimed.payload
    context.progress(0.02, "loading the session")
    stored = find_stored(context, payload["probing_session_id"])
    session = rebuild_session(stored, context.blobs)
    document = analyse(context, lambda progress: simulate_session(session, payload["nets"], progress))
    provenance = document["provenance"] | describe_inputs([stored]) | {"simulated": True}
    return lambda unit: store_result(unit, context, stored, (document, provenance), ())
