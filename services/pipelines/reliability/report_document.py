"""A reliability report as a document: every number with its interval, from inputs that are listed with their hashes.

The document is a function of its inputs and its question alone: no clock is read and no id is made, so that the same
inputs give the same bytes.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from analysis.reliability.test_planning import below_one_ppm
from services.pipelines.reliability.life_data import provenance
from services.pipelines.reliability.reliability_answers import finite_document
from services.pipelines.reliability.report_burn_in import report_burn_in
from services.pipelines.reliability.report_life import report_life
from services.pipelines.reliability.report_rates import report_early_life, report_rates
from services.pipelines.reliability.report_requests import ReportContent
from services.pipelines.reliability.report_scorecard import make_scorecard
from services.pipelines.reliability.report_screening import report_screening
from services.pipelines.reliability.report_tests import describe_tests, gather_tests
from services.pipelines.stored_answer import code_version
from services.pipelines.table_source import SourceTable
from services.pipelines.versions import (
    LIFE_DATA_VERSION,
    RELIABILITY_ANSWERS_VERSION,
    REPORT_VERSION,
    SCREENING_VERSION,
)

SCHEMA = "faultlight.reliability-report/1"
NO_MODEL = "No model of latent risk has been promoted: there is no calibration to report."
NO_RECORDS = "This report was made from files, without a database: it knows no excursions and no cases."

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class ReportInputs:
    """What a report is made of.

    Attributes:
        title, program: as it is headed.
        period_from, freeze_at: the time it tells of; nothing that came after the freeze is in it.
        lifetimes, tested: tables, :mod:`services.pipelines.table_source`.
        excursions: with ``events``, ``cases`` and counts; ``None`` without a database.
        latent_risk: of the promoted model; ``None`` when there is none.
        previous: freeze, scorecard, question and hash of the report before; ``None`` for the first.
        remarks: what of the data had arrived and could not be used, and why.
    """

    title: str
    program: str
    period_from: datetime
    freeze_at: datetime
    lifetimes: Sequence[SourceTable]
    tested: Sequence[SourceTable]
    excursions: Mapping[str, Any] | None = None
    latent_risk: Mapping[str, Any] | None = None
    previous: Mapping[str, Any] | None = None
    remarks: Sequence[str] = field(default=())


def build_report(inputs: ReportInputs, content: ReportContent, progress: Progress) -> dict[str, Any]:
    """Return the report of ``inputs`` under the assumptions ``content``; what cannot be stated says why."""
    progress(0.1, "gathering tests")
    tests, left_out = gather_tests(inputs.lifetimes, content)
    progress(0.2, "rates")
    sections: dict[str, Any] = {
        "tests": describe_tests(tests, content),
        "rates": report_rates(tests, content),
        "early_life": report_early_life(tests, content),
    }
    progress(0.3, "life distributions")
    sections["life"] = report_life(tests, content)
    progress(0.5, "burn-in")
    sections["burn_in"] = report_burn_in(tests, content)
    progress(0.6, "screening")
    sections["screening"] = report_screening(inputs.tested, content)
    sections["latent_risk"] = dict(inputs.latent_risk) if inputs.latent_risk is not None else {"empty": NO_MODEL}
    sections["excursions"] = dict(inputs.excursions) if inputs.excursions is not None else {"empty": NO_RECORDS}
    listed = list_inputs(inputs)
    document = {
        "schema": SCHEMA,
        "title": inputs.title,
        "program": inputs.program,
        "period_from": _moment(inputs.period_from),
        "freeze_at": _moment(inputs.freeze_at),
        "simulated": provenance(inputs.lifetimes, {})["simulated"] or sections["screening"].get("simulated", False),
        "question": content.model_dump(mode="json"),
        "scorecard": make_scorecard(sections, content, inputs.previous),
        "sections": sections,
        "demonstration": below_one_ppm(content.confidences[0]),
        "left_out": [*inputs.remarks, *left_out],
        "previous": dict(inputs.previous) if inputs.previous is not None else None,
        "inputs": listed,
        "inputs_sha256": digest(listed),
        "provenance": {
            "algorithm": f"reliability-report/{REPORT_VERSION}",
            "analyses": {
                "life-data": LIFE_DATA_VERSION,
                "rates": RELIABILITY_ANSWERS_VERSION,
                "screening": SCREENING_VERSION,
            },
            "code_version": code_version(),
            "device": "cpu",
            "precision": "float64",
        },
    }
    # As it is when it is read again: what is made of it must not depend on the order in which it was put together.
    found: dict[str, Any] = json.loads(encode(document))
    return found


def list_inputs(inputs: ReportInputs) -> list[dict[str, Any]]:
    """Return every input with its hash, in an order that does not depend on when it was found."""
    rows = [
        {
            "what": source.table.kind, "name": source.file, "sha256": source.sha256, "adapter": source.adapter,
            "rows": source.table.row_count,
        }
        for source in (*inputs.lifetimes, *inputs.tested)
    ]  # fmt: skip
    for name, part in (("excursions", inputs.excursions), ("latent_risk", inputs.latent_risk)):
        if part is not None:
            rows.append(
                {"what": name, "name": "rows of the database", "sha256": digest(part), "adapter": "", "rows": None}
            )
    if inputs.previous is not None:
        rows.append(
            {
                "what": "report", "name": f"data to {inputs.previous['freeze_at']}",
                "sha256": inputs.previous["sha256"], "adapter": "", "rows": None,
            }
        )  # fmt: skip
    return sorted(rows, key=lambda row: (row["what"], row["name"], row["sha256"]))


def digest(value: Any) -> str:
    """Return the sha256 (hex) of what JSON can hold, whatever the order of its members."""
    return hashlib.sha256(encode(value)).hexdigest()


def encode(value: Any) -> bytes:
    """Return the bytes of a document: sorted, without blanks."""
    text = json.dumps(
        finite_document(value), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )
    return text.encode()


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
