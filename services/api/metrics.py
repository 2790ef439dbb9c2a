"""Metrics of this process, and gauges of the queues read from the database."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from db.repositories.statistics import Statistics

REGISTRY = CollectorRegistry()
ProcessCollector(namespace="faultlight_api", registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

REQUEST_SECONDS = Histogram(
    "faultlight_http_request_duration_seconds",
    "Time from the request's headers to the end of its answer.",
    ("method", "route", "status"),
    registry=REGISTRY,
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)


class _StatisticsCollector(Collector):
    """The gauges of one scrape."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        jobs = GaugeMetricFamily("faultlight_jobs", "Jobs by queue and state.", labels=("queue", "state"))
        for (queue, state), count in self._statistics.jobs.items():
            jobs.add_metric((queue, state), count)
        yield jobs
        ages = GaugeMetricFamily(
            "faultlight_oldest_queued_job_age_seconds", "Age of the oldest queued job.", labels=("queue",)
        )
        for queue, age_s in self._statistics.oldest_queued_s.items():
            ages.add_metric((queue,), age_s)
        yield ages
        files = GaugeMetricFamily("faultlight_files", "Original files by state.", labels=("state",))
        for state, count in self._statistics.files.items():
            files.add_metric((state,), count)
        yield files
        yield GaugeMetricFamily(
            "faultlight_leases_expired", "Running jobs whose lease has expired.", value=self._statistics.leases_expired
        )
        yield GaugeMetricFamily("faultlight_uploads_open", "Uploads on their way.", value=self._statistics.uploads_open)


def render_metrics(statistics: Statistics | None) -> bytes:
    """Return the page for Prometheus; without ``statistics`` (the database is down) only this process's own."""
    scrape = CollectorRegistry()
    up = GaugeMetricFamily("faultlight_database_up", "Whether the database answered.", value=statistics is not None)

    class _Up(Collector):
        def collect(self) -> Iterable[Metric]:
            yield up

    scrape.register(_Up())
    if statistics is not None:
        scrape.register(_StatisticsCollector(statistics))
    return generate_latest(REGISTRY) + generate_latest(scrape)
