"""A reliability report from files, without a database: ``faultlight reliability report``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from services.pipelines.reliability.report_document import SCHEMA, ReportInputs, build_report, digest, encode
from services.pipelines.reliability.report_requests import ReportContent, ask_report
from services.pipelines.reliability.screening_requests import KINDS
from services.pipelines.table_source import read_tables
from services.reports.rendering import render_report

FIRST_PERIOD = timedelta(days=31)


@dataclass(frozen=True)
class Heading:
    """How a report made from files is headed, and which report it is compared with.

    Attributes:
        title, program: as it is headed.
        freeze_at: when the data were frozen; ``None``: when the newest file was last written.
        period_from: from when it tells; ``None``: 31 days before the freeze.
        previous: the document of the report before (``report.json``), if any.
    """

    title: str
    program: str
    freeze_at: datetime | None = None
    period_from: datetime | None = None
    previous: Path | None = None


def report_paths(paths: Sequence[Path], question: Path | None, heading: Heading, folder: Path) -> dict[str, Any]:
    """Write ``report.json``, ``report.html`` and ``report.pdf`` of the files ``paths`` to ``folder``; return the first.

    Raises:
        ValueError: the question or the report before is none; one sentence says why.
        instruments.errors.InstrumentError, services.pipelines.table_source.TableRefused, FileNotFoundError: of a file.
    """
    content = read_question(question)
    sources = read_tables(paths, "lifetime", *KINDS)
    freeze_at = heading.freeze_at or _last_written(paths)
    inputs = ReportInputs(
        title=heading.title,
        program=heading.program,
        period_from=heading.period_from or freeze_at - FIRST_PERIOD,
        freeze_at=freeze_at,
        lifetimes=[source for source in sources if source.table.kind == "lifetime"],
        tested=[source for source in sources if source.table.kind != "lifetime"],
        previous=_read_previous(heading.previous),
    )
    if inputs.period_from >= inputs.freeze_at:
        raise ValueError("the period of the report begins after the data freeze")
    document = build_report(inputs, content, lambda _fraction, _message: None)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_bytes(encode(document))
    for form, data in render_report(document).items():
        (folder / f"report.{form}").write_bytes(data)
    return document


def read_question(path: Path | None) -> ReportContent:
    """Return what the JSON file ``path`` asks for; every default without one.

    Raises:
        ValueError: it is no JSON, or no question.
        FileNotFoundError: there is no such file.
    """
    if path is None:
        return ReportContent()
    asked = json.loads(path.read_bytes())
    if not isinstance(asked, dict):
        raise ValueError(f"{path.name} is no JSON object")
    return ask_report(asked)


def _last_written(paths: Sequence[Path]) -> datetime:
    newest = max(path.stat().st_mtime for path in paths)
    return datetime.fromtimestamp(newest, UTC).replace(microsecond=0)


def _read_previous(path: Path | None) -> Mapping[str, Any] | None:
    if path is None:
        return None
    document = json.loads(path.read_bytes())
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ValueError(f"{path.name} is not the document of a reliability report ({SCHEMA})")
    return {
        "freeze_at": document["freeze_at"],
        "scorecard": document["scorecard"],
        "question": document["question"],
        "sha256": digest(document),
    }
