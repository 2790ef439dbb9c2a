"""The job ``screening``: stored logs, wafer maps or readouts in, parts that fall out with provenance out."""

from collections.abc import Iterator, Mapping
from typing import Any

from db.repositories.results import NewFinding
from services.pipelines.computation import analyse
from services.pipelines.context import Completion, JobContext
from services.pipelines.reliability.screening_requests import KINDS, ScreenRequest, StoredScreenRequest
from services.pipelines.stored_scores import keep_scores, store_scored
from services.pipelines.table_job import load_tables_of_files, store_document

MOST_OUTLIERS = 1000
"""Findings of single parts; the result itself has all."""
MOST_GROUPS = 20_000
"""Rows of limits in one answer, about 12 MB of JSON."""


def run(context: JobContext) -> Completion:
    """Handle a job of the kind ``screening``.

    Raises:
        JobRefused: a file is none of tested parts, or cannot be screened as asked.
    """
    from services.pipelines.reliability.part_scores import MOST_PARTS, encode_scores, make_score_table  # noqa: PLC0415
    from services.pipelines.reliability.screening import count_limits, score_parts  # noqa: PLC0415  (numerics load in workers only)
    from services.pipelines.reliability.screening_quality import label_parts  # noqa: PLC0415
    from services.pipelines.reliability.tested_parts import collect_parts  # noqa: PLC0415

    payload = context.claimed.payload
    stored = StoredScreenRequest.model_validate(payload["question"])
    sources = load_tables_of_files(context, [payload["raw_file_id"], *stored.other_file_ids], KINDS)
    request = ScreenRequest.model_validate(stored.model_dump(exclude={"other_file_ids", "labels"}))

    made: list[bytes] = []

    def compute(progress: Any) -> dict[str, Any]:
        progress(0.1, "gathering parts")
        parts = collect_parts(sources)
        labels = label_parts((each.lot, each.wafer, each.part, each.defective) for each in stored.labels)
        rows = count_limits(parts, request)
        if rows > MOST_GROUPS:
            raise ValueError(
                f"the answer would have {rows} rows of limits, of which an answer holds {MOST_GROUPS}: "
                "name fewer tests, or ask file by file"
            )
        progress(0.3, f"screening {parts.count} parts")
        answer, scores = score_parts(parts, request, labels or None)
        if parts.count <= MOST_PARTS:
            made.append(encode_scores(make_score_table(parts, scores)))
        return answer

    document = analyse(context, compute)
    if not made:
        document["scores"]["refused"] = f"scores of more than {MOST_PARTS} parts are not kept: screen fewer files"
        return lambda unit: store_document(unit, context, document, _findings(document))
    blob = keep_scores(context, document, made[0])
    return lambda unit: store_scored(unit, context, document, _findings(document), blob)


def _findings(document: Mapping[str, Any]) -> Iterator[NewFinding]:
    """Yield what each screen took out, the parts that fall out, the farthest first, and structured wafers."""
    for rank, row in enumerate(document["screens"], 1):
        yield NewFinding("screen", rank, row["screen"], row["out"], evidence=row)
    outliers = sorted(document["outliers"], key=_distance, reverse=True)
    for rank, row in enumerate(outliers[:MOST_OUTLIERS], 1):
        subject = " ".join(each for each in (row["lot"], row["wafer"], row["part"]) if each)
        yield NewFinding("outlier", rank, subject, _distance(row), evidence=row)
    structured = [row for row in document["groups"] if row.get("structured")]
    for rank, row in enumerate(structured, 1):
        evidence = {"tests": row["tests"], "fails": row["fails"], "parts": row["parts"]}
        subject = f"{row['lot']} {row['wafer']}".strip()
        yield NewFinding("structured_wafer", rank, subject, row["fails"], evidence=evidence)


def _distance(outlier: Mapping[str, Any]) -> float:
    """Return the largest distance from the middle of the part's reasons, in robust sigmas; 0 where none has one."""
    numbers = [abs(float(each["sigmas"])) for each in outlier["reasons"] if "sigmas" in each]
    finite = [each for each in numbers if each < float("inf")]
    return max(finite, default=0.0) if len(finite) == len(numbers) else 1e308
