"""The job ``convert``: places of one frame in another, with their covariances."""

from collections.abc import Iterator, Mapping
from typing import Any

from db.repositories.results import NewFinding
from services.pipelines.computation import analyse
from services.pipelines.context import Completion, JobContext
from services.pipelines.mask.conversion_request import ConversionRequest
from services.pipelines.table_job import store_document

MOST_FINDINGS = 5000


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``convert``.

    Raises:
        JobRefused: the frames are not right, matches do not determine a map, or no map leads to the target.
    """
    from services.pipelines.mask.coordinate_frames import convert_places  # noqa: PLC0415  (numerics load in workers)

    request = ConversionRequest.model_validate(context.claimed.payload["question"])
    document = analyse(
        context,
        lambda _progress: convert_places(request.frames, "frames", (request.source, request.target), request.places),
    )
    return lambda unit: store_document(unit, context, document, _findings(document))


def _findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield every place in the target frame."""
    for rank, each in enumerate(document["places"][:MOST_FINDINGS], 1):
        yield NewFinding("converted_place", rank, each["name"] or str(rank), evidence=each)
