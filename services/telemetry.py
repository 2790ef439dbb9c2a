"""Logs, metrics, and the sign of life that health checks look at."""

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import structlog
from prometheus_client import Counter, Gauge, Histogram

from services.settings import Settings

jobs_finished = Counter("faultlight_jobs_finished_total", "Jobs by kind and final state", ["kind", "state"])
job_seconds = Histogram(
    "faultlight_job_seconds",
    "Wall-clock seconds of a job",
    ["kind"],
    buckets=(0.01, 0.05, 0.2, 1, 5, 20, 60, 300, 1800),
)
leases_lost = Counter("faultlight_leases_lost_total", "Jobs whose lease was lost while they ran", ["kind"])
files_ingested = Counter(
    "faultlight_files_ingested_total", "Files read, by adapter and outcome", ["adapter", "outcome"]
)
jobs_requeued = Counter("faultlight_jobs_requeued_total", "Expired leases taken back by the reconciler")
jobs_buried = Counter("faultlight_jobs_buried_total", "Jobs that died because their attempts were used up")
jobs_republished = Counter("faultlight_jobs_republished_total", "Doorbells rung again by the reconciler")
orphans_swept = Counter("faultlight_orphans_swept_total", "Blobs without a row that were removed")
webhook_deliveries = Counter("faultlight_webhook_deliveries_total", "Tries to deliver an event, by outcome", ["state"])
report_mails = Counter("faultlight_report_mails_total", "Tries to mail a report, by outcome", ["state"])
scheduler_heartbeat = Gauge("faultlight_scheduler_heartbeat_seconds", "Unix time of the scheduler's last pass")
queue_jobs = Gauge("faultlight_queue_jobs", "Jobs by queue and state", ["queue", "state"])
queue_oldest = Gauge("faultlight_queue_oldest_seconds", "Age of the oldest job by queue and state", ["queue", "state"])


def _serialize(event: Any, **options: Any) -> bytes:
    try:
        return orjson.dumps(event, default=options["default"])
    except TypeError:  # what orjson refuses (a file name that is not UTF-8) must not cost the line
        return json.dumps(event, **options).encode()


def _serialize_text(event: Any, **options: Any) -> str:
    return _serialize(event, **options).decode()


def configure_logging(settings: Settings) -> None:
    """Send structured logs to standard error; bound context (request id, job id) is in every line."""
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.types.Processor = structlog.processors.JSONRenderer(serializer=_serialize)
    text_renderer: structlog.types.Processor = structlog.processors.JSONRenderer(serializer=_serialize_text)
    lines: Any = structlog.BytesLoggerFactory(file=sys.stderr.buffer)
    if settings.log_format == "console":
        renderer = text_renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        lines = structlog.WriteLoggerFactory(file=sys.stderr)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lines,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, text_renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)  # or they would stand between the lines as plain text


def _sign_of_life(settings: Settings) -> Path:
    return settings.scratch() / "alive"


def give_sign_of_life(settings: Settings) -> None:
    """Touch the file that ``faultlight worker-health`` looks at."""
    path = _sign_of_life(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def seconds_since_last_sign_of_life(settings: Settings) -> float | None:
    """Return how long ago a process with this scratch folder gave a sign of life; ``None`` when none ever has."""
    try:
        return max(0.0, time.time() - _sign_of_life(settings).stat().st_mtime)
    except FileNotFoundError:
        return None
