"""An analysis within a job: its progress is the job's, its refusal the job's reason, its answer can be stored."""

from collections.abc import Callable, Mapping
from typing import Any

from instruments.errors import InstrumentError
from services.pipelines.context import JobContext, JobRefused
from services.pipelines.ingestion.record_rows import storable

Progress = Callable[[float, str], None]


def analyse(context: JobContext, compute: Callable[[Progress], Mapping[str, Any]]) -> dict[str, Any]:
    """Return the document that ``compute`` makes, storable; its progress 0..1 is most of the job's.

    Raises:
        JobRefused: the data do not allow the analysis; the reason is the analysis' own sentence.
    """

    def progress(fraction: float, message: str) -> None:
        context.progress(0.05 + 0.9 * min(1.0, max(0.0, fraction)), message)

    try:
        document = compute(progress)
    except (InstrumentError, ValueError) as error:
        raise JobRefused(str(error)) from error
    context.progress(0.97, "storing the result")
    stored: dict[str, Any] = storable(dict(document))
    return stored
