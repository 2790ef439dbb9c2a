"""The commands ``faultlight reliability report`` and ``due``: reports from files, and when a schedule is due."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from services.offline_answers import JsonFlag, answer_offline


def report(
    files: Annotated[list[Path], typer.Argument(help="Tables of lifetimes, testers' logs, wafer maps, readouts.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for report.html, report.pdf, report.json.")],
    question: Annotated[
        Path | None, typer.Option(help="JSON: mechanisms, targets, conditions of use, …; default: every default.")
    ] = None,
    title: Annotated[str, typer.Option(help="Heading.")] = "Reliability report",
    program: Annotated[str, typer.Option(help="Whose parts these are.")] = "from files",
    freeze: Annotated[
        str | None, typer.Option(help="When the data were frozen, ISO 8601; default: when the newest file was written.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="From when it tells, ISO 8601; default: 31 days before.")] = None,
    previous: Annotated[Path | None, typer.Option(help="report.json of the report before, for the trend.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a reliability report from files: the same files and options give the same bytes."""
    from services.presentation.reports import print_report

    def compute() -> dict[str, Any]:
        from services.pipelines.reliability.report_files import Heading, report_paths

        heading = Heading(title, program, _moment(freeze), _moment(since), previous)
        return report_paths(files, question, heading, output)

    answer_offline(compute, print_report, as_json=as_json)


def due(
    cron: Annotated[str, typer.Argument(help="Minute, hour, day of month, month, day of week.")],
    time_zone: Annotated[str, typer.Option(help="IANA name, such as Europe/Berlin.")] = "UTC",
    after: Annotated[str | None, typer.Option(help="From when, ISO 8601; default: now.")] = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many due times.")] = 10,
    as_json: JsonFlag = False,
) -> None:
    """Say when a schedule of reports is due, also where clocks are put forward or back."""
    from services.presentation.reports import print_due_times

    def compute() -> dict[str, Any]:
        from services.reports.due_times import describe_due

        return describe_due(cron, time_zone, _moment(after) or datetime.now(UTC), count)

    answer_offline(compute, print_due_times, as_json=as_json)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
